from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from child_processes import HANG

from sparring import __version__
from sparring.cli import main
from sparring.cli.commands import COMMANDS
from sparring.cli.train_options import parse_resume, parse_train
from sparring.config.network import PolicyKwargs
from sparring.config.schema import GROUPS, TrainConfig, synonyms
from sparring.config.sources import build_config
from sparring.errors import InputError


def train(*argv: str) -> TrainConfig:
    return parse_train(argv, prog="sparring train").config


def test_every_setting_is_an_option_in_one_group() -> None:
    grouped = [name for group in GROUPS for name in group.model_fields]
    assert grouped == list(TrainConfig.model_fields)
    assert len(grouped) == len(set(grouped))
    options = [option.name for option in COMMANDS["train"].form.options]
    assert len(options) == len(set(options))
    assert set(options) == {
        *("preset", "config", "json"),
        *(TrainConfig.model_fields.keys() - {"game", "policy_kwargs"}),
        *(f"policy_kwargs.{name}" for name in PolicyKwargs.model_fields),
    }


def test_synonyms_are_no_settings_themselves() -> None:
    assert not synonyms().keys() & TrainConfig.model_fields.keys()


def test_the_short_help_shows_the_common_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    short = capsys.readouterr().out
    assert main(["train", "--help-all"]) == 0
    whole = capsys.readouterr().out
    for text in (
        "quick (5 minutes), quick-dqn (4 minutes), strong (45 minutes), strong-dqn (32 minutes)",
        "(default: quick)",
        "more options, which `sparring train --help-all` explains:",
        "learning --batch-size, --learning-rate,",
    ):
        assert text in " ".join(short.split())
    options = list(COMMANDS["train"].form.options)
    assert short.count("\n  --") == 10
    assert whole.count("\n  --") == len(options)
    assert {option.flag for option in options} <= set(re.findall(r"--[a-z0-9.-]+", short))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_help_explains_ten_options_or_groups_of_as_many(name: str) -> None:
    form = COMMANDS[name].form
    common = [option for option in form.options if option.common]
    if len(common) < len(list(form.options)):
        assert len(common) <= 10
    assert all(sum(option.common for option in group) <= 10 for group in form.groups.values())


def test_help_and_version_by_other_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == main(["--help"]) == main(["-h"]) == 0
    once, *more = capsys.readouterr().out.split("usage: sparring COMMAND")[1:]
    assert more == [once, once]
    assert main(["help", "play"]) == main(["play", "-h"]) == 0
    once, *more = capsys.readouterr().out.split("usage: sparring play")[1:]
    assert more == [once]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sparring {__version__}\n"


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sparring", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == f"sparring {__version__}\n"


def test_the_default_preset_is_quick() -> None:
    assert train() == build_config(preset="quick")
    assert train("tic_tac_toe") == build_config(preset="quick", overrides={"game": "tic_tac_toe"})
    assert train("--seed", "3") == build_config(preset="quick", overrides={"seed": 3})


def test_the_preset_none_leaves_the_defaults() -> None:
    assert train("--preset", "none") == TrainConfig()


def test_a_configuration_file_replaces_the_default_preset(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("seed = 4\n")
    assert train("--config", str(file)) == build_config(overrides={"seed": 4})


@pytest.mark.parametrize(
    ("argv", "settings"),
    [
        (["--n-episodes", "5"], {"n_episodes": 5}),
        (["--n_episodes=5"], {"n_episodes": 5}),
        (["--n-episodes", "1e5"], {"n_episodes": 100_000}),
        (["--n-episodes", "100k", "--buffer-size", "1.5M"], {"buffer_size": 1_500_000}),
        (["--learning-rate", "1e-4", "--gamma", "1"], {"learning_rate": 1e-4, "gamma": 1.0}),
        (
            ["--no-double-q", "--prioritized-replay"],
            {"double_q": False, "prioritized_replay": True},
        ),
        (["--learning-steps-per-batch", "adaptive"], {"learning_steps_per_batch": "adaptive"}),
        (["--learning-steps-per-batch", "auto", "--num-workers", "auto"], {}),
        (["--num-workers", "3", "--device", "cuda:1"], {"num_workers": 3, "device": "cuda:1"}),
        (["--policy-kwargs.net-arch", "512", "64"], {"policy_kwargs": {"net_arch": (512, 64)}}),
        (["--policy-kwargs.dueling"], {"policy_kwargs": {"dueling": True}}),
        (
            ["--policy-kwargs.network", "resnet", "--policy-kwargs.channels", "16"],
            {"policy_kwargs": {"network": "resnet", "channels": 16}},
        ),
        (
            [
                "--policy-kwargs.network",
                "nets:Net",
                "--policy-kwargs.arguments",
                "width=8",
                "deep=true",
                "act=relu",
                "share=.5",
            ],
            {
                "policy_kwargs": {
                    "network": "nets:Net",
                    "arguments": {"width": 8, "deep": True, "act": "relu", "share": 0.5},
                }
            },
        ),
        (["--opponents", "self=0.5", "one_ply=2"], {"opponents": {"self": 0.5, "one_ply": 2.0}}),
        (["--name", "123", "--runs-dir", "elsewhere"], {"name": "123", "runs_dir": "elsewhere"}),
    ],
)
def test_options(argv: list[str], settings: dict[str, Any]) -> None:
    assert train("connect_four", "--preset", "none", *argv) == build_config(overrides=settings)


def test_only_named_options_override_presets_and_files(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        'game = "tic_tac_toe"\nbatch_size = 99\nseed = 4\n[policy_kwargs]\ndueling = true\n'
    )
    config = train(
        "--preset", "quick", "--config", str(file), "--seed", "0", "--policy-kwargs.net-arch", "7"
    )
    expected = build_config(
        preset="quick", config_file=file, overrides={"seed": 0, "policy_kwargs": {"net_arch": [7]}}
    )
    assert config == expected
    assert (config.game, config.batch_size, config.seed) == ("tic_tac_toe", 99, 0)
    assert config.policy_kwargs.dueling


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--n-episode", "3"], "unknown option: got --n-episode, .*did you mean '--n-episodes'"),
        (["--no-tensorbord"], "did you mean '--no-tensorboard'"),
        (["--seed", "1", "--seed", "2"], "option given more than once: got --seed"),
        (["--seed", "1", "--seed=2"], "option given more than once: got --seed"),
        (["--double-q", "--no-double-q"], "option given more than once: got --no-double-q"),
        (["--policy-kwargs.dueling", "--policy-kwargs.no-dueling"], "option given more than once"),
        (["--learning-rate", "nan"], "learning_rate: got nan, expected a finite number"),
        (["--learning-rate", "-inf"], "learning_rate: got -inf, expected a finite number"),
        (["--learning-rate", "-1e-3"], "learning_rate: got -0.001, expected more than 0"),
        (["--n-episodes", "1.5"], "n_episodes: got 1.5, expected a whole number"),
        (["--n-episodes", "100q"], "n_episodes: got '100q', expected a whole number"),
        (["--n-episodes", "abc"], "n_episodes: got 'abc', expected a whole number"),
        (["--n-episodes"], "--n-episodes needs a value; see sparring train --help"),
        (["--n-episodes", "--json"], "--n-episodes needs a value"),
        (["--json=yes"], "--json takes no value: got 'yes'"),
        (["--policy-kwargs.net-arch"], "--policy-kwargs.net-arch needs a value"),
        (["--lr", "1"], "unknown option: got --lr, .*; did you mean '--learning-rate'"),
        (["--workers", "1"], "did you mean '--num-workers'"),
        (["--epsilon", "1"], "did you mean '--exploration-initial-eps'"),
        (["--gpu", "0"], "did you mean '--device'"),
        (["--network", "mlp"], "did you mean '--policy-kwargs.network'"),
        (["--net-arch", "8"], "did you mean '--policy-kwargs.net-arch'"),
        (["--replay"], "did you mean '--prioritized-replay'"),
        (["--time", "10"], "did you mean '--max-minutes'"),
        (
            ["--xyz"],
            "unknown option: got --xyz, expected one that `sparring train --help-all` lists$",
        ),
        (["--opponents", "self"], "opponents: got 'self', expected a table"),
        (["--opponents", "self=1", "self=2"], "opponents: got 'self=1 self=2', expected a table"),
        (
            ["--preset", "none", "--policy-kwargs.channels", "8"],
            "policy_kwargs.channels does not apply to network mlp: got 8",
        ),
        (
            ["--policy-kwargs.network", "resnt"],
            "policy_kwargs.network: got 'resnt', .*did you mean 'resnet'",
        ),
        (
            ["--policy-kwargs.network", "m:f", "--policy-kwargs.arguments", "width"],
            "policy_kwargs.arguments: got 'width', expected a table",
        ),
        (["tic_tac_toe", "connect_four"], "unexpected argument: got 'connect_four'"),
        (["--preset", "slow"], "unknown preset"),
    ],
)
def test_mistakes_are_one_line(argv: list[str], line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        train(*argv)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["evaluate"], "missing argument AGENT (agent file, run name, or name of a built-in game)"),
        (["tournament"], "missing argument AGENT (agent files or run names)"),
        (["evaluate", "x", "--matches", "y"], "--matches: got 'y', expected a whole number"),
        (["evaluate", "x", "--rows", "y"], "--rows: got 'y', expected one of all, odd, even"),
        (["evaluate", "x", "--seed"], "--seed needs a value"),
        (["evaluate", "x", "y"], "unexpected argument: got 'y'"),
        (["bench", "--seconds", "long"], "--seconds: got 'long', expected a number"),
    ],
)
def test_mistakes_in_other_commands_are_one_line(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert capsys.readouterr() == ("", f"sparring: {line}; see sparring {argv[0]} --help\n")


def test_help_shows_the_values_of_the_preset(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["train", "tic_tac_toe", "--preset", "quick", "--seed", "123", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "(default: tic_tac_toe)" in shown
    assert "(default: 123)" in shown
    assert (
        f"(default: {build_config(preset='quick', overrides={'game': 'tic_tac_toe'}).n_episodes})"
        in shown
    )
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("command", "wanted"),
    [([], "--help"), (["train"], "--help-all"), *(([name], "--help") for name in COMMANDS)],
)
def test_help_fits_80_columns(
    command: list[str],
    wanted: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command, wanted]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(" ".join(["usage: sparring", *command]))
    assert max(map(len, shown.splitlines())) <= 80


def test_resume_overrides_only_what_is_named() -> None:
    order = parse_resume(
        ["my-run", "--n-episodes", "7", "--no-tensorboard", "--json"], prog="sparring resume"
    )
    assert order.run == "my-run"
    assert order.json
    assert order.overrides == {"n_episodes": 7, "tensorboard": False}
    assert parse_resume(["my-run"], prog="sparring resume").overrides == {}


def test_the_table_of_games(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["games"]) == 0
    shown = capsys.readouterr().out
    assert "int8 2 x 6 x 7" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_help_imports_little() -> None:
    """It stays fast: Numba, torch and rich take longer to import than all help takes."""
    script = (
        "import sys; from sparring.cli import main; from sparring.cli.commands import COMMANDS\n"
        "status = [main([name, '--help']) for name in COMMANDS] + [main(['--help'])]\n"
        "print(status, {name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=HANG, check=True
    )
    status, _, modules = done.stderr.partition("] ")
    assert set(status) <= set("[0, ")
    packages = {name for name in ast.literal_eval(modules) if not name.startswith("_")}
    assert packages - sys.stdlib_module_names <= {
        "sparring", "numpy", "pydantic", "pydantic_core", "annotated_types", "typing_extensions",
        "typing_inspection", "tomli_w", "distutils",
    }  # fmt: skip


@pytest.mark.parametrize(
    "argv",
    [
        ["games"],
        ["train", "--n-episodes", "-1"],
        ["evaluate", "absent"],
    ],
)
def test_quick_answers_do_without_torch(argv: list[str], tmp_path: Path) -> None:
    script = (
        f"import sys; from sparring.cli import main; status = main({argv!r}); "
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr
