"""Circular storage of transitions, in whatever row layout it is given.

Row number i of all rows ever inserted lies at `i % capacity`, so the whole state is the filled part and one count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import InputError


class ReplayBuffer:
    """The newest `capacity` rows of one structured dtype.

    Rows are moved through a view as opaque bytes: NumPy copies a structured row field by field, which takes ten times as long.
    Memory is `capacity * dtype.itemsize` bytes, touched by the operating system as rows arrive.
    """

    def __init__(self, dtype: np.dtype[Any], capacity: int) -> None:
        if capacity < 1:
            raise InputError("the capacity of a replay buffer", got=capacity, expected="at least 1")
        self.dtype = dtype
        self.capacity = capacity
        self.inserted = 0  # rows ever inserted, also those overwritten since
        self._rows: NDArray[Any] = np.zeros(capacity, dtype)
        self._bytes = self._rows.view(_opaque(dtype))

    def __len__(self) -> int:
        return min(self.inserted, self.capacity)

    @property
    def rows(self) -> NDArray[Any]:
        """The filled part, [len], as a read-only view: in order of age only until the first row is overwritten."""
        view = self._rows[: len(self)]
        view.flags.writeable = False
        return view

    def extend(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        """Insert `rows` [n] in order, over the oldest ones; returns where they lie now, in the same order.

        Of more rows than `capacity` only the last `capacity` are kept (and their places returned); `inserted` counts all.
        """
        self._require_layout(rows)
        kept = rows.view(_opaque(self.dtype))[-self.capacity :]
        self.inserted += len(rows)
        begin = (self.inserted - len(kept)) % self.capacity
        before_wrap = min(len(kept), self.capacity - begin)
        self._bytes[begin : begin + before_wrap] = kept[:before_wrap]
        self._bytes[: len(kept) - before_wrap] = kept[before_wrap:]
        indices = np.arange(begin, begin + len(kept), dtype=np.int64)
        indices[before_wrap:] -= self.capacity
        return indices

    def gather(self, indices: NDArray[np.int64], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """A copy of the rows at `indices` [n], in `out` [n] if it is given. Raises IndexError for a place that holds no row."""
        # A negative index is huge as an unsigned one, so one pass over the indices sees both ends.
        if len(indices) and int(indices.view(np.uint64).max()) >= len(self):
            got = f"{indices.min()} to {indices.max()}"
            raise IndexError(f"a row that is not in the replay buffer: got indices {got}, expected 0 to {len(self) - 1}")
        if out is None:
            out = np.empty(len(indices), self.dtype)
        # Checked above: mode "raise" would go through a second buffer to keep `out` untouched on errors.
        self._bytes.take(indices, out=out.view(_opaque(self.dtype)), mode="clip")
        return out

    def get_state(self) -> dict[str, Any]:
        """Copies of everything that a later `set_state` needs: the filled part and the count."""
        return {"rows": self.rows.copy(), "inserted": self.inserted}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` of a buffer of the same layout and capacity returned."""
        rows, inserted = state["rows"], int(state["inserted"])
        self._require_layout(rows)
        if len(rows) != min(inserted, self.capacity):
            raise InputError(
                "the saved replay buffer has another capacity",
                got=f"{len(rows)} rows of {inserted} inserted",
                expected=f"{min(inserted, self.capacity)} rows",
                remedy="resume with the buffer_size that the run was started with",
            )
        self._bytes[: len(rows)] = rows.view(_opaque(self.dtype))
        self.inserted = inserted

    def _require_layout(self, rows: NDArray[Any]) -> None:
        if rows.dtype != self.dtype:
            raise InputError("the rows have another layout than the replay buffer", got=str(rows.dtype), expected=str(self.dtype))


def _opaque(dtype: np.dtype[Any]) -> np.dtype[np.void]:
    return np.dtype((np.void, dtype.itemsize))
