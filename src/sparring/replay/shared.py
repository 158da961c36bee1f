"""The replay of several ranks, as rank 0 sees it.

Transition number k, of all that ever came in, lies in rank k % size. So all shares are of one size
at any time, whatever worker a transition comes from, and together they hold what a single replay
would hold: the newest `capacity` transitions. Row i of its saved state is row i // size in the
share of rank i % size, and a run can be resumed on another number of ranks.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sparring.replay.cuda import DeviceReplay
from sparring.replay.replay import Replay
from sparring.replay.transitions import join_rows

_MOST_WAITING: Final = 4096  # transitions that wait here for other ranks

State = dict[str, Any]


class OtherShares(Protocol):
    """The shares of all ranks but 0."""

    size: int  # ranks, with rank 0

    def extend(self, rows: list[NDArray[Any]]) -> None:
        """Store `rows[i]` in the share of rank i + 1."""

    def get_states(self) -> list[State]:
        """Return the states of these shares, by rank."""

    def set_states(self, states: list[State]) -> None:
        """Restore these shares."""


class SharedReplay:
    """`own` is the share of rank 0, a part of `capacity`; `others` brings transitions to the rest,
    when many wait or at `flush`.
    """

    def __init__(self, own: Replay | DeviceReplay, others: OtherShares) -> None:
        self.own = own
        self._others = others
        self._inserted = 0  # transitions ever inserted
        self._waiting: list[list[NDArray[Any]]] = [[] for _ in range(1, others.size)]

    def __len__(self) -> int:
        return min(self._inserted, self.capacity)

    @property
    def capacity(self) -> int:
        return self.own.capacity * self._others.size

    def extend(self, rows: NDArray[Any]) -> None:
        """Store transitions [m] in order, over the oldest."""
        size = self._others.size
        opaque = rows.view(_opaque(rows.dtype))
        shares = [opaque[(rank - self._inserted) % size :: size].copy() for rank in range(size)]
        self._inserted += len(rows)
        self.own.extend(shares[0].view(rows.dtype))
        for waiting, share in zip(self._waiting, shares[1:], strict=True):
            waiting.append(share.view(rows.dtype))
        if sum(map(len, self._waiting[0])) > _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Bring to the other ranks what waits for them."""
        if self._waiting[0]:
            self._others.extend([join_rows(rows) for rows in self._waiting])
            self._waiting = [[] for _ in self._waiting]

    def memory(self, pointer: str) -> dict[str, NDArray[np.uint8]]:
        """No memory: a saved state is read here and then shared out."""
        return {}

    def get_state(self) -> State:
        """State of a single replay with all transitions, a copy; and what only ranks need."""
        self.flush()
        states = [self.own.get_state(), *self._others.get_states()]
        samplers = [state["sampler"] for state in states]
        joined: State = {
            "buffer": {
                "rows": _interleaved([state["buffer"]["rows"] for state in states]),
                "inserted": self._inserted,
            },
            "sampler": {},
        }
        if samplers[0]:
            largest = [sampler["largest"] for sampler in samplers]
            joined["sampler"] = {
                "priorities": _interleaved([sampler["priorities"] for sampler in samplers]),
                "largest": max(largest),
            }
            joined["largest_of_ranks"] = largest
        return joined

    def set_state(self, state: State) -> None:
        """Share out the state of a single replay, or of any number of ranks."""
        self._inserted = int(state["buffer"]["inserted"])
        self._waiting = [[] for _ in self._waiting]
        own, *others = (self._share(state, rank) for rank in range(self._others.size))
        self.own.set_state(own)
        self._others.set_states(others)

    def _share(self, state: State, rank: int) -> State:
        size, sampler = self._others.size, state["sampler"]
        share: State = {
            "buffer": {
                "rows": _every(size, rank, state["buffer"]["rows"]),
                "inserted": len(range(rank, self._inserted, size)),
            },
            "sampler": {},
        }
        if sampler:
            of_ranks = state.get("largest_of_ranks", [])
            share["sampler"] = {
                "priorities": _every(size, rank, sampler["priorities"]),
                "largest": of_ranks[rank] if len(of_ranks) == size else sampler["largest"],
            }
        return share


def _opaque(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """NumPy copies a structured row field by field, unless it is told not to."""
    return np.dtype((np.void, dtype.itemsize))


def _every(size: int, rank: int, array: NDArray[Any]) -> NDArray[Any]:
    return array.view(_opaque(array.dtype))[rank::size].copy().view(array.dtype)


def _interleaved(shares: list[NDArray[Any]]) -> NDArray[Any]:
    dtype = shares[0].dtype
    joined = np.empty(sum(map(len, shares)), _opaque(dtype))
    for rank, share in enumerate(shares):
        joined[rank :: len(shares)] = share.view(joined.dtype)
    return joined.view(dtype)
