from __future__ import annotations

import numpy as np
import pytest
from tables import CARDS, FirstPlayer, board, session, untrained

from sparring.errors import InputError
from sparring.opponents.scripted import RandomPlayer
from sparring.play.match import PlaySession, Result


def made(table: PlaySession) -> list[tuple[int, str | None, int]]:
    return [(ply.seat, ply.by, ply.action) for ply in table.plies]


def test_a_move_is_answered() -> None:
    table = session()
    assert (table.legal, table.plies) == ([*range(9)], [])
    table.play(4)
    assert made(table) == [(0, None, 4), (1, "first", 0)]
    assert board(table) == [[2, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert table.legal == [1, 2, 3, 5, 6, 7, 8]


def test_in_another_seat_the_opponent_begins() -> None:
    table = session(seat=1)
    assert made(table) == [(0, "first", 0)]


def test_the_end_is_counted_for_the_person() -> None:
    table = session()  # the opponent takes 0 and 1 and then has to lose to the column 2, 5, 8
    for action in (2, 5, 8):
        table.play(action)
    assert table.over
    assert table.legal == []
    assert table.results == [Result("first", 0, "won", 1.0)]
    assert table.winners() == [0]
    assert table.returns.tolist() == [1, -1]
    table.begin()
    for action in (8, 7, 3):  # 0, 1 and 2 are the opponent's
        table.play(action)
    assert [result.outcome for result in table.results] == ["won", "lost"]


def test_a_draw() -> None:
    table = session()
    for action in (4, 2, 3, 7, 8):  # the opponent answers 0, 1, 5 and 6
        table.play(action)
    assert board(table) == [[2, 2, 1], [1, 1, 2], [2, 1, 1]]
    assert table.results == [Result("first", 0, "drawn")]
    assert table.winners() == [0, 1]


def test_take_back_goes_to_the_persons_own_decision() -> None:
    table = session()
    table.play(4)
    table.play(8)
    table.take_back()
    assert made(table) == [(0, None, 4), (1, "first", 0)]
    assert board(table) == [[2, 0, 0], [0, 1, 0], [0, 0, 0]]
    table.take_back()
    assert made(table) == []
    assert board(table) == [[0] * 3] * 3
    table.play(0)
    assert board(table) == [[1, 2, 0], [0, 0, 0], [0, 0, 0]]


def test_take_back_of_several_decisions_at_once_and_of_a_finished_match() -> None:
    table = session()
    for action in (2, 5, 8):
        table.play(action)
    table.take_back(2)
    assert board(table) == [[2, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert (table.over, table.results, table.returns.tolist()) == (False, [], [0, 0])
    assert not table.game.rewards.any()
    table.play(5)
    table.play(8)
    assert table.results == [Result("first", 0, "won", 1.0)]


@pytest.mark.parametrize("decisions", [2, 0, -1])
def test_no_more_can_be_taken_back_than_was_played(decisions: int) -> None:
    table = session(seat=1)
    table.play(8)
    before = made(table)
    with pytest.raises(InputError, match=f"got {decisions}, expected 1 to 1"):
        table.take_back(decisions)
    assert made(table) == before
    table.take_back()
    with pytest.raises(InputError, match="nothing to take back: you have not moved"):
        table.take_back()


def test_seats_are_changed_in_the_middle_and_taken_back_too() -> None:
    table = session()
    table.play(4)
    table.change_seat(1)
    assert made(table) == [(0, None, 4), (1, "first", 0), (0, "first", 1)]
    table.play(8)
    assert made(table)[3:] == [(1, None, 8), (0, "first", 2)]
    table.take_back(2)
    assert (table.seat, made(table)) == (0, [])
    with pytest.raises(InputError, match="seat: got 2, expected 0 to 1"):
        table.change_seat(2)
    assert table.seat == 0


def test_an_unfinished_match_is_not_counted() -> None:
    table = session()
    table.play(4)
    table.begin()
    assert (made(table), table.results) == ([], [])
    with pytest.raises(InputError):
        table.take_back()


def test_values_are_the_agents_for_moves_of_all_players() -> None:
    table = session()
    table.play(4)
    values = untrained().q_values(table.game.observation)[0]
    assert table.values().tolist() == values.tolist()
    assert table.best() == max(table.legal, key=lambda action: values[action])
    expected = float(values[7])
    table.play(7)
    assert table.plies[2].value == expected


def test_the_best_move_is_legal_even_where_an_illegal_one_has_a_higher_value() -> None:
    table = session()
    policy = untrained()
    weights = policy.get_weights()
    bias = [name for name in weights if name.endswith("bias")][-1]
    weights[bias] = np.arange(9, 0, -1, dtype=np.float32) * 100  # the lower the number, the better
    table._agent.set_weights(weights)
    assert table.best() == 0
    table.play(0)
    assert table.best() == 2  # 0 and 1 are taken


def test_the_same_seed_and_moves_get_the_same_answers_after_a_take_back_too() -> None:
    first, second = (session("ludo", seed=3, opponent=RandomPlayer()) for _ in range(2))
    for _ in range(6):
        first.play(first.legal[0])
    first.take_back(4)
    for _ in range(4):
        first.play(first.legal[0])
    for _ in range(6):
        second.play(second.legal[0])
    assert made(first) == made(second)
    assert np.array_equal(first.game.get_state()["states"], second.game.get_state()["states"])


def test_chance_differs_by_match_and_seed() -> None:
    cards = []
    for table in (session(CARDS), session(CARDS, seed=1)):
        for _ in range(2):
            table.begin()
            cards.append(table.game.text(0))
    assert len(set(cards)) == 4


def test_more_than_two_seats() -> None:
    table = session(CARDS, seat=1, seed=4)
    assert made(table) == [(0, "first", 0)]
    cards = [int(word) for word in table.game.text(0).split() if word.isdecimal()]
    table.play(0)
    assert made(table) == [(0, "first", 0), (1, None, 0), (2, "first", 0)]
    assert table.winners() == [seat for seat in range(3) if cards[seat] == max(cards)]
    assert [result.outcome for result in table.results] == [
        "won" if table.winners() == [1] else "lost"
    ]


def test_the_opponent_can_be_replaced() -> None:
    table = session(opponent=RandomPlayer())
    table.play(4)
    table.opponent = FirstPlayer()
    table.play(table.legal[-1])
    assert [ply.by for ply in table.plies] == [None, "random", None, "first"]
