"""Faults in moves that are only tried: apart in the record, and tried again in a replay."""

from __future__ import annotations

import faulty_rules
import numpy as np
import pytest
from plain_games import Toe

from sparring.errors import FileFormatError, GameFault
from sparring.games.compiled.game import CompiledGame
from sparring.games.faults import play_again, read_fault, save_fault
from sparring.games.python.game import LoopedGame


class WinsBadly(Toe):
    def step(self, action):
        right = super().step(action)
        return ([1, float("nan")], True) if right[1] else right


def looped(match=WinsBadly):
    return LoopedGame("m:Toe", match, 1)


def compiled():
    return CompiledGame("faulty_rules", 1, name="compiled:faulty_rules")


def interpreted():
    return CompiledGame("faulty_rules", 1, name="compiled:faulty_rules", interpreted=True)


CASES = [(looped, [0, 3, 1], [4, 2]), (compiled, [], [9, 1]), (interpreted, [], [9, 1])]


def fault_of(game, actions):
    """The fault of `win_or_block` after `actions`."""
    game.reset(np.zeros(1, int), np.array([3], np.uint64))
    for action in actions:
        game.step(np.array([action]))
    with pytest.raises(GameFault) as raised:
        game.win_or_block(np.zeros(1, int))
    return raised.value


@pytest.mark.parametrize(("make", "actions", "tried"), CASES)
def test_moves_that_were_tried_are_tried_again(make, actions, tried, tmp_path):
    fault = fault_of(make(), actions)
    record = read_fault(save_fault(tmp_path, fault))
    assert (record["actions"], record["tried"]) == (actions, tried)
    seen = []
    with pytest.raises(GameFault) as again:
        seen.extend(play_again(make(), record))
    assert again.value.record == fault.record
    assert [position.action is None for position in seen] == [False] * len(actions) + [True]


def test_the_line_in_compiled_rules_is_known():
    with open(faulty_rules.__file__) as file:
        at = next(number for number, row in enumerate(file, 1) if "return total //" in row)
    assert f"(faulty_rules.py, line {at})" in str(fault_of(compiled(), [9]))


def test_a_mended_game_plays_through():
    record = fault_of(looped(), [0, 3, 1]).record
    assert [position.plies for position in play_again(looped(Toe), record)] == [0, 1, 2, 3]


class CannotBeCopied(Toe):
    def reset(self, rng):
        super().reset(rng)
        self.moves = (number for number in range(9))


def test_copying_goes_wrong_again_in_a_record_without_the_moves():
    record = dict(fault_of(looped(CannotBeCopied), [4]).record)
    del record["tried"]
    with pytest.raises(GameFault, match="in copy"):
        list(play_again(looped(CannotBeCopied), record))


def test_faults_of_matches_have_nothing_tried():
    game = looped(type("Wrong", (Toe,), {"step": lambda self, action: None}))
    game.reset(np.zeros(1, int), np.zeros(1, np.uint64))
    with pytest.raises(GameFault) as raised:
        game.step(np.zeros(1, int))
    assert "tried" not in raised.value.record


@pytest.mark.parametrize("tried", [4, None, [-1], ["4"]])
def test_damaged_records_are_refused(tried, tmp_path):
    fault = fault_of(looped(), [0, 3, 1])
    with pytest.raises(FileFormatError, match="key and actions are not integers"):
        read_fault(save_fault(tmp_path, GameFault("m", {**fault.record, "tried": tried})))
