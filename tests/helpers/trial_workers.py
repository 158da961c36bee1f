"""Small workers that tests share: tic-tac-toe, a tiny network, and their expected results."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, build_network
from sparring.games import spec_of
from sparring.opponents.players import AGENT, AGENT_NAME, Opponent, Plan
from sparring.replay.transitions import join_rows, transition_dtype
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand, RoundReport
from sparring.runtime import Batch, InlineWorkers, ProcessWorkers, Workers
from sparring.runtime.inference import InferenceSettings
from sparring.runtime.weights import WeightStore

POLICY = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]}))
SIZE = FlatWeights(build_network(POLICY)).size
SNAPSHOTS = 2
VERSIONS = 2
SETTINGS = RolloutSettings(
    policy=POLICY,
    num_envs=8,
    seed=5,
    bootstrap="zero_sum",
    n_steps=2,
    gamma=0.9,
    learn_from="agent",
    opponent_epsilon=0.2,
    block=16,
)
SELF = Plan((Opponent(AGENT, AGENT_NAME),), (1.0,))
MIXED = Plan(
    (Opponent(AGENT, AGENT_NAME), Opponent(1, "random"), Opponent(1_007, "snapshot:7", slot=1)),
    (0.4, 0.3, 0.3),
)


def vector(number: int) -> NDArray[np.float32]:
    """Weights that differ from those of every other number."""
    return np.random.default_rng(number).normal(0.0, 0.5, SIZE).astype(np.float32)


def fill(weights: WeightStore) -> None:
    """Publish all versions that the store holds, and both snapshots."""
    for version in range(weights.num_versions):
        weights.publish(version, vector(version))
    for slot in range(SNAPSHOTS):
        weights.snapshots[slot] = vector(100 + slot)


def process_workers(
    num_workers: int = 2,
    *,
    episodes: int = 20,
    num_versions: int = VERSIONS,
    start_method: Any = "forkserver",
    notify: Callable[[str], None] = print,
    inference: InferenceSettings | None = None,
    **changes: Any,
) -> ProcessWorkers:
    workers = ProcessWorkers(
        dataclasses.replace(SETTINGS, **changes),
        num_workers=num_workers,
        size=SIZE,
        num_snapshots=SNAPSHOTS,
        num_versions=num_versions,
        episodes=episodes,
        start_method=start_method,
        notify=notify,
        inference=inference,
    )
    fill(workers.weights)
    return workers


def inline_workers(
    num_workers: int = 2, *, num_versions: int = VERSIONS, **changes: Any
) -> InlineWorkers:
    settings = dataclasses.replace(SETTINGS, **changes)
    workers = InlineWorkers(
        settings,
        num_workers=num_workers,
        size=SIZE,
        num_snapshots=SNAPSHOTS,
        num_versions=num_versions,
    )
    fill(workers.weights)
    return workers


def command(
    number: int, *, version: int = 0, episodes: int = 20, plan: Plan = MIXED, epsilon: float = 0.3
) -> RoundCommand:
    return RoundCommand(number, version, epsilon, plan, episodes)


def start_round(workers: Workers, commands: Sequence[RoundCommand]) -> None:
    """One part for each worker."""
    for worker, order in enumerate(commands):
        workers.start(worker, order)


def expected(
    incarnations: Sequence[int], commands: Sequence[RoundCommand], *, worker: int = 0
) -> list[tuple[NDArray[Any], RoundReport]]:
    """Expected results of one worker for each command when the given incarnation plays it; an
    incarnation plays its commands in a row.
    """
    weights = WeightStore(
        np.zeros(WeightStore.bytes_needed(SIZE, SNAPSHOTS, VERSIONS), np.uint8),
        SIZE,
        SNAPSHOTS,
        VERSIONS,
    )
    fill(weights)
    bodies: dict[int, Rollout] = {}
    parts = []
    for incarnation, order in zip(incarnations, commands, strict=True):
        body = bodies.setdefault(
            incarnation, Rollout(SETTINGS, weights, worker=worker, incarnation=incarnation)
        )
        blocks = [np.empty(0, transition_dtype(body._game.spec))]
        report = body.play_round(order, lambda rows, into=blocks: into.append(rows.copy()))
        parts.append((join_rows(blocks), report))
    return parts


def assert_same_rows(got: NDArray[Any], wanted: NDArray[Any]) -> None:
    """Assert equality bit for bit in every field, without the padding."""
    assert got.dtype == wanted.dtype
    assert got.shape == wanted.shape
    for name in wanted.dtype.names or ():
        assert got[name].tobytes() == wanted[name].tobytes(), name


def rows_of(batch: Batch) -> NDArray[Any]:
    """A copy of all its transitions."""
    return join_rows([np.empty(0, transition_dtype(spec_of(POLICY.game))), *batch.blocks])


def assert_same_batch(got: Batch, wanted: Batch) -> None:
    """Asks for nothing to be released: both may still lie in rings."""
    assert got.round == wanted.round
    assert got.transitions == wanted.transitions == sum(len(block) for block in wanted.blocks)
    assert_same_rows(rows_of(got), rows_of(wanted))
    assert_same_rows(got.results, wanted.results)
    assert (got.in_use, got.plies) == (wanted.in_use, wanted.plies)


def assert_part(
    batch: Batch, parts: Sequence[tuple[NDArray[Any], RoundReport]], *, first: int = 0
) -> None:
    """The batch is made of exactly these parts, those of the workers from number `first` on."""
    workers = range(first, first + len(parts))
    assert_same_batch(
        batch,
        Batch.join(
            workers, [rows for rows, _ in parts], [report for _, report in parts], lambda: None
        ),
    )


def assert_same_tree(got: Any, wanted: Any, place: str = "") -> None:
    """Equal state trees, arrays bit for bit."""
    assert type(got) is type(wanted), place
    if isinstance(wanted, dict):
        assert got.keys() == wanted.keys(), place
        for key in wanted:
            assert_same_tree(got[key], wanted[key], f"{place}/{key}")
    elif isinstance(wanted, np.ndarray) and wanted.dtype.names:
        assert_same_rows(got, wanted)
    elif isinstance(wanted, np.ndarray):
        assert got.dtype == wanted.dtype, place
        assert got.shape == wanted.shape, place
        assert got.tobytes() == wanted.tobytes(), place
    else:
        assert got == wanted, place


def process_of(worker: int) -> Any:
    """The live process of a worker of this test, by its name."""
    [process] = [
        p
        for p in multiprocessing.active_children()
        if p.name.startswith(f"sparring-worker-{worker}.")
    ]
    return process
