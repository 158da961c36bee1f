from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from sparring.monitor import Monitor


@dataclass(frozen=True)
class Paths:
    metrics_path: Path
    tensorboard_path: Path
    name: str = "run"


def paths(folder: Path) -> Paths:
    return Paths(folder / "metrics.jsonl", folder / "tensorboard")


def report(folder: Path, *reports: tuple[int, dict[str, float]], tensorboard: bool = True) -> None:
    with Monitor(
        paths(folder), total_episodes=100, tensorboard=tensorboard, console=False
    ) as monitor:
        for plies, values in reports:
            monitor.report(values, plies=plies)


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        for event in EventFileLoader(str(path)).Load():
            found += [
                (value.tag, event.step, value.tensor.float_val[0]) for value in event.summary.value
            ]
    return found


def test_both_files_have_the_same_tags_and_plies_as_x(tmp_path: Path) -> None:
    report(
        tmp_path, (50, {"train/loss": 0.5, "rollout/episodes": 10.0}), (90, {"train/loss": 0.25})
    )
    assert [(line["plies"], line["train/loss"]) for line in lines(tmp_path)] == [
        (50, 0.5),
        (90, 0.25),
    ]
    assert scalars(tmp_path) == [
        ("train/loss", 50, 0.5),
        ("rollout/episodes", 50, 10.0),
        ("train/loss", 90, 0.25),
    ]


def test_a_resumed_run_appends(tmp_path: Path) -> None:
    report(tmp_path, (1, {"a": 1.0}))
    report(tmp_path, (2, {"a": 2.0}))
    assert [line["plies"] for line in lines(tmp_path)] == [1, 2]
    assert sorted(scalars(tmp_path)) == [("a", 1, 1.0), ("a", 2, 2.0)]


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        ('{"plies": 1}\n{"plies": 2, "tr', [1, 3]),
        ('{"plies', [3]),
        ('{"plies": 1}\n', [1, 3]),
        ("", [3]),
    ],
)
def test_a_line_that_a_kill_cut_off_is_dropped(tmp_path: Path, left: str, kept: list[int]) -> None:
    (tmp_path / "metrics.jsonl").write_text(left)
    report(tmp_path, (3, {}), tensorboard=False)
    assert [line["plies"] for line in lines(tmp_path)] == kept


def test_what_is_played_again_after_a_kill_stands_there_once(tmp_path: Path) -> None:
    """Reports after the checkpoint of 200 plies are repeated; TensorBoard says what it shows."""
    before = ((100, 1.0), (200, 2.0), (300, -3.0), (350, -3.5))
    report(tmp_path, *((plies, {"a": value}) for plies, value in before))
    [file] = (tmp_path / "tensorboard").iterdir()
    file.rename(file.with_name("events.out.tfevents.1"))  # files are read in order of their seconds
    with Monitor(
        paths(tmp_path), total_episodes=100, tensorboard=True, console=False, resumed_at=200
    ) as monitor:
        for plies in (300, 400):
            monitor.report({"a": plies / 100}, plies=plies)
    expected = [(100, 1.0), (200, 2.0), (300, 3.0), (400, 4.0)]
    assert [(line["plies"], line["a"]) for line in lines(tmp_path)] == expected
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("a")] == expected


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    report(tmp_path, (1, {"a": float("nan"), "b": float("inf"), "c": 1.0}), tensorboard=False)
    assert lines(tmp_path)[0].keys() == {"plies", "wall_time", "c"}
    assert not (tmp_path / "tensorboard").exists()


def test_a_report_is_on_the_disk_at_once(tmp_path: Path) -> None:
    with Monitor(paths(tmp_path), total_episodes=100, tensorboard=True, console=False) as monitor:
        monitor.report({"a": 1.0}, plies=7)
        assert lines(tmp_path)[0]["plies"] == 7
        assert scalars(tmp_path) == [("a", 7, 1.0)]
