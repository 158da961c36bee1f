"""Transitions through a ring into the replay, beside a plain copy of the same bytes; and weights to
a worker.

The floor is for the main process's side, which all workers share: reading blocks from the ring and
storing them. The worker's side, the writing, is a case of its own, and so are both together, and a
round of 16,384 transitions that is read in one piece, as in a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.bench.measure import Case, Cases, Settings, Side, case, repeated, turns
from sparring.bench.work import MLP, PRECISIONS, transitions, weights_in_place
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.replay import PrioritizedSampler, Replay, ReplayBuffer, Sampler, UniformSampler
from sparring.runtime.shared_memory import Ring

_BLOCK: Final = 256  # transitions
_BLOCKS: Final = 64  # in the ring between two readings
_STORED: Final = 200_000  # transitions in the replay
_SHARE: Final = 0.5  # of a slice
_FLOOR: Final = 0.5
_MICRO: Final = 1e6


def measure(settings: Settings) -> Cases:
    """Connect Four's transitions and the weights of an MLP 2 x 256."""
    rows = transitions(MLP, _BLOCK * _BLOCKS)[: _BLOCK * _BLOCKS]
    short = settings.shorter(_SHARE)
    settings.say("transport: transitions")
    cases = _through_the_ring(short, rows)
    for precision in PRECISIONS:
        settings.say(f"transport: weights for {precision}")
        cases[f"broadcast_{precision}"] = _broadcast(short.shorter(_SHARE), MLP, precision)
    return cases


def _through_the_ring(settings: Settings, rows: NDArray[Any]) -> Cases:
    limit = repeated(_plain_copy(rows), settings.seconds)
    uniform, prioritized = (
        _RingAndReplay(rows, UniformSampler()),
        _RingAndReplay(rows, PrioritizedSampler(_STORED, 0.6, 1e-6)),
    )
    at_once = _RingAndReplay(rows, UniformSampler(), block=len(rows))
    sides: dict[str, Side] = {
        "ring_to_replay": uniform.side(settings.seconds, "read"),
        "copy": limit,
        "ring_to_prioritized": prioritized.side(settings.seconds, "read"),
        "copy_again": limit,
        "round_to_replay": at_once.side(settings.seconds, "read"),
        "worker_to_ring": uniform.side(settings.seconds, "write"),
        "copy_once_more": limit,
        "worker_to_replay": uniform.side(settings.seconds, "both"),
    }
    rates = turns(sides, settings.slices)
    return {
        "ring_to_replay": case(
            rates["ring_to_replay"], "rows/s", limits=rates["copy"], floor=_FLOOR
        ),
        "ring_to_prioritized": case(
            rates["ring_to_prioritized"], "rows/s", limits=rates["copy_again"]
        ),
        "round_to_replay": case(rates["round_to_replay"], "rows/s", limits=rates["copy_again"]),
        "worker_to_ring": case(rates["worker_to_ring"], "rows/s", limits=rates["copy_once_more"]),
        "worker_to_replay": case(
            rates["worker_to_replay"],
            "rows/s",
            limits=[rate / 2 for rate in rates["copy_once_more"]],
        ),
    }


class _RingAndReplay:
    """Both ends of a ring in one process, and a replay that stores the rows."""

    def __init__(self, rows: NDArray[Any], sampler: Sampler, block: int = _BLOCK) -> None:
        memory = np.zeros(Ring.bytes_needed(rows.dtype, len(rows)), np.uint8)
        self._writer, self._reader = (
            Ring(memory, rows.dtype, len(rows)),
            Ring(memory, rows.dtype, len(rows)),
        )
        self._replay = Replay(ReplayBuffer(rows.dtype, _STORED), sampler)
        self._blocks = np.split(rows, len(rows) // block)
        self._block = block
        self._rows = len(rows)
        self._read_so_far = 0  # rows

    def side(self, seconds: float, timed: str) -> Side:
        """Rows a second of this thread's time to `write`, to `read` or for `both`; the ring is
        filled and emptied in turns.
        """

        def measured() -> float:
            spent, rows = 0.0, 0
            while spent < seconds:
                begun = time.thread_time()
                self._write()
                between = time.thread_time()
                self._read()
                ended = time.thread_time()
                spent += {"write": between - begun, "read": ended - between, "both": ended - begun}[
                    timed
                ]
                rows += self._rows
            return rows / spent

        measured()
        return measured

    def _write(self) -> None:
        for block in self._blocks:
            self._writer.write(block, _never_full)

    def _read(self) -> None:
        while self._read_so_far < self._writer.written:
            end = self._read_so_far + self._block
            for block in self._reader.rows(self._read_so_far, end):
                self._replay.extend(block)
            self._reader.free(end)
            self._read_so_far = end


def _never_full(written: int) -> None:
    raise AssertionError("the ring has room for all that is written between two readings")


def _plain_copy(rows: NDArray[Any]) -> Callable[[], int]:
    """A function that copies the same blocks one after another into an array as large as the
    replay.
    """
    opaque = np.dtype((np.void, rows.dtype.itemsize))
    sources = np.split(rows.view(opaque), len(rows) // _BLOCK)
    store = np.zeros(_STORED // _BLOCK * _BLOCK, opaque)
    places = np.split(store, len(store) // _BLOCK)
    turn = iter(range(2**62))

    def step() -> int:
        for source in sources:
            np.copyto(places[next(turn) % len(places)], source)
        return len(rows)

    return step


def _broadcast(settings: Settings, policy: PolicySpec, precision: str) -> Case:
    """Microseconds to publish new weights and to load them in one worker, beside one plain copy."""
    store, actor = (
        weights_in_place(policy),
        InferencePolicy(policy, bfloat16=precision == "bfloat16"),
    )
    vector = store.published(0).copy()
    place = np.empty_like(vector)

    def send() -> int:
        store.publish(0, vector)
        actor.load_vector(store.published(0))
        return 1

    def copy() -> int:
        np.copyto(place, vector)
        return 1

    rates = turns(
        {"send": repeated(send, settings.seconds), "copy": repeated(copy, settings.seconds)},
        settings.slices,
    )
    costs, bare = ([_MICRO / rate for rate in rates[side]] for side in ("send", "copy"))
    return case(costs, "us", limits=bare, less_is_better=True)
