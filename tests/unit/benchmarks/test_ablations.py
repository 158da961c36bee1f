"""benchmarks/ablations.py: its rows, the length of trainings, what is trained and what is shown; nothing is trained here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring.config import TrainConfig
from sparring.config_files import build_config, preset_names
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
        policy = changed if "network" in changed and changed["network"] != "mlp" else {**POLICY, **changed}
        return build_config(overrides={**BASE, **overrides, "policy_kwargs": policy})

    monkeypatch.setattr(rows, "build_config", build)
    return rows


@pytest.mark.parametrize("name", preset_names()["connect_four"])
def test_every_row_of_every_preset_is_a_configuration_of_its_own(rows: Any, name: str) -> None:
    configs, left_out = rows.plan(name, 3)
    assert configs.keys() | left_out.keys() == rows.ROWS.keys()
    assert next(iter(configs)) == "preset"
    trainings = {json.dumps(rows.trained_with(config), sort_keys=True) for config in configs.values()}
    assert len(trainings) == len(configs) > 12
    for row, config in configs.items():
        assert (config.game, config.seed, config.tensorboard) == ("connect_four", 3, False)
        for field, value in rows.ROWS[row].part.items():
            got = getattr(config, field)
            assert got == value or all(list(np.atleast_1d(getattr(got, key))) == list(np.atleast_1d(v)) for key, v in value.items())


def test_parts_are_switched_off_where_the_preset_has_them_and_on_where_it_has_not(preset: Any) -> None:
    configs, left_out = preset.plan("any", 0)
    assert {"no_dueling", "no_averaging", "n_steps_1", "prioritized", "atoms_21", "own_turn", "patches", "resnet"} <= configs.keys()
    assert {"dueling", "averaging", "n_steps_3", "uniform_replay", "atoms_1", "zero_sum", "mlp"} <= left_out.keys()
    assert left_out["averaging"] == "its settings are those of preset"


def test_what_goes_with_a_change_comes_with_the_change_alone(preset: Any) -> None:
    configs, left_out = preset.plan("any", 0)
    assert (configs["noisy"].policy_kwargs.noisy, configs["noisy"].exploration_final_eps) == (True, 0.0)
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
    assert (configs["league_newest"].matchmaking, configs["league_pfsp"].matchmaking) == ("self", "pfsp")


def test_length_place_and_name_of_a_run_do_not_tell_trainings_apart(rows: Any) -> None:
    one = rows.configuration("quick", 0, {})
    other = one.model_copy(update={"n_episodes": 7, "name": "x", "runs_dir": "y", "bootstrap": "zero_sum"})
    assert rows.trained_with(one) == rows.trained_with(other)
    assert rows.trained_with(one) != rows.trained_with(one.model_copy(update={"seed": 1}))


def pace(c: float, p: float, *, transitions_per_ply: float = 1.0) -> Any:
    """A thousand plies of c seconds each, which two workers play in p seconds each; `ADAPTIVE` updates."""
    updates = 1000 * transitions_per_ply * 2.0 / 100
    return SimpleNamespace(seconds=1000 * c, plies=1000, updates=updates, played=2 * 1000 * p, workers=2, episodes=50)


ADAPTIVE = {"learning_steps_per_batch": "adaptive", "samples_per_insert": 2.0, "batch_size": 100, "buffer_size": 1000}


# With c = 4, p = 1 and F = 1000 plies until the replay is full: up to 250 plies take 1 s each; the next 500 take 1 to 3 s, 2 s on average;
# the last 250 of the thousand 3.5 s; and from there on 4 s.
@pytest.mark.parametrize(("seconds", "plies"), [(100, 100), (250, 250), (1250, 750), (2125, 1000), (6125, 2000)])
def test_plies_of_a_training_by_hand(ablations: Any, seconds: float, plies: float) -> None:
    config = build_config(overrides=ADAPTIVE)
    assert ablations.plies_within(seconds, pace(4.0, 1.0), config) == pytest.approx(plies)
    assert ablations.plies_within(2 * seconds, pace(4.0, 1.0, transitions_per_ply=0.5), config) == pytest.approx(2 * plies)
    assert ablations.plies_within(seconds, pace(4.0, 1.0), build_config()) == pytest.approx(seconds / 4.0)  # as many updates from the start


@given(st.floats(0.01, 10.0), st.floats(0.0, 1.2), st.floats(0.01, 4.0))
def test_plies_of_a_training_are_those_whose_times_add_up_to_it(c: float, played: float, plies: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import ablations
    p = max(1e-6, played * c)
    middles = (np.arange(20_000) + 0.5) / 20_000 * plies  # in fills of the replay
    seconds = 1000 * float(np.maximum(min(p, c), c * np.minimum(1.0, middles)).mean()) * plies
    got = ablations.plies_within(seconds, pace(c, p), build_config(overrides=ADAPTIVE))
    assert got == pytest.approx(1000 * plies, rel=1e-3)


def record(ablations: Any, name: str, config: TrainConfig, share: float, **changes: Any) -> dict[str, Any]:
    shares = {"value_preserving": share, "interval95": [share - 0.02, share + 0.02]}
    met = {other: {"score": 0.5, "interval95": [0.45, 0.55]} for other in ablations.OPPONENTS}
    counts = {"matches": 300_000, "plies": 6_000_000, "updates": 29_000, "seconds": 181.2}
    key = {"row": name, "why": f"about {name}", "preset": "quick", "minutes": 3.0, "settings": ablations.trained_with(config)}
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


def test_a_table_of_several_sittings(ablations: Any, trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configs, left_out = ablations.plan("quick", 0)
    (_, other), same = list(configs)[:2], next(name for name, why in left_out.items() if why.endswith("preset"))

    def sitting(*row: str, **options: Any) -> str:
        ablations.main(ablations.Settings(row=row, out=tmp_path, **options))
        return capsys.readouterr().out

    sitting("preset")
    said = sitting("preset", other, same)
    assert trained == ["preset", other]
    assert said.startswith(f"preset is there already\n{same} is left out: its settings are those of preset\n")
    assert (tmp_path / "table.png").stat().st_size > 10_000
    rows = [line.split(" | ")[0] for line in (tmp_path / "table.md").read_text().splitlines() if line.startswith("| ")]
    assert rows == ["| row", "| preset", f"| {other}"]
    sitting("preset", minutes=2.0)
    sitting("preset", seed=1)
    sitting("preset", again=True)
    assert trained[2:] == ["preset"] * 3
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 5
    again = ablations.results(ablations.Settings(out=tmp_path), configs)
    assert [(name, one["even"]["value_preserving"]) for name, one in again.items()] == [(other, 0.78), ("preset", 0.75)]


def test_tables(ablations: Any) -> None:
    config = ablations.plan("quick", 0)[0]["preset"]
    settings = ablations.Settings()
    found = {"hard_target_500": record(ablations, "hard_target_500", config, 0.7126, seconds=200.0, matches=1_234_567)}
    lines = ablations.table(settings, found)
    assert lines[2] == "hard_target_500   0.713  0.693-0.733  0.713     0.500     0.500  1,234,567   200"
    assert lines[3] == "More than 10% off the 180 s: hard_target_500."
    assert max(map(len, lines)) <= 80
    shares = "0.713 (0.693 to 0.733) | 0.713 (0.693 to 0.733) | 0.500 (0.450 to 0.550) | 0.500 (0.450 to 0.550)"
    assert f"| hard_target_500 | about hard_target_500 | {shares} | 1,234,567 | 6,000,000 | 29,000 | 200 |" in ablations.markdown(
        settings, found
    )
    on_time = {"preset": record(ablations, "preset", config, 0.7, seconds=197.9)}
    assert len(ablations.table(settings, on_time)) == 3


def test_a_training_that_is_off_is_made_once_more(ablations: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By calibration a match takes 20 plies of 2 ms, hence 4,500 in three minutes; in truth 40 plies, so that 2,250 fit."""
    monkeypatch.setattr(ablations, "calibrated", lambda _: pace(0.002, 0.002))
    monkeypatch.setattr(ablations, "judged", lambda _: {})
    asked: list[int] = []

    def train(config: TrainConfig, *, console: bool) -> Any:
        asked.append(config.n_episodes)
        run = Path(config.runs_dir) / str(config.name)
        (run / "checkpoints" / "9").mkdir(parents=True)
        matches = config.n_episodes
        counts = {"episodes": matches, "plies": 40 * matches, "updates": 1, "seconds": 0.08 * matches}
        return SimpleNamespace(run=run, agent=run / "last.safetensors", interrupted=False, **counts)

    monkeypatch.setattr(ablations, "train", train)
    settings = ablations.Settings(out=tmp_path)
    config = ablations.plan("quick", 0)[0]["preset"]
    done = ablations.trained_row(settings, "preset", config)
    assert (asked, done["matches"], done["seconds"], done["agent"]) == ([4500, 2250], 2250, 180.0, "runs/preset-2/last.safetensors")
    assert [run.name for run in (tmp_path / "runs").iterdir()] == ["preset-2"]
    assert list((tmp_path / "runs" / "preset-2" / "checkpoints").iterdir()) == []
    ablations.keep(tmp_path / "results.jsonl", done)
    ablations.trained_row(settings, "resnet", config)
    assert asked[2:] == [2250]  # matches of 40 plies, as those before


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"row": ("dualing",)}, "unknown row: got 'dualing', expected one of preset, .*; did you mean 'dueling'"),
        ({"minutes": float("nan")}, "--minutes: got nan, expected a positive number"),
        ({"minutes": 0.0}, "--minutes: got 0.0, expected a positive number"),
        ({"preset": "quik"}, "unknown preset for connect_four: got 'quik', expected one of "),
    ],
)
def test_mistakes_are_told_before_anything_is_written(ablations: Any, tmp_path: Path, options: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        ablations.main(ablations.Settings(out=tmp_path / "out", **options))
    assert not (tmp_path / "out").exists()


def test_a_mistake_is_one_line() -> None:
    command = [sys.executable, BENCHMARKS / "ablations.py", "--minutes", "-1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "ablations: --minutes: got -1.0, expected a positive number\n")
