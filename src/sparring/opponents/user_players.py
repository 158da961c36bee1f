"""Players of users: classes named `module:Class`, behind the protocol `Player`.

A class has at least one of these methods; the first one that the game allows is used:

- `choose(match) -> int`: the match itself, where the game is a plain class of a user;
- `act_batch(observations, masks) -> actions`: m positions at once, masks [m, A];
- `act(observation, mask) -> int`: the observation of the seat to move, and its legal actions [A].

It may have `reset(rng)`. One object decides in many matches side by side, and a resumed run has
another one in the middle of a match. So a decision follows from the position and from the generator
that `reset` gets before it (with `act_batch`, before each call), and from nothing else.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring import games, user_code
from sparring.errors import ConfigurationError, GameFault
from sparring.games import BatchedGame, has_user_matches
from sparring.games.faults import Blame, BrokenContractError, is_ctrl_c
from sparring.games.names import parse
from sparring.games.python.coerce import as_mask, as_observation
from sparring.games.python.game import LoopedGame
from sparring.games.rng import EXPLORATION, choose, derive_keys, restart, stream_key, uniforms
from sparring.games.user_objects import call, import_own
from sparring.opponents.names import MAX_EFFORT, is_agent

_METHODS: Final = ("choose", "act_batch", "act")
_RESERVED: Final = ("agent", "snapshot", *MAX_EFFORT)  # before the colon, of other players
_THOROUGH: Final = 16  # so many decisions apart everything that a match shows is compared
_TRIED_PLIES: Final = 8
_DECISION: Final = 0x5452_5941  # part of the keys of decisions, and of a trial's match
_MAX_LISTED: Final = 20

log = logging.getLogger(__name__)


def is_user_player(name: str) -> bool:
    """Return whether the name has the form `module:Class`, with arguments or without, and is not
    that of another player, as `minimax:4`, `ludo:greedy` and `agent:RUN` are. Imports nothing.
    """
    before = name.partition(":")[0]
    if before in _RESERVED or before in games.names():
        return False
    try:
        parsed = parse(name)
    except ConfigurationError:
        return False
    return user_code.is_importable_name(f"{parsed.scheme}:{parsed.target}")


def is_from_outside(name: str) -> bool:
    """Return whether the name is that of a user's player or of an agent."""
    return is_agent(name) or is_user_player(name)


def has_method(player: object) -> bool:
    """Return whether an object has one of the methods of players."""
    return any(callable(getattr(player, method, None)) for method in _METHODS)


def make_user_player(name: str) -> UserPlayer:
    """Make the player of that name. Raises `ConfigurationError` if its class does not exist, cannot
    be made, or has none of the methods.
    """
    parsed = parse(name)
    player = call(import_own(parsed, what="player"), parsed, parsed.arguments)
    return UserPlayer(name, player)


class UserPlayer:
    """`player`, an object of a user's class, behind the protocol `Player`.

    A position with a single legal action is not shown to it. Whatever it raises, and an answer that
    is no legal action, becomes a `GameFault` with the match.
    """

    def __init__(self, name: str, player: object) -> None:
        self.name = name
        self._player: Any = player
        self._methods = [m for m in _METHODS if callable(getattr(player, m, None))]
        if not self._methods:
            raise ConfigurationError(
                f"player {name} cannot play",
                got=f"{type(player).__name__} without act, act_batch and choose",
                expected="a method act(observation, mask) that returns an action",
            )
        self._reset = getattr(player, "reset", None)
        self._rng = np.random.Generator(np.random.PCG64())
        self._game: BatchedGame | None = None
        self._method = ""
        self._decisions = 0
        self.check_every = _THOROUGH

    def __repr__(self) -> str:
        return f"UserPlayer({self.name})"

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], draws: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        if game is not self._game:
            self._game, self._method = game, self.method_for(game)
        masks = game.mask[slots]
        actions: NDArray[np.int64] = np.where(masks.any(axis=1), masks.argmax(axis=1), -1)
        rows = np.flatnonzero(masks.sum(axis=1) > 1)
        if len(rows):
            ask = self._ask_for_all if self._method == "act_batch" else self._ask_one_by_one
            actions[rows] = ask(game, slots[rows], masks[rows], _keys(draws[rows]))
        return actions

    def method_for(self, game: BatchedGame) -> str:
        """Return the method that is asked in this game; raise `ConfigurationError` if the player
        has only `choose` and there is no match to show it.
        """
        if has_user_matches(game):
            return self._methods[0]
        others = [method for method in self._methods if method != "choose"]
        if not others:
            raise ConfigurationError(
                f"player {self.name} cannot play {game.spec.name}",
                got="choose(match) in a game that is not a plain Python class",
                expected="a method act(observation, mask)",
            )
        return others[0]

    def _ask_one_by_one(
        self,
        game: BatchedGame,
        slots: NDArray[np.int64],
        masks: NDArray[np.bool_],
        keys: NDArray[np.uint64],
    ) -> list[int]:
        observations = None if self._method == "choose" else game.observation[slots]
        actions = []
        for row, slot in enumerate(slots.tolist()):
            during = "reset"
            try:
                self._begin(int(keys[row]))
                during = self._method
                answer = (
                    self._ask_with_match(game, slot)
                    if observations is None
                    else self._player.act(observations[row], masks[row].copy())
                )
                actions.append(_as_action(answer, game.mask[slot]))
            except BaseException as error:
                raise self._fault(game, slot, during, error) from error
        return actions

    def _ask_for_all(
        self,
        game: BatchedGame,
        slots: NDArray[np.int64],
        masks: NDArray[np.bool_],
        keys: NDArray[np.uint64],
    ) -> NDArray[np.int64]:
        slot, during = int(slots[0]), "reset"
        try:
            self._begin(int(keys[0]))
            during = "act_batch"
            actions = _as_actions(self._player.act_batch(game.observation[slots], masks), slots)
            for slot, action in zip(slots.tolist(), actions.tolist(), strict=True):
                _as_action(action, game.mask[slot])
        except BrokenContractError as error:
            raise self._fault(game, slot, during, error) from error
        except BaseException as error:
            if len(slots) > 1 and not is_ctrl_c(error):
                for row in range(len(slots)):  # one that fails alone is the match to keep
                    one = slice(row, row + 1)
                    self._ask_for_all(game, slots[one], masks[one], keys[one])
            raise self._fault(game, slot, during, error) from error
        return actions

    def _ask_with_match(self, game: BatchedGame, slot: int) -> Any:
        """Ask with the match, and check that it was not changed: its seat and its generator each
        time, everything that it shows now and then.
        """
        assert isinstance(game, LoopedGame)
        match, rng = game.lent(slot)
        stream = rng.bit_generator.state
        answer = self._player.choose(match)
        if match.seat != game.seat[slot]:
            raise _changed("a match with another seat to move")
        if rng.bit_generator.state != stream:
            raise _changed("a match whose generator was drawn from")
        if self._decisions % self.check_every == 0:
            _check_shown(game, slot)
        self._decisions += 1
        return answer

    def _begin(self, key: int) -> None:
        """Give the player the generator of its next decision."""
        if self._reset is not None:
            restart(self._rng, key)
            self._reset(self._rng)

    def _fault(
        self, game: BatchedGame, slot: int, during: str, error: BaseException
    ) -> BaseException:
        if is_ctrl_c(error):
            return error
        key, actions = game.match_record(slot)  # type: ignore[attr-defined]
        method = getattr(type(self._player), during, None)
        return Blame(game.spec.name, key, actions, during, method, player=self.name).fault(error)


def _keys(draws: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Keys of decisions [m] from their draws [m, 2]."""
    bits = np.ascontiguousarray(draws).view(np.uint64)
    keys = np.empty(len(draws), np.uint64)
    derive_keys(np.uint64(_DECISION), bits[:, 0], bits[:, 1], keys)
    return keys


def _as_action(answer: Any, mask: NDArray[np.bool_]) -> int:
    """Return the answer as a legal action; raise `BrokenContractError` if it is none."""
    try:
        action = operator.index(answer)
    except TypeError:
        got = f"{type(answer).__name__} {answer!r:.60}"
        raise _no_action(got, mask, "return an int in every case") from None
    if not (0 <= action < len(mask) and mask[action]):
        raise _no_action(f"action {action}", mask, "return one that the mask allows")
    return action


def _as_actions(answers: Any, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the answers as integers [m]; raise `BrokenContractError` if they are none."""
    actions = np.asarray(answers)
    if actions.shape != slots.shape or actions.dtype.kind not in "iu":
        raise BrokenContractError(
            f"{actions.dtype} of shape {actions.shape}",
            f"{len(slots)} integers, one for each position",
            "return an array of actions",
        )
    return actions.astype(np.int64)


def _no_action(got: str, mask: NDArray[np.bool_], remedy: str) -> BrokenContractError:
    legal = np.flatnonzero(mask).tolist()
    listed = ", ".join(map(str, legal[:_MAX_LISTED])) + (", ..." * (len(legal) > _MAX_LISTED))
    return BrokenContractError(got, f"a legal action: {listed}", remedy)


def _changed(got: str) -> BrokenContractError:
    return BrokenContractError(
        got, "the match as it was", "choose must not change it: try moves on copy.deepcopy(match)"
    )


def _check_shown(game: LoopedGame, slot: int) -> None:
    """Compare what the match in a slot shows with what it showed before its player was asked."""
    spec, (match, _) = game.spec, game.lent(slot)
    mask = as_mask(match.mask(), (spec.num_actions,))
    dtype = np.dtype(spec.observation_dtype)
    seen = as_observation(match.observe(match.seat), dtype, spec.observation_shape)
    if not np.array_equal(mask, game.mask[slot]):
        raise _changed("a match with another mask")
    if not np.array_equal(seen, game.observation[slot]):
        raise _changed("a match with another observation")


def try_out(players: Iterable[UserPlayer], make_game: Callable[[int], BatchedGame]) -> None:
    """Ask each player twice in some positions of a random match, before anything is started.

    Raises `ConfigurationError` if it cannot play the game, fails, or answers with an illegal move.
    Warns if it answers the same question in two ways.
    """
    for player in players:
        try:
            same = _answers_alike(player, make_game(1))
        except GameFault as fault:
            if "player" not in fault.record:
                raise
            raise ConfigurationError(str(fault)) from fault
        if not same:
            log.warning(
                "warning: player %s answers differently when it is asked twice in one position: no "
                "two runs will be alike; let it remember nothing, and draw from the rng of a "
                "method reset(rng)",
                player.name,
            )


def _answers_alike(player: UserPlayer, game: BatchedGame) -> bool:
    slots, keys = np.zeros(1, np.int64), np.array([stream_key(_DECISION)], np.uint64)
    action, same = np.empty(1, np.int64), True
    game.reset(slots, keys)
    player.check_every = 1
    for _ in range(_TRIED_PLIES):
        if game.terminated[0] or game.truncated[0]:
            break
        draws = uniforms(keys, game.plies, EXPLORATION, 2)
        same &= bool(player.act(game, slots, draws) == player.act(game, slots, draws))
        choose(game.mask, draws[:, 1], action)
        game.step(action)
    player.check_every = _THOROUGH
    return same
