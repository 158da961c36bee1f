"""Sampling minibatches and updating priorities, beside NumPy's fancy indexing of the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.bench.measure import Cases, Settings, case, compared, repeated, turns
from sparring.bench.work import BATCH, MLP, transitions
from sparring.replay import PrioritizedSampler, Replay, ReplayBuffer, Sampler, UniformSampler

_SIZES: Final = {"100k": 100_000, "1m": 1_000_000}
_SAMPLERS: Final[dict[str, Callable[[int], Sampler]]] = {
    "uniform": lambda size: UniformSampler(),
    "prioritized": lambda size: PrioritizedSampler(size, 0.6, 1e-6),
}
_MINIBATCHES: Final = 512  # different ones, so that no cache holds the rows of the next one
_SHARE: Final = 0.3  # of a slice
# for sampling 256 of a million by priority, beyond the copy of the rows
_MAX_MICROSECONDS: Final = 40.0
_MICRO: Final = 1e6


def measure(settings: Settings) -> Cases:
    """Minibatches of 256 of Connect Four's transitions, with replacement, without symmetries."""
    rows = transitions(MLP, 50_000)
    short = settings.shorter(_SHARE)
    cases: Cases = {}
    for size_name, size in _SIZES.items():
        for kind, sampler in _SAMPLERS.items():
            settings.say(f"replay: {kind}, {size:,} transitions")
            name = f"{kind}_{size_name}"
            cases |= _cases(short, name, _filled(rows, size, sampler(size)))
    return cases


def _filled(rows: NDArray[Any], size: int, sampler: Sampler) -> Replay:
    """A full replay of copies of `rows`, with different priorities."""
    replay = Replay(ReplayBuffer(rows.dtype, size), sampler)
    rng = np.random.default_rng(0)
    for begin in range(0, size, len(rows)):
        replay.extend(rows[: size - begin])
    everywhere = np.arange(size)
    replay.update(everywhere, rng.exponential(0.1, size).astype(np.float32))
    return replay


def _cases(settings: Settings, name: str, replay: Replay) -> Cases:
    rng = np.random.default_rng(1)
    drawn = [replay.sample(BATCH, rng=rng, beta=0.4).indices for _ in range(_MINIBATCHES)]
    buffer = replay.allocate(BATCH)
    errors = rng.exponential(0.1, (_MINIBATCHES, BATCH)).astype(np.float32)
    # The indices are the sampler's own: its order of access matters for the caches.
    copy = _fancy_indexing(replay, drawn)

    def sample() -> int:
        replay.sample_into(buffer, rng=rng, beta=0.4)
        return 1

    turn = iter(range(2**62))

    def update() -> int:
        number = next(turn) % _MINIBATCHES
        replay.update(drawn[number], errors[number])
        return 1

    if not name.startswith("prioritized"):
        return {f"{name}_sample": compared(settings, sample, copy, "samples/s")}
    steps = {"sample": sample, "copy": copy, "update": update}
    rates = turns(
        {key: repeated(step, settings.seconds) for key, step in steps.items()}, settings.slices
    )
    beyond = [
        _MICRO / fast - _MICRO / bare
        for fast, bare in zip(rates["sample"], rates["copy"], strict=True)
    ]
    is_asked = name.endswith("_1m")
    return {
        f"{name}_sample": case(rates["sample"], "samples/s", limits=rates["copy"]),
        f"{name}_cost": case(
            beyond,
            "us",
            limits=_MAX_MICROSECONDS if is_asked else None,
            floor=1.0 if is_asked else None,
            less_is_better=True,
        ),
        f"{name}_update": case([_MICRO / rate for rate in rates["update"]], "us"),
    }


def _fancy_indexing(replay: Replay, places: list[NDArray[np.int64]]) -> Callable[[], int]:
    """A function that copies as many rows out of a buffer of the same size, as opaque bytes, the
    fastest way of NumPy.
    """
    source = np.ones(replay.capacity, np.dtype((np.void, replay.dtype.itemsize)))
    turn = iter(range(2**62))

    def step() -> int:
        source[places[next(turn) % _MINIBATCHES]]
        return 1

    return step
