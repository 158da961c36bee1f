from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sparring.config.schema import TrainConfig
from sparring.errors import ConfigurationError
from sparring.games import make
from sparring.games.spec import BatchedGame
from sparring.opponents.pool import check_shares
from sparring.opponents.scripted import (
    SCRIPTED,
    OnePlyPlayer,
    RandomPlayer,
    baseline_opponents,
    default_shares,
    scripted_names,
    scripted_player,
)


def after(game_name: str, *lines: list[int]) -> BatchedGame:
    """A game with one slot for each line of actions, all of the same length, played out."""
    game = make(game_name, len(lines))
    game.reset(np.arange(len(lines)), np.arange(len(lines), dtype=np.uint64))
    for actions in np.array(lines).T:
        game.step(np.ascontiguousarray(actions))
    return game


def choices(
    player: RandomPlayer | OnePlyPlayer, game: BatchedGame, slot: int = 0, draws: int = 2520
) -> dict[int, float]:
    """Count the player's actions there, over evenly spaced draws; the other draw must
    not matter.
    """
    uniforms = np.empty((draws, 2))
    uniforms[:, 0] = np.random.default_rng(0).random(draws)
    uniforms[:, 1] = (np.arange(draws) + 0.5) / draws
    actions = player.act(game, np.full(draws, slot), uniforms)
    assert actions.dtype == np.int64
    counts = np.bincount(actions)
    return {int(action): counts[action] / draws for action in np.flatnonzero(counts)}


def evenly(*actions: int) -> dict[int, float]:
    return dict.fromkeys(actions, pytest.approx(1 / len(actions), abs=1e-9))


# The nine cells:  0 1 2 / 3 4 5 / 6 7 8. Seat 0 begins.
TIC_TAC_TOE = {
    "wins in a row": ([0, 3, 1, 4], evenly(2)),  # and lets the other's 5 be
    "wins in a column": ([1, 0, 4, 2], evenly(7)),
    "wins on a diagonal": ([2, 0, 4, 1], evenly(6)),
    "wins in either of two ways": (
        [0, 1, 4, 5, 6, 3],
        evenly(2, 8),
    ),  # seat 0 has 0 4 6, seat 1 has 1 5 3
    "blocks": ([0, 8, 1], evenly(2)),
    "blocks one of two threats": ([0, 1, 4, 3, 6], evenly(2, 8)),
    "neither": ([0, 4], evenly(1, 2, 3, 5, 6, 7, 8)),
    "the empty board": ([], evenly(*range(9))),
    "the last cell": ([0, 1, 2, 4, 3, 5, 7, 6], evenly(8)),
}


@pytest.mark.parametrize(("line", "expected"), TIC_TAC_TOE.values(), ids=TIC_TAC_TOE)
def test_one_ply_in_tic_tac_toe(line: list[int], expected: dict[int, float]) -> None:
    assert choices(OnePlyPlayer(), after("tic_tac_toe", line)) == expected


CONNECT_FOUR = {
    "wins upwards": ([0, 1, 0, 1, 0, 1], evenly(0)),  # though the other would win in 1
    "blocks upwards": ([0, 1, 0, 1, 0], evenly(0)),
    "blocks along the ground": ([1, 1, 2, 2, 3], evenly(0, 4)),
    "neither": ([3, 3], evenly(*range(7))),
    "a full column is no choice": ([0, 0, 0, 0, 0, 0], evenly(*range(1, 7))),
}


@pytest.mark.parametrize(("line", "expected"), CONNECT_FOUR.values(), ids=CONNECT_FOUR)
def test_one_ply_in_connect_four(line: list[int], expected: dict[int, float]) -> None:
    assert choices(OnePlyPlayer(), after("connect_four", line)) == expected


@pytest.mark.parametrize("line", [[], [0, 3, 1, 4], [0, 8, 1]])
def test_random_takes_every_legal_action_equally_often(line: list[int]) -> None:
    legal = [cell for cell in range(9) if cell not in line]
    assert choices(RandomPlayer(), after("tic_tac_toe", line)) == evenly(*legal)


@pytest.mark.parametrize("name", scripted_names("tic_tac_toe"))
def test_only_the_slots_that_are_asked_about_matter(name: str) -> None:
    """Slots in any order; the whole range of draws stays within the legal actions."""
    game = after("tic_tac_toe", [0, 3, 1, 4], [1, 0, 4, 2], [0, 8, 1, 7])
    one_ply = {0: 2, 1: 7, 2: 2}
    slots: NDArray[np.int64] = np.array([2, 0, 1, 0])
    for draw in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        actions = scripted_player(name).act(game, slots, np.full((4, 2), draw))
        assert game.mask[slots, actions].all()
        if name == "one_ply":
            assert actions.tolist() == [one_ply[slot] for slot in slots]


@pytest.mark.parametrize("name", scripted_names("tic_tac_toe"))
def test_where_nothing_is_legal_the_answer_is_no_action(name: str) -> None:
    over = after("tic_tac_toe", [0, 3, 1, 4, 2])
    assert (
        scripted_player(name).act(over, np.zeros(50, np.int64), np.zeros((50, 2))).tolist()
        == [-1] * 50
    )


def test_players_by_name() -> None:
    assert SCRIPTED == ("random", "one_ply", "ludo:greedy", "ludo:racer"), (
        "their numbers stand in saved runs: new ones go to the end"
    )
    assert [scripted_player(name).name for name in SCRIPTED] == list(SCRIPTED)
    with pytest.raises(
        ConfigurationError,
        match=(
            r"unknown opponent: got one_pli, expected one of random, one_ply, .*; did you "
            r"mean 'one_ply'"
        ),
    ):
        scripted_player("one_pli")


def test_who_plays_which_game() -> None:
    for game in ("tic_tac_toe", "openspiel:ludo", "my:ludo"):
        assert scripted_names(game) == ("random", "one_ply")
        with pytest.raises(
            ConfigurationError,
            match=r"unknown opponent: got ludo:greedy, expected one of random, one_ply",
        ):
            scripted_player("ludo:greedy", game)
    for game in ("ludo", "ludo(num_players=3)"):
        assert scripted_names(game) == SCRIPTED
        assert scripted_player("ludo:greedy", game).name == "ludo:greedy"
    assert baseline_opponents("ludo(num_players=4)") == ("random", "ludo:greedy", "ludo:racer")
    assert baseline_opponents("connect_four") == ("random", "one_ply")
    assert baseline_opponents("my_game:MyGame") == ("random",)
    assert baseline_opponents(
        "connect_four", ["snapshots", "minimax:4", "self", "one_ply", "mcts:50"]
    ) == (
        "random",
        "one_ply",
        "mcts:50",
        "minimax:4",
    )


@pytest.mark.parametrize("game", ["ludo", "connect_four", "my_game:MyGame"])
def test_shares_for_those_who_do_not_choose(game: str) -> None:
    shares = default_shares(game)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares.keys() == {"self", "snapshots", *baseline_opponents(game)}
    check_shares(shares, game, TrainConfig().max_opponents_per_worker)
