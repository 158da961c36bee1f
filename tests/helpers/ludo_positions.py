"""Hand-made positions of Ludo, on two tables: the slow reference and the compiled game."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ludo_reference import Match, throws_from

from sparring.games import make
from sparring.games.rng import random_below

GAMES = {2: "ludo", 3: "ludo(num_players=3)", 4: "ludo(num_players=4)"}


@dataclass(frozen=True)
class Position:
    """`tokens` of each seat by progress, in any order; `sixes` in a row count this throw; `then`
    are the throws that follow.
    """

    tokens: list[list[int]]
    throw: int
    then: tuple[int, ...]
    seat: int = 0
    sixes: int | None = None  # None: the first six in a row, if it is one
    plies: int = 0

    @property
    def sixes_in_a_row(self) -> int:
        return int(self.throw == 6) if self.sixes is None else self.sixes

    def stream(self) -> np.ndarray:
        """A stream that begins with the throws that follow."""
        for key in itertools.count():
            stream = np.array([key, 0], np.uint64)
            if all(1 + random_below(stream, 6) == throw for throw in self.then):
                return np.array([key, 0], np.uint64)
        raise AssertionError


class PageTable:
    """The slow reference (`ludo_reference.py`)."""

    def __init__(self, position: Position) -> None:
        players = len(position.tokens)
        self._match = Match(
            players, itertools.chain([6], throws_from(position.stream()))
        )  # the 6 is for the opening position
        self._match.stand(
            position.tokens, position.seat, position.throw, position.sixes_in_a_row, position.plies
        )

    @property
    def observation(self) -> np.ndarray:
        return self._match.observation()

    def play(self, action: int) -> None:
        self._match.play(action)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._match, name)


class GameTable:
    """The compiled game with one slot."""

    def __init__(self, position: Position) -> None:
        self._game = make(GAMES[len(position.tokens)], 1)
        self._game.reset(np.zeros(1, np.int64), np.zeros(1, np.uint64))
        state = self._game.get_state()
        state["states"]["progress"][0] = np.sort(position.tokens, axis=1)[:, ::-1]
        state["states"]["seat"], state["states"]["roll"] = position.seat, position.throw
        state["states"]["sixes"], state["plies"][0] = position.sixes_in_a_row, position.plies
        state["history"] = np.zeros((1, position.plies), np.int32)
        state["rng"][0] = position.stream()
        self._game.set_state(state)

    @property
    def tokens(self) -> list[list[int]]:
        return self._game.get_state()["states"]["progress"][0].tolist()

    @property
    def throw(self) -> int:
        return int(self._game.get_state()["states"]["roll"][0])

    @property
    def sixes(self) -> int:
        return int(self._game.get_state()["states"]["sixes"][0])

    @property
    def legal(self) -> list[int]:
        return np.flatnonzero(self._game.mask[0]).tolist()

    def play(self, action: int) -> None:
        self._game.step(np.array([action]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._game, name)[0].tolist()


Table = PageTable | GameTable


def by_page(*tokens: list[int], throw: int, then: tuple[int, ...] = (), **others: int) -> Table:
    """A table with this `Position`."""
    return PageTable(Position(list(tokens), throw, then, **others))


def by_game(*tokens: list[int], throw: int, then: tuple[int, ...] = (), **others: int) -> Table:
    """A table with this `Position`."""
    return GameTable(Position(list(tokens), throw, then, **others))


on_both_tables = pytest.mark.parametrize("table", [by_page, by_game])
