"""A game from Match objects, one per slot: a loop in Python behind the batched protocol.

The objects are made once and used for match after match. Their values are checked and copied; a
wrong value, or an exception of theirs, becomes a `GameFault` with the line at fault and the match.
After a fault the game cannot be used any more: make another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, GameError, GameFault
from sparring.games.afterstates import Afterstates
from sparring.games.arrays import (
    allocate_actions,
    check_history,
    check_stored,
    chosen_slots,
    copy_actions,
    illegal_action,
    one_slot,
    own_keys,
    own_seats,
    played,
    widened,
)
from sparring.games.faults import Blame, BrokenContractError, is_ctrl_c
from sparring.games.lookahead import MAX_PAIRS, SearchedSlots
from sparring.games.python.afterstates import AfterMoves, declared
from sparring.games.python.coerce import (
    as_flag,
    as_mask,
    as_observation,
    as_outcome,
    as_rewards,
    as_seat,
    as_text,
    first_illegal,
    first_stuck,
)
from sparring.games.python.search import MatchSearch, Trials, no_legal_action
from sparring.games.rng import CHANCE, purpose_key, restart
from sparring.games.spec import Match, StateTree, check_size

_BOOL = np.dtype(np.bool_)
_STORED = ("keys", "plies", "rewards", "terminated")  # with the history; the rest is replayed


class LoopedGame(SearchedSlots):
    """`BatchedGame` of the matches that `new_match()` makes; `name` is the canonical name.

    `first`, if given, becomes the match of slot 0: one that was made to read its spec.

    A state has keys and actions, and `set_state` replays them. `win_or_block` tries moves on copies
    of the match; with chance or hidden information a copy would know more than the mover, and it
    returns all legal moves.
    """

    def __init__(
        self,
        name: str,
        new_match: Callable[[], Match],
        num_slots: int,
        *,
        first: Match | None = None,
    ) -> None:
        if num_slots < 1:
            raise ConfigurationError("a game needs slots", got=num_slots, expected="at least 1")
        made = [new_match()] if first is None else [first]
        self.spec = spec = declared(made[0].spec, name, made[0])
        check_size(name, spec.observation_bytes, spec.num_actions, num_slots)
        self.new_match = new_match
        # Not copies of one match: copies may share what the constructor makes per object.
        self._matches = [*made, *(new_match() for _ in range(num_slots - len(made)))]
        self._rngs = [np.random.Generator(np.random.PCG64()) for _ in range(num_slots)]
        self.num_slots = n = num_slots
        self.seat = np.zeros(n, np.int64)
        self.observation: NDArray[Any] = np.zeros(
            (n, *spec.observation_shape), spec.observation_dtype
        )
        self.mask = np.zeros((n, spec.num_actions), np.bool_)
        self.rewards = np.zeros((n, spec.num_players), np.float32)
        self.terminated = np.ones(n, np.bool_)  # takes no action before it is reset
        self.truncated = np.zeros(n, np.bool_)
        self.plies = np.zeros(n, np.int64)
        self._keys = np.zeros(n, np.uint64)
        self._limit = spec.max_plies
        self._history = allocate_actions(n, self._limit)
        self._actions = np.full(n, -1, np.int64)
        self._during = ""  # the method of the match that is running
        self._mask_shape, self._observation_shape = self.mask.shape[1:], self.observation.shape[1:]
        self._observation_dtype = self.observation.dtype
        self._shows_floats = self.observation.dtype.kind == "f"

    def __repr__(self) -> str:
        return f"LoopedGame({self.spec.name}, {self.num_slots} slots)"

    @property
    def first_match(self) -> Match:
        """The match of slot 0."""
        return self._matches[0]

    def allow_overtime(self, plies: int) -> None:
        """Cut matches so many plies after `spec.max_plies`; call it before the first match."""
        self._limit = self.spec.max_plies + plies

    def reset(self, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        chosen = chosen_slots(self, slots)
        self._keys[chosen] = own_keys(keys, chosen)
        self._begin(chosen)
        self._check_views(chosen)

    def step(self, actions: NDArray[np.int64]) -> None:
        copy_actions(actions, self._actions)
        self._refuse_illegal()
        self.rewards[...] = 0
        chosen = np.flatnonzero(self._actions >= 0)
        self._play(chosen, self._actions[chosen])
        self._check_views(chosen)

    def win_or_block(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        chosen = chosen_slots(self, slots)
        marked = self.mask[chosen]
        if not (self.spec.chance or self.spec.hidden_information):
            for row, slot in zip(marked, chosen.tolist(), strict=True):
                self._narrow(slot, row)
        return marked

    def observe_as(self, slots: NDArray[np.int64], seats: NDArray[np.int64]) -> NDArray[Any]:
        chosen = chosen_slots(self, slots)
        seen = np.zeros((len(chosen), *self._observation_shape), self._observation_dtype)
        for row, (slot, seat) in enumerate(
            zip(chosen.tolist(), own_seats(self, seats, chosen).tolist(), strict=True)
        ):
            if not self.terminated[slot]:
                self._during = "observe"
                try:
                    seen[row] = as_observation(
                        self._matches[slot].observe(seat),
                        self._observation_dtype,
                        self._observation_shape,
                    )
                except BaseException as error:
                    raise self._fault(slot, error) from error
        if self._shows_floats:
            self._refuse_nan(chosen, seen)
        return seen

    def afterstates(self, slots: NDArray[np.int64]) -> Afterstates:
        """See `AfterstateGame`; only for games whose spec offers them."""
        chosen = chosen_slots(self, slots)
        finder = AfterMoves(self.spec, self.mask[chosen])
        for j, action in np.argwhere(self.mask[chosen]).tolist():
            slot = int(chosen[j])
            try:
                finder.find(j, self._matches[slot], int(self.seat[slot]), action)
            except BaseException as error:
                self._during = finder.during
                raise self._fault(slot, error, [action]) from error
        return finder.found()

    def text(self, slot: int) -> str:
        slot = one_slot(self, slot)
        self._during = "__str__"
        try:
            return as_text(self._matches[slot])
        except BaseException as error:
            raise self._fault(slot, error) from error

    def action_text(self, slot: int, action: int) -> str:
        slot = one_slot(self, slot)
        in_words, self._during = getattr(self._matches[slot], "action_text", str), "action_text"
        try:
            return str(in_words(action))
        except BaseException as error:
            raise self._fault(slot, error) from error

    def get_state(self) -> StateTree:
        return {
            **{name: array.copy() for name, array in self._stored().items()},
            "history": played(self._history, self.plies),
        }

    def set_state(self, state: StateTree) -> None:
        own = self._stored()
        for name in _STORED:
            check_stored(self, name, state.get(name), own[name])
        check_history(self, state.get("history"), self._limit)
        if not np.all((state["plies"] >= 0) & (state["plies"] <= state["history"].shape[1])):
            raise self._cannot_restore("its plies and its actions differ in number")
        self._keys[...] = state["keys"]
        # No match ends before its first ply.
        begun = np.flatnonzero(~state["terminated"] | (state["plies"] > 0))
        self._clear()
        self._begin(begun)
        for ply in range(int(state["plies"].max())):
            self._play_again(begun[state["plies"][begun] > ply], state["history"][:, ply])
        if np.any(self.terminated != state["terminated"]):
            raise self._cannot_restore("the matches end elsewhere when they are replayed")
        self.rewards[...] = state["rewards"]
        self._check_views(begun)

    def _stored(self) -> dict[str, NDArray[Any]]:
        arrays = (self._keys, self.plies, self.rewards, self.terminated)
        return dict(zip(_STORED, arrays, strict=True))

    def _clear(self) -> None:
        """Clear all slots, as before their first reset."""
        for view in (self.seat, self.observation, self.mask, self.truncated, self.plies):
            view[...] = 0
        self.terminated[...] = True

    def _begin(self, chosen: NDArray[np.int64]) -> None:
        """Start the matches of the keys in the `chosen` slots [m]."""
        self.rewards[chosen] = 0
        self.terminated[chosen] = self.truncated[chosen] = False
        self.plies[chosen] = 0
        slot = -1
        try:
            for slot in chosen.tolist():
                self._during = "reset"
                self._matches[slot].reset(self._stream(slot))
                self._show(slot)
        except BaseException as error:
            raise self._fault(slot, error) from error

    def _stream(self, slot: int) -> np.random.Generator:
        """Return the slot's generator at the start of its match's stream."""
        restart(self._rngs[slot], int(purpose_key(self._keys[slot], CHANCE)))
        return self._rngs[slot]

    def _play(self, chosen: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Play one legal action in each of the `chosen` slots, both [m]."""
        plies = self.plies[chosen]
        self._history = widened(self._history, int(plies.max(initial=0)), self._limit)
        self._history[chosen, plies] = actions
        self.plies[chosen] = plies + 1
        slot, cut = -1, list[int]()
        try:
            for slot, action in zip(chosen.tolist(), actions.tolist(), strict=True):
                self._during = "step"
                rewards, ended = as_outcome(self._matches[slot].step(action))
                if rewards is not None:
                    self.rewards[slot] = as_rewards(rewards, self.spec.num_players)
                if ended is False or not as_flag(ended):
                    self._show(slot)
                elif getattr(self._matches[slot], "truncated", False) is True:
                    self._show(slot)
                    cut.append(slot)
                else:
                    self._end(slot)
        except BaseException as error:
            raise self._fault(slot, error) from error
        over = self.plies[chosen] >= self._limit
        self.truncated[chosen] = over & ~self.terminated[chosen]
        self.truncated[cut] = True

    def _end(self, slot: int) -> None:
        self.terminated[slot] = True
        self.seat[slot] = as_seat(self._matches[slot].seat, self.spec.num_players)
        self.mask[slot] = False
        self.observation[slot] = 0

    def _show(self, slot: int) -> None:
        """Copy seat, mask and observation of a match that goes on; values of the declared type need
        no conversion.
        """
        match = self._matches[slot]
        seat = match.seat
        if type(seat) is not int or not 0 <= seat < self.spec.num_players:
            seat = as_seat(seat, self.spec.num_players)
        self.seat[slot] = seat
        self._during = "mask"
        legal = match.mask()
        if (
            type(legal) is not np.ndarray
            or legal.dtype is not _BOOL
            or legal.shape != self._mask_shape
        ):
            legal = as_mask(legal, self._mask_shape)
        self.mask[slot] = legal
        self._during = "observe"
        seen = match.observe(seat)
        if (
            type(seen) is not np.ndarray
            or seen.dtype is not self._observation_dtype
            or seen.shape != self._observation_shape
        ):
            seen = as_observation(seen, self._observation_dtype, self._observation_shape)
        self.observation[slot] = seen

    def _refuse_illegal(self) -> None:
        slot = first_illegal(self._actions, self.mask, self.truncated)
        if slot >= 0:
            raise illegal_action(self, slot, int(self._actions[slot]))

    def _check_views(self, chosen: NDArray[np.int64]) -> None:
        """Check all matches at once: those that go on have a legal action, floats are finite."""
        slot = first_stuck(chosen, self.mask, self.terminated)
        if slot >= 0:
            self._during = "mask"
            raise self._fault(slot, no_legal_action())
        if self._shows_floats:
            self._refuse_nan(chosen, self.observation[chosen])

    def _refuse_nan(self, chosen: NDArray[np.int64], shown: NDArray[Any]) -> None:
        """Check that floats `shown` [m, ...] in the `chosen` slots [m] are finite."""
        if not np.isfinite(shown).all():
            self._during = "observe"
            bad = ~np.isfinite(shown.reshape(len(chosen), self.spec.observation_size)).all(axis=1)
            error = BrokenContractError(
                "NaN or infinity", "finite numbers", "observe finite numbers only"
            )
            raise self._fault(int(chosen[bad.argmax()]), error)

    def _play_again(self, chosen: NDArray[np.int64], actions: NDArray[Any]) -> None:
        """Replay one ply of a stored match in each of the `chosen` slots [m]; `actions` [n] come
        from a file.
        """
        again = actions[chosen].astype(np.int64)
        inside = (again >= 0) & (again < self.spec.num_actions) & ~self.truncated[chosen]
        if not np.all(inside & self.mask[chosen, np.where(inside, again, 0)]):
            raise self._cannot_restore("its actions are not legal when they are replayed")
        self._play(chosen, again)

    def _cannot_restore(self, why: str) -> GameError:
        remedy = "its rules have changed since, or use other randomness than the match's rng"
        return GameError(f"state of {self.spec.name} does not fit: {why}; {remedy}")

    def _narrow(self, slot: int, legal: NDArray[np.bool_]) -> None:
        """Remove from the `legal` moves [A] all but those of `win_or_block`."""
        trials = Trials(self._matches[slot], int(self.seat[slot]), self.spec.num_players)
        try:
            marked = trials.winning(legal)
            another_turn = self.plies[slot] + 1 < self._limit  # the next seat can still win
            pairs = int(np.count_nonzero(legal)) ** 2
            if another_turn and pairs <= MAX_PAIRS and not marked.any():
                marked = trials.blocking(legal)
        except BaseException as error:
            self._during = trials.during
            raise self._fault(slot, error, trials.actions) from error
        if marked.any():
            legal[...] = marked

    def _searched(self, how: str, slot: int, *arguments: Any) -> Any:
        """Return the result of a search from one slot. If the game fails in a line of it, the match
        is replayed along that line, which raises the fault.
        """
        trials = Trials(self._matches[slot], int(self.seat[slot]), self.spec.num_players)
        left = self._limit - int(self.plies[slot])
        search = MatchSearch(
            trials, self._matches[slot], int(self.seat[slot]), self.mask[slot], left
        )
        try:
            return getattr(search, how)(*arguments)
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            raised = error
        again = LoopedGame(self.spec.name, self.new_match, 1)
        again.reset(np.zeros(1, np.int64), self._keys[slot : slot + 1])
        for action in [*self._history[slot, : self.plies[slot]].tolist(), *trials.actions]:
            again.step(np.array([action]))
        self._during = trials.during  # only copies fail
        raise self._fault(slot, raised, trials.actions) from raised

    def lent(self, slot: int) -> tuple[Match, np.random.Generator]:
        """Return the match in a slot and its generator; the caller must not change them."""
        return self._matches[slot], self._rngs[slot]

    def match_record(self, slot: int) -> tuple[int, list[int]]:
        return int(self._keys[slot]), self._history[slot, : self.plies[slot]].tolist()

    def _fault(self, slot: int, error: BaseException, tried: Sequence[int] = ()) -> GameFault:
        method = getattr(type(self._matches[slot]), self._during, None)
        record = self.match_record(slot)
        return Blame(self.spec.name, *record, self._during, method, tried).fault(error)
