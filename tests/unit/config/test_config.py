from __future__ import annotations

import math
import pydoc
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sparring.cli.train_options import parse_train
from sparring.config.network import PolicyKwargs
from sparring.config.schema import ResolvedConfig, TrainConfig, optional_fields
from sparring.config.sources import build_config, preset_names, resume_config, to_toml
from sparring.errors import ConfigurationError, FileFormatError, InputError


def complaint(**overrides: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        build_config(overrides=overrides)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("n_episodes", 0, "at least 1"),
        ("n_episodes", -5, "at least 1"),
        ("n_episodes", 2.0, "a whole number"),
        ("n_episodes", True, "a whole number"),
        ("n_episodes", "many", "a whole number"),
        ("seed", -1, "at least 0"),
        ("seed", 2**63, "at most 9223372036854775807"),
        ("num_workers", 0, "at least 1, or 'auto'"),
        ("num_envs_per_worker", 0, "at least 1, or 'auto'"),
        ("learner_threads", 0, "at least 1, or 'auto'"),
        ("episodes_per_batch", 0, "at least 1"),
        ("learning_steps_per_batch", 0, "at least 1 or 'adaptive', or 'auto'"),
        ("learning_steps_per_batch", "adptive", "a whole number or 'adaptive', or 'auto'"),
        ("samples_per_insert", 0.0, "more than 0"),
        ("batch_size", 0, "at least 1"),
        ("learning_rate", 1e30, "at most 1"),
        ("learning_starts", -1, "at least 0"),
        ("learning_rate", 0.0, "more than 0"),
        ("learning_rate", -1e-3, "more than 0"),
        ("learning_rate", math.nan, "a finite number"),
        ("learning_rate", math.inf, "a finite number"),
        ("gamma", 1.01, "at most 1"),
        ("gamma", -0.01, "at least 0"),
        ("n_steps", 0, "at least 1"),
        ("n_steps", 33, "at most 32"),
        ("tau", 0.0, "more than 0"),
        ("tau", 1.5, "at most 1"),
        ("target_update_interval", 0, "at least 1"),
        ("max_grad_norm", math.inf, "a finite number"),
        ("prioritized_replay_alpha", 1.5, "at most 1"),
        ("prioritized_replay_eps", 0.0, "more than 0"),
        ("exploration_initial_eps", 1.1, "at most 1"),
        ("exploration_final_eps", -0.1, "at least 0"),
        ("exploration_fraction", 2.0, "at most 1"),
        ("opponent_epsilon", math.nan, "a finite number"),
        ("max_snapshots", -1, "at least 0"),
        ("matchmaking", "elo", "'self', 'uniform', 'recent' or 'pfsp'"),
        ("pfsp_weighting", "soft", "'hard' or 'variance'"),
        ("record_half_life", 0, "at least 1"),
        ("gate", "open", "'schedule' or 'win_rate'"),
        ("gate_score", 1.01, "at most 1"),
        ("gate_matches", 0, "at least 1"),
        ("log_interval", 0.0, "more than 0"),
        ("double_q", "yes", "true or false"),
        ("mode", "asynch", "'sync', 'overlap' or 'async'"),
        ("max_weight_lag", 0, "at least 1"),
        ("max_weight_lag", 101, "at most 100"),
        ("exploration", "steps", "'linear', 'geometric' or 'per_worker'"),
        ("exploration_decay", 0.0, "more than 0"),
        ("exploration_decay", 1.5, "at most 1"),
        ("exploration_decay", 0.9, "exploration = geometric"),
        ("exploration_per_worker_eps", 0.0, "more than 0"),
        ("exploration_per_worker_eps", 1.5, "at most 1"),
        ("exploration_per_worker_alpha", -1.0, "at least 0"),
        ("actor_precision", "float16", "'float32' or 'bfloat16', or 'auto'"),
        ("backend", "threads", "'processes', 'inline' or 'ray'"),
        ("start_method", "fork", "'forkserver' or 'spawn', or 'auto'"),
        ("bootstrap", "both", "'own_turn' or 'zero_sum', or 'auto'"),
        ("device", "gpu", "auto, cpu, cuda or cuda:0, cuda:1, ..."),
        ("device", "cuda:-1", "auto, cpu, cuda or cuda:0, cuda:1, ..."),
        ("device", "cuda:", "auto, cpu, cuda or cuda:0, cuda:1, ..."),
        ("device", "cuda:00", "auto, cpu, cuda or cuda:0, cuda:1, ..."),
        ("device", "cuda:200", "auto, cpu, cuda or cuda:0, cuda:1, ..."),
        ("max_minutes", 0.0, "more than 0, or 'auto'"),
        ("max_minutes", math.inf, "a finite number, or 'auto'"),
        ("stop_at_score", math.nan, "a finite number, or 'auto'"),
        ("stop_at_score", "high", "a number, or 'auto'"),
        ("name", "../other", "letters, digits"),
        ("name", ".", "letters, digits"),
        ("name", "", "letters, digits"),
        ("runs_dir", "", "text that is not empty"),
        (
            "policy_kwargs",
            512,
            "a table of network, net_arch, patch_size, patch_arch, activation, channels, blocks, "
            "dueling, atoms, noisy, tuples, tuple_size, tuple_kind, arguments",
        ),
        ("opponents", "random", "a table of names and values"),
        ("opponents", {"random": -1.0}, "at least 0"),
    ],
)
def test_a_value_out_of_its_range_is_named_with_the_range(
    name: str, value: object, expected: str
) -> None:
    line = complaint(**{name: value})
    shown = value["random"] if isinstance(value, dict) else value
    assert line.startswith(name)
    assert f"got {shown!r}, expected {expected}" in line


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices_that_may_exist(device: str) -> None:
    assert build_config(overrides={"device": device}).device == device


def test_settings_that_do_not_fit_together() -> None:
    line = complaint(batch_size=300_000)
    assert line == (
        "batch_size is larger than buffer_size: got 300000, expected at most 200000; "
        "lower batch_size or raise buffer_size"
    )
    assert "learning_starts is larger than buffer_size" in complaint(buffer_size=999)
    assert build_config(overrides={"buffer_size": 256, "learning_starts": 256}).batch_size == 256


def test_an_unknown_setting_gets_the_nearest_name() -> None:
    assert "got 'n_epsodes'" in complaint(n_epsodes=3)
    assert complaint(n_epsodes=3).endswith("did you mean 'n_episodes'?")
    assert complaint(**{"batch-sise": 3}).endswith("did you mean 'batch_size'?")
    assert complaint(policy_kwargs={"duelling": True}).endswith("did you mean 'dueling'?")
    assert complaint(lr=1).endswith("did you mean 'learning_rate'?")
    assert complaint(ema=1).endswith("did you mean 'weight_averaging'?")
    assert complaint(network="mlp").endswith("did you mean 'policy_kwargs.network'?")
    assert complaint(policy_kwargs={"hidden": 1}).endswith("did you mean 'net_arch'?")
    assert "did you mean" not in complaint(xyz=1)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        (
            "epsilon_start",
            "did you mean 'exploration_initial_eps'? Initial epsilon; linear, geometric.",
        ),
        (
            "epsilon_decay",
            "did you mean 'exploration_decay'? Epsilon is multiplied by it after each round; "
            "with exploration = geometric only.",
        ),
        (
            "per_alpha",
            "did you mean 'prioritized_replay_alpha'? Prioritisation exponent alpha; 0: uniform.",
        ),
        (
            "save_interval",
            "did you mean 'checkpoint_interval'? "
            "Maximum number of updates (not matches) between checkpoints.",
        ),
        ("eval_freq", "did you mean 'eval_interval'? Updates (not matches) between evaluations."),
        (
            "log_freq",
            "did you mean 'log_interval'? Seconds (not matches) between progress reports.",
        ),
        (
            "load_checkpoint",
            "`sparring resume RUN` continues a run; init_from starts a new one with given weights",
        ),
    ],
)
def test_options_of_the_first_system_are_explained(name: str, remedy: str) -> None:
    """Their units may differ: it counted matches. The command line says the same."""
    assert complaint(**{name: 1}).endswith(f"; {remedy}")
    flag = name.replace("_", "-")
    with pytest.raises(InputError) as caught:
        parse_train([f"--{flag}", "1"], prog="sparring train")
    wanted = re.sub("'([a-z_]+)'", lambda m: f"'--{m[1].replace('_', '-')}'", remedy)
    assert str(caught.value).endswith(f"; {wanted}")


def test_of_several_errors_the_first_is_named_and_unknown_names_come_first() -> None:
    assert (
        complaint(n_episodes=0, gamma=2.0)
        == "n_episodes: got 0, expected at least 1; the default is 100000 (and 1 more)"
    )
    line = complaint(n_episodes=0, gamma=2.0, n_stpes=1)
    assert "'n_steps'" in line
    assert line.endswith("(and 2 more)")


def test_long_values_are_cut() -> None:
    assert len(complaint(mode="x" * 10_000)) < 200


def test_lists_become_tuples_and_whole_numbers_serve_as_numbers() -> None:
    config = build_config(overrides={"policy_kwargs": {"net_arch": [64, 32]}, "learning_rate": 1})
    assert config.policy_kwargs.net_arch == (64, 32)
    assert isinstance(config.learning_rate, float)


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        TrainConfig().seed = 1


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("batch_size = 111\nlearning_rate = 0.25\n[policy_kwargs]\ndueling = true\n")
    config = build_config(preset="quick-dqn", config_file=file, overrides={"batch_size": 64})
    preset = build_config(preset="quick-dqn")
    assert config.batch_size == 64  # the override, not the file's 111
    assert config.learning_rate == 0.25  # the file, not the preset
    assert (
        config.episodes_per_batch == preset.episodes_per_batch != TrainConfig().episodes_per_batch
    )
    assert config.gamma == TrainConfig().gamma
    assert (
        config.policy_kwargs
        == preset.policy_kwargs.model_copy(update={"dueling": True})
        != PolicyKwargs(dueling=True)
    )


def test_opponents_are_replaced_as_a_whole() -> None:
    assert build_config(preset="quick", overrides={"opponents": {"random": 2.0}}).opponents == {
        "random": 2.0
    }


def test_the_game_in_a_file_decides_which_presets_there_are(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('game = "tic_tac_toe"\n')
    assert build_config(preset="quick", config_file=file).game == "tic_tac_toe"
    assert build_config(preset="quick", config_file=file) != build_config(
        preset="quick", overrides={"game": "connect_four"}
    )


def test_a_misspelt_key_names_its_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("n_epsodes = 3\n")
    with pytest.raises(
        ConfigurationError,
        match=r"unknown setting in .*run\.toml: got 'n_epsodes', .*did you mean 'n_episodes'",
    ):
        build_config(config_file=file)
    file.write_text("gamma = 3\n")
    with pytest.raises(
        ConfigurationError, match=r"gamma in .*run\.toml: got 3, expected at most 1"
    ):
        build_config(config_file=file)
    assert build_config(config_file=file, overrides={"gamma": 0.5}).gamma == 0.5


@pytest.mark.parametrize("content", [b"n_episodes = ", b"\xff\xfe", b"[policy_kwargs"])
def test_files_that_are_not_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"run\.toml"):
        build_config(config_file=tmp_path / "run.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"absent\.toml.*No such file"):
        build_config(config_file=tmp_path / "absent.toml")


def test_a_preset_of_gradients_gives_way_to_tables() -> None:
    overrides = {"game": "my_game:MyGame", "policy_kwargs": {"network": "ntuples"}}
    config = build_config(preset="quick", overrides=overrides)
    assert config.target_update_interval == TrainConfig().target_update_interval
    own = build_config(preset="quick", overrides={**overrides, "target_update_interval": 77})
    assert own.target_update_interval == 77  # the caller's own is refused later, by its name


def test_presets() -> None:
    assert {"any", "connect_four", "tic_tac_toe"} <= preset_names().keys()
    for game, presets in preset_names().items():
        for preset in presets:
            assert build_config(preset=preset, overrides={"game": game}).game == game
    with pytest.raises(
        ConfigurationError,
        match=r"unknown preset for connect_four: got 'quik', .*; did you mean 'quick'",
    ):
        build_config(preset="quik")
    for game in ("my_game:MyGame", "openspiel:go(board_size=5)"):  # without presets of their own
        assert build_config(preset="quick", overrides={"game": game}) == build_config(
            preset="quick", overrides={"game": "any"}
        ).model_copy(update={"game": game})
    own = build_config(preset="quick", overrides={"game": "connect_four"})
    assert build_config(
        preset="quick", overrides={"game": "connect_four(num_players=2)"}
    ) == own.model_copy(update={"game": "connect_four(num_players=2)"})
    for odd in ("../config", 3, [], b"quick"):
        with pytest.raises(ConfigurationError, match="unknown preset for connect_four: got "):
            build_config(preset=odd)  # type: ignore[arg-type]


def test_a_preset_of_a_shorter_run_has_a_smaller_buffer() -> None:
    """connect_four quick-dqn: 130,000 matches, a buffer of 500,000, learning starts at 10,000, and
    the target moves every 500 updates. A buffer holds a batch of 512, and 15 transitions
    for each of the 256 matches of a round. What the caller sets stays.
    """

    def sizes(**overrides: Any) -> tuple[int, int, int]:
        config = build_config(preset="quick-dqn", overrides=overrides)
        return config.buffer_size, config.learning_starts, config.target_update_interval

    assert build_config(preset="quick-dqn").n_episodes == 130_000
    assert sizes() == sizes(n_episodes=260_000) == (500_000, 10_000, 500)
    assert sizes(n_episodes=65_000) == (250_000, 5_000, 250)
    assert sizes(n_episodes=1_300) == (5_000, 512, 50)
    assert sizes(n_episodes=1) == (3_840, 512, 50)
    assert sizes(n_episodes=1, episodes_per_batch=4) == (512, 512, 50)
    assert sizes(n_episodes=1, batch_size=64, episodes_per_batch=4) == (64, 64, 50)
    assert sizes(n_episodes=13_000, buffer_size=300_000) == (300_000, 1_000, 50)
    # four minutes at full length
    assert sizes(max_minutes=4) == sizes(max_minutes=60.0) == (500_000, 10_000, 500)
    assert sizes(max_minutes=2.0) == (250_000, 5_000, 250)
    assert sizes(max_minutes="auto", n_episodes=65_000) == (250_000, 5_000, 250)
    assert "n_episodes: got 'x'" in complaint(n_episodes="x")
    assert "max_minutes: got -1" in complaint(max_minutes=-1)


def test_a_run_has_one_length(tmp_path: Path) -> None:
    line = complaint(max_minutes=5, n_episodes=100)
    assert line == "two lengths: got n_episodes 100 and max_minutes 5, expected one of them"
    config = build_config(preset="quick", overrides={"max_minutes": 5.0})
    file = tmp_path / "run.toml"
    file.write_text(to_toml(config))
    assert build_config(config_file=file).max_minutes == 5.0
    shorter = build_config(config_file=file, overrides={"n_episodes": 70})
    assert (shorter.n_episodes, shorter.max_minutes) == (70, None)
    assert resume_config(config, {"n_episodes": 70}).max_minutes is None
    assert resume_config(shorter, {"max_minutes": 7}).max_minutes == 7.0


def test_auto_stands_for_none() -> None:
    assert optional_fields() == {
        "name",
        "start_method",
        "num_workers",
        "num_envs_per_worker",
        "inference",
        "learner_threads",
        "actor_precision",
        "learner_precision",
        "learning_steps_per_batch",
        "bootstrap",
        "afterstates",
        "num_players",
        "opponents",
        "max_minutes",
        "evaluate_with",
        "stop_at_score",
        "devices",
    }
    given = dict.fromkeys(optional_fields(), "auto")
    assert build_config(overrides=given) == TrainConfig()
    text = to_toml(TrainConfig())
    assert 'num_workers = "auto"' in text
    assert build_config(overrides=tomllib.loads(text)) == TrainConfig()


@given(
    st.builds(
        dict,
        learning_rate=st.floats(min_value=1e-300, max_value=1),
        gamma=st.floats(min_value=0, max_value=1),
        seed=st.integers(0, 2**63 - 1),
        learning_steps_per_batch=st.one_of(st.none(), st.just("adaptive"), st.integers(1, 10**6)),
        num_workers=st.one_of(st.none(), st.integers(1, 1000)),
        bootstrap=st.sampled_from([None, "own_turn", "zero_sum"]),
        runs_dir=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1),
        policy_kwargs=st.builds(
            dict, net_arch=st.lists(st.integers(1, 4096), min_size=1), dueling=st.booleans()
        ),
        opponents=st.dictionaries(
            st.sampled_from(["self", "snapshots", "random", "minimax:4"]),
            st.floats(min_value=1e-9, max_value=1e9),
            min_size=1,
        ),
    )
)
def test_round_trip_through_toml_is_exact(overrides: dict[str, Any]) -> None:
    config = build_config(overrides=overrides)
    again = build_config(overrides=tomllib.loads(to_toml(config)))
    assert again == config
    assert to_toml(again) == to_toml(config)


def test_resume_changes_what_it_may_and_nothing_else() -> None:
    saved = build_config(preset="quick", overrides={"name": "a", "num_workers": 3})
    config = resume_config(
        saved, {"n_episodes": 10**6, "device": "cpu", "log_interval": 1.0, "tensorboard": False}
    )
    changed = {
        name for name in TrainConfig.model_fields if getattr(config, name) != getattr(saved, name)
    }
    assert changed == {"n_episodes", "device", "log_interval", "tensorboard"}
    with pytest.raises(
        ConfigurationError, match="resume cannot change this setting: got 'batch_size'"
    ):
        resume_config(saved, {"batch_size": 3})
    with pytest.raises(ConfigurationError, match="n_episodes: got 0"):
        resume_config(saved, {"n_episodes": 0})


def test_nothing_is_left_open_in_a_resolved_configuration() -> None:
    """But for the name of the run, which its directory decides, and what a run need not have."""
    open_settings = {
        name for name, field in ResolvedConfig.model_fields.items() if field.default is None
    }
    assert open_settings == {"name", "devices", "max_minutes", "evaluate_with", "stop_at_score"}
    assert list(ResolvedConfig.model_fields) == list(TrainConfig.model_fields)


def test_help_is_a_page_of_settings_with_defaults() -> None:
    page = pydoc.render_doc(TrainConfig, renderer=pydoc.plaintext)
    assert "n_episodes = 100000                 Length of the run, in matches." in page
    assert "dueling = False" in page
    for machinery in ("Annotated", "FieldInfo", "Common", "pydantic_core", "__"):
        assert machinery not in page
    assert sum(len(line) > 100 for line in page.splitlines()) <= 2, "signature and base classes"
    assert len(page.splitlines()) < 40 + 2 * len(TrainConfig.model_fields)


def test_every_setting_has_a_help_of_one_line() -> None:
    for model in (TrainConfig, PolicyKwargs):
        for name, field in model.model_fields.items():
            assert field.description, name
            assert "\n" not in field.description, name
