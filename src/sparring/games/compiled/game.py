"""A game from a module of rules: the driver over its arrays, behind the batched protocol.

Rules are plain functions of one match, on one row `state` of a structured array; Numba compiles
them with all that they call by name:

    SPEC: GameSpec                              what the game declares
    STATE: np.dtype                             the fields of a row, among them "seat": who decides now
    start(state, rng)                           set up a match in a zeroed row
    legal(state, mask)                          set the legal actions in `mask` [A], which comes cleared
    observe(state, observation)                 fill `observation`, which comes zeroed, as the seat to move sees it
    play(state, action, rewards, rng) -> bool   one ply: add to `rewards` [P], name the next seat; True ends the match

`rng` is the match's own stream, for `sparring.games.rng.random_below`. Nothing else may be kept or
drawn from. Two more functions may be there, which are never compiled:

    text(state) -> str                          the position, for people
    action_text(state, action) -> str           a legal action in words
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, GameError, GameFault, IllegalAction
from sparring.games.arrays import (
    STORED,
    allocate_slots,
    check_history,
    check_stored,
    chosen_slots,
    copy_actions,
    illegal_action,
    one_slot,
    own_keys,
    own_seats,
    played,
    with_room,
)
from sparring.games.compiled.cache import load_driver, load_rules
from sparring.games.compiled.jit import interpreted as in_plain_python
from sparring.games.compiled.searches import CompiledSearch
from sparring.games.faults import Blame, BrokenContractError
from sparring.games.lookahead import SearchedSlots
from sparring.games.spec import GameSpec, StateTree

_AT_WORK = ("start", "legal", "observe", "play")  # by the driver's numbers for them
# by the driver's names for them: the function to blame, what was got and expected, and the remedy
_BREACHES = {
    "NO_SUCH_SEAT": (
        "play",
        "seat {seat}",
        "0 to {last_seat}",
        'set state["seat"] to who decides now, after the end too',
    ),
    "NO_LEGAL_ACTION": (
        "legal",
        "no legal action",
        "at least one while a match goes on",
        "end the match, or offer one that passes",
    ),
    "OBSERVATION_NOT_FINITE": (
        "observe",
        "NaN or infinity",
        "finite numbers",
        "show what a network can be fed",
    ),
    "REWARD_NOT_FINITE": (
        "play",
        "rewards {rewards}",
        "finite numbers",
        "pay what can be added up",
    ),
}


class CompiledGame(SearchedSlots):
    """`BatchedGame` of the rules in the module named `rules`; `interpreted` runs rules and driver
    in plain Python, for debugging.

    `name` is what the game is called everywhere; else its rules say, or it is called as they are.
    After a `GameFault` the game is of no use: make another.
    """

    def __init__(
        self, rules: str, num_slots: int, *, name: str | None = None, interpreted: bool = False
    ) -> None:
        if num_slots < 1:
            raise ConfigurationError("a game needs slots", got=num_slots, expected="at least 1")
        self.rules = module = load_rules(rules)
        self._driver = driver = load_driver(module)
        self._interpreted = interpreted
        self._search: CompiledSearch | None = (
            None  # made when somebody searches: few do, and it takes seconds to compile
        )
        link: Callable[[Any], Any] = in_plain_python if interpreted else lambda function: function
        self._reset, self._step, self._refresh = (
            link(driver.reset),
            link(driver.step),
            link(driver.refresh),
        )
        self._win_or_block, self._observe_as = link(driver.win_or_block), link(driver.observe_as)
        self.spec: GameSpec = dataclasses.replace(
            module.SPEC, name=name or module.SPEC.name or rules
        )
        self.num_slots = num_slots
        self._slots = allocate_slots(self.spec, module.STATE, num_slots)
        self._steps_with_room = 0  # after so many steps the history may be full
        self._actions = np.full(num_slots, -1, np.int64)
        self._name_views()
        try:
            self._load()
        except Exception as error:
            raise _cannot_be_compiled(rules, error) from error

    def _name_views(self) -> None:
        slots = self._slots
        self.seat, self.observation, self.mask, self.rewards = (
            slots.seat,
            slots.observation,
            slots.mask,
            slots.rewards,
        )
        self.terminated, self.truncated, self.plies = slots.terminated, slots.truncated, slots.plies

    def _load(self) -> None:
        """Calls that change nothing, so that all machine code is there when the first match begins
        (and before a fork).
        """
        nothing = np.empty(0, np.int64)
        self.reset(nothing, np.empty(0, np.uint64))
        self.step(self._actions)
        self._call(self._refresh)
        self.win_or_block(nothing)
        self.observe_as(nothing, nothing)

    def reset(self, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        chosen = chosen_slots(self, slots)
        self._call(self._reset, chosen, own_keys(keys, chosen))

    def step(self, actions: NDArray[np.int64]) -> None:
        copy_actions(actions, self._actions)
        if self._steps_with_room <= 0:
            self._make_room()
        self._steps_with_room -= 1
        self._call(self._step, self._actions)

    def win_or_block(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        chosen = chosen_slots(self, slots)
        out = np.zeros((len(chosen), self.spec.num_actions), np.bool_)
        self._call(self._win_or_block, chosen, out)
        return out

    def observe_as(self, slots: NDArray[np.int64], seats: NDArray[np.int64]) -> NDArray[Any]:
        chosen = chosen_slots(self, slots)
        out = np.zeros((len(chosen), *self.spec.observation_shape), self.spec.observation_dtype)
        self._call(self._observe_as, chosen, own_seats(self, seats, chosen), out)
        return out

    def text(self, slot: int) -> str:
        state = self._slots.states[one_slot(self, slot)].copy()
        return (
            self._in_words("text", slot, state).rstrip("\n")
            if hasattr(self.rules, "text")
            else _fields(state)
        )

    def action_text(self, slot: int, action: int) -> str:
        state = self._slots.states[one_slot(self, slot)].copy()
        return (
            self._in_words("action_text", slot, state, action)
            if hasattr(self.rules, "action_text")
            else str(action)
        )

    def get_state(self) -> StateTree:
        state = {name: getattr(self._slots, name).copy() for name in STORED}
        return {**state, "history": played(self._slots.history, self._slots.plies)}

    def set_state(self, state: StateTree) -> None:
        for name in STORED:
            check_stored(self, name, state.get(name), getattr(self._slots, name))
        check_history(self, state.get("history"))
        ended = state["terminated"] | state["truncated"]
        most = np.minimum(
            self.spec.max_plies - ~ended, state["history"].shape[1]
        )  # beyond the limit there is no room for the next action
        if np.any((state["plies"] < 0) | (state["plies"] > most)):
            raise GameError(
                f"state of {self.spec.name} does not fit in plies: got {state['plies'].max()}, expected fewer; it is damaged"
            )
        seats = state["states"]["seat"]
        if np.any((seats < 0) | (seats >= self.spec.num_players)):
            raise GameError(
                f"state of {self.spec.name} does not fit in seat: got {seats.max()}, expected a seat; it is damaged"
            )
        for name in STORED:
            getattr(self._slots, name)[...] = state[name]
        self._make_room()
        longest = int(state["plies"].max())
        self._slots.history[:, :longest] = state["history"][:, :longest]
        self._call(self._refresh)

    def _make_room(self) -> None:
        """Room for the next action of every match in the history, to which compiled code writes
        unchecked; no view changes.
        """
        longest, limit = int(self._slots.plies.max()), self.rules.SPEC.max_plies
        self._slots = self._slots._replace(history=with_room(self._slots.history, longest, limit))
        width = self._slots.history.shape[1]
        self._steps_with_room = width - longest if width < limit else sys.maxsize

    def _call(self, function: Callable[..., Any], *arguments: NDArray[Any]) -> None:
        """Call a function of the driver; what it finds wrong with the rules, and what they raise,
        becomes a `GameFault`.
        """
        self._slots.cursor[:] = -1
        try:
            with (
                np.errstate(divide="raise") if self._interpreted else nullcontext()
            ):  # as compiled code does
                wrong = function(self._slots, *arguments)
        except Exception as error:
            if self._slots.cursor[0] < 0:  # it did not get as far as a match
                raise
            raise self._fault(error) from error
        if wrong == self._driver.ILLEGAL_ACTION:
            slot = int(self._slots.cursor[0])
            raise illegal_action(self, slot, int(self._actions[slot]))
        if wrong != self._driver.FINE:
            raise self._fault(self._breach(wrong))

    def _searched(self, how: str, slot: int, *arguments: Any) -> Any:
        """Result of a search from one slot. Where the rules go wrong in a line of it, that line is
        played, which blames them.
        """
        self._search = search = self._search or CompiledSearch(
            self.rules, interpreted=self._interpreted
        )
        found, raised = None, None
        try:
            with np.errstate(divide="raise") if self._interpreted else nullcontext():
                found = getattr(search, how)(self._slots, slot, *arguments)
        except Exception as error:
            raised = error
        if found is None:
            self._play_line(slot, search.line)
            raise raised or GameError(
                f"game {self.spec.name} goes wrong in a search, but not in play; it draws on more than rng"
            )
        return found

    def _play_line(self, slot: int, line: list[int]) -> None:
        """Play the match in `slot` again in another game, and on along `line`; raises `GameFault`
        where the rules go wrong.
        """
        game = CompiledGame(
            self.rules.__name__, 1, name=self.spec.name, interpreted=self._interpreted
        )
        game.reset(np.zeros(1, np.int64), self._slots.keys[slot : slot + 1])
        for action in [*self._slots.history[slot, : self.plies[slot]].tolist(), *line]:
            game.step(np.array([action]))

    def _breach(self, wrong: int) -> BrokenContractError:
        """Describe what the driver found wrong; moves the cursor to the function to blame for it."""
        [(function, *texts)] = [
            breach for name, breach in _BREACHES.items() if getattr(self._driver, name) == wrong
        ]
        slot = self._slots.cursor[0]
        self._slots.cursor[1] = _AT_WORK.index(
            "start" if function == "play" and self.plies[slot] == 0 else function
        )
        values = {
            "seat": self.seat[slot],
            "last_seat": self.spec.num_players - 1,
            "rewards": self.rewards[slot].tolist(),
        }
        return BrokenContractError(*(text.format(**values) for text in texts))

    def _fault(self, error: Exception) -> GameFault:
        slot, at_work, *tried = self._slots.cursor.tolist()
        blame = self._blame(slot, _AT_WORK[at_work], [action for action in tried if action >= 0])
        return blame.fault(
            error, None if self._interpreted else self._seen_in_plain_python(blame, error)
        )

    def _blame(self, slot: int, during: str, tried: list[int]) -> Blame:
        actions = self._slots.history[slot, : self.plies[slot]].tolist()
        return Blame(
            self.spec.name,
            int(self._slots.keys[slot]),
            actions,
            during,
            getattr(self.rules, during),
            tried,
        )

    def _seen_in_plain_python(self, blame: Blame, error: Exception) -> Exception | None:
        """The same error met again in plain Python, which knows the line where compiled code does
        not; None if it does not come again.
        """
        if isinstance(error, BrokenContractError):
            return None
        game = CompiledGame(self.rules.__name__, 1, name=self.spec.name, interpreted=True)
        try:
            game.reset(np.zeros(1, np.int64), np.array([blame.key], np.uint64))
            for action in blame.actions:
                game.step(np.array([action]))
            if blame.tried:
                game.win_or_block(np.zeros(1, np.int64))
        except GameFault as again:
            seen = again.__cause__
            same = type(seen) is type(error) or (
                isinstance(error, ZeroDivisionError) and isinstance(seen, FloatingPointError)
            )
            return (
                seen
                if isinstance(seen, Exception) and same and again.record["during"] == blame.during
                else None
            )
        except IllegalAction:  # in plain Python the match goes another way
            return None
        return None

    def _in_words(self, function: str, slot: int, *arguments: Any) -> str:
        try:
            return str(getattr(self.rules, function)(*arguments))
        except Exception as error:
            raise self._blame(slot, function, []).fault(error) from error


def _cannot_be_compiled(rules: str, error: Exception) -> ConfigurationError:
    """One line of what Numba tells in many: the beginning of its reasons, and the first place that
    it names.
    """
    reasons = [
        line.strip()
        for line in str(error).splitlines()
        if line.strip() and not line.startswith("Failed in")
    ]
    place = re.search(r'File "([^"]+)", (line \d+)', str(error))
    reason = " ".join([f"{type(error).__name__}:", *reasons[:2]])
    where = f" ({Path(place[1]).name}, {place[2]})" if place else ""
    remedy = "Numba's documentation says what it knows of Python and NumPy"
    return ConfigurationError(
        f"the rules in {rules} cannot be compiled{where}: {reason[:300]}", remedy=remedy
    )


def _fields(state: Any) -> str:
    """The fields of a row, one a line."""
    return "\n".join(f"{name}: {np.asarray(state[name]).tolist()}" for name in state.dtype.names)
