from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from toy_game import AGAIN, MAX_PLIES, PASS, WIN, Always, AtRandom, ToyGame

from sparring import games
from sparring.errors import IllegalAction, InputError
from sparring.evaluation.exhaustive import SeatLines, exhaustive_losses

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


def quiet_toy(num_slots):
    return ToyGame(num_slots, chance=False)


def three(stones):
    return any(all(stones[cell] for cell in line) for line in LINES)


@cache
def value(mine, theirs):
    """+1, 0 or -1 for the side to move; plain rules, tuples of nine 0/1 each."""
    if three(theirs):
        return -1
    free = [cell for cell in range(9) if not mine[cell] and not theirs[cell]]
    return max((-value(theirs, put(mine, cell)) for cell in free), default=0)


def put(stones, cell):
    return (*stones[:cell], 1, *stones[cell + 1 :])


def first_legal(mine, theirs):
    return next(cell for cell in range(9) if not mine[cell] and not theirs[cell])


def minimax(mine, theirs):
    free = [cell for cell in range(9) if not mine[cell] and not theirs[cell]]
    return max(free, key=lambda cell: -value(theirs, put(mine, cell)))


class BoardPlayer:
    """Plays tic_tac_toe by a function of (mine, theirs)."""

    def __init__(self, rule):
        self.name = rule.__name__
        self.rule = rule

    def act(self, game, slots, uniforms):
        boards = game.observation[slots].reshape(-1, 2, 9).astype(int).tolist()
        return np.array([self.rule(tuple(mine), tuple(theirs)) for mine, theirs in boards])


def count(rule, seat):
    """Wins, draws and losses over all lines against `rule` in `seat`: plain recursion, no game
    object.
    """
    ends = [0, 0, 0]

    def go(mine, theirs, mover):
        free = [cell for cell in range(9) if not mine[cell] and not theirs[cell]]
        if three(theirs):  # the side that has just moved made three
            ends[0 if mover != seat else 2] += 1
        elif not free:
            ends[1] += 1
        else:
            for cell in [rule(mine, theirs)] if mover == seat else free:
                go(theirs, put(mine, cell), 1 - mover)

    go((0,) * 9, (0,) * 9, 0)
    # `three(theirs)` at the turn of `mover` means that the other side won; the other side is the
    # player when mover != seat.
    return SeatLines(*ends, cut=0)


@pytest.mark.parametrize("rule", [minimax, first_legal])
def test_every_line_of_tic_tac_toe(rule):
    result = exhaustive_losses(lambda slots: games.make("tic_tac_toe", slots), BoardPlayer(rule))
    assert result.seats == (count(rule, 0), count(rule, 1))
    assert result.lines == sum(seat.lines for seat in result.seats)
    if rule is minimax:
        assert result.losses == 0
    else:
        assert result.losses > 0


def test_all_lines_of_the_toy_game():
    # In seat 0 the player wins at its first ply. In seat 1 the opponent moves first and can win at
    # its n-th ply after n-1 times AGAIN (n = 1..8), be cut after eight times AGAIN, or PASS at its
    # n-th ply (n = 1..7: the player wins; n = 8: cut).
    result = exhaustive_losses(quiet_toy, Always(WIN))
    assert result.seats == (
        SeatLines(wins=1, draws=0, losses=0, cut=0),
        SeatLines(wins=MAX_PLIES - 1, draws=0, losses=MAX_PLIES, cut=2),
    )
    # A player that keeps the turn for ever allows one line from seat 0.
    assert exhaustive_losses(quiet_toy, Always(AGAIN)).seats[0] == SeatLines(
        wins=0, draws=0, losses=0, cut=1
    )


def test_rewards_add_up_over_a_line():
    # The opponent moves first and takes 0.5 for each of n times AGAIN. Then it wins (n = 0..7), or
    # passes and pays 1 to the player that wins (n = 0..6): it has still lost for n < 4, drawn for
    # 4, won for 5 and 6. Eight plies without an end are cut.
    result = exhaustive_losses(lambda slots: ToyGame(slots, chance=False, wage=0.5), Always(WIN))
    assert result.seats[1] == SeatLines(wins=4, draws=1, losses=MAX_PLIES + 2, cut=2)


def test_frontiers_larger_than_the_batch(monkeypatch):
    whole = exhaustive_losses(quiet_toy, Always(PASS))
    assert whole.lines > 100
    monkeypatch.setattr("sparring.evaluation.exhaustive._SLOTS", 3)
    assert exhaustive_losses(quiet_toy, Always(PASS)) == whole


def test_a_large_game_is_refused():
    with pytest.raises(
        InputError,
        match=r"^connect_four is too large for an exhaustive search: got more than 3000 positions",
    ):
        exhaustive_losses(
            lambda slots: games.make("connect_four", slots), AlwaysFirst(), max_positions=3000
        )


class AlwaysFirst:
    name = "first legal"

    def act(self, game, slots, uniforms):
        return game.mask[slots].argmax(axis=1)


def test_games_of_chance_or_more_than_two_players_are_refused():
    with pytest.raises(
        InputError,
        match=r"got toy \(2 players, with chance\), expected a game of two players without chance",
    ):
        exhaustive_losses(ToyGame, Always(WIN))
    with pytest.raises(InputError, match=r"got toy \(3 players, without chance\)"):
        exhaustive_losses(lambda slots: ToyGame(slots, num_players=3, chance=False), Always(WIN))


def test_a_player_that_plays_at_random_is_refused():
    with pytest.raises(
        InputError,
        match=r"^player 'at random' plays at random: expected one move for each position;",
    ):
        exhaustive_losses(quiet_toy, AtRandom())


def test_a_player_that_does_not_move_is_refused():
    with pytest.raises(IllegalAction, match="'always -1' chose action -1"):
        exhaustive_losses(quiet_toy, Always(-1))
