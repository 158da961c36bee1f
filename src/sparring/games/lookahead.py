"""Search as games offer it: the protocol, which games can be searched, and what all of them have in
common.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError
from sparring.games.arrays import chosen_slots, own_keys
from sparring.games.spec import BatchedGame, GameSpec


class SearchableGame(BatchedGame, Protocol):
    """A game that can look ahead; compiled rules and `Match` objects can. Only for what
    `refuse_search` lets through.
    """

    def best_moves(self, slots: NDArray[np.int64], depth: int) -> NDArray[np.bool_]:
        """[m, A]: the legal moves in `slots` [m] that are best when all lines of `depth` plies are
        looked at; nothing else is known.

        An end counts for what the match pays from here on, positive ones more the sooner they come,
        negative ones the later; a position that far ahead, or at the ply limit, counts for what was
        paid on the way. All False where no move is legal.
        """

    def most_visited(
        self, slots: NDArray[np.int64], playouts: int, keys: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        """[m]: the move in each of `slots` [m] that UCT visits most in so many `playouts`; -1 where
        none is legal.

        All chance is drawn from `keys` [m].
        """


class SearchedSlots:
    """The methods of `SearchableGame`, for games that have `_searched`."""

    def best_moves(self: Any, slots: NDArray[np.int64], depth: int) -> NDArray[np.bool_]:
        chosen = chosen_slots(self, slots)
        best: NDArray[np.bool_] = self.mask[chosen]
        for row, slot in zip(best, chosen.tolist(), strict=True):
            if row.any() and not self.truncated[slot]:
                row[:] = self._searched("best_moves", slot, depth)
        return best

    def most_visited(
        self: Any, slots: NDArray[np.int64], playouts: int, keys: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        chosen = chosen_slots(self, slots)
        some = self.mask[chosen].any(axis=1)
        moves: NDArray[np.int64] = np.where(some, self.mask[chosen].argmax(axis=1), -1)
        for row, (slot, key) in enumerate(
            zip(chosen.tolist(), own_keys(keys, chosen), strict=True)
        ):
            if some[row] and not self.truncated[slot]:
                moves[row] = self._searched("most_visited", slot, playouts, key)
        return moves


def can_search(game: BatchedGame) -> TypeGuard[SearchableGame]:
    """Return whether the game has what a search needs; classes that offer the batched protocol
    themselves need not.
    """
    return callable(getattr(game, "best_moves", None)) and callable(
        getattr(game, "most_visited", None)
    )


def allows_search(spec: GameSpec) -> bool:
    """Return whether positions have a value: two players whose rewards cancel, nothing drawn,
    nothing hidden.
    """
    return not _obstacles(spec)


def refuse_search(name: str, spec: GameSpec) -> None:
    """Raise `ConfigurationError` with what is in the way of the player `name`, unless the game
    allows searches.
    """
    if wrong := _obstacles(spec):
        expected = "two players, zero_sum=True, no chance, no hidden information"
        raise ConfigurationError(
            f"{name} cannot search in {spec.name}",
            got=", ".join(wrong),
            expected=expected,
            remedy="name another",
        )


def _obstacles(spec: GameSpec) -> list[str]:
    facts = {
        f"{spec.num_players} players": spec.num_players != 2,
        "chance": spec.chance,
        "hidden information": spec.hidden_information,
        "zero_sum=False": not spec.zero_sum,
    }
    return [fact for fact, holds in facts.items() if holds]
