"""Shares of a replay in several ranks: together they are one replay."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_rows import random_rows

from sparring.config.schema import ReplayOptions
from sparring.games import spec_of
from sparring.replay import Replay
from sparring.replay.build import build_replay
from sparring.replay.shared import SharedReplay

CAPACITY = 60


def made(capacity: int, prioritized: bool = True) -> Replay:
    options = ReplayOptions(buffer_size=capacity, prioritized_replay=prioritized)
    replay = build_replay(spec_of("tic_tac_toe"), options, torch.device("cpu"))
    assert isinstance(replay, Replay)
    return replay


class Shares:
    """The shares of other ranks, in this process."""

    def __init__(self, size: int, prioritized: bool) -> None:
        self.size = size
        self.replays = [made(CAPACITY // size, prioritized) for _ in range(1, size)]
        self.calls = 0

    def extend(self, rows: list[NDArray[Any]]) -> None:
        self.calls += 1
        for replay, share in zip(self.replays, rows, strict=True):
            replay.extend(share)

    def get_states(self) -> list[dict[str, Any]]:
        return [replay.get_state() for replay in self.replays]

    def set_states(self, states: list[dict[str, Any]]) -> None:
        for replay, state in zip(self.replays, states, strict=True):
            replay.set_state(state)


def shared(size: int, prioritized: bool = True) -> tuple[SharedReplay, list[Replay]]:
    others = Shares(size, prioritized)
    replay = SharedReplay(made(CAPACITY // size, prioritized), others)
    own = replay.own
    assert isinstance(own, Replay)
    return replay, [own, *others.replays]


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, np.ndarray):
        assert np.array_equal(one, other)  # padding aside
    elif isinstance(one, dict):
        for name in one:
            assert_same(one[name], other[name])
    else:
        assert one == other


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("counts", [(1,), (7, 0, 1, 30), (50, 25), (1, 200, 3)])
def test_shares_hold_together_what_one_replay_holds(
    counts: tuple[int, ...], prioritized: bool, size: int
) -> None:
    single, (replay, shares) = made(CAPACITY, prioritized), shared(size, prioritized)
    for number, count in enumerate(counts):
        single.extend(random_rows(count, seed=number))
        replay.extend(random_rows(count, seed=number))
    assert_same(single.get_state(), replay.get_state())
    assert len(replay) == len(single) == sum(map(len, shares))
    assert replay.capacity == CAPACITY
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_saved_state_is_shared_out_over_any_number_of_ranks(size: int) -> None:
    replay, shares = shared(2)
    replay.extend(random_rows(47))
    replay.flush()
    for number, share in enumerate(shares):
        errors = np.random.default_rng(number).random(len(share)).astype(np.float32)
        share.update(np.arange(len(share)), (1 + number) * errors)
    state = copy.deepcopy(replay.get_state())
    again: Any = made(CAPACITY) if size == 1 else shared(size)[0]
    again.set_state(state)
    got = again.get_state()
    assert_same(got["buffer"], state["buffer"])
    assert_same(got["sampler"], state["sampler"])
    for one in (replay, again):
        one.extend(random_rows(30, seed=9))
    assert_same(again.get_state()["buffer"], replay.get_state()["buffer"])


def test_each_rank_keeps_the_largest_priority_of_its_own() -> None:
    """New transitions get it, so an equal resume needs it."""
    replay, shares = shared(2)
    replay.extend(random_rows(20))
    replay.flush()
    shares[1].update(np.array([3]), np.array([50.0], np.float32))
    state = copy.deepcopy(replay.get_state())
    again, restored = shared(2)
    again.set_state(state)
    largest = [share.get_state()["sampler"]["largest"] for share in restored]
    assert largest[0] == 1.0
    assert largest[1] > 5.0
    alone = made(CAPACITY)
    alone.set_state(state)
    assert alone.get_state()["sampler"]["largest"] == largest[1]


def test_transitions_wait_until_many_can_travel_together() -> None:
    others = Shares(2, False)
    replay = SharedReplay(made(CAPACITY // 2, False), others)
    for _ in range(100):
        replay.extend(random_rows(10))
    assert others.calls == 0
    replay.flush()
    replay.flush()
    assert others.calls == 1
    replay.extend(random_rows(20_000))
    assert others.calls == 2
