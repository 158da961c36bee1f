"""Users' games: classes named `module:Class`."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, GameFault, IllegalAction, InputError
from sparring.games.arrays import (
    allocate_actions,
    check_history,
    check_stored,
    chosen_slots,
    copy_actions,
    own_keys,
    played,
    widened,
)
from sparring.games.declarations import checked
from sparring.games.faults import Blame, BrokenContractError
from sparring.games.names import GameName
from sparring.games.spec import (
    BATCHED_METHODS,
    MATCH_METHODS,
    BatchedGame,
    Match,
    StateTree,
)
from sparring.games.user_objects import call, import_own, parameters

# Base classes of the environments that users write for other libraries.
_ENVIRONMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "pettingzoo": ("AECEnv", "ParallelEnv"),
    "gymnasium": ("Env",),
}
# Arguments of a name that the adapters take, not the library.
OF_ADAPTERS: Final = frozenset({"max_plies", "chance", "hidden_information", "zero_sum"})


def make(name: GameName, num_slots: int) -> BatchedGame:
    """Make the game of a class: one that takes `num_slots` may offer the batched protocol itself,
    any other plays one match (`Match`).
    """
    offered = import_own(name, what="game")
    if "num_slots" in parameters(offered):
        game = call(offered, name, {**name.arguments, "num_slots": num_slots})
        if _is_batched(game):
            game.spec = dataclasses.replace(
                checked(getattr(game, "spec", None), str(name), "a class attribute spec"),
                name=str(name),
            )
            return guarded(game)
    from sparring.games.python.game import LoopedGame  # imports Numba, which names do not need

    def new_match() -> Match:
        match: Match = call(offered, name, name.arguments)
        return match

    first = new_match()
    checked(getattr(first, "spec", None), str(name), "a class attribute spec")
    return LoopedGame(str(name), new_match, num_slots, first=first)


def check_methods(game: BatchedGame) -> None:
    """Raise `ConfigurationError` if the class of a user's game lacks a method."""
    owner: object = getattr(game, "first_match", game)
    if owner is game and not isinstance(game, _Guarded):
        return
    methods = BATCHED_METHODS if owner is game else MATCH_METHODS
    for name, arguments in methods.items():
        if not callable(getattr(owner, name, None)):
            raise ConfigurationError(
                f"{game.spec.name} is not a game",
                got=f"no method {name}",
                expected=f"the methods {', '.join(methods)}",
                remedy=f"write def {name}({', '.join(('self', *arguments))})",
            )


def library_of(name: GameName) -> str:
    """Return the library of whose environments a user's class or function makes one, "" if of none.
    A function has to be called to know, if its module has imported such a library.
    """
    offered = import_own(name, what="game")
    kinds = {
        library: tuple(getattr(sys.modules[library], kind, ()) for kind in kinds)
        for library, kinds in _ENVIRONMENTS.items()
        if library in sys.modules
    }
    if not kinds or "num_slots" in parameters(offered):
        return ""
    own = {key: value for key, value in name.arguments.items() if key not in OF_ADAPTERS}
    made = offered if isinstance(offered, type) else type(call(offered, name, own))
    return next((library for library, kind in kinds.items() if issubclass(made, kind)), "")


def _is_batched(made: Any) -> bool:
    """Return whether an object offers the batched protocol, complete or not; the `mask` of a
    `Match` is a method.
    """
    methods = all(
        callable(getattr(made, name, None)) for name in ("step", "win_or_block", "get_state")
    )
    return methods or not callable(getattr(made, "mask", None))


# Errors of the caller, or faults that the game reports itself.
_NOT_FAULTS = (GameFault, IllegalAction, InputError)
_UNLIMITED: Final = 2**62  # the history also holds a match that goes on past its limit


def guarded(game: BatchedGame) -> BatchedGame:
    """Wrap a user's `BatchedGame` so that its exceptions and NaN become `GameFault`s, as
    `CompiledGame` and `LoopedGame` do themselves. Attributes and views are those of the game.
    """
    return cast(BatchedGame, _Guarded(game))


class _Guarded:
    """Attributes are the game's. The calls in `_WATCHED` go through it; it stores keys and actions
    of the matches for the records.
    """

    def __init__(self, game: BatchedGame) -> None:
        self._game, n = game, game.num_slots
        self._keys, self._plies = np.zeros(n, np.uint64), np.zeros(n, np.int64)
        self._history = allocate_actions(n, game.spec.max_plies)
        self._actions = np.full(n, -1, np.int64)

    def __repr__(self) -> str:
        return repr(self._game)

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
        self._history = widened(self._history, int(plies.max(initial=0)), _UNLIMITED)
        self._history[chosen, plies] = self._actions[chosen]
        self._plies[chosen] = plies + 1
        try:
            self._call("step", chosen, actions)
        except _NOT_FAULTS:
            self._plies[chosen] = plies  # nothing was played
            raise
        self._refuse_nan("step", "rewards", chosen, self._game.rewards, chosen)
        self._refuse_nan("step", "observation", chosen, self._game.observation, chosen)

    def _win_or_block(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        marked: NDArray[np.bool_] = self._call(
            "win_or_block", chosen_slots(self._game, slots), slots
        )
        return marked

    def _observe_as(self, slots: NDArray[np.int64], seats: NDArray[np.int64]) -> NDArray[Any]:
        chosen = chosen_slots(self._game, slots)
        seen: NDArray[Any] = self._call("observe_as", chosen, slots, seats)
        self._refuse_nan("observe_as", "observation", chosen, seen, np.arange(len(chosen)))
        return seen

    def _get_state(self) -> StateTree:
        own = {"guard_keys": self._keys.copy(), "guard_plies": self._plies.copy()}
        return {
            **self._game.get_state(),
            **own,
            "guard_history": played(self._history, self._plies),
        }

    def _set_state(self, state: StateTree) -> None:
        check_stored(self._game, "guard_keys", state.get("guard_keys"), self._keys)
        check_stored(self._game, "guard_plies", state.get("guard_plies"), self._plies)
        check_history(self._game, state.get("guard_history"), self._game.spec.max_plies)
        self._game.set_state(
            {name: array for name, array in state.items() if not name.startswith("guard_")}
        )
        self._keys[...], self._plies[...] = state["guard_keys"], state["guard_plies"]
        self._history = state["guard_history"].copy()

    def _call(self, method: str, chosen: NDArray[np.int64], *arguments: Any) -> Any:
        """Call the game's `method`. An exception does not tell in which of the `chosen` slots [m]
        it occurred, so the first is recorded.
        """
        try:
            return getattr(self._game, method)(*arguments)
        except _NOT_FAULTS:
            raise
        except BaseException as error:
            fault = self._fault(method, int(chosen[0]) if len(chosen) else 0, error)
            if len(chosen) < 2:
                raise fault from error
            note = f"in which of {len(chosen)} matches is not known, the first of them is kept"
            raise GameFault(f"{fault}; {note}", fault.record) from error

    def _refuse_nan(
        self,
        method: str,
        what: str,
        chosen: NDArray[np.int64],
        shown: NDArray[Any],
        rows: NDArray[np.int64],
    ) -> None:
        """Check that floats `shown` [k, ...] in the `rows` [m] of the `chosen` slots [m] are
        finite.
        """
        if np.asarray(shown).dtype.kind != "f" or np.isfinite(shown).all():
            return
        bad = ~np.isfinite(shown[rows].reshape(len(rows), -1)).all(axis=1)
        if bad.any():
            error = BrokenContractError(
                f"NaN or infinity in {what}", "finite numbers", "return finite numbers only"
            )
            raise self._fault(method, int(chosen[bad.argmax()]), error)

    def match_record(self, slot: int) -> tuple[int, list[int]]:
        return int(self._keys[slot]), self._history[slot, : self._plies[slot]].tolist()

    def _fault(self, method: str, slot: int, error: BaseException) -> GameFault:
        function = getattr(type(self._game), method, None)
        return Blame(self._game.spec.name, *self.match_record(slot), method, function).fault(error)


_WATCHED: Final[Mapping[str, Callable[..., Any]]] = {
    "reset": _Guarded._reset,
    "step": _Guarded._step,
    "win_or_block": _Guarded._win_or_block,
    "observe_as": _Guarded._observe_as,
    "get_state": _Guarded._get_state,
    "set_state": _Guarded._set_state,
}
