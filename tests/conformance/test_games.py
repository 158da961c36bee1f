"""Every game of ours keeps the contract, compiled and in plain Python."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import race_rules

from sparring.conformance import check
from sparring.conformance.recordings import record
from sparring.games import make, names, spec_of
from sparring.games.compiled.game import CompiledGame
from sparring.games.rng import CHANCE, purpose_key

NUM_CHECKS = 31


@pytest.mark.parametrize("name", names())
def test_built_in_games_conform(name):
    report = check(lambda num_slots: make(name, num_slots), batched=True)
    assert str(report).splitlines()[0] == f"{report.game}: no findings"
    assert report.passed
    assert report.matches == 256
    assert report.plies > 256 * 5
    expected = NUM_CHECKS + spec_of(name).chance  # whose moves stand apart from it
    assert len(report.checks) == len(set(report.checks)) == expected


def test_a_wrong_symmetry_that_moves_the_start_is_found():
    """A quarter-turn of Othello's observation with the actions of the opposite quarter-turn."""
    quarter, _, opposite, *_ = spec_of("othello").symmetries
    wrong = dataclasses.replace(quarter, action=opposite.action)

    def misdeclared(num_slots):
        game = make("othello", num_slots)
        game.spec = dataclasses.replace(game.spec, symmetries=(quarter, wrong))
        return game

    [finding] = check(misdeclared, matches=8).findings
    assert finding.what == "spec.symmetries[1] does not map the game onto itself"


@pytest.mark.parametrize("interpreted", [False, True])
def test_a_race_conforms(interpreted):
    report = check(
        lambda num_slots: CompiledGame("race_rules", num_slots, interpreted=interpreted),
        matches=128,
        batched=True,
    )
    assert report.passed, str(report)
    assert report.matches == 128


def test_a_race_is_what_its_rules_say():
    """Against rules called one by one in plain Python: chance from the match's key, extra turns,
    three rewards, cut at ten plies.
    """
    n = 300
    game = CompiledGame("race_rules", n)
    keys = np.random.default_rng(5).integers(2**64, size=n, dtype=np.uint64)
    trace = record(game, keys, np.random.default_rng(6))
    for slot in range(n):
        state, stream = (
            np.zeros(1, race_rules.STATE)[0],
            np.array([purpose_key(keys[slot], CHANCE), 0], np.uint64),
        )
        race_rules.start(state, stream)
        ended, plies = False, 0
        for frame, actions, after in zip(
            trace.frames, trace.actions, trace.frames[1:], strict=False
        ):
            if ended or plies == 10:
                assert actions[slot] == -1
                continue
            observation, mask, rewards = (
                np.zeros(3, np.float32),
                np.zeros(2, bool),
                np.zeros(3, np.float32),
            )
            race_rules.observe(state, observation)
            race_rules.legal(state, mask)
            assert frame["seat"][slot] == state["seat"]
            assert frame["observation"][slot].tolist() == observation.tolist()
            assert frame["mask"][slot].tolist() == mask.tolist()
            ended, plies = race_rules.play(state, int(actions[slot]), rewards, stream), plies + 1
            assert after["rewards"][slot].tolist() == rewards.tolist()
            assert after["terminated"][slot] == ended
            assert after["truncated"][slot] == (plies == 10 and not ended)
            assert after["plies"][slot] == plies
    last = trace.frames[-1]
    assert last["terminated"].sum() > 50
    assert last["truncated"].sum() > 50
    assert last["mask"][last["truncated"]].any(axis=1).all()
    assert np.any(
        np.diff([frame["seat"][:20] for frame in trace.frames[:4]], axis=0) == 0
    )  # extra turns
    assert set(trace.frames[0]["seat"].tolist()) == {0, 1, 2}
