"""Distance of an agent from perfect play at Connect Four: it plays greedily against a solver, from
both seats.

    python benchmarks/connect_four_solver.py runs/connect_four-1 --matches 12
    python benchmarks/connect_four_solver.py runs/connect_four-1 --opponent minimax:4 \\
        --opening-plies 4 --matches 500 --corrected-from 16

The solver knows of every legal move whether it wins, draws or loses. The perfect opponent is
`minimax:8`, corrected by it from some stones on (`--perfect-from`; before that, positions take
minutes): in a lost position any move is best, and `minimax:8` chooses one that makes it hard. With
`--corrected-from` the solver corrects the agent's moves from so many stones on: the figures for
some numbers of stones show when the agent makes its errors, and the score of perfect play.

It is the scheme of Pascal Pons, "Solving Connect 4: how to build a perfect AI"
(blog.gamesolver.org), written anew: bitboards, negamax with a transposition table, windows of width
one, moves that lose at once left out, the others in the order of the threats that they make and
then from the centre outwards. Differences: only signs are searched, so that every window is a
yes-or-no question; a slot of the table is a pair of entries, one of which is kept while it took
more work than the new one; positions equal their mirror images while there are few stones.

Early positions are kept in a file from one call to the next (`--cache`).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import tyro
from numba import njit
from numpy.typing import NDArray

from sparring import games
from sparring.cli.evaluate import load_agent
from sparring.errors import FileFormatError, InputError, SparringError
from sparring.evaluation import PlayedMatches, play_matches, score_matches
from sparring.games import BatchedGame
from sparring.opponents.found import find_agent
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.scripted import scripted_player
from sparring.storage.atomic import write_file

GAME: Final = "connect_four"
PERFECT: Final = "perfect"
# whose moves the perfect opponent makes where the outcome allows it: it puts a loss off, and sees a
# trap
ADVISER: Final = "minimax:8"
ROWS: Final = 6
COLUMNS: Final = 7
MOVES: Final = range(COLUMNS)
CACHED_STONES: Final = 12  # results with at most so many stones are kept in the file

_ZERO, _ONE, _FLAGS, _WORK = (np.uint64(number) for number in (0, 1, 15, 31))
_ABOVE_FLAGS, _ABOVE_WORK, _ABOVE = (np.uint64(bits) for bits in (4, 9, 56))
_STEPS: Final = tuple(
    (np.uint64(d), np.uint64(2 * d), np.uint64(3 * d)) for d in (ROWS, ROWS + 1, ROWS + 2)
)
_UP: Final = tuple(np.uint64(d) for d in (1, 2, 3))
_COLUMN: Final = np.array([((1 << ROWS) - 1) << (ROWS + 1) * c for c in MOVES], np.uint64)
_BOTTOM: Final = np.uint64(sum(1 << (ROWS + 1) * c for c in MOVES))
_BOARD: Final = np.uint64(sum(int(column) for column in _COLUMN))
_CENTRE_FIRST: Final = np.array([3, 2, 4, 1, 5, 0, 6])
_SHIFTS: Final = np.array([(ROWS + 1) * c for c in MOVES], np.uint64)
_SEVEN_BITS: Final = np.uint64(127)
_HASH: Final = np.uint64(0x9E3779B97F4A7C15)
_MIRRORED_STONES: Final = 16  # mirror images are looked for with fewer stones than this

# A table entry: key, 49 bits << 9 | logarithm of the nodes it took, 5 bits << 4 | what is known: >=
# 1, < 1, >= 0, < 0, a bit each.


@njit(cache=True)
def _fours(stones: Any, taken: Any) -> Any:
    """The free cells that complete a four of `stones`, `taken` being all stones."""
    cells = (stones << _UP[0]) & (stones << _UP[1]) & (stones << _UP[2])
    for one, two, three in _STEPS:
        pair = (stones << one) & (stones << two)
        cells |= pair & ((stones << three) | (stones >> one))
        pair = (stones >> one) & (stones >> two)
        cells |= pair & ((stones << one) | (stones >> three))
    return cells & (_BOARD ^ taken)


@njit(cache=True)
def _count(cells: Any) -> Any:
    count = 0
    while cells != _ZERO:
        cells &= cells - _ONE
        count += 1
    return count


@njit(cache=True)
def _mirror(cells: Any) -> Any:
    other = _ZERO
    for c in range(COLUMNS):
        other |= ((cells >> _SHIFTS[c]) & _SEVEN_BITS) << _SHIFTS[COLUMNS - 1 - c]
    return other


@njit(cache=True)
def _key(mover: Any, taken: Any, stones: Any) -> Any:
    """Pons' key: in each column the mover's stones, and a one in the lowest free cell."""
    key = mover + taken + _BOTTOM
    return min(key, _mirror(mover) + _mirror(taken) + _BOTTOM) if stones < _MIRRORED_STONES else key


@njit(cache=True)
def _sound_moves(mover: Any, taken: Any) -> Any:
    """The cells where a mover who cannot win at once does not lose to the next stone."""
    playable = (taken + _BOTTOM) & _BOARD
    threats = _fours(taken ^ mover, taken)
    forced = playable & threats
    if forced != _ZERO:
        if forced & (forced - _ONE) != _ZERO:
            return _ZERO
        playable = forced
    return playable & ~(threats >> _ONE)


@njit(cache=True)
def _sort_moves(mover: Any, taken: Any, sound: Any, row: Any, moves: Any) -> Any:
    """Put the sound cells into `moves[row]`, with the number of threats that each makes above them,
    most first; how many there are.
    """
    number = 0
    for c in _CENTRE_FIRST:
        cell = sound & _COLUMN[c]
        if cell != _ZERO:
            threats = np.uint64(_count(_fours(mover | cell, taken | cell)))
            at = number
            while at > 0 and moves[row, at - 1] >> _ABOVE < threats:
                moves[row, at] = moves[row, at - 1]
                at -= 1
            moves[row, at] = cell | threats << _ABOVE
            number += 1
    return number


@njit(cache=True)
def _reaches(
    table: Any, moves: Any, nodes: Any, mover: Any, taken: Any, stones: Any, least: Any
) -> Any:
    """Return 1 if a mover who cannot win at once gets at least `least` (0: a draw, 1: a win), else
    0.

    `table` is uint64 [2^k], `moves` uint64 [42, 7] is to work in, `nodes` [1] counts positions.
    """
    nodes[0] += 1
    sound = _sound_moves(mover, taken)
    if sound == _ZERO:
        return 0
    if stones >= ROWS * COLUMNS - 2:
        return 1 - least
    key = _key(mover, taken, stones)
    place = np.int64((key * _HASH) >> np.uint64(32)) & (table.shape[0] - 2)
    for entry in (table[place], table[place + 1]):
        if entry >> _ABOVE_WORK == key:
            known = (entry >> np.uint64(2 - 2 * least)) & np.uint64(3)
            if known != _ZERO:
                return np.int64(known >> _ONE)
    before, answer = nodes[0], 0
    for k in range(_sort_moves(mover, taken, sound, stones, moves)):
        if answer == 0:
            cell = moves[stones, k] & _BOARD
            answer = 1 - _reaches(
                table, moves, nodes, taken ^ mover, taken | cell, stones + 1, 1 - least
            )
    _store(table, place, key, least, answer, nodes[0] - before)
    return answer


@njit(cache=True)
def _store(table: Any, place: Any, key: Any, least: Any, answer: Any, work: Any) -> None:
    """Note an answer that took so much `work`: in the first entry if that took no more, else in the
    second.
    """
    logarithm = np.uint64(0)
    while work > 1:
        work >>= 1
        logarithm += _ONE
    flags = np.uint64(
        (10 if answer else 1) if least else (8 if answer else 5)
    )  # a win is no loss, and a loss no win
    for at in (place, place + 1):
        if table[at] >> _ABOVE_WORK == key:
            flags |= table[at] & _FLAGS
            table[at] = (
                key << _ABOVE_WORK
                | max(logarithm, (table[at] >> _ABOVE_FLAGS) & _WORK) << _ABOVE_FLAGS
                | flags
            )
            return
    if (table[place] >> _ABOVE_FLAGS) & _WORK <= logarithm:
        table[place + 1] = table[place]
        at = place
    else:
        at = place + 1
    table[at] = key << _ABOVE_WORK | logarithm << _ABOVE_FLAGS | flags


class Solver:
    """Outcomes of positions, by a table of `megabytes` and what `cache`, a file or None, remembers
    of early ones.

    A position is the stones of its mover and of the other, bits 7 * column + row; nobody has four
    yet.
    """

    def __init__(self, megabytes: float = 512, cache: Path | None = None) -> None:
        if not 1 <= megabytes <= 2**20:
            raise InputError("megabytes", got=megabytes, expected="1 to 1048576")
        self._table = np.zeros(1 << int(megabytes * 2**17).bit_length() - 1, np.uint64)
        self._moves = np.zeros((ROWS * COLUMNS, COLUMNS), np.uint64)
        self.nodes = np.zeros(1, np.int64)  # positions looked at
        self._cache = cache
        self._known: dict[str, list[int]] = (
            {} if cache is None or not cache.exists() else _read(cache)
        )  # least and most, by key

    def outcomes(self, mover: int, other: int) -> list[int | None]:
        """[7] what each column leads to for the mover: 1 a win, 0 a draw, -1 a loss, None where it
        is full.
        """
        after = [self._after(mover, other, column) for column in MOVES]
        return [
            None if mine is None else 1 if mine == 0 else -self.value(other, mine) for mine in after
        ]

    def best_columns(self, mover: int, other: int) -> list[int]:
        """The columns with the best outcome; asks no more than it takes to know them, which is half
        as much in the beginning.
        """
        after = {
            column: mine
            for column in MOVES
            if (mine := self._after(mover, other, column)) is not None
        }
        for hoped in (1, 0):
            best = [
                column
                for column, mine in after.items()
                if mine == 0 or not self.reaches(other, mine, 1 - hoped)
            ]
            if best:
                return best
        return list(after)

    def value(self, mover: int, other: int) -> int:
        """1, 0 or -1: what the mover gets."""
        return 1 if self.reaches(mover, other, 1) else int(self.reaches(mover, other, 0)) - 1

    def reaches(self, mover: int, other: int, least: int) -> bool:
        """Return whether the mover gets at least `least`, 0 or 1."""
        taken, own = np.uint64(mover | other), np.uint64(mover)
        stones = int(_count(taken))
        if _fours(own, taken) & (taken + _BOTTOM) & _BOARD:
            return True
        if stones == ROWS * COLUMNS:
            return least == 0
        name = str(_key(own, taken, stones))
        low, high = self._known.get(name, (-1, 1))
        if low >= least or high < least:
            return low >= least
        answer = bool(_reaches(self._table, self._moves, self.nodes, own, taken, stones, least))
        if stones <= CACHED_STONES:
            self._known[name] = [least, high] if answer else [low, least - 1]
            if self._cache is not None:
                self._cache.parent.mkdir(parents=True, exist_ok=True)
                write_file(self._cache, json.dumps(self._known, sort_keys=True).encode())
        return answer

    def _after(self, mover: int, other: int, column: int) -> int | None:
        """The mover's stones after a move; 0 if that wins, None if the column is full."""
        taken = np.uint64(mover | other)
        cell = (taken + _BOTTOM) & _COLUMN[column]
        if cell == _ZERO:
            return None
        return 0 if _fours(np.uint64(mover), taken) & cell else mover | int(cell)


def _read(cache: Path) -> dict[str, list[int]]:
    try:
        known: dict[str, list[int]] = {
            name: [low, high] for name, (low, high) in json.loads(cache.read_text()).items()
        }
    except (ValueError, AttributeError, TypeError):
        raise FileFormatError(
            f"{cache} holds no outcomes of Connect Four; delete it, or name another file"
        ) from None
    return known


class CorrectedPlayer:
    """Another player, but from so many `stones` on only with moves of the best outcome: its own
    where it is one, else any of them.

    `decisions` counts the moves made so, `corrected` those that were others than its own.
    """

    def __init__(
        self, player: Player, solver: Solver, stones: int, name: str = "corrected"
    ) -> None:
        self.name = name
        self._player = player
        self._solver = solver
        self._from = stones
        self.decisions = self.corrected = 0

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = self._player.act(game, slots, uniforms)
        for j in np.flatnonzero(game.plies[slots] >= self._from).tolist():
            best = self._solver.best_columns(
                *(_stones(plane) for plane in game.observation[slots[j]])
            )
            self.decisions += 1
            if actions[j] not in best:
                self.corrected += 1
                actions[j] = best[
                    int(uniforms[j, 0] * len(best))
                ]  # with the other number players choose among equals
        return actions


def _stones(plane: NDArray[np.int8]) -> int:
    """A plane [6, 7] of an observation as bits."""
    return sum(
        1 << (ROWS + 1) * int(column) + int(row)
        for row, column in zip(*np.nonzero(plane), strict=True)
    )


@dataclass(frozen=True)
class Settings:
    """Agent, opponent, matches and solver."""

    agent: Annotated[str, tyro.conf.Positional]
    """An agent file, or a run's directory or name."""
    opponent: str = PERFECT
    """perfect: `minimax:8`, corrected by the solver from `perfect_from` stones on; or a scripted
    player.
    """
    perfect_from: int = 8
    """Number of stones from which on the perfect opponent plays only moves with the best outcome;
    0: always, which takes hours.
    """
    matches: int = 12
    """From each seat."""
    opening_plies: int = 0
    """Random plies with which matches begin."""
    corrected_from: int | None = None
    """Number of stones from which on the solver corrects the agent; None: never."""
    seed: int = 0
    """Of openings, and of choices among equals."""
    megabytes: int = 512
    """Size of the transposition table, rounded down to a power of two."""
    cache: Path | None = Path(".cache/connect_four_outcomes.json")
    """File that keeps the outcomes of early positions."""
    json: bool = False
    """Print one JSON object as the last line."""


def by_seat(table: PlayedMatches) -> list[dict[str, int]]:
    """Wins, draws and losses of player 0 in each seat."""
    return [
        {
            name: int((np.sign(table.returns[table.seat == seat, 0]) == sign).sum())
            for name, sign in (("wins", 1), ("draws", 0), ("losses", -1))
        }
        for seat in (0, 1)
    ]


def main(settings: Settings) -> Mapping[str, Any]:
    """Play the matches; what came of them."""
    agent = load_agent(find_agent(settings.agent, "runs"))
    if agent.spec.game != GAME:
        raise InputError(
            "the solver knows one game", got=f"an agent for {agent.spec.game}", expected=GAME
        )
    solver = Solver(settings.megabytes, settings.cache)
    opponent: Player = scripted_player(
        ADVISER if settings.opponent == PERFECT else settings.opponent, GAME
    )
    if settings.opponent == PERFECT:
        opponent = CorrectedPlayer(opponent, solver, settings.perfect_from, PERFECT)
    stones = ROWS * COLUMNS if settings.corrected_from is None else settings.corrected_from
    player = CorrectedPlayer(NetworkPlayer("agent", agent.policy()), solver, stones)
    begun = time.perf_counter()
    table = play_matches(
        partial(games.make, GAME),
        [player, opponent],
        matches=2 * settings.matches,
        seed=settings.seed,
        opening_plies=settings.opening_plies,
    )
    seats = by_seat(table)
    for seat, counts in zip(("first", "second"), seats, strict=True):
        print(
            f"playing {seat}: " + ", ".join(f"{number} {name}" for name, number in counts.items())
        )
    score = score_matches(table).score
    print(f"score {score:.3f}")
    if settings.corrected_from is not None:
        print(
            f"from {stones} stones on {player.corrected:,} of {player.decisions:,} moves"
            " were corrected"
        )
    nodes, seconds = int(solver.nodes[0]), time.perf_counter() - begun
    print(f"{nodes:,} positions in {seconds:.0f} s")
    asked = {"agent": settings.agent, "opponent": settings.opponent, "matches": settings.matches}
    asked |= {"perfect_from": settings.perfect_from, "corrected_from": settings.corrected_from}
    return {
        **asked,
        "score": score,
        "seats": seats,
        "corrected": player.corrected,
        "positions": nodes,
    }


if __name__ == "__main__":
    given = tyro.cli(Settings)
    try:
        figures = main(given)
    except SparringError as error:
        print(f"connect_four_solver: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    if given.json:
        print(json.dumps(figures))
