from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.games.spec import GameSpec
from sparring.opponents.players import AGENT, Opponent, Plan
from sparring.rollout.matches import MatchTable
from sparring.rollout.random_starts import RandomStarts

PLAN = Plan(
    (Opponent(AGENT, "self"), Opponent(1, "random"), Opponent(1003, "snapshot:3", 0)),
    (0.5, 0.25, 0.25),
)


class Payer:
    """As much of a game as a table of matches looks at: what each step pays is written in by the
    test.
    """

    def __init__(self, num_slots: int, num_players: int) -> None:
        self.spec = GameSpec(
            name="payer",
            num_players=num_players,
            num_actions=2,
            observation_shape=(1,),
            observation_dtype="int8",
            max_plies=9,
        )
        self.num_slots = num_slots
        self.rewards = np.zeros((num_slots, num_players), np.float32)
        self.plies = np.zeros(num_slots, np.int64)
        self.terminated = np.zeros(num_slots, np.bool_)
        self.truncated = np.zeros(num_slots, np.bool_)
        self.seat = np.zeros(num_slots, np.int64)
        self.begun: list[tuple[int, int]] = []

    def reset(self, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        self.begun += zip(slots.tolist(), keys.tolist(), strict=True)


def table(game: Payer, learn_from: str = "agent", **place: int) -> MatchTable:
    named = {"seed": 1, "worker": 2, "incarnation": 3, **place}
    starts = RandomStarts(game, share=0.0, plies=1)  # type: ignore[arg-type]
    return MatchTable(game, starts, learn_from=learn_from, **named)  # type: ignore[arg-type]


def over(game: Payer) -> NDArray[np.bool_]:
    return game.terminated | game.truncated


def every(game: Payer) -> NDArray[np.int64]:
    return np.arange(game.num_slots)


def test_returns_are_all_that_a_match_paid_and_nothing_of_the_one_before() -> None:
    game = Payer(2, 3)
    matches = table(game)
    matches.begin(every(game), PLAN)
    for paid in ([[1, 2, 3], [4, 5, 6]], [[0.5, 0, 0], [0, -5, 0]]):
        game.rewards[:] = paid
        matches.pay(over(game))
    game.plies[:] = [7, 9]
    game.terminated[:], game.truncated[:] = [True, False], [False, True]
    results = matches.results(np.array([1, 0]))
    assert results["returns"].tolist() == [[4, 0, 6], [1.5, 2, 3]]
    assert results["plies"].tolist() == [9, 7]
    assert results["truncated"].tolist() == [True, False]
    assert results["players"].tolist() == matches.players[[1, 0]].tolist()
    matches.begin(np.array([1]), PLAN)
    game.rewards[:] = 1
    matches.pay(over(game))
    assert matches.results(every(game))["returns"].tolist() == [[2.5, 3, 4], [1, 1, 1]]


def test_paying_tells_which_matches_are_over_in_either_way() -> None:
    game = Payer(5, 2)
    matches = table(game)
    matches.begin(every(game), PLAN)
    assert matches.pay(over(game)).tolist() == []
    game.terminated[:], game.truncated[:] = (
        [False, True, False, True, False],
        [False, False, False, True, True],
    )
    assert matches.pay(over(game)).tolist() == [1, 3, 4]


def test_the_movers_are_the_players_of_the_seats_to_move() -> None:
    game = Payer(6, 2)
    matches = table(game)
    matches.begin(every(game), Plan((Opponent(1, "random"),), (1.0,)))
    game.seat[:] = [0, 0, 0, 1, 1, 1]
    assert not matches.find_movers()
    assert matches.movers.tolist() == [AGENT, 1, AGENT, AGENT, 1, AGENT]
    game.seat[:] = [0, 1, 0, 1, 0, 1]
    assert matches.find_movers()
    assert matches.movers.tolist() == [AGENT] * 6


@pytest.mark.parametrize("num_players", [2, 3, 4])
def test_the_agent_moves_on_by_one_seat_with_every_match(num_players: int) -> None:
    game = Payer(5, num_players)
    matches = table(game)
    others_only = Plan((Opponent(1, "random"),), (1.0,))
    for number in range(9):
        matches.begin(every(game), others_only)
        seats = np.argmax(matches.players == AGENT, axis=1)
        assert seats.tolist() == [(slot + number) % num_players for slot in range(5)]
        assert ((matches.players == AGENT).sum(axis=1) == 1).all()


def test_learning_seats_are_the_agents_or_all() -> None:
    game = Payer(64, 4)
    agents, everyone = table(game), table(game, "all")
    for matches in (agents, everyone):
        matches.begin(every(game), PLAN)
    np.testing.assert_array_equal(agents.players, everyone.players)
    np.testing.assert_array_equal(agents.learns, agents.players == AGENT)
    assert (
        agents.learns.sum(axis=1) > 1
    ).any()  # every seat that plays the newest weights, in a match against itself
    assert everyone.learns.all()


def test_every_seat_draws_its_player_anew() -> None:
    game = Payer(4000, 3)
    matches = table(game)
    matches.begin(every(game), PLAN)
    seats = np.arange(4000) % 3
    drawn = np.stack([matches.players[np.arange(4000), (seats + k) % 3] for k in (1, 2)], axis=1)
    for column in drawn.T:
        assert [np.mean(column == player) for player in (0, 1, 1003)] == pytest.approx(
            [0.5, 0.25, 0.25], abs=0.03
        )
    both = [
        np.mean((drawn[:, 0] == a) & (drawn[:, 1] == b)) for a, b in ((0, 0), (1, 1), (0, 1003))
    ]
    assert both == pytest.approx(
        [0.25, 0.0625, 0.125], abs=0.03
    )  # and independently of one another


def test_keys_are_different_for_every_match_and_follow_from_their_place() -> None:
    games = [Payer(8, 2) for _ in range(5)]
    places: list[dict[str, int]] = [{}, {"worker": 9}, {"incarnation": 9}, {"seed": 9}, {}]
    for game, place in zip(games, places, strict=True):
        matches = table(game, **place)
        for _ in range(4):
            matches.begin(every(game), PLAN)
    assert games[0].begun == games[4].begun
    keys = [key for game in games[:4] for _, key in game.begun]
    assert len(set(keys)) == 4 * 32


def test_a_restored_table_goes_on() -> None:
    first_game, second_game = Payer(6, 2), Payer(6, 2)
    first, second = table(first_game), table(second_game)
    first.begin(every(first_game), PLAN)
    first_game.rewards[:] = 2
    first.pay(over(first_game))
    first.begin(np.array([4, 1]), PLAN)
    state = first.get_state()
    saved = {name: value.tolist() for name, value in state.items()}
    first.begin(np.array([0]), PLAN)
    first.pay(over(first_game))
    assert {name: value.tolist() for name, value in state.items()} == saved  # copies
    first.set_state(state)
    first.begin(np.array([0]), PLAN)
    second.set_state(state)
    second.begin(np.array([0]), PLAN)
    for name, value in first.get_state().items():
        np.testing.assert_array_equal(value, second.get_state()[name], err_msg=name)
    assert second.results(np.array([0, 1, 2]))["returns"].tolist() == [[0, 0], [0, 0], [2, 2]]
