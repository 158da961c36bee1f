"""Circular storage of transitions of any row layout.

Row i of all rows ever inserted lies at `i % capacity`, so the whole state is the filled part and
one count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import InputError


class ReplayBuffer:
    """The newest `capacity` rows of one structured dtype.

    Rows are moved through a view as opaque bytes: NumPy copies a structured row field by field,
    which takes ten times as long. Memory is `capacity * dtype.itemsize` bytes, touched by the
    operating system as rows arrive.
    """

    def __init__(self, dtype: np.dtype[Any], capacity: int) -> None:
        if capacity < 1:
            raise InputError("the capacity of a replay buffer", got=capacity, expected="at least 1")
        self.dtype = dtype
        self.capacity = capacity
        self.inserted = 0  # rows ever inserted, also those overwritten since
        self._rows: NDArray[Any] = _allocated(capacity, dtype)
        self._opaque = np.dtype((np.void, dtype.itemsize))
        self._bytes = self._rows.view(self._opaque)

    def __len__(self) -> int:
        return min(self.inserted, self.capacity)

    @property
    def rows(self) -> NDArray[Any]:
        """The filled part, [len], as a read-only view: in order of age only until the first row is
        overwritten.
        """
        view = self._rows[: len(self)]
        view.flags.writeable = False
        return view

    @property
    def storage(self) -> NDArray[Any]:
        """All rows [capacity], filled or not, as a read-only view that stays valid."""
        view = self._rows[:]
        view.flags.writeable = False
        return view

    def extend(self, rows: NDArray[Any]) -> tuple[int, int]:
        """Insert `rows` [n] in order, over the oldest ones; return `first, count`: they lie at
        `(first + i) % capacity`, i < count.

        Of more rows than `capacity` only the last `capacity` are kept; `inserted` counts all.
        """
        require_layout(rows, self.dtype)
        self.inserted += len(rows)
        kept = rows.view(self._opaque)
        if len(kept) > self.capacity:
            kept = kept[-self.capacity :]
        count = len(kept)
        first = (self.inserted - count) % self.capacity
        before_wrap = self.capacity - first
        if count <= before_wrap:
            self._bytes[first : first + count] = kept
        else:
            self._bytes[first:] = kept[:before_wrap]
            self._bytes[: count - before_wrap] = kept[before_wrap:]
        return first, count

    @property
    def memory(self) -> NDArray[np.uint8]:
        """All bytes of the storage, for rows of a saved state to be read into."""
        return self._rows.view(np.uint8)

    def get_state(self) -> dict[str, Any]:
        """The filled part, a view, and the count: valid until the next row is inserted."""
        return {"rows": self._rows[: len(self)], "inserted": self.inserted}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` of a buffer of the same layout and capacity returned; its rows
        may be in `memory` already.
        """
        rows, inserted = saved_rows(state, self.dtype, self.capacity)
        if not np.may_share_memory(rows, self._rows):
            self._bytes[: len(rows)] = rows.view(self._opaque)
        self.inserted = inserted


def _allocated(capacity: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        return np.zeros(capacity, dtype)
    except (MemoryError, ValueError):  # ValueError: beyond what an address can name
        raise InputError(
            "not enough memory for the replay buffer",
            got=f"{capacity:,} transitions of {dtype.itemsize:,} bytes",
            expected="memory for all of them",
            remedy="lower buffer_size",
        ) from None


def saved_rows(
    state: dict[str, Any], dtype: np.dtype[Any], capacity: int
) -> tuple[NDArray[Any], int]:
    """The filled part and the count of a saved buffer. Raises `InputError` for another layout or
    capacity.
    """
    rows, inserted = state["rows"], int(state["inserted"])
    require_layout(rows, dtype)
    if len(rows) != min(inserted, capacity):
        raise InputError(
            "the saved replay buffer has another capacity",
            got=f"{len(rows)} rows of {inserted} inserted",
            expected=f"{min(inserted, capacity)} rows",
            remedy="resume with the buffer_size that the run was started with",
        )
    return rows, inserted


def require_layout(rows: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Raise `InputError` for rows of another dtype."""
    if rows.dtype != dtype:
        raise InputError(
            "rows of another layout than the replay buffer",
            got=str(rows.dtype),
            expected=str(dtype),
        )
