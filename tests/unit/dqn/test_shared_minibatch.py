"""Learners that share each minibatch: the same updates as one learner with the whole of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_rows import DTYPE, random_rows
from torch import Tensor

from sparring.config.schema import LearningOptions, ReplayOptions
from sparring.dqn.learner import Learner, LearnStats
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import NumericalError
from sparring.games import spec_of
from sparring.replay import Minibatch, Replay
from sparring.replay.build import build_replay
from sparring.replay.cuda import DeviceReplay
from sparring.replay.cuda_samplers import DevicePrioritized

SPEC = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [16], "dueling": True}))
RAINBOW = PolicySpec(
    "tic_tac_toe",
    NetworkSpec("mlp", {"net_arch": [16], "dueling": True, "noisy": True, "atoms": 11}),
)
OPTIONS = LearningOptions(batch_size=24, learning_rate=0.01, target_update_interval=3)
PRIORITIES = {"prioritized_replay": True, "prioritized_replay_alpha": 1.0}
CPU = torch.device("cpu")
UPDATES, BETA = 7, 0.7


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


class Together:
    """Ranks as threads of this process."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=60)
        self.given: list[Tensor] = [torch.empty(0)] * size

    def sum(self, rank: int, tensor: Tensor) -> None:
        self.given[rank] = tensor.clone()
        self.barrier.wait()
        total = torch.stack(self.given).sum(dim=0)
        self.barrier.wait()
        tensor.copy_(total)


@dataclass
class ThreadRank:
    rank: int
    together: Together
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.together.given)

    def sum(self, tensor: Tensor) -> None:
        self.together.sum(self.rank, tensor)


def learners(
    count: int, spec: PolicySpec = SPEC, options: LearningOptions = OPTIONS
) -> list[Learner]:
    """Learners of all ranks; networks are made one after another, from torch's global generator."""
    together = Together(count)
    return [
        Learner(spec, options, device=CPU, seed=5, ranks=ThreadRank(rank, together))
        for rank in range(count)
    ]


def at_once(learners: list[Learner], work: Callable[[int, Learner], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(learners)) as threads:
        return list(threads.map(work, range(len(learners)), learners))


class Noted:
    """A replay that notes its minibatches, with the importance ratios before any division."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.noted: list[tuple[dict[str, NDArray[Any]], NDArray[np.float64]]] = []

    def allocate(self, batch_size: int) -> Minibatch:
        return self.replay.allocate(batch_size)

    def sample_into(self, batch: Minibatch, *, rng: np.random.Generator, beta: float) -> None:
        self.replay.sample_into(batch, rng=rng, beta=beta)
        ratio = self.replay.largest_ratio(batch.indices, beta)
        columns = {name: column.copy() for name, column in batch.rows.items()}
        self.noted.append((columns, ratio * batch.weights.astype(np.float64)))

    def largest_ratio(self, indices: NDArray[np.int64], beta: float) -> float:
        return self.replay.largest_ratio(indices, beta)

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.float32]) -> None:
        self.replay.update(indices, td_errors)


class Whole:
    """Gives one learner the minibatches that ranks have sampled together."""

    def __init__(self, parts: list[Noted]) -> None:
        self.parts, self.next = parts, 0

    def allocate(self, batch_size: int) -> Minibatch:
        return self.parts[0].allocate(batch_size)

    def sample_into(self, batch: Minibatch, *, rng: np.random.Generator, beta: float) -> None:
        given = [part.noted[self.next] for part in self.parts]
        self.next += 1
        for name, column in batch.rows.items():
            column[:] = np.concatenate([columns[name] for columns, _ in given])
        ratios = np.concatenate([ratios for _, ratios in given])
        batch.weights[:] = ratios / ratios.max()

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.float32]) -> None:
        pass


def share(rank: int, *, n_steps: int = 1, **options: Any) -> Replay:
    """Rows and priorities of a rank, which differ much between ranks."""
    made = build_replay(spec_of("tic_tac_toe"), ReplayOptions(buffer_size=500, **options), CPU)
    assert isinstance(made, Replay)
    rows = random_rows(100 + 50 * rank, seed=rank)
    rows["discount"] **= n_steps
    made.extend(rows)
    errors = np.random.default_rng(rank).random(len(rows)).astype(np.float32)
    made.update(np.arange(len(rows)), (1 + 2 * rank) * errors + 0.01)
    return made


VARIANTS: dict[str, tuple[PolicySpec, dict[str, Any], dict[str, Any]]] = {
    "plain": (SPEC, {}, {"symmetry_augmentation": False}),
    "symmetries": (SPEC, {}, {}),
    "prioritised": (SPEC, {}, PRIORITIES),
    "n-step": (SPEC, {"n_steps": 3}, {}),
    "clipped gradient": (SPEC, {"max_grad_norm": 0.05}, PRIORITIES),
    "soft target and mean": (SPEC, {"tau": 0.1, "weight_averaging": 0.9}, {}),
    "C51, noisy, prioritised": (RAINBOW, {"n_steps": 3}, PRIORITIES),
}


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("spec", "options", "replay"), VARIANTS.values(), ids=VARIANTS)
def test_ranks_learn_what_one_learner_does_from_the_same_minibatches(
    count: int, spec: PolicySpec, options: dict[str, Any], replay: dict[str, Any]
) -> None:
    learning = OPTIONS.model_copy(update=options)
    parts = [Noted(share(rank, n_steps=learning.n_steps, **replay)) for rank in range(count)]

    def work(rank: int, learner: Learner) -> LearnStats:
        part: Any = parts[rank]
        return learner.update(part, UPDATES, beta=BETA)

    ranks = learners(count, spec, learning)
    one = Learner(spec, learning, device=CPU, seed=5)
    state = ranks[0].get_state()
    one.set_state({**state, "rng": state["noise_rng"]})  # from which a single learner draws noise
    done = at_once(ranks, work)
    whole: Any = Whole(parts)
    stats = one.update(whole, UPDATES, beta=BETA)
    for learner, figures in zip(ranks, done, strict=True):
        assert learner.vector().tobytes() == ranks[0].vector().tobytes()
        np.testing.assert_allclose(learner.vector(), one.vector(), atol=1e-6)
        np.testing.assert_allclose(learner.evaluated_vector(), one.evaluated_vector(), atol=1e-6)
        assert vars(figures) == pytest.approx(vars(stats), rel=1e-4, abs=1e-6)
    assert not np.array_equal(parts[0].noted[0][0]["R"], parts[1].noted[0][0]["R"])


def test_the_weights_of_all_parts_have_one_maximum() -> None:
    """Guards the test above: divided by the maximum of each part alone they would be others."""
    parts = [Noted(share(rank, **PRIORITIES)) for rank in range(2)]

    def work(rank: int, learner: Learner) -> None:
        part: Any = parts[rank]
        learner.update(part, 1, beta=BETA)

    at_once(learners(2), work)
    first, second = (part.noted[0][1].max() for part in parts)
    assert first > 1.3 * second or second > 1.3 * first


def test_a_wish_to_stop_ends_all_ranks_after_the_same_update() -> None:
    def work(rank: int, learner: Learner) -> tuple[int, int]:
        shared = learner.shared
        assert shared is not None
        asked = iter([False, False, True])
        if rank == 0:
            shared.wants_stop = lambda: next(asked)
        stats = learner.update(share(rank), 100, between=lambda: shared.stopped)
        shared.wants_stop = lambda: False
        return stats.updates, learner.update(share(0), 2, between=lambda: shared.stopped).updates

    assert at_once(learners(2), work) == [(3, 2), (3, 2)]


def test_a_loss_that_is_not_finite_in_one_part_stops_all_ranks_before_the_update() -> None:
    def work(rank: int, learner: Learner) -> None:
        before, replay = learner.vector().tobytes(), share(rank)
        if rank == 1:
            rows = random_rows(500)
            rows["R"] = np.nan
            replay.extend(rows)
        with pytest.raises(NumericalError, match="update 1: loss"):
            learner.update(replay, 3)
        assert learner.vector().tobytes() == before

    at_once(learners(2), work)


def test_a_replay_on_a_device_has_the_same_ratios() -> None:
    priorities = np.random.default_rng(0).random(50)
    host = share(0, **PRIORITIES)
    device = DevicePrioritized(500, 1.0, 1e-6, CPU)
    device.set_state({"priorities": host.get_state()["sampler"]["priorities"], "largest": 1.0})
    indices = (priorities * len(host)).astype(np.int64)
    ratio = device.largest_ratio(torch.from_numpy(indices), torch.tensor(BETA))
    assert float(ratio) == pytest.approx(host.largest_ratio(indices, BETA), rel=1e-6)


def test_ranks_with_replays_on_a_device_learn_the_same_as_those_on_the_host() -> None:
    """The operations of a GPU, on the CPU."""

    def device_share(rank: int) -> DeviceReplay:
        sampler = DevicePrioritized(500, 1.0, 1e-6, CPU)
        made = DeviceReplay(DTYPE, 500, sampler, CPU)
        made.set_state(share(rank, symmetry_augmentation=False, **PRIORITIES).get_state())
        return made

    def host_share(rank: int) -> Replay:
        return share(rank, symmetry_augmentation=False, **PRIORITIES)

    def ends(make: Callable[[int], Any]) -> list[NDArray[np.float32]]:
        def work(rank: int, learner: Learner) -> NDArray[np.float32]:
            learner.update(make(rank), UPDATES, beta=BETA)
            return learner.vector()

        return at_once(learners(2, RAINBOW), work)

    host, device = ends(host_share), ends(device_share)
    np.testing.assert_allclose(host[0], device[0], atol=1e-5)
    assert device[0].tobytes() == device[1].tobytes()
