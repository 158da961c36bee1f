"""Minibatches that are sampled during an update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_rows import DTYPE, random_rows

from sparring.config.schema import LearningOptions
from sparring.dqn.learner import Learner
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import NumericalError
from sparring.games import spec_of
from sparring.replay import Minibatch, PrioritizedSampler, RandomSymmetry, Replay, ReplayBuffer

CPU = torch.device("cpu")
OPTIONS = LearningOptions(batch_size=6, learning_rate=0.01, target_update_interval=4)


class Recorder(Replay):
    """A replay that records the order of samples, "s", and updates, "u"; rewards of sample number
    `bad` are infinite.
    """

    def __init__(self, bad: int = -1) -> None:
        super().__init__(
            ReplayBuffer(DTYPE, 100),
            PrioritizedSampler(100, 0.6, 1e-6),
            RandomSymmetry(spec_of("tic_tac_toe")),
        )
        self.extend(random_rows(60))
        self.order = ""
        self.bad = bad

    def sample_into(self, batch: Minibatch, *, rng: np.random.Generator, beta: float) -> None:
        super().sample_into(batch, rng=rng, beta=beta)
        if self.order.count("s") == self.bad:
            batch.rows["R"][:] = np.inf
        self.order += "s"

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.float32]) -> None:
        super().update(indices, td_errors)
        self.order += "u"


def learner(
    threads: int = 2, seed: int = 1, *, atoms: int = 1, bfloat16: bool = False, **changes: Any
) -> Learner:
    torch.set_num_threads(1)
    network = NetworkSpec("mlp", {"net_arch": [8], "noisy": True, "atoms": atoms})
    return Learner(
        PolicySpec("tic_tac_toe", network),
        OPTIONS.model_copy(update={"clip_targets": False, **changes}),
        device=CPU,
        seed=seed,
        bfloat16=bfloat16,
        threads=threads,
    )


def stop_after(updates: int) -> Callable[[], bool]:
    answers: Iterator[bool] = iter([*[False] * updates, True])
    return lambda: next(answers)


@pytest.mark.parametrize(
    ("threads", "order"),
    [(1, "su su su su su su"), (2, "ssu su su u ssu u"), (3, "ssu su su u ssu u")],
)
def test_the_next_minibatch_is_sampled_before_the_priorities_of_this_one_are_updated(
    threads: int, order: str
) -> None:
    """Except where the target moves after the fourth update, and at the end of a series."""
    replay = Recorder()
    learner(threads).update(replay, 6)
    assert replay.order == order.replace(" ", "")


def test_for_a_target_that_moves_with_every_update_nothing_is_sampled_ahead() -> None:
    """All threads then share the minibatch."""
    replay, one = Recorder(), learner(target_update_interval=1, tau=0.1)
    one.update(replay, 3)
    assert replay.order == "sususu"
    assert (one._update._threads.size, learner()._update._threads.size) == (2, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"double_q": False},
        {"tau": 0.5},
        {"bfloat16": True},
        {"atoms": 5, "clip_targets": True},
    ],
    ids=str,
)
def test_sampled_ahead_or_not_each_minibatch_makes_the_same_update(changes: dict[str, Any]) -> None:
    """Without priorities; as no threads share a minibatch, the bits are equal."""
    ends = []
    for threads in (1, 2):
        one, replay = learner(threads, **changes), Recorder()
        replay.update = lambda indices, td_errors: None  # type: ignore[method-assign]
        stats = one.update(replay, 11, beta=0.5)
        ends.append((one.vector().tobytes(), stats, one.get_state()["rng"]))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("done", range(1, 8))
def test_a_series_that_was_stopped_goes_on_bit_for_bit(done: int) -> None:
    """In the same process, or from a state, of which later updates change nothing."""
    whole, replay = learner(), Recorder()
    whole.update(replay, 8)
    expected = whole.vector().tobytes()

    first, first_replay = learner(), Recorder()
    assert first.update(first_replay, 8, between=stop_after(done)).updates == done
    state, replay_state = first.get_state(), deepcopy(first_replay.get_state())
    assert bool(state["ahead"]) == (done not in (4, 8))
    first.update(first_replay, 8 - done)
    assert first.vector().tobytes() == expected

    other, other_replay = learner(seed=99), Recorder()
    other.update(other_replay, 3, between=stop_after(2))  # has drawn one of its own
    other.set_state(state)
    other_replay.set_state(replay_state)
    other.update(other_replay, 8 - done)
    assert other.vector().tobytes() == expected


def test_what_was_drawn_from_one_replay_is_not_used_with_another() -> None:
    one, replay, other = learner(), Recorder(), Recorder()
    one.update(replay, 3, between=stop_after(1))
    one.update(other, 1)
    assert (replay.order, other.order) == ("ssu", "su")


def test_a_failure_drops_what_was_drawn_ahead() -> None:
    one, replay = learner(), Recorder(bad=1)
    with pytest.raises(NumericalError, match="update 2"):
        one.update(replay, 4)
    assert replay.order == "ssus"
    assert one.get_state()["ahead"] == {}
    one.update(replay, 1)
    assert np.isfinite(one.vector()).all()


def test_what_the_thread_raises_is_raised_here() -> None:
    class Broken(Recorder):
        def sample_into(self, batch: Minibatch, **options: Any) -> None:
            if self.order:
                raise RuntimeError("no more")
            super().sample_into(batch, **options)

    with pytest.raises(RuntimeError, match="no more"):
        learner().update(Broken(), 3)
