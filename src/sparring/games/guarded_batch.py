"""Somebody's class that offers the batched protocol itself, watched: what goes wrong in it becomes a `GameFault`.

The games that we make of rules and of `Match` objects see to that themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from sparring.errors import GameFault, IllegalAction, InputError
from sparring.games.arguments import check_history, check_stored, chosen_slots, copy_actions, own_keys
from sparring.games.blame import Blame, BrokenContractError
from sparring.games.history import allocate, played, with_room
from sparring.games.spec import BatchedGame, StateTree

_NOT_OF_THE_GAME = (GameFault, IllegalAction, InputError)  # told by the game itself, or the caller's mistakes
_UNLIMITED: Final = 2**62  # a game that goes on past its limit is not to break the history


def guarded(game: BatchedGame) -> BatchedGame:
    """`game`, watched. What it does not have the watched one does not have either, and its views are those of the game."""
    return cast(BatchedGame, _Guarded(game))


class _Guarded:
    """All that it has is the game's. The calls in `_WATCHED` go through it; it keeps keys and actions of the matches, for the records."""

    def __init__(self, game: BatchedGame) -> None:
        self._game, n = game, game.num_slots
        self._keys, self._plies = np.zeros(n, np.uint64), np.zeros(n, np.int64)
        self._history = allocate(n, game.spec.max_plies)
        self._actions = np.full(n, -1, np.int64)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        own = getattr(self._game, name)
        return functools.partial(_WATCHED[name], self) if name in _WATCHED else own

    def _reset(self, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        chosen = chosen_slots(self._game, slots)
        self._keys[chosen] = own_keys(keys, chosen)
        self._plies[chosen] = 0
        self._call("reset", chosen, slots, keys)
        self._refuse_nan("reset", "observation", chosen, self._game.observation, chosen)

    def _step(self, actions: NDArray[np.int64]) -> None:
        copy_actions(actions, self._actions)
        chosen = np.flatnonzero(self._actions >= 0)
        plies = self._plies[chosen]
        self._history = with_room(self._history, int(plies.max(initial=0)), _UNLIMITED)
        self._history[chosen, plies] = self._actions[chosen]
        self._plies[chosen] = plies + 1
        try:
            self._call("step", chosen, actions)
        except _NOT_OF_THE_GAME:
            self._plies[chosen] = plies  # nothing was played
            raise
        self._refuse_nan("step", "rewards", chosen, self._game.rewards, chosen)
        self._refuse_nan("step", "observation", chosen, self._game.observation, chosen)

    def _win_or_block(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        marked: NDArray[np.bool_] = self._call("win_or_block", chosen_slots(self._game, slots), slots)
        return marked

    def _observe_as(self, slots: NDArray[np.int64], seats: NDArray[np.int64]) -> NDArray[Any]:
        chosen = chosen_slots(self._game, slots)
        seen: NDArray[Any] = self._call("observe_as", chosen, slots, seats)
        self._refuse_nan("observe_as", "observation", chosen, seen, np.arange(len(chosen)))
        return seen

    def _get_state(self) -> StateTree:
        own = {"guard_keys": self._keys.copy(), "guard_plies": self._plies.copy()}
        return {**self._game.get_state(), **own, "guard_history": played(self._history, self._plies)}

    def _set_state(self, state: StateTree) -> None:
        check_stored(self._game, "guard_keys", state.get("guard_keys"), self._keys)
        check_stored(self._game, "guard_plies", state.get("guard_plies"), self._plies)
        check_history(self._game, state.get("guard_history"))
        self._game.set_state({name: array for name, array in state.items() if not name.startswith("guard_")})
        self._keys[...], self._plies[...] = state["guard_keys"], state["guard_plies"]
        self._history = state["guard_history"].copy()

    def _call(self, method: str, chosen: NDArray[np.int64], *arguments: Any) -> Any:
        """What the game's `method` returns. No exception says in which of the `chosen` slots [m] it was: the first stands for all."""
        try:
            return getattr(self._game, method)(*arguments)
        except _NOT_OF_THE_GAME:
            raise
        except Exception as error:
            fault = self._fault(method, int(chosen[0]) if len(chosen) else 0, error)
            if len(chosen) < 2:
                raise fault from error
            note = f"in which of {len(chosen)} matches is not known, the first of them is kept"
            raise GameFault(f"{fault}; {note}", fault.record) from error

    def _refuse_nan(self, method: str, what: str, chosen: NDArray[np.int64], shown: NDArray[Any], rows: NDArray[np.int64]) -> None:
        """Floats that were `shown` [k, ...] in the `rows` [m] of the `chosen` slots [m] have to be numbers."""
        if np.asarray(shown).dtype.kind != "f" or np.isfinite(shown).all():
            return
        bad = ~np.isfinite(shown[rows].reshape(len(rows), -1)).all(axis=1)
        if bad.any():
            error = BrokenContractError(f"NaN or infinity in {what}", "finite numbers", "give what can be learnt from")
            raise self._fault(method, int(chosen[bad.argmax()]), error)

    def _fault(self, method: str, slot: int, error: Exception) -> GameFault:
        actions = self._history[slot, : self._plies[slot]].tolist()
        function = getattr(type(self._game), method, None)
        return Blame(self._game.spec.name, int(self._keys[slot]), actions, method, function).fault(error)


_WATCHED: Final[Mapping[str, Callable[..., Any]]] = {
    "reset": _Guarded._reset,
    "step": _Guarded._step,
    "win_or_block": _Guarded._win_or_block,
    "observe_as": _Guarded._observe_as,
    "get_state": _Guarded._get_state,
    "set_state": _Guarded._set_state,
}
