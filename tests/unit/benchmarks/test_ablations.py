"""benchmarks/ablations.py: its rows, the length of trainings, what is trained and what is shown;
nothing is trained here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from child_processes import HANG

from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config, preset_names
from sparring.errors import InputError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def ablations(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import ablations

    return ablations


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import ablation_rows

    return ablation_rows


BASE = {"weight_averaging": 0.999, "n_steps": 3}
POLICY = {"net_arch": [512, 512], "dueling": True}


@pytest.fixture
def preset(rows: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A preset that stays as it is, whatever becomes of those that come with Sparring."""

    def build(*, preset: str, overrides: Mapping[str, Any]) -> TrainConfig:
        changed = overrides.get("policy_kwargs", {})
        policy = (
            changed
            if "network" in changed and changed["network"] != "mlp"
            else {**POLICY, **changed}
        )
        return build_config(overrides={**BASE, **overrides, "policy_kwargs": policy})

    monkeypatch.setattr(rows, "build_config", build)
    return rows


# the rows are parts of networks with layers, which tables have not
@pytest.mark.parametrize("name", sorted({*preset_names()["connect_four"]} - {"quick", "strong"}))
def test_every_row_of_every_preset_with_layers_is_a_configuration_of_its_own(
    rows: Any, name: str
) -> None:
    configs, left_out = rows.plan(name, 3)
    assert configs.keys() | left_out.keys() == rows.ROWS.keys()
    assert next(iter(configs)) == "preset"
    trainings = {
        json.dumps(rows.trained_with(config), sort_keys=True) for config in configs.values()
    }
    assert len(trainings) == len(configs) > 12
    for row, config in configs.items():
        assert (config.game, config.seed, config.tensorboard) == ("connect_four", 3, False)
        for field, value in rows.ROWS[row].part.items():
            got = getattr(config, field)
            assert got == value or all(
                list(np.atleast_1d(getattr(got, key))) == list(np.atleast_1d(v))
                for key, v in value.items()
            )


def test_parts_are_switched_off_where_the_preset_has_them_and_on_where_it_has_not(
    preset: Any,
) -> None:
    configs, left_out = preset.plan("any", 0)
    assert {
        "no_dueling",
        "no_averaging",
        "n_steps_1",
        "prioritized",
        "atoms_21",
        "own_turn",
        "patches",
        "resnet",
    } <= configs.keys()
    assert {
        "dueling",
        "averaging",
        "n_steps_3",
        "uniform_replay",
        "atoms_1",
        "zero_sum",
        "mlp",
    } <= left_out.keys()
    assert left_out["averaging"] == "its settings are those of preset"


def test_what_goes_with_a_change_comes_with_the_change_alone(preset: Any) -> None:
    configs, left_out = preset.plan("any", 0)
    assert (configs["noisy"].policy_kwargs.noisy, configs["noisy"].exploration_final_eps) == (
        True,
        0.0,
    )
    assert (configs["soft_target"].tau, configs["soft_target"].target_update_interval) == (0.005, 1)
    assert configs["preset"].exploration_final_eps == 0.05
    assert "epsilon" in left_out  # though it would bring 0.2


def test_another_network_keeps_the_heads(preset: Any) -> None:
    policy = preset.plan("any", 0)[0]["resnet"].policy_kwargs
    assert (policy.network, policy.dueling, policy.channels) == ("resnet", True, 32)


def test_a_row_of_the_same_settings_as_another_is_left_out(preset: Any) -> None:
    configs, left_out = preset.plan("any", 0)
    assert left_out["league_uniform"] == "its settings are those of league"
    assert configs["league_newest"].opponents == configs["league_pfsp"].opponents == preset.LEAGUE
    assert (configs["league_newest"].matchmaking, configs["league_pfsp"].matchmaking) == (
        "self",
        "pfsp",
    )


def test_length_place_and_name_of_a_run_do_not_tell_trainings_apart(rows: Any) -> None:
    one = rows.configuration("quick-dqn", 0, {})
    other = one.model_copy(
        update={"n_episodes": 7, "name": "x", "runs_dir": "y", "bootstrap": "zero_sum"}
    )
    assert rows.trained_with(one) == rows.trained_with(other)
    assert rows.trained_with(one) != rows.trained_with(one.model_copy(update={"seed": 1}))


def record(
    ablations: Any, name: str, config: TrainConfig, share: float, **changes: Any
) -> dict[str, Any]:
    shares = {"value_preserving": share, "interval95": [share - 0.02, share + 0.02]}
    met = {other: {"score": 0.5, "interval95": [0.45, 0.55]} for other in ablations.OPPONENTS}
    counts = {"matches": 300_000, "plies": 6_000_000, "updates": 29_000, "seconds": 181.2}
    key = {
        "row": name,
        "why": f"about {name}",
        "preset": "quick-dqn",
        "minutes": 3.0,
        "settings": ablations.trained_with(config),
    }
    return {**key, **counts, "even": shares, "odd": shares, "opponents": met, **changes}


@pytest.fixture
def trained(ablations: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rows that would have been trained; each is worth less than the one before."""
    names: list[str] = []

    def stand_in(settings: Any, name: str, config: TrainConfig) -> dict[str, Any]:
        names.append(name)
        return record(ablations, name, config, 0.8 - len(names) / 100, minutes=settings.minutes)

    monkeypatch.setattr(ablations, "trained_row", stand_in)
    return names


def test_a_table_of_several_sittings(
    ablations: Any, trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs, left_out = ablations.plan("quick-dqn", 0)
    (_, other), same = (
        list(configs)[:2],
        next(name for name, why in left_out.items() if why.endswith("preset")),
    )

    def sitting(*row: str, **options: Any) -> str:
        ablations.main(ablations.Settings(row=row, out=tmp_path, **options))
        return capsys.readouterr().out

    sitting("preset")
    said = sitting("preset", other, same)
    assert trained == ["preset", other]
    assert said.startswith(
        f"preset has a result already\n{same} is left out: its settings are those of preset\n"
    )
    assert (tmp_path / "table.png").stat().st_size > 10_000
    rows = [
        line.split(" | ")[0]
        for line in (tmp_path / "table.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    assert rows == ["| row", "| preset", f"| {other}"]
    sitting("preset", minutes=2.0)
    sitting("preset", seed=1)
    sitting("preset", again=True)
    assert trained[2:] == ["preset"] * 3
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 5
    again = ablations.results(ablations.Settings(out=tmp_path), configs)
    assert [(name, one["even"]["value_preserving"]) for name, one in again.items()] == [
        (other, 0.78),
        ("preset", 0.75),
    ]


def test_tables(ablations: Any) -> None:
    config = ablations.plan("quick-dqn", 0)[0]["preset"]
    found = {
        "hard_target_500": record(
            ablations, "hard_target_500", config, 0.7126, seconds=181.0, matches=1_234_567
        )
    }
    lines = ablations.table(found)
    assert (
        lines[2]
        == "hard_target_500   0.713  0.693-0.733  0.713     0.500     0.500  1,234,567   181"
    )
    assert max(map(len, lines)) <= 80
    shares = " | ".join(["0.713 (0.693 to 0.733)"] * 2 + ["0.500 (0.450 to 0.550)"] * 2)
    counts = "1,234,567 | 6,000,000 | 29,000 | 181"
    row = f"| hard_target_500 | about hard_target_500 | {shares} | {counts} |"
    assert row in ablations.markdown(ablations.Settings(), found)


def test_a_row_is_trained_for_its_time(
    ablations: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A real training of tic-tac-toe for half a second, of which the replay is not kept; another
    one has another place.
    """
    monkeypatch.setattr(ablations, "evaluated", lambda _: {"even": 1})
    small = {
        "game": "tic_tac_toe",
        "backend": "inline",
        "num_workers": 1,
        "learner_threads": 1,
        "device": "cpu",
        "eval_matches": 2,
    }
    config = build_config(
        overrides={**small, "policy_kwargs": {"net_arch": [8]}, "tensorboard": False}
    )
    settings = ablations.Settings(out=tmp_path, minutes=0.5 / 60.0)
    for number in (1, 2):
        done = ablations.trained_row(settings, "preset", config)
        assert 0.5 <= done["seconds"] < 60.0  # the machine may be busy
        assert done["matches"] > 0
        assert (done["agent"], done["even"], done["minutes"]) == (
            f"runs/preset-{number}/last.safetensors",
            1,
            0.5 / 60.0,
        )
        assert (tmp_path / done["agent"]).is_file()
        assert list((tmp_path / "runs" / f"preset-{number}" / "checkpoints").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"row": ("dualing",)},
            "unknown row: got 'dualing', expected one of preset, .*; did you mean 'dueling'",
        ),
        ({"minutes": float("nan")}, "--minutes: got nan, expected a positive number"),
        ({"minutes": 0.0}, "--minutes: got 0.0, expected a positive number"),
        ({"preset": "quik"}, "unknown preset for connect_four: got 'quik', expected one of "),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    ablations: Any, tmp_path: Path, options: dict[str, Any], line: str
) -> None:
    with pytest.raises(InputError, match=line):
        ablations.main(ablations.Settings(out=tmp_path / "out", **options))
    assert not (tmp_path / "out").exists()


def test_a_mistake_is_one_line() -> None:
    command = [sys.executable, BENCHMARKS / "ablations.py", "--minutes", "-1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "ablations: --minutes: got -1.0, expected a positive number\n",
    )
