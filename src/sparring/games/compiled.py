"""A game from a module of rules: the driver over its arrays, behind the batched protocol.

Rules are plain functions of one match, on one row `state` of a structured array; Numba compiles them with all that they call by name:

    SPEC: GameSpec                              what the game declares
    STATE: np.dtype                             the fields of a row, among them "seat": who decides now
    start(state, rng)                           set up a match in a zeroed row
    legal(state, mask)                          set the legal actions in `mask` [A], which comes cleared
    observe(state, observation)                 fill `observation`, which comes zeroed, as the seat to move sees it
    play(state, action, rewards, rng) -> bool   one ply: add to `rewards` [P], name the next seat; True ends the match

`rng` is the match's own stream, for `sparring.games.random.random_below`. Nothing else may be kept or drawn from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparring.errors import ConfigurationError, GameError, IllegalAction, InputError
from sparring.games.instances import load_driver, load_rules
from sparring.games.linking import interpreted as in_plain_python
from sparring.games.slots import STORED, allocate
from sparring.games.spec import GameSpec, StateTree


class CompiledGame:
    """`BatchedGame` of the rules in the module named `rules`; `interpreted` runs rules and driver in plain Python, for debugging."""

    def __init__(self, rules: str, num_slots: int, *, interpreted: bool = False) -> None:
        if num_slots < 1:
            raise ConfigurationError("a game needs slots", got=num_slots, expected="at least 1")
        module = load_rules(rules)
        driver = load_driver(module)
        link: Callable[[Any], Any] = in_plain_python if interpreted else lambda function: function
        self._reset, self._step = link(driver.reset), link(driver.step)
        self._refresh, self._win_or_block = link(driver.refresh), link(driver.win_or_block)
        self.spec: GameSpec = module.SPEC
        self.num_slots = num_slots
        self._slots = allocate(self.spec, module.STATE, num_slots)
        self._actions = np.full(num_slots, -1, np.int64)
        self._name_views()
        self._load()

    def _name_views(self) -> None:
        slots = self._slots
        self.seat, self.observation, self.mask, self.rewards = slots.seat, slots.observation, slots.mask, slots.rewards
        self.terminated, self.truncated, self.plies = slots.terminated, slots.truncated, slots.plies

    def _load(self) -> None:
        """Calls that change nothing, so that all machine code is there when the first match begins (and before a fork)."""
        nothing = np.empty(0, np.int64)
        self.reset(nothing, np.empty(0, np.uint64))
        self.step(self._actions)
        self._refresh(self._slots)
        self.win_or_block(nothing)

    def reset(self, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        chosen = self._chosen(slots)
        own_keys = np.array(keys, np.uint64)
        if own_keys.shape != chosen.shape:
            raise InputError("reset takes one key for each slot", got=own_keys.shape, expected=str(chosen.shape))
        self._reset(self._slots, chosen, own_keys)

    def step(self, actions: NDArray[np.int64]) -> None:
        if np.shape(actions) != self._actions.shape:
            expected = f"{self._actions.shape}, in which -1 leaves a slot as it is"
            raise InputError("step takes one action for each slot", got=np.shape(actions), expected=expected)
        np.copyto(self._actions, actions, casting="same_kind")
        bad = int(self._step(self._slots, self._actions))
        if bad >= 0:
            raise self._illegal(bad)

    def win_or_block(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        chosen = self._chosen(slots)
        out = np.zeros((len(chosen), self.spec.num_actions), np.bool_)
        self._win_or_block(self._slots, chosen, out)
        return out

    def get_state(self) -> StateTree:
        return {name: getattr(self._slots, name).copy() for name in STORED}

    def set_state(self, state: StateTree) -> None:
        for name in STORED:
            self._check_stored(name, state.get(name))
        for name in STORED:
            getattr(self._slots, name)[...] = state[name]
        self._refresh(self._slots)

    def _chosen(self, slots: ArrayLike) -> NDArray[np.int64]:
        """A copy of `slots`: the driver has machine code for one kind of array only, and would write past the end unchecked."""
        chosen = np.array(slots, np.int64)
        if chosen.ndim != 1 or (chosen.size and not 0 <= chosen.min() <= chosen.max() < self.num_slots):
            raise InputError("no such slots", got=f"{chosen.tolist()}", expected=f"a list of numbers from 0 to {self.num_slots - 1}")
        return chosen

    def _illegal(self, slot: int) -> IllegalAction:
        got = f"illegal action in slot {slot} of {self.spec.name}: got {self._actions[slot]}"
        if self.terminated[slot] or self.truncated[slot]:
            return IllegalAction(f"{got}, expected -1; the match there has ended: reset the slot first")
        return IllegalAction(f"{got}, expected one of {np.flatnonzero(self.mask[slot]).tolist()}; play legal actions only, see mask")

    def _check_stored(self, name: str, value: object) -> None:
        own = getattr(self._slots, name)
        if not isinstance(value, np.ndarray) or value.dtype != own.dtype or value.shape != own.shape:
            got = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else repr(value)
            raise GameError(
                f"state of {self.spec.name} does not fit in {name}: got {got}, expected {own.dtype} {own.shape}; "
                "it was saved by another game or with another number of slots"
            )
