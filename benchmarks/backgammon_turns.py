"""Players of backgammon that compare the positions at the end of whole turns.

A ply of Sparring's backgammon moves one checker; PubEval, GNU Backgammon and the literature choose
among all positions that a throw can lead to. A scorer values these, and `TurnPlayer` plays the
plies that lead to the best one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.tree_search import refuse_python
from sparring.errors import InputError
from sparring.games import BatchedGame
from sparring.games.backgammon.rules import (
    AT_BARS,
    AT_DICE,
    AT_OFF,
    BAR,
    OFF,
    OFF_UNITS,
    POINT_UNITS,
    POINTS,
)
from sparring.games.compiled.turns import whole_turns

_NUM_WEIGHTS: Final = 122  # of PubEval: five for each point, the other's bar, own checkers off
_PER_POINT: Final = 5


class Ends(NamedTuple):
    """The k positions that the turns of m seats can lead to; none is the end of a match."""

    before: NDArray[np.int8]  # [m, ...] observations of the seats that move
    root: NDArray[np.int64]  # [k] the row of `before`
    after: NDArray[np.int8]  # [k, ...] as the seat sees it that throws next


Scorer = Callable[[Ends], NDArray[np.float64]]
"""[k] what the positions `after` are worth to the seats that moved."""


class TurnPlayer:
    """Plays the turn whose end is worth most by a scorer; the first of equals."""

    def __init__(self, name: str, score: Scorer) -> None:
        self.name = name
        self._score = score
        self._planned: dict[int, tuple[int, list[int]]] = {}  # by slot: ply number, actions

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        plies = dict(zip(slots.tolist(), game.plies[slots].tolist(), strict=True))
        self._plan(game, [slot for slot in plies if not self._has_plan(slot, plies[slot])], plies)
        actions = []
        for slot, ply in plies.items():
            action, *later = self._planned[slot][1]
            self._planned[slot] = ply + 1, later
            actions.append(action)
        return np.array(actions, np.int64)

    def _has_plan(self, slot: int, ply: int) -> bool:
        number, actions = self._planned.get(slot, (-1, []))
        return number == ply and len(actions) > 0

    def _plan(self, game: BatchedGame, new: list[int], plies: dict[int, int]) -> None:
        if not new:
            return
        turns = whole_turns(refuse_python(game), np.array(new))
        values = np.where(turns.ended, np.inf, -np.inf)  # the end is a win
        rows = ~np.isin(turns.root, turns.root[turns.ended])
        if rows.any():
            before = game.observation[new]
            values[rows] = self._score(Ends(before, turns.root[rows], turns.observation[rows]))
        order = np.lexsort((-values, turns.root))
        best = order[np.unique(turns.root[order], return_index=True)[1]]
        for slot, actions in zip(new, turns.plies[best].tolist(), strict=True):
            self._planned[slot] = plies[slot], [action for action in actions if action >= 0]


def checkers(observation: NDArray[np.int8]) -> NDArray[np.int64]:
    """[k, 2, 26]: own and the other seat's checkers in each place, each by its own numbers: 0 borne
    off, 1 to 24 points, 25 the bar.
    """
    shown = observation.astype(np.int64)
    counts = np.zeros((len(shown), 2, BAR + 1), np.int64)
    units = shown[:, :AT_BARS].reshape(-1, 2, POINTS, POINT_UNITS) @ [1, 2, 1, 1]
    counts[:, 0, 1:BAR], counts[:, 1, 1:BAR] = units[:, 0], units[:, 1, ::-1]
    counts[:, :, BAR] = shown[:, AT_BARS:AT_OFF]
    counts[:, :, OFF] = shown[:, AT_OFF:AT_DICE].reshape(-1, 2, OFF_UNITS).sum(axis=2)
    return counts


class PubEval:
    """Tesauro's linear evaluator, which he gave to the public as a benchmark: one vector of weights
    for positions with contact before the turn, one for races.
    """

    def __init__(self, contact: NDArray[np.float64], race: NDArray[np.float64]) -> None:
        self._weights = np.stack([contact, race])

    def __call__(self, ends: Ends) -> NDArray[np.float64]:
        races = is_race(checkers(ends.before))[ends.root].astype(int)
        # the seat that moved is the other one of the seat that throws next
        inputs = pubeval_inputs(checkers(ends.after)[:, ::-1])
        scores: NDArray[np.float64] = (inputs * self._weights[races]).sum(axis=1)
        return scores


def pubeval_inputs(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """[k, 122] from `checkers`: for each point from 24 to 1 whether the other seat has one checker
    there, whether own ones are exactly one, at least two, exactly three, and half the number beyond
    three; then half the other seat's checkers on the bar, and the fifteenth part of own ones off.
    """
    own, other = counts[:, 0, POINTS:OFF:-1], counts[:, 1, 1:BAR]  # [k, 24] from point 24 on
    inputs = np.zeros((len(counts), _NUM_WEIGHTS))
    points = [other == 1, own == 1, own >= 2, own == 3, np.maximum(own - 3, 0) / 2]
    inputs[:, : _PER_POINT * POINTS] = np.stack(points, axis=2).reshape(len(counts), -1)
    inputs[:, -2] = counts[:, 1, BAR] / 2
    inputs[:, -1] = counts[:, 0, OFF] / 15
    return inputs


def is_race(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[k] no checker has still to pass one of the other seat, from `checkers`."""
    places = np.arange(BAR + 1)
    rearmost = np.where(counts > 0, places, 0).max(axis=2)  # [k, 2]
    race: NDArray[np.bool_] = rearmost.sum(axis=1) < BAR
    return race


def read_pubeval(file: Path) -> PubEval:
    """PubEval with the weights in `pubeval.c`, as OpenBSD's games have it: the tables `wc` for
    contact and `wr` for races.

    Raises `InputError` for a file without them.
    """
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}", got=str(error)) from None
    tables = dict(re.findall(r"\bw([cr])\[122\]\s*=\s*\{([-+.,\s\d]*)\}", text))
    weights = {
        name: np.array(re.findall(r"[-+]?[\d.]+", table), float) for name, table in tables.items()
    }
    if sorted(weights) != ["c", "r"] or any(len(w) != _NUM_WEIGHTS for w in weights.values()):
        raise InputError(
            f"no weights of PubEval in {file}",
            got=", ".join(f"{len(table)} numbers" for table in weights.values()) or "no tables",
            expected="tables wc and wr of 122 numbers each",
            remedy="take games/backgammon/backgammon/pubeval.c of OpenBSD's source",
        )
    return PubEval(weights["c"], weights["r"])
