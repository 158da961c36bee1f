"""The replay on a device against the one on the host; the device is the CPU, and a GPU as well
where there is one.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from strips import MIRROR, TURN, make_spec, random_strips
from torch import Tensor

from sparring.errors import ConfigurationError, InputError
from sparring.games import spec_of
from sparring.games.spec import GameSpec
from sparring.replay import (
    PrioritizedSampler,
    RandomSymmetry,
    Replay,
    ReplayBuffer,
    UniformSampler,
    transition_dtype,
)
from sparring.replay.cuda import DeviceReplay
from sparring.replay.cuda_samplers import DevicePrioritized, DeviceUniform
from sparring.replay.minibatch import TensorMinibatch

CPU = torch.device("cpu")
DEVICES = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]
SPEC = make_spec(MIRROR, TURN)
ALPHA, EPS = 0.7, 1e-3

pytestmark = pytest.mark.parametrize("device", DEVICES, ids=str)


def host(capacity: int, *, prioritized: bool = False, spec: GameSpec = SPEC) -> Replay:
    sampler = PrioritizedSampler(capacity, ALPHA, EPS) if prioritized else UniformSampler()
    return Replay(ReplayBuffer(transition_dtype(spec), capacity), sampler, RandomSymmetry(spec))


def on_device(
    device: torch.device, capacity: int, *, prioritized: bool = False, spec: GameSpec = SPEC
) -> DeviceReplay:
    sampler = DevicePrioritized(capacity, ALPHA, EPS, device) if prioritized else DeviceUniform()
    return DeviceReplay(transition_dtype(spec), capacity, sampler, device, RandomSymmetry(spec))


def drawn(
    replay: DeviceReplay, batch_size: int, rng: np.random.Generator, beta: float
) -> tuple[Tensor, TensorMinibatch]:
    numbers = torch.from_numpy(replay.draw(batch_size, rng)).to(replay.device)
    return replay.sample(numbers, torch.tensor(beta, dtype=torch.float64, device=replay.device))


def tell(
    replay: DeviceReplay, indices: Tensor, errors: NDArray[np.float32], *, failed: bool = False
) -> None:
    replay.update(
        indices,
        torch.from_numpy(errors).to(replay.device),
        torch.tensor(float(failed), device=replay.device),
    )


def assert_same_state(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal but for the rounding of powers."""
    assert one["buffer"]["inserted"] == other["buffer"]["inserted"]
    rows = one["buffer"]["rows"]
    assert rows.dtype == other["buffer"]["rows"].dtype
    for name in rows.dtype.names:
        np.testing.assert_array_equal(rows[name], other["buffer"]["rows"][name], err_msg=name)
    assert one["sampler"].keys() == other["sampler"].keys()
    for name, value in one["sampler"].items():
        np.testing.assert_allclose(value, other["sampler"][name], rtol=1e-12)


def play_along(
    one: Replay, other: DeviceReplay, *, rows: NDArray[Any], seed: int, blocks: list[int]
) -> None:
    """Insert, sample and update in both, and compare everything that comes out."""
    first, second = np.random.default_rng(seed), np.random.default_rng(seed)
    errors, begin = np.random.default_rng(seed + 1), 0
    for count in blocks:
        one.extend(rows[begin : begin + count])
        other.extend(rows[begin : begin + count])
        begin += count
        assert len(one) == len(other)
        batch = one.sample(16, rng=first, beta=0.5)
        indices, tensors = drawn(other, 16, second, beta=0.5)
        assert indices.tolist() == batch.indices.tolist()
        for name, column in batch.rows.items():
            tensor = getattr(tensors, name)
            np.testing.assert_array_equal(tensor.cpu().numpy(), column, err_msg=name)
            assert tensor.is_contiguous()
            assert tensor.cpu().numpy().dtype == column.dtype
        np.testing.assert_allclose(tensors.weights.cpu().numpy(), batch.weights, rtol=1e-6)
        said = errors.normal(size=16).astype(np.float32)
        one.update(batch.indices, said)
        tell(other, indices, said)
    assert first.bit_generator.state == second.bit_generator.state
    assert_same_state(one.get_state(), other.get_state())


@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("capacity", [40, 100])
def test_draws_and_keeps_what_the_host_does(
    device: torch.device, capacity: int, prioritized: bool
) -> None:
    """Wrapping around, with more rows at once than the capacity, and with equal indices in
    most minibatches.
    """
    one, other = (
        host(capacity, prioritized=prioritized),
        on_device(device, capacity, prioritized=prioritized),
    )
    assert (other.capacity, other.dtype, len(other)) == (capacity, one.dtype, 0)
    play_along(
        one, other, rows=random_strips(SPEC, 400), seed=7, blocks=[3, 30, 0, 7, 60, 1, 150, 20, 33]
    )


@pytest.mark.parametrize("game", ["connect_four", "tic_tac_toe", "ludo"])
def test_with_the_layouts_of_games(device: torch.device, game: str) -> None:
    spec = spec_of(game)
    rng = np.random.default_rng(0)
    rows = (
        rng.integers(0, 2, (60, transition_dtype(spec).itemsize), np.uint8)
        .view(transition_dtype(spec))
        .reshape(-1)
    )
    rows["action"] = rng.integers(0, spec.num_actions, 60)
    play_along(
        host(50, spec=spec), on_device(device, 50, spec=spec), rows=rows, seed=1, blocks=[40, 20]
    )


@pytest.mark.parametrize("dtype", ["bool", "float32", "float64"])
def test_with_observations_of_other_dtypes(device: torch.device, dtype: str) -> None:
    spec = make_spec(MIRROR, TURN, dtype=dtype)
    play_along(
        host(50, spec=spec),
        on_device(device, 50, spec=spec),
        rows=random_strips(spec, 60),
        seed=1,
        blocks=[40, 20],
    )


@pytest.mark.parametrize("prioritized", [False, True])
def test_a_run_can_move_between_host_and_device(device: torch.device, prioritized: bool) -> None:
    rows = random_strips(SPEC, 300)
    one, other = host(40, prioritized=prioritized), on_device(device, 40, prioritized=prioritized)
    play_along(one, other, rows=rows, seed=1, blocks=[30, 25])
    moved_here, moved_there = (
        on_device(device, 40, prioritized=prioritized),
        host(40, prioritized=prioritized),
    )
    moved_here.extend(rows[200:280])  # over what is there already
    moved_there.extend(rows[200:210])
    moved_here.set_state(one.get_state())
    moved_there.set_state(other.get_state())
    play_along(one, moved_here, rows=rows[100:], seed=3, blocks=[5, 50])
    play_along(moved_there, other, rows=rows[100:], seed=3, blocks=[5, 50])


def test_a_restored_replay_goes_on_bit_for_bit(device: torch.device) -> None:
    rows = random_strips(SPEC, 300)

    def go_on(replay: DeviceReplay, seed: int) -> list[Any]:
        rng, seen = np.random.default_rng(seed), []
        for step in range(20):
            replay.extend(rows[step * 5 : step * 5 + 5])
            indices, batch = drawn(replay, 16, rng, 0.4)
            tell(replay, indices, rng.normal(size=16).astype(np.float32))
            seen.append((indices.tolist(), batch.weights.tolist(), batch.R.tolist()))
        return seen

    first = on_device(device, 70, prioritized=True)
    go_on(first, 1)
    state = copy.deepcopy(first.get_state())
    expected = go_on(first, 2)
    second = on_device(device, 70, prioritized=True)
    second.extend(rows[:99])
    second.set_state(state)
    assert go_on(second, 2) == expected


def test_prioritized_sampling_is_proportional(device: torch.device) -> None:
    replay = on_device(device, 13, prioritized=True)
    replay.extend(random_strips(SPEC, 11))  # two rows stay empty
    errors = np.linspace(-2.0, 3.0, 11).astype(np.float32)
    tell(replay, torch.arange(11, device=device), errors)
    rng = np.random.default_rng(11)
    places = [drawn(replay, 32, rng, 0.4)[0].tolist() for _ in range(1000)]
    counts = np.bincount(np.concatenate(places), minlength=13)
    assert counts[11:].tolist() == [0, 0]
    p = (np.abs(errors) + EPS) ** ALPHA
    expected = p / p.sum() * counts.sum()
    # 10 degrees of freedom: above 29.6 by chance once in a thousand seeds (stratified minibatches
    # stay far below).
    assert ((counts[:11] - expected) ** 2 / expected).sum() < 29.6


def test_a_step_that_failed_changes_no_priority(device: torch.device) -> None:
    replay = on_device(device, 10, prioritized=True)
    replay.extend(random_strips(SPEC, 10))
    tell(replay, torch.arange(3, device=device), np.array([0.5, 2.0, 9.0], np.float32))
    before = copy.deepcopy(replay.get_state()["sampler"])
    tell(
        replay,
        torch.tensor([0, 1, 1, 5], device=device),
        np.array([np.nan, np.inf, 1.0, 50.0], np.float32),
        failed=True,
    )
    after = replay.get_state()["sampler"]
    assert before["priorities"].tolist() == after["priorities"].tolist()
    assert before["largest"] == after["largest"]


def test_invalid_arguments_are_refused(device: torch.device) -> None:
    for prioritized in (False, True):
        replay = on_device(device, 5, prioritized=prioritized)
        with pytest.raises(InputError, match="cannot sample from an empty replay buffer"):
            replay.draw(3, np.random.default_rng(0))
        with pytest.raises(InputError, match="another layout"):
            replay.extend(np.zeros(2, transition_dtype(spec_of("connect_four"))))
        replay.extend(random_strips(SPEC, 9))
        with pytest.raises(InputError, match="buffer_size"):
            on_device(device, 6, prioritized=prioritized).set_state(replay.get_state())
    with pytest.raises(InputError, match="at most 3"):
        DevicePrioritized(3, ALPHA, EPS, device).set_state(
            {"priorities": np.ones(4), "largest": 1.0}
        )
    with pytest.raises(InputError, match="at least 1"):
        DeviceReplay(transition_dtype(SPEC), 0, DeviceUniform(), device)
    with pytest.raises(ConfigurationError):
        DevicePrioritized(3, 1.1, EPS, device)
