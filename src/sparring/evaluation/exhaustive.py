"""Proof by exhaustion for small games: every line that an opponent can choose against one
deterministic player.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.errors import InputError
from sparring.evaluation.matches import ask
from sparring.games.spec import BatchedGame
from sparring.opponents.players import Player

MAX_POSITIONS: Final = 200_000
_SLOTS: Final = 1024
_ALMOST_ONE: Final = 1.0 - 2.0**-53


@dataclass(frozen=True)
class SeatLines:
    """Lines of play with the player in one seat: complete matches that differ in at least one move
    of the opponent.
    """

    wins: int
    draws: int
    losses: int

    @property
    def lines(self) -> int:
        return self.wins + self.draws + self.losses


@dataclass(frozen=True)
class ExhaustiveResult:
    """Ends of all lines, as the player sees them; `seats[s]` has the lines with the player in
    seat s.
    """

    seats: tuple[SeatLines, SeatLines]

    @property
    def lines(self) -> int:
        return sum(seat.lines for seat in self.seats)

    @property
    def losses(self) -> int:
        return sum(seat.losses for seat in self.seats)


def exhaustive_losses(
    make_game: Callable[[int], BatchedGame], player: Player, *, max_positions: int = MAX_POSITIONS
) -> ExhaustiveResult:
    """Let an opponent try every legal move against `player`, from both seats, and count how the
    lines end.

    Breadth first; a position is its moves, replayed from the start, so any game without chance will
    do. Raises `InputError` for a game that is not for two players, has chance, or shows more than
    `max_positions` positions from one seat (the same position reached by other moves counts again),
    and for a player that answers differently when its random numbers do.
    """
    game = make_game(_SLOTS)
    spec = game.spec
    if spec.num_players != 2 or spec.chance:
        got = f"{spec.name} ({spec.num_players} players, {'with' if spec.chance else 'without'} chance)"
        raise InputError(
            "no exhaustive search in this game",
            got=got,
            expected="a game of two players without chance",
        )
    return ExhaustiveResult(
        (_search(game, player, 0, max_positions), _search(game, player, 1, max_positions))
    )


def _search(game: BatchedGame, player: Player, seat: int, max_positions: int) -> SeatLines:
    """All lines with `player` in `seat`."""
    wins = draws = losses = positions = 0
    frontier = np.zeros(
        (1, 0), dtype=np.int64
    )  # [f, depth] the moves that lead to each position of one depth
    while len(frontier):
        positions += len(frontier)
        if positions > max_positions:
            raise InputError(
                f"{game.spec.name} is too large for an exhaustive search", got=f"more than {max_positions} positions",
                remedy="play matches instead",
            )  # fmt: skip
        children = []
        for start in range(0, len(frontier), game.num_slots):
            moves = frontier[start : start + game.num_slots]
            returns = _replay(game, moves)
            over = (game.terminated | game.truncated)[: len(moves)]
            margin = (returns[:, seat] - returns[:, 1 - seat])[over]
            wins, draws, losses = (
                wins + int((margin > 0).sum()),
                draws + int((margin == 0).sum()),
                losses + int((margin < 0).sum()),
            )
            children.append(_children(game, player, seat, moves, np.flatnonzero(~over)))
        frontier = np.concatenate(children)
    return SeatLines(wins, draws, losses)


def _replay(game: BatchedGame, moves: NDArray[np.int64]) -> NDArray[np.float64]:
    """[f, 2] returns by seat, after playing `moves` [f, depth] from the start in the first f slots."""
    slots = np.arange(len(moves))
    game.reset(slots, np.zeros(len(moves), dtype=np.uint64))
    returns = np.zeros((len(moves), 2))
    for ply in range(moves.shape[1]):
        actions = np.full(game.num_slots, -1, dtype=np.int64)
        actions[slots] = moves[:, ply]
        game.step(actions)
        returns += game.rewards[slots]
    return returns


def _children(
    game: BatchedGame,
    player: Player,
    seat: int,
    moves: NDArray[np.int64],
    still_open: NDArray[np.int64],
) -> NDArray[np.int64]:
    """[c, depth + 1] the moves one ply on: the player's own move where it is its turn, else every
    legal one.
    """
    choices = game.mask[still_open].copy()
    mine = np.flatnonzero(game.seat[still_open] == seat)
    if len(mine):
        choices[mine] = False
        choices[mine, _answer(game, player, still_open[mine])] = True
    row, action = np.nonzero(choices)
    return np.column_stack((moves[still_open[row]], action))


def _answer(game: BatchedGame, player: Player, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """[m] the player's moves, asked with the lowest and the highest random numbers there are: a
    proof needs one answer.
    """
    low = ask(player, game, slots, np.zeros((len(slots), 2)))
    high = ask(player, game, slots, np.full((len(slots), 2), _ALMOST_ONE))
    if not np.array_equal(low, high):
        raise InputError(
            f"player {player.name!r} plays at random",
            expected="one move for each position",
            remedy="set its epsilon to 0",
        )
    return low
