from __future__ import annotations

import numpy as np
import pytest
from tables import CARDS, FirstPlayer, conversation, session, untrained

from sparring.games import BatchedGame, GameSpec
from sparring.opponents.scripted import RandomPlayer
from sparring.play import text
from sparring.play.match import PlaySession, Result


@pytest.mark.parametrize(
    ("actions", "shown"),
    [([], ""), ([4], "4"), ([0, 1, 2], "0-2"), ([0, 2, 3, 7], "0, 2-3, 7")],
)
def test_ranges(actions: list[int], shown: str) -> None:
    assert text.ranges(actions) == shown


@pytest.mark.parametrize(
    ("game", "seat", "expected"),
    [
        ("tic_tac_toe", 1, "You have seat 1 (O), first has seat 0 (X)."),
        ("ludo(num_players=4)", 1, "You have seat 1 (B), first has seats 0 (A), 2 (C) and 3 (D)."),
        (CARDS, 2, "You have seat 2, first has seats 0 and 1."),
    ],
)
def test_seats_of_both_sides(game: str, seat: int, expected: str) -> None:
    assert text.places(session(game, seat=seat)) == expected


def test_an_observation_in_numbers() -> None:
    assert text.numbers_text(np.array([0, 1, -3, 0], np.int8)) == " .  1 -3  ."
    assert text.numbers_text(np.array([[1, 0], [0, 2]], np.int8)) == "1 .\n. 2"
    assert text.numbers_text(np.array([[[1, 0]], [[0, 1]]], np.bool_)) == "1 .\n\n. 1"
    assert text.numbers_text(np.array([0.0, 0.25, 1 / 3], np.float32)) == "     .   0.25 0.3333"
    long = text.numbers_text(np.ones(100, np.int8)).splitlines()
    assert [len(line) for line in long] == [75, 75, 47]


class Seats:
    """The parts that a session needs of a game whose match is over."""

    num_slots = 1

    def __init__(self, players: int, truncated: bool) -> None:
        self.spec = GameSpec(
            name="seats",
            num_players=players,
            num_actions=2,
            observation_shape=(1,),
            observation_dtype="int8",
            max_plies=9,
        )
        self.truncated = np.array([truncated])
        self.terminated = ~self.truncated


@pytest.mark.parametrize(
    ("returns", "seat", "outcome", "truncated", "expected"),
    [
        ([1, -1], 0, "won", False, "You win (+1)."),
        ([1, -1], 1, "lost", False, "first wins (you: -1)."),
        ([0, 0], 1, "drawn", False, "Draw."),
        (
            [-0.0, 0],
            1,
            "cut",
            True,
            "The match was cut at the limit of 9 plies.",
        ),
        ([0.5, 2], 0, "cut", True, "The match was cut at the limit of 9 plies (you: +0.5)."),
        ([2.5], 0, "alone", False, "The match is over. Your return: +2.5."),
        ([0], 0, "alone", True, "The match is over. Your return: +0."),
        (
            [-1 / 3, 1, -1 / 3],
            2,
            "lost",
            False,
            "seat 1 (first) wins (you: -0.333).",
        ),
        (
            [0.5, 0, 0.5],
            1,
            "lost",
            False,
            "seat 0 (first) and seat 2 (first) win.",
        ),
        (
            [0.5, 0, 0.5],
            2,
            "drawn",
            False,
            "seat 0 (first) and you share the win (+0.5).",
        ),
    ],
)
def test_how_a_match_ended(
    returns: list[float], seat: int, outcome: str, truncated: bool, expected: str
) -> None:
    game: BatchedGame = Seats(len(returns), truncated)
    table = PlaySession(game, untrained(), FirstPlayer(), seat=seat, seed=0)
    table.returns[:] = returns
    assert table._outcome() == outcome
    table.results.append(Result("first", seat, table._outcome(), returns[seat]))
    table.seat, table.opponent = 0, RandomPlayer()  # chosen since for the next match
    assert text.end(table)[0] == expected


def test_the_score_by_opponent() -> None:
    table = session()
    assert text.score(table) == ["No match is finished yet."]
    table.results += [
        Result("a", 0, "won"),
        Result("b", 1, "drawn"),
        Result("a", 1, "lost"),
        Result("a", 0, "won"),
    ]
    assert text.score(table) == [
        "Your score against a: 2 won, 0 drawn, 1 lost",
        "Your score against b: 0 won, 1 drawn, 0 lost",
    ]


def test_the_score_counts_cut_matches_and_averages_graded_amounts() -> None:
    table = session()
    table.results += [Result("a", 0, "won", 1.0), Result("a", 0, "cut"), Result("b", 0, "lost", -1)]
    assert text.score(table) == [
        "Your score against a: 1 won, 0 drawn, 0 lost, 1 cut",
        "Your score against b: 0 won, 0 drawn, 1 lost",
    ]
    table.results += [Result("b", 0, "lost", -4.0), Result("b", 0, "won", 2.0)]
    assert text.score(table)[1] == ("Your score against b: 1 won, 0 drawn, 2 lost, mean return -1")


def test_of_many_moves_the_best_values_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MANY", 3)
    _, table = conversation()
    values = table.values()
    best = sorted(range(9), key=lambda action: -values[action])[:3]
    lines = text.values(table)
    assert lines[0] == "The agent's Q-values for your moves, 3 of 9 (* = best):"
    assert lines[1:] == [
        f"{'*' if action == best[0] else ' '} {action}  {values[action]:+.3f}" for action in best
    ]
    assert text.moves(table, limit=3) == [
        "You have 9 moves; type moves to list them, values for their Q-values."
    ]
    assert text.moves(table) == ["Your moves: 0-8"]
