"""A game from a module of rules: the driver over its arrays, behind the batched protocol.

Rules are plain functions on one row `state` of a structured array; Numba compiles them with all
that they call by name:

    SPEC: GameSpec                    declared facts of the game
    STATE: np.dtype                   the fields of a row, among them "seat", the seat to move
    start(state, rng)                 set up a match in a zeroed row
    legal(state, mask)                set the legal actions in `mask` [A], all False at first
    observe(state, observation)       fill `observation`, zeroed at first, for the seat to move
    play(state, action, rewards, rng) -> bool
                                      one ply: add to `rewards` [P], set the next seat; True ends
                                      the match

`rng` is the match's own stream, for `sparring.games.rng.random_below`; rules keep no other state
and draw from nothing else. Rules with chance may split `play`, so that positions after a move have
values (`games/afterstates.py`):

    move(state, action, rewards, rng) -> bool
                                      what `play` does before it draws: add to `rewards`, set the
                                      seat that draws or moves next; True ends the match

`observe` must then accept such a position, before the draw. Some optional functions are never
compiled:

    place(state, observation)         set a row, zeroed but for `seat`, to what that seat sees so
    text(state) -> str                the position, for people
    action_text(state, action) -> str
                                      a legal action in words
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, GameError, GameFault, IllegalAction
from sparring.games.afterstates import Afterstates, empty_afterstates
from sparring.games.arrays import (
    STORED,
    allocate_slots,
    check_history,
    check_stored,
    chosen_slots,
    copy_actions,
    copy_slots,
    illegal_action,
    one_slot,
    own_keys,
    own_seats,
    played,
    widened,
)
from sparring.games.compiled.breaches import BREACHES, RULES
from sparring.games.compiled.cache import load_driver, load_rules
from sparring.games.compiled.jit import cannot_be_compiled
from sparring.games.compiled.jit import interpreted as in_plain_python
from sparring.games.compiled.searches import CompiledSearch
from sparring.games.faults import Blame, BrokenContractError, is_ctrl_c
from sparring.games.lookahead import SearchedSlots
from sparring.games.spec import GameSpec, StateTree, check_size, with_afterstates


class CompiledGame(SearchedSlots):
    """`BatchedGame` of the rules in the module named `rules`; `interpreted` runs rules and driver
    in plain Python, for debugging.

    `name` is the canonical name; by default that of the rules' SPEC, or their module's. After a
    `GameFault` the game cannot be used any more: make another.
    """

    def __init__(
        self, rules: str, num_slots: int, *, name: str | None = None, interpreted: bool = False
    ) -> None:
        if num_slots < 1:
            raise ConfigurationError("a game needs slots", got=num_slots, expected="at least 1")
        self.rules = module = load_rules(rules)
        self._driver = driver = load_driver(module)
        self._interpreted = interpreted
        self._search: CompiledSearch | None = None  # made at the first search: compiles for seconds
        link: Callable[[Any], Any] = in_plain_python if interpreted else lambda function: function
        self._reset, self._step, self._refresh = (
            link(driver.reset),
            link(driver.step),
            link(driver.refresh),
        )
        self._win_or_block, self._observe_as = link(driver.win_or_block), link(driver.observe_as)
        self._afterstates = link(driver.afterstates)
        self.spec: GameSpec = dataclasses.replace(
            with_afterstates(module.SPEC, draws_apart=hasattr(module, "move")),
            name=name or module.SPEC.name or rules,
        )
        check_size(self.spec.name, self.spec.observation_bytes, self.spec.num_actions, num_slots)
        self.num_slots = num_slots
        self._slots = allocate_slots(self.spec, module.STATE, num_slots)
        self._steps_left = 0  # steps until the history may be full
        self._actions = np.full(num_slots, -1, np.int64)
        self._name_views()
        try:
            self._load()
        except Exception as error:
            raise cannot_be_compiled(rules, error) from error

    def __repr__(self) -> str:
        how = ", interpreted" if self._interpreted else ""
        return f"CompiledGame({self.spec.name}, {self.num_slots} slots{how})"

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
        """Load or compile what every match needs, by calls that change nothing; all else is loaded
        or compiled at its first call.
        """
        nothing = np.empty(0, np.int64)
        self.reset(nothing, np.empty(0, np.uint64))
        self.step(self._actions)

    def reset(self, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        chosen = chosen_slots(self, slots)
        self._call(self._reset, chosen, own_keys(keys, chosen))

    def step(self, actions: NDArray[np.int64]) -> None:
        copy_actions(actions, self._actions)
        if self._steps_left <= 0:
            self._widen_history()
        self._steps_left -= 1
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

    def afterstates(self, slots: NDArray[np.int64]) -> Afterstates:
        """See `AfterstateGame`; only for games whose spec offers them."""
        chosen = chosen_slots(self, slots)
        after = empty_afterstates(self.spec, self.mask[chosen])
        self._call(self._afterstates, chosen, *after)
        return after._replace(observation=after.observation[: after.row.max(initial=-1) + 1])

    def observe_other(self, other: CompiledGame, slots: NDArray[np.int64]) -> NDArray[Any]:
        """[m, *observation_shape]: the position in `slots` [m] of `other`, a game with the same
        states, as these rules show it to the seat to move; zeros after `terminated`.
        """
        chosen = chosen_slots(other, slots)
        out = np.zeros((len(chosen), *self.spec.observation_shape), self.spec.observation_dtype)
        other._call(self._observe_as, chosen, other.seat[chosen], out)
        return out

    def copied(
        self, slots: NDArray[np.int64], streams: NDArray[np.uint64] | None = None
    ) -> CompiledGame:
        """Copies of the matches in `slots` [m], each in a slot of its own of another game; with
        `streams` [m] they draw from the beginning of the streams of these keys.
        """
        chosen = chosen_slots(self, slots)
        other = copy.copy(self)
        other._slots = copy_slots(self._slots, chosen)
        other.num_slots, other._search, other._steps_left = len(chosen), None, 0
        other._actions = np.full(len(chosen), -1, np.int64)
        if streams is not None:
            other._slots.rng[:, 0], other._slots.rng[:, 1] = streams, 0
        other._name_views()
        return other

    @property
    def draws(self) -> NDArray[np.uint64]:
        """[n] numbers that have been drawn in each match."""
        return self._slots.rng[:, 1]

    def alike(self, groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """One slot for each of the positions that differ within the groups [n], in the order of the
        slots, and how many slots of the group have it.
        """
        n = self.num_slots
        parts = groups, self._slots.states, self.rewards, self.terminated
        rows = np.concatenate([part.view(np.uint8).reshape(n, -1) for part in parts], axis=1)
        whole = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
        _, first, counts = np.unique(whole, return_index=True, return_counts=True)
        order = first.argsort()
        return first[order], counts[order]

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
        check_history(self, state.get("history"), self.spec.max_plies)
        ended = state["terminated"] | state["truncated"]
        # At the limit the history has no space for another action.
        limit = np.minimum(self.spec.max_plies - ~ended, state["history"].shape[1])
        if np.any((state["plies"] < 0) | (state["plies"] > limit)):
            raise self._damaged("plies", state["plies"].max(), "fewer")
        seats = state["states"]["seat"]
        if np.any((seats < 0) | (seats >= self.spec.num_players)):
            raise self._damaged("seat", seats.max(), "a seat")
        for name in STORED:
            getattr(self._slots, name)[...] = state[name]
        self._widen_history()
        longest = int(state["plies"].max())
        self._slots.history[:, :longest] = state["history"][:, :longest]
        self._call(self._refresh)

    def _damaged(self, field: str, got: int, expected: str) -> GameError:
        what = f"state of {self.spec.name} does not fit in {field}"
        return GameError(f"{what}: got {got}, expected {expected}; it is damaged")

    def _widen_history(self) -> None:
        """Make the history wide enough for the next action of every match: compiled code writes to
        it unchecked. No view changes.
        """
        longest, limit = int(self._slots.plies.max()), self.rules.SPEC.max_plies
        self._slots = self._slots._replace(history=widened(self._slots.history, longest, limit))
        width = self._slots.history.shape[1]
        self._steps_left = width - longest if width < limit else sys.maxsize

    def _call(self, function: Callable[..., Any], *arguments: NDArray[Any]) -> None:
        """Call a function of the driver; a breach of the contract by the rules, or an exception of
        theirs, becomes a `GameFault`.
        """
        self._slots.cursor[:] = -1
        try:
            with self._numpy_errors():
                wrong = function(self._slots, *arguments)
        except BaseException as error:
            if self._slots.cursor[0] < 0:  # before any match
                raise
            raise self._fault(error) from error
        if wrong == self._driver.ILLEGAL_ACTION:
            slot = int(self._slots.cursor[0])
            raise illegal_action(self, slot, int(self._actions[slot]))
        if wrong != self._driver.FINE:
            raise self._fault(self._breach(wrong))

    def _numpy_errors(self) -> AbstractContextManager[None]:
        """Make interpreted rules raise on a division by zero, as compiled ones do."""
        return np.errstate(divide="raise") if self._interpreted else nullcontext()

    def _searched(self, how: str, slot: int, *arguments: Any) -> Any:
        """Return the result of a search from one slot. If the rules fail in a line of it, that line
        is played, which raises their fault.
        """
        self._search = search = self._search or CompiledSearch(
            self.rules, interpreted=self._interpreted
        )
        found, raised = None, None
        try:
            with self._numpy_errors():
                found = getattr(search, how)(self._slots, slot, *arguments)
        except BaseException as error:
            raised = error
        if found is None:
            self._play_line(slot, search.line)
            what = f"game {self.spec.name} fails in a search, but not in play"
            raise raised or GameError(f"{what}; its rules use more than state and rng")
        return found

    def _play_line(self, slot: int, line: list[int]) -> None:
        """Replay the match in `slot` in another game, then `line`; raises `GameFault` if the rules
        fail.
        """
        game = CompiledGame(
            self.rules.__name__, 1, name=self.spec.name, interpreted=self._interpreted
        )
        game.reset(np.zeros(1, np.int64), self._slots.keys[slot : slot + 1])
        for action in [*self._slots.history[slot, : self.plies[slot]].tolist(), *line]:
            game.step(np.array([action]))

    def _breach(self, wrong: int) -> BrokenContractError:
        """Describe the breach that the driver found; moves the cursor to the function at fault."""
        [(function, *texts)] = [
            breach for name, breach in BREACHES.items() if getattr(self._driver, name) == wrong
        ]
        slot = self._slots.cursor[0]
        self._slots.cursor[1] = RULES.index(
            "start" if function == "play" and self.plies[slot] == 0 else function
        )
        values = {
            "seat": self.seat[slot],
            "last_seat": self.spec.num_players - 1,
            "rewards": self.rewards[slot].tolist(),
        }
        if function == "observe":
            values |= self._misfit()
        return BrokenContractError(*(text.format(**values) for text in texts))

    def _misfit(self) -> dict[str, object]:
        """Return the first number of the last observation that does not fit, and the limits."""
        dtype = np.dtype(self.spec.observation_dtype)
        if dtype.kind not in "iu":
            return {}
        limits = np.iinfo(dtype)
        wide = self._slots.wide[(self._slots.wide < limits.min) | (self._slots.wide > limits.max)]
        misfit = wide[0] if len(wide) else None
        return {"misfit": misfit, "dtype": dtype, "lowest": limits.min, "highest": limits.max}

    def _fault(self, error: BaseException) -> GameFault:
        if is_ctrl_c(error):
            raise error
        slot, running, *tried = self._slots.cursor.tolist()
        blame = self._blame(slot, RULES[running], [action for action in tried if action >= 0])
        return blame.fault(
            error, None if self._interpreted else self._seen_in_plain_python(blame, error)
        )

    def match_record(self, slot: int) -> tuple[int, list[int]]:
        actions: list[int] = self._slots.history[slot, : self.plies[slot]].tolist()
        return int(self._slots.keys[slot]), actions

    def _blame(self, slot: int, during: str, tried: list[int]) -> Blame:
        method = getattr(self.rules, during)
        return Blame(self.spec.name, *self.match_record(slot), during, method, tried)

    def _seen_in_plain_python(self, blame: Blame, error: BaseException) -> BaseException | None:
        """Return the same error raised in plain Python, which has a line number; None if it does
        not occur again.
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
                if seen is not None and same and again.record["during"] == blame.during
                else None
            )
        except IllegalAction:  # the match differs in plain Python
            return None
        return None

    def _in_words(self, function: str, slot: int, *arguments: Any) -> str:
        try:
            return str(getattr(self.rules, function)(*arguments))
        except BaseException as error:
            raise self._blame(slot, function, []).fault(error) from error


def _fields(state: Any) -> str:
    """Return the fields of a row, one per line."""
    return "\n".join(f"{name}: {np.asarray(state[name]).tolist()}" for name in state.dtype.names)
