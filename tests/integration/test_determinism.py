"""Same seed, same agent file, bit for bit: twice, and with both backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trial_runs import trial

from sparring.storage.run_directory import RunDirectory
from sparring.training import TrainResult, train

CASES = [(mode, workers) for mode in ("sync", "overlap") for workers in (1, 2)]
WAYS = {
    "inline": {"backend": "inline"},
    "forkserver": {"backend": "processes", "start_method": "forkserver"},
    "spawn": {"backend": "processes", "start_method": "spawn"},
}

Case = tuple[str, int]


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def inline(runs_dir: Path) -> dict[Case, TrainResult]:
    return {(mode, workers): run(runs_dir, mode, workers, "inline") for mode, workers in CASES}


def run(
    runs_dir: Path, mode: str, workers: int, way: str, seed: int = 3, **changes: Any
) -> TrainResult:
    result = train(
        trial(runs_dir, mode=mode, num_workers=workers, seed=seed, **WAYS[way], **changes),
        console=False,
    )
    assert result.workers_replaced == 0
    return result


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "workers"), CASES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_agent(
    mode: str, workers: int, way: str, runs_dir: Path, inline: dict[Case, TrainResult]
) -> None:
    again, first = run(runs_dir, mode, workers, way), inline[mode, workers]
    assert again.run != first.run
    assert again.agent.read_bytes() == first.agent.read_bytes()
    assert (again.sha256, again.updates, again.plies, again.episodes) == (
        first.sha256,
        first.updates,
        first.plies,
        first.episodes,
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "overlap"])
def test_per_worker_epsilons_are_as_deterministic(
    mode: str, runs_dir: Path, inline: dict[Case, TrainResult]
) -> None:
    """A rate of random moves for each worker: the same in every process, and not what one for all
    would give.
    """
    first, again = (
        run(runs_dir, mode, 2, way, exploration="per_worker") for way in ("inline", "forkserver")
    )
    assert again.agent.read_bytes() == first.agent.read_bytes()
    assert (again.updates, again.plies, again.episodes) == (
        first.updates,
        first.plies,
        first.episodes,
    )
    assert first.sha256 != inline[mode, 2].sha256


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "overlap"])
def test_matchmaking_by_results_and_a_gate_are_as_deterministic(
    mode: str, runs_dir: Path, inline: dict[Case, TrainResult]
) -> None:
    league = {"matchmaking": "pfsp", "gate": "win_rate", "gate_score": 0.55, "gate_matches": 10}
    first, again = (run(runs_dir, mode, 2, way, **league) for way in ("inline", "forkserver"))
    assert again.agent.read_bytes() == first.agent.read_bytes()
    assert (again.updates, again.plies, again.episodes) == (
        first.updates,
        first.plies,
        first.episodes,
    )
    assert first.sha256 != inline[mode, 2].sha256


def test_modes_numbers_of_workers_and_seeds_differ(
    runs_dir: Path, inline: dict[Case, TrainResult]
) -> None:
    others = [run(runs_dir, *case, "inline", seed=4) for case in CASES]
    assert len({result.sha256 for result in (*inline.values(), *others)}) == 8


def test_the_runs_exercise_what_they_should(inline: dict[Case, TrainResult]) -> None:
    """Guards the test above: where nothing happens, everything is equal."""
    for result in inline.values():
        with RunDirectory.open(result.run.parent, result.run.name) as directory:
            state = directory.load_checkpoint()
        opponents = [
            name
            for name, record in state["opponents"]["recent"].items()
            if sum(record.values()) > 0
        ]
        assert {"random", "one_ply"} < set(opponents)
        assert sum(name.startswith("snapshot:") for name in opponents) >= 3, (
            "more than fit into the pool, so that the first had to leave"
        )
        assert state["replay"]["buffer"]["inserted"] > 700, "the replay has overflowed"
        assert result.updates >= 80
