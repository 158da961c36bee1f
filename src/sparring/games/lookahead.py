"""Search: the protocol of games that offer it, the games that allow it, and common code."""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError
from sparring.games.arrays import chosen_slots, own_keys
from sparring.games.spec import BatchedGame, GameSpec

# By this share an end counts for more for each ply that it comes sooner; the product with a float32
# is exact.
SOONER: Final = 2.0**-20
MAX_PAIRS: Final = 20_000  # of a move and a reply that `win_or_block` tries in plain Python
MAX_PLAYOUT: Final = 10_000  # plies; a playout that reaches it counts for its rewards so far


class SearchableGame(BatchedGame, Protocol):
    """A game that can search ahead, as compiled rules and `Match` objects can; only for games that
    `refuse_search` accepts.
    """

    def best_moves(self, slots: NDArray[np.int64], depth: int) -> NDArray[np.bool_]:
        """[m, A]: the best legal moves in `slots` [m] by an exhaustive search of `depth` plies.

        An end counts for the rewards from here on, positive ones more the sooner they come,
        negative ones more the later; a position `depth` plies ahead, or at the ply limit, counts
        for the rewards on the way. All False if no move is legal.
        """

    def most_visited(
        self, slots: NDArray[np.int64], playouts: int, keys: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        """[m]: the move in each of `slots` [m] that UCT visits most in `playouts` playouts; -1 if
        none is legal. All randomness comes from `keys` [m].
        """


class SearchedSlots:
    """Methods of `SearchableGame` for games with a method `_searched`."""

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
    """Return whether the game has the methods of `SearchableGame`; users' classes with the batched
    protocol need not have them.
    """
    return callable(getattr(game, "best_moves", None)) and callable(
        getattr(game, "most_visited", None)
    )


def allows_search(spec: GameSpec) -> bool:
    """Return whether positions have a value: two players, zero-sum, no chance, nothing hidden."""
    return not _obstacles(spec)


def refuse_search(name: str, spec: GameSpec, *, averages_chance: bool = False) -> None:
    """Raise `ConfigurationError` with the reasons unless the game allows the player `name` to
    search; `averages_chance`: it plays with chance, too.
    """
    if wrong := _obstacles(spec, averages_chance):
        needed = "" if averages_chance else "no chance, "
        expected = f"two players, zero_sum=True, {needed}no hidden information"
        raise ConfigurationError(
            f"{name} cannot search in {spec.name}",
            got=", ".join(wrong),
            expected=expected,
            remedy="name another opponent",
        )


def _obstacles(spec: GameSpec, averages_chance: bool = False) -> list[str]:
    facts = {
        f"{spec.num_players} players": spec.num_players != 2,
        "chance": spec.chance and not averages_chance,
        "hidden information": spec.hidden_information,
        "zero_sum=False": not spec.zero_sum,
    }
    return [fact for fact, holds in facts.items() if holds]
