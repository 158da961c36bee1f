"""Snapshots that runs share in a directory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, build_network
from sparring.opponents.players import AGENT
from sparring.opponents.pool import OpponentManager, stored_snapshots
from sparring.opponents.records import result_dtype
from sparring.opponents.shared_pool import SharedPool

SPEC = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [2]}))
LAYOUT = FlatWeights(build_network(SPEC))
SIZE = 4


def agent(value: float, spec: PolicySpec = SPEC) -> DQNAgent:
    layout = FlatWeights(build_network(spec))
    return DQNAgent(spec, weights=layout.named(np.full(layout.size, value, np.float32)))


def empty_pool(num_slots: int = 4 * SIZE) -> OpponentManager:
    return OpponentManager(
        {"self": 0.5, "snapshots": 0.5},
        game="tic_tac_toe",
        slots=np.zeros((num_slots, LAYOUT.size), np.float32),
        layout=LAYOUT,
        snapshot_interval=10,
        max_snapshots=SIZE,
        max_opponents_per_worker=100,
        seed=0,
    )


class Run:
    """One run that shares its pool; `values` are the weights in it by name, `said` its warnings."""

    def __init__(self, directory: Path, name: str, num_slots: int = 4 * SIZE) -> None:
        self.said: list[str] = []
        self.pool = empty_pool(num_slots)
        self.shared = SharedPool(directory, name, SPEC, size=SIZE, warn=self.said.append)

    def exchange(self, updates: int, value: float | None = None) -> None:
        self.shared.exchange(agent(updates if value is None else value), updates, self.pool)

    @property
    def names(self) -> list[str]:
        plan = self.pool.plan(0, 0)
        return sorted(player.name for player in plan.opponents if player.slot is not None)


@pytest.fixture
def three(tmp_path: Path) -> list[Run]:
    return [Run(tmp_path / "shared", name) for name in ("a", "b", "c")]


def test_each_run_meets_the_newest_snapshots_of_the_others(three: list[Run]) -> None:
    a, b, c = three
    for updates in (100, 200, 300):
        b.exchange(updates)
    c.exchange(50)
    a.exchange(10)
    assert a.names == ["shared:b@200", "shared:b@300", "shared:c@50"]
    b.exchange(400)
    c.exchange(60)
    a.exchange(20)
    assert a.names == ["shared:b@300", "shared:b@400", "shared:c@50", "shared:c@60"]
    assert not a.said


def test_a_shared_snapshot_plays_with_the_weights_that_its_run_published(three: list[Run]) -> None:
    a, b, _ = three
    b.exchange(7, value=0.25)
    a.exchange(1)
    assert np.array_equal(a.pool.vector("shared:b@7"), np.full(LAYOUT.size, 0.25, np.float32))


def test_a_run_keeps_as_many_files_as_its_pool_has_places(three: list[Run], tmp_path: Path) -> None:
    for updates in range(10):
        three[0].exchange(updates)
    names = sorted(path.name for path in (tmp_path / "shared").iterdir())
    assert names == [f"a@{updates}.safetensors" for updates in (6, 7, 8, 9)]


def test_a_run_that_starts_anew_replaces_its_files_of_more_updates(
    three: list[Run], tmp_path: Path
) -> None:
    for updates in (1_000, 2_000, 3_000, 4_000):
        three[0].exchange(updates)
    three[0].exchange(10)
    assert (tmp_path / "shared" / "a@10.safetensors").exists()
    three[1].exchange(1)
    assert "shared:a@10" in three[1].names


DAMAGE = {
    "half": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "other file": lambda path: path.write_bytes(b"not a safetensors file" * 9),
    "other network": lambda path: agent(
        1, PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [3]}))
    ).save(path),
    "other activation": lambda path: agent(
        1,
        PolicySpec(
            "tic_tac_toe", NetworkSpec("mlp", {"net_arch": [2], "activation": "squared_relu"})
        ),
    ).save(path),
    "other game": lambda path: agent(
        1, PolicySpec("connect_four", NetworkSpec("mlp", {"net_arch": [2]}))
    ).save(path),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_file_that_cannot_be_used_is_left_out_with_one_warning(
    how: str, three: list[Run], tmp_path: Path
) -> None:
    a, b, _ = three
    b.exchange(1)
    b.exchange(2)
    DAMAGE[how](tmp_path / "shared" / "b@2.safetensors")
    for updates in (1, 2, 3):
        a.exchange(updates)
    assert a.names == ["shared:b@1"]
    assert len(a.said) == 1
    assert "b@2.safetensors" in a.said[0]
    b.exchange(3)
    a.exchange(4)
    assert a.names == ["shared:b@1", "shared:b@3"]


def test_a_file_that_is_being_written_or_has_another_name_is_not_read(
    three: list[Run], tmp_path: Path
) -> None:
    a, b, _ = three
    b.exchange(1)
    for name in (".b@2.safetensors", "notes.txt", "best.safetensors"):
        (tmp_path / "shared" / name).write_bytes(b"half")
    a.exchange(1)
    assert (a.names, a.said) == (["shared:b@1"], [])


def test_a_directory_that_fails_is_told_once_and_used_again_later(tmp_path: Path) -> None:
    a, b = Run(tmp_path / "shared", "a"), Run(tmp_path / "shared", "b")
    b.exchange(1)
    (tmp_path / "shared").rename(tmp_path / "away")
    (tmp_path / "shared").write_bytes(b"")
    a.exchange(1)
    a.exchange(2)
    assert len(a.said) == 1
    assert "training continues" in a.said[0]
    (tmp_path / "shared").unlink()
    (tmp_path / "away").rename(tmp_path / "shared")
    a.exchange(3)
    assert a.names == ["shared:b@1"]


def played(*opponents: int) -> NDArray[np.void]:
    results = np.zeros(len(opponents), result_dtype(2))
    results["players"] = np.reshape([(AGENT, opponent) for opponent in opponents], (-1, 2))
    results["returns"] = (1.0, -1.0)
    return results


def test_the_slot_of_a_shared_snapshot_is_kept_while_a_match_uses_it(three: list[Run]) -> None:
    a, b, _ = three
    b.exchange(1, value=0.5)
    a.exchange(1)
    (opponent,) = [each for each in a.pool.plan(0, 0).opponents if each.slot is not None]
    a.pool.record(0, played(), {0: frozenset({opponent.id})})
    slots = Counter[int]()
    for updates in range(2, 9):
        b.exchange(updates)
        a.exchange(updates)
        assert "shared:b@1" not in a.names or updates <= SIZE
        slots.update(each.slot for each in a.pool.plan(updates, 0).opponents if each.slot)
    state = a.pool.get_state()
    assert np.array_equal(state["weights"][str(opponent.slot)], np.full(LAYOUT.size, 0.5))
    records = a.pool.record(8, played(opponent.id), {0: frozenset()})
    assert list(records) == ["shared:b@1"]
    assert str(opponent.slot) not in a.pool.get_state()["weights"]


def test_own_snapshots_are_evicted_among_themselves(three: list[Run]) -> None:
    a, b, _ = three
    b.exchange(1)
    for number in range(1, 9):
        a.pool.maybe_snapshot(10 * number, np.full(LAYOUT.size, number, np.float32))
        a.exchange(number)
        a.pool.record(number, played(), {0: frozenset()})
    assert len(a.pool.snapshots) == SIZE
    assert a.pool.snapshots[-1] == "snapshot:8"
    assert a.pool.pool_size == SIZE + 1


def test_a_checkpoint_restores_shared_snapshots(three: list[Run]) -> None:
    a, b, _ = three
    a.pool.maybe_snapshot(10, np.full(LAYOUT.size, 3, np.float32))
    for updates in range(1, 7):
        b.exchange(updates)
        a.exchange(updates)
    state = a.pool.get_state()
    again = empty_pool()
    again.set_state(state)
    assert again.plan(9, 1) == a.pool.plan(9, 1)
    assert np.array_equal(again.vector("shared:b@6"), a.pool.vector("shared:b@6"))
    assert list(stored_snapshots(state)) == ["snapshot:1"]


def test_without_a_free_slot_a_shared_snapshot_waits(tmp_path: Path) -> None:
    a, b = Run(tmp_path, "a", num_slots=2), Run(tmp_path, "b")
    for updates in (1, 2, 3):
        b.exchange(updates)
    a.exchange(1)
    assert len(a.names) == 2
