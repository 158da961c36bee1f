"""Batched matches between players, with varied openings and every seat played equally often.

Matches begin with some uniformly random legal plies, because deterministic players know few ways
to begin. An opening is nothing but a key and a number of plies. The key decides the game's own
chance and the random plies, so the same opening can be played again in any slot, for any
arrangement of the players, without storing a move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.errors import IllegalAction, InputError, shown
from sparring.games import make
from sparring.games.rng import EXPLORATION, OPENING, choose, derive_keys, stream_key, uniforms
from sparring.games.spec import BatchedGame, GameSpec
from sparring.opponents.players import Player

TRIES: Final = 8  # of an opening at full length
_MAX_MATCHES: Final = 10_000_000  # their results are in memory
# Parts of stream keys that keep evaluation apart from training, and openings apart from the
# players' draws.
_OPENINGS: Final = 0x4556_414C_0001
_MATCHES: Final = 0x4556_414C_0002
_MOVES: Final = np.uint64(0x4556_414C_0004)  # of hashes of moves


@dataclass(frozen=True)
class PlayedMatches:
    """Results of m matches of P players; rows P*k .. P*k+P-1 are the rotations of opening k.

    In rotation r, player p has seat (p + r) % P. The columns of `returns` are players, not seats:
    column 0 is the one under test. Openings count in `returns` and `plies`.
    """

    opening: NDArray[np.int64]  # [m]
    seat: NDArray[np.int64]  # [m] of player 0
    returns: NDArray[np.float64]  # [m, P] sum of each player's rewards
    plies: NDArray[np.int64]  # [m]
    truncated: NDArray[np.bool_]  # [m] cut at the ply limit
    sequence: NDArray[np.uint64]  # [m] a hash of all moves, openings included

    @property
    def distinct(self) -> int:
        """Number of matches that differ in their moves: deterministic players repeat themselves."""
        return len(np.unique(self.sequence))


class GameCache:
    """Games of one spec by their number of slots, each made once: constructors of users may be
    slow.
    """

    def __init__(self, spec: GameSpec) -> None:
        self.spec = spec
        self._made: dict[int, BatchedGame] = {}

    def __call__(self, num_slots: int) -> BatchedGame:
        if num_slots not in self._made:
            self._made[num_slots] = make(self.spec.name, num_slots)
        return self._made[num_slots]


def play_matches(
    make_game: Callable[[int], BatchedGame],
    players: Sequence[Player],
    *,
    matches: int,
    seed: int,
    opening_plies: int = 4,
    num_slots: int = 256,
) -> PlayedMatches:
    """Play `players` (one for each seat, the one under test first) against one another.

    Each opening (`opening_plies` random legal plies, see `default_opening_plies`, and the game's
    own chance) is played once in each rotation of the players over the seats. `matches` is
    therefore rounded up to a multiple of P. The results are a function of `seed`; `num_slots`, the
    number of matches played at a time, makes no difference as long as a player's answer in one slot
    does not depend on the other slots.
    """
    _check("matches", matches, least=1, most=_MAX_MATCHES)
    _check("num_slots", num_slots, least=1, most=_MAX_MATCHES)
    count = -(-matches // max(1, len(players)))
    game = make_game(min(num_slots, count * len(players)))
    _check("opening_plies", opening_plies, least=0, most=game.spec.max_plies)
    if len(players) != game.spec.num_players:
        raise InputError(
            "wrong number of players",
            got=len(players),
            expected=f"one for each of {game.spec.num_players} seats",
        )
    openings = draw_openings(game, count, plies=opening_plies, base=stream_key(_OPENINGS, seed))
    table = _Table(game, players, openings, base=stream_key(_MATCHES, seed))
    while table.busy:
        table.tick()
    return table.result


def choose_actions(
    player: Player, game: BatchedGame, slots: NDArray[np.int64], draws: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The player's actions [m] in `slots`; raises `IllegalAction` for -1, which would leave a slot
    idle for ever.
    """
    actions = player.act(game, slots, draws)
    if (actions < 0).any():
        expected = f"expected 0 to {game.spec.num_actions - 1}"
        raise IllegalAction(f"player {player.name!r} chose action {actions.min()}, {expected}")
    return actions


class _Table:
    """The n slots of a game, the m matches of P players scheduled on them, and the results so
    far.
    """

    def __init__(
        self, game: BatchedGame, players: Sequence[Player], openings: Openings, *, base: int
    ) -> None:
        P, m = len(players), len(openings) * len(players)
        self._game, self._openings = game, openings
        distinct = {id(player): player for player in players}
        self._players = list(distinct.values())  # a player with several seats acts once per tick
        # [P] index of each entry among the distinct players
        self._entry = np.array([list(distinct).index(id(player)) for player in players])
        self._num_matches = m
        self._begun = 0
        self._match = np.full(game.num_slots, -1)  # [n] number of a slot's match; -1: idle
        rotation = np.tile(np.arange(P), len(openings))
        self._keys = np.empty(m, dtype=np.uint64)
        derive_keys(np.uint64(base), np.repeat(np.arange(len(openings)), P), rotation, self._keys)
        self.result = PlayedMatches(
            opening=np.repeat(np.arange(len(openings)), P),
            seat=rotation,
            returns=np.zeros((m, P)),
            plies=np.zeros(m, dtype=np.int64),
            truncated=np.zeros(m, dtype=np.bool_),
            sequence=np.zeros(m, dtype=np.uint64),
        )
        self._begin(np.arange(game.num_slots))

    @property
    def busy(self) -> bool:
        return bool((self._match >= 0).any())

    def tick(self) -> None:
        """One ply in every slot that plays a match; slots whose match ends begin the next one."""
        game = self._game
        slots = np.flatnonzero(self._match >= 0)
        actions = self._choose(slots)
        game.step(actions)
        self._note(slots, actions)
        self._pay(slots)
        ended = slots[(game.terminated | game.truncated)[slots]]
        match = self._match[ended]
        self.result.plies[match] = game.plies[ended]
        self.result.truncated[match] = game.truncated[ended]
        self._begin(ended)

    def _begin(self, slots: NDArray[np.int64]) -> None:
        """Give each of the free `slots` the next scheduled match, or leave it idle when there is
        none.
        """
        self._match[slots] = -1
        slots = slots[: self._num_matches - self._begun]
        self._match[slots] = np.arange(self._begun, self._begun + len(slots))
        self._begun += len(slots)
        self._game.reset(slots, self._openings.keys[self.result.opening[self._match[slots]]])

    def _choose(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """[n] actions: random in openings, else of the player to move; -1 in idle slots."""
        game, actions = self._game, np.full(self._game.num_slots, -1, dtype=np.int64)
        match = self._match[slots]
        opening = self.result.opening[match]
        in_opening = game.plies[slots] < self._openings.plies[opening]
        actions[slots[in_opening]] = opening_actions(
            game, slots[in_opening], self._openings.keys[opening[in_opening]]
        )
        entry = (game.seat[slots] - self.result.seat[match]) % len(self._entry)
        acting = np.where(in_opening, -1, self._entry[entry])
        for index, player in enumerate(self._players):
            mine = slots[acting == index]
            if len(mine):
                draws = uniforms(self._keys[self._match[mine]], game.plies[mine], EXPLORATION, 2)
                actions[mine] = choose_actions(player, game, mine, draws)
        return actions

    def _note(self, slots: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Mix the actions [n] in `slots` into the hashes of their matches' moves."""
        match, hashes = self._match[slots], np.empty(len(slots), np.uint64)
        before = self.result.sequence.view(np.int64)[match]
        derive_keys(_MOVES, before, actions[slots], hashes)
        self.result.sequence[match] = hashes

    def _pay(self, slots: NDArray[np.int64]) -> None:
        """Add the rewards of the last step, by seat, to the returns, by player."""
        P = len(self._entry)
        match = self._match[slots]
        seats = (np.arange(P) + self.result.seat[match][:, None]) % P
        self.result.returns[match] += np.take_along_axis(self._game.rewards[slots], seats, axis=1)


def _check(name: str, value: int, *, least: int, most: int) -> None:
    if value < least:
        raise InputError(f"{name} is too small", got=value, expected=f"at least {least}")
    if value > most:
        raise InputError(f"{name} is too large", got=shown(value), expected=f"at most {most:,}")


@dataclass(frozen=True)
class Openings:
    """K openings: reset a slot with `keys[k]`, then play `opening_actions` until `plies[k]` have
    been played.
    """

    keys: NDArray[np.uint64]  # [K]
    plies: NDArray[np.int64]  # [K]

    def __len__(self) -> int:
        return len(self.keys)


def default_opening_plies(spec: GameSpec) -> int:
    """Random plies at the start of evaluation matches: 4, but at most an eighth of the ply limit,
    as they would decide a short game.
    """
    return min(4, spec.max_plies // 8)


def opening_actions(
    game: BatchedGame, slots: NDArray[np.int64], keys: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """[m] uniformly random legal actions in `slots`, a function of the openings' `keys` [m] and the
    plies played so far.
    """
    actions = np.empty(len(slots), np.int64)
    choose(game.mask[slots], uniforms(keys, game.plies[slots], OPENING, 1)[:, 0], actions)
    return actions


def draw_openings(game: BatchedGame, count: int, *, plies: int, base: int) -> Openings:
    """`count` openings of `plies` plies that leave the match open, a function of the 64-bit key
    `base`.

    Opening k at attempt a has its key from (base, k, a). An opening that ends the match is drawn
    again, `TRIES` times at full length and then once at each shorter one, down to no plies at all.
    """
    keys = np.empty(count, dtype=np.uint64)
    lengths = np.empty(count, dtype=np.int64)
    pending = np.arange(count)
    attempt = 0
    while len(pending):
        lengths[pending] = max(0, plies - max(0, attempt - TRIES + 1))
        drawn = np.empty(len(pending), dtype=np.uint64)
        derive_keys(np.uint64(base), pending, np.full(len(pending), attempt), drawn)
        keys[pending] = drawn
        if lengths[pending[0]] == 0:
            break
        pending = pending[_ended(game, drawn, int(lengths[pending[0]]))]
        attempt += 1
    return Openings(keys, lengths)


def _ended(game: BatchedGame, keys: NDArray[np.uint64], plies: int) -> NDArray[np.bool_]:
    """[K] the openings, by `keys` [K], whose match is over after `plies` random plies."""
    ended = np.empty(len(keys), dtype=np.bool_)
    for start in range(0, len(keys), game.num_slots):
        block = keys[start : start + game.num_slots]
        slots = np.arange(len(block))
        game.reset(slots, block)
        for _ in range(plies):
            still_open = slots[~(game.terminated | game.truncated)[slots]]
            actions = np.full(game.num_slots, -1, dtype=np.int64)
            actions[still_open] = opening_actions(game, still_open, block[still_open])
            game.step(actions)
        ended[start : start + len(block)] = (game.terminated | game.truncated)[slots]
    return ended
