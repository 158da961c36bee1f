"""Exhaustive search of small games: every line of play against one deterministic player."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.errors import InputError
from sparring.evaluation.matches import choose_actions
from sparring.games.spec import BatchedGame
from sparring.opponents.players import Player
from sparring.opponents.records import outcomes

MAX_POSITIONS: Final = 200_000
_SLOTS: Final = 1024
_ALMOST_ONE: Final = 1.0 - 2.0**-53


@dataclass(frozen=True)
class SeatLines:
    """Lines of play with the player in one seat: complete matches, each with other moves of the
    opponent.
    """

    wins: int
    draws: int
    losses: int
    cut: int  # at the ply limit

    @property
    def lines(self) -> int:
        return self.wins + self.draws + self.losses + self.cut


@dataclass(frozen=True)
class ExhaustiveResult:
    """Ends of all lines from the player's side; `seats[s]` has the lines with the player in
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
    """Try every legal move of an opponent against `player`, from both seats, and count how the
    lines end.

    The search is breadth first; a position is its moves, replayed from the start, so any game
    without chance can be searched. Raises `InputError` for a game that is not for two players, has
    chance, or has more than `max_positions` positions from one seat (the same position after other
    moves counts again), and for a player whose answer depends on its random numbers.
    """
    game = make_game(_SLOTS)
    spec = game.spec
    if spec.num_players != 2 or spec.chance:
        chance = "with" if spec.chance else "without"
        raise InputError(
            "no exhaustive search in this game",
            got=f"{spec.name} ({spec.num_players} players, {chance} chance)",
            expected="a game of two players without chance",
        )
    return ExhaustiveResult(
        (_search(game, player, 0, max_positions), _search(game, player, 1, max_positions))
    )


def _search(game: BatchedGame, player: Player, seat: int, max_positions: int) -> SeatLines:
    """Count all lines with `player` in `seat`."""
    results, cut, positions = [], 0, 0
    frontier = np.zeros((1, 0), dtype=np.int64)  # [f, depth] moves to each position of one depth
    while len(frontier):
        positions += len(frontier)
        if positions > max_positions:
            raise InputError(
                f"{game.spec.name} is too large for an exhaustive search",
                got=f"more than {max_positions} positions",
                remedy="play matches instead",
            )
        children = []
        for start in range(0, len(frontier), game.num_slots):
            moves = frontier[start : start + game.num_slots]
            returns = _replay(game, moves)
            over = (game.terminated | game.truncated)[: len(moves)]
            finished = game.terminated[: len(moves)]
            results.append(outcomes(returns[finished, seat], returns[finished, 1 - seat]))
            cut += int(over.sum() - finished.sum())
            children.append(_children(game, player, seat, moves, np.flatnonzero(~over)))
        frontier = np.concatenate(children)
    wins, draws, losses = (int((np.concatenate(results) == sign).sum()) for sign in (1, 0, -1))
    return SeatLines(wins, draws, losses, cut)


def _replay(game: BatchedGame, moves: NDArray[np.int64]) -> NDArray[np.float64]:
    """[f, 2] returns by seat, after `moves` [f, depth] from the start in the first f slots."""
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
    """[c, depth + 1] the moves extended by one ply: by the player's own move where it is its turn,
    else by every legal one.
    """
    choices = game.mask[still_open].copy()
    mine = np.flatnonzero(game.seat[still_open] == seat)
    if len(mine):
        choices[mine] = False
        choices[mine, _answer(game, player, still_open[mine])] = True
    row, action = np.nonzero(choices)
    return np.column_stack((moves[still_open[row]], action))


def _answer(game: BatchedGame, player: Player, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """[m] the player's moves. The lowest and the highest random numbers must give the same: a proof
    needs one answer.
    """
    low = choose_actions(player, game, slots, np.zeros((len(slots), 2)))
    high = choose_actions(player, game, slots, np.full((len(slots), 2), _ALMOST_ONE))
    if not np.array_equal(low, high):
        raise InputError(
            f"player {player.name!r} plays at random",
            expected="one move for each position",
            remedy="set its epsilon to 0",
        )
    return low
