from __future__ import annotations

import numpy as np
import pytest

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.opponents.scripted import scripted_player
from sparring.training.evaluator import FORGETTING, GATE, Duels


def policy(game: str) -> PolicySpec:
    return PolicySpec(game, NetworkSpec("mlp", {"net_arch": [8]}))


def test_the_better_player_wins_whichever_side_it_is_asked_for() -> None:
    """one_ply against random at tic-tac-toe, 0.9 or so; the same matches seen from the other side
    are another table.
    """
    duels = Duels(policy("tic_tac_toe"), seed=0)
    good, bad = scripted_player("one_ply"), scripted_player("random")
    record = duels.play(good, bad, matches=200, key=(GATE, 1))
    assert record.matches == 200
    assert 0.8 < record.score < 1.0
    assert 0.0 < duels.play(bad, good, matches=200, key=(GATE, 1)).score < 0.2


def test_a_duel_follows_from_the_seed_and_the_key() -> None:
    one, other = scripted_player("one_ply"), scripted_player("random")
    spec = policy("tic_tac_toe")
    played = [
        Duels(spec, seed).play(one, other, matches=400, key=key)
        for seed, key in (
            (0, (GATE, 1)),
            (0, (GATE, 1)),
            (0, (GATE, 2)),
            (0, (FORGETTING, 1)),
            (1, (GATE, 1)),
        )
    ]
    assert played[0] == played[1]
    assert len({(record.wins, record.draws) for record in played}) > 2


def test_equals_in_a_game_of_four_score_one_half() -> None:
    """Each pair of seats counts, so that a score of 1/2 is par however many play; 60 matches are
    180 pairs.
    """
    racer = scripted_player("ludo:racer")
    record = Duels(policy("ludo(num_players=4)"), seed=0).play(
        racer, racer, matches=60, key=(GATE, 0)
    )
    assert record.matches == 180
    assert (
        record.score == 0.5
    )  # every opening is played from every seat by the same player, so all cancels


def test_an_advantage_is_the_mean_return_between_two_and_0_between_equals() -> None:
    duels = Duels(policy("tic_tac_toe"), seed=0)
    good, bad = scripted_player("one_ply"), scripted_player("random")
    record = duels.play(good, bad, matches=200, key=(GATE, 1))
    advantage = duels.advantage(good, bad, matches=200, key=(GATE, 1))
    assert advantage == pytest.approx(2 * record.score - 1)
    racer = scripted_player("ludo:racer")
    of_four = Duels(policy("ludo(num_players=4)"), seed=0)
    assert of_four.advantage(racer, racer, matches=20, key=(GATE, 0)) == pytest.approx(0.0)


def test_players_have_the_weights_that_they_are_given() -> None:
    spec = policy("tic_tac_toe")
    vector = np.linspace(-1.0, 1.0, InferencePolicy(spec).vector().size, dtype=np.float32)
    duels = Duels(spec, seed=0)
    mine, same = duels.player("mine", vector), duels.player("same", vector)
    assert mine.name == "mine"
    assert duels.play(mine, same, matches=100, key=(GATE, 0)).score == 0.5
