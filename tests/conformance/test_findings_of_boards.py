"""Boards that are not as their specs declare them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from sparring.conformance.game_checks import declared_board
from sparring.conformance.recordings import record
from sparring.conformance.subject import Subject
from sparring.games import Board
from sparring.games.python.game import LoopedGame
from tests.helpers.hexapawn import Hexapawn


class Overlapping(Hexapawn):
    def observe(self, seat: int) -> Any:
        planes = super().observe(seat)
        return planes | planes[:1]


class Floating(Hexapawn):
    spec = dataclasses.replace(Hexapawn.spec, board=Board(support=(3, 4, 5, 6, 7, 8, -1, -1, -1)))


@pytest.mark.parametrize(
    ("game", "found"),
    [
        (Hexapawn, []),
        (Overlapping, ["planes of the board overlap"]),
        (Floating, ["a cell is taken before its support"]),
    ],
)
def test_a_board_that_is_not_as_declared(game: Any, found: list[str]) -> None:
    looped = LoopedGame("board", game, 4)
    subject = Subject(lambda num_slots: looped, looped, seed=0, matches=4)
    subject.traces.append(record(looped, np.arange(4, dtype=np.uint64), np.random.default_rng(0)))
    assert sorted({finding.what for finding in declared_board(subject)}) == found
