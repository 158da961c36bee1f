"""Solved Connect Four positions: shares of a player's moves that keep the value of the position,
and that are exactly best.

The file has a line of names and then one position a line (`tests/data/connect_four/README.md`):
`moves`, columns 1 to 7 in the order played; `stones`, their number; `s1` to `s7`, the exact score
of playing that column for the side to move, empty where it is full; `best`, the largest of them. A
score is positive for a win, 0 for a draw, negative for a loss, and the farther from 0 the sooner it
comes. Column c is action c - 1.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sparring import games
from sparring.errors import FileFormatError
from sparring.evaluation.matches import choose_actions
from sparring.evaluation.score import wilson_interval
from sparring.games.rng import EXPLORATION, derive_keys, stream_key, uniforms
from sparring.games.spec import BatchedGame
from sparring.opponents.players import Player
from sparring.storage.atomic import without_waiting

GAME: Final = "connect_four"
BY_STONES: Final = ((0, 11), (12, 17), (18, 23), (24, 29), (30, 41))
Rows = Literal["all", "odd", "even"]

_COLUMNS: Final = 7
_NAMES: Final = ("moves", "stones", *(f"s{column}" for column in range(1, _COLUMNS + 1)), "best")
_DRAWS: Final = 0x4556_414C_0003  # part of a stream key: the draws for ties are not of matches


@dataclass(frozen=True)
class SolvedPositions:
    """n positions; `rows` counts from 1, without the line of names."""

    path: Path
    rows: NDArray[np.int64]  # [n]
    moves: NDArray[np.int64]  # [n, longest] actions from the empty board; -1 after the last
    stones: NDArray[np.int64]  # [n]
    legal: NDArray[np.bool_]  # [n, 7]
    scores: NDArray[np.int64]  # [n, 7] for the side to move; 0 where it is not legal

    @property
    def exact(self) -> NDArray[np.bool_]:
        """[n, 7] the moves with the best score."""
        least = np.iinfo(np.int64).min
        best = np.where(self.legal, self.scores, least).max(axis=1, keepdims=True)
        exact: NDArray[np.bool_] = self.legal & (self.scores == best)
        return exact

    @property
    def keeping(self) -> NDArray[np.bool_]:
        """[n, 7] the moves that keep a won position won and a drawn one drawn; all moves of a lost
        one.
        """
        signs = np.sign(self.scores)
        best = np.where(self.legal, signs, -2).max(axis=1, keepdims=True)
        keeping: NDArray[np.bool_] = self.legal & (signs == best)
        return keeping

    @property
    def matters(self) -> NDArray[np.bool_]:
        """[n] the positions whose legal moves differ in outcome."""
        matters: NDArray[np.bool_] = (self.keeping != self.legal).any(axis=1)
        return matters


@dataclass(frozen=True)
class Shares:
    """Shares of n positions in which the move keeps the value, and in which it is exactly best;
    None for n = 0.

    The intervals are Wilson's ("Probable inference, the law of succession, and statistical
    inference", 1927, section 2), as if positions were independent draws. For expected shares
    (`expected_of_random`) they are wider than necessary.
    """

    n: int
    value_preserving: float | None
    exact: float | None

    def as_dict(self) -> dict[str, Any]:
        """The form in which `sparring evaluate --json` prints it; `interval95` belongs to
        `value_preserving`.
        """
        return {
            "n": self.n,
            "value_preserving": self.value_preserving,
            "interval95": list(wilson_interval(self.value_preserving, self.n)),
            "exact": self.exact,
            "exact_interval95": list(wilson_interval(self.exact, self.n)),
        }


@dataclass(frozen=True)
class PositionResults:
    """Shares over all positions, over those where the move matters, and by number of stones."""

    all: Shares
    matters: Shares
    by_stones: Mapping[str, tuple[Shares, Shares]]

    def as_dict(self) -> dict[str, Any]:
        """The form in which `sparring evaluate --json` prints it."""
        split = {
            label: {"all": every.as_dict(), "matters": some.as_dict()}
            for label, (every, some) in self.by_stones.items()
        }
        return {"all": self.all.as_dict(), "matters": self.matters.as_dict(), "by_stones": split}


def load_positions(path: Path, rows: Rows = "all") -> SolvedPositions:
    """The positions of a file, or those in its odd or even rows; raises `FileFormatError` naming
    the first row that is wrong.

    `set_up_positions` checks what needs the rules.
    """
    try:
        with open(path, encoding="utf-8", newline="", opener=without_waiting) as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            missing = [name for name in _NAMES if name not in names]
            if missing:
                got = ", ".join(names)[:60] or "an empty file"
                raise FileFormatError(
                    f"{path} has no column {missing[0]}", got=got, expected=", ".join(_NAMES)
                )
            read = [_Row.read(path, number, line) for number, line in enumerate(reader, 1)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
        raise FileFormatError(f"{path} cannot be read: {reason}") from None
    wanted = {"all": read, "odd": read[0::2], "even": read[1::2]}[rows]
    if not wanted:
        raise FileFormatError(
            f"{path} has no positions in {rows} rows",
            got=f"{len(read)} rows",
            expected="at least one position",
        )
    moves = np.full((len(wanted), max(len(row.moves) for row in wanted)), -1, dtype=np.int64)
    for i, row in enumerate(wanted):
        moves[i, : len(row.moves)] = row.moves
    return SolvedPositions(
        path=path,
        rows=np.array([row.number for row in wanted]),
        moves=moves,
        stones=np.array([len(row.moves) for row in wanted]),
        legal=np.array([[score is not None for score in row.scores] for row in wanted]),
        scores=np.array([[score or 0 for score in row.scores] for row in wanted]),
    )


@dataclass(frozen=True)
class _Row:
    number: int
    moves: list[int]
    scores: list[int | None]

    @classmethod
    def read(cls, path: Path, number: int, line: Mapping[str, str | None]) -> _Row:
        """One line of the file, checked without the rules."""
        where = f"row {number} of {path}"
        text = line["moves"] or ""
        if set(text) - set("1234567"):
            raise FileFormatError(f"{where}: moves", got=repr(text), expected="digits from 1 to 7")
        stones, best = (_score(where, name, line[name]) for name in ("stones", "best"))
        if stones != len(text):
            raise FileFormatError(
                f"{where}: stones",
                got=repr(line["stones"]),
                expected=f"{len(text)}, the number of moves",
            )
        scores = [_score(where, name, line[name]) for name in _NAMES[2:-1]]
        largest = max((score for score in scores if score is not None), default=None)
        if largest is None or best != largest:
            raise FileFormatError(
                f"{where}: best", got=repr(line["best"]), expected=f"{largest}, the largest score"
            )
        return cls(number, [int(column) - 1 for column in text], scores)


def _score(where: str, name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"-?[0-9]{1,2}", text):
        raise FileFormatError(
            f"{where}: {name}",
            got=repr(text[:20]),
            expected="a whole number of at most two digits, or nothing",
        )
    return int(text)


def set_up_positions(positions: SolvedPositions) -> BatchedGame:
    """A game with position i in slot i, after its moves.

    Raises `FileFormatError` for an illegal move, for a match that is over, and for scores of other
    columns than the playable ones.
    """
    n, longest = positions.moves.shape
    game = games.make(GAME, n)
    game.reset(np.arange(n), np.zeros(n, dtype=np.uint64))
    for ply in range(longest):
        actions = positions.moves[:, ply]
        _refuse(
            positions,
            game,
            (actions >= 0) & ~np.take_along_axis(game.mask, actions.clip(0)[:, None], axis=1)[:, 0],
            ply,
        )
        game.step(actions)
    over = game.terminated | game.truncated
    _refuse(positions, game, over, longest)
    for i in np.flatnonzero((game.mask != positions.legal).any(axis=1))[:1]:
        got, expected = (
            ", ".join(str(c + 1) for c in np.flatnonzero(mask[i]))
            for mask in (positions.legal, game.mask)
        )
        raise FileFormatError(
            f"row {positions.rows[i]} of {positions.path}: columns with scores",
            got=got,
            expected=expected,
        )
    return game


def _refuse(
    positions: SolvedPositions, game: BatchedGame, wrong: NDArray[np.bool_], ply: int
) -> None:
    """Raise `FileFormatError` for the first row that is wrong at that ply."""
    for i in np.flatnonzero(wrong)[:1]:
        where = f"row {positions.rows[i]} of {positions.path}"
        if game.terminated[i]:
            raise FileFormatError(
                f"{where}: the match is over",
                got=f"four in a row or a full grid after {game.plies[i]} moves",
            )
        expected = ", ".join(str(column + 1) for column in np.flatnonzero(game.mask[i]))
        raise FileFormatError(
            f"{where}: move {ply + 1} is illegal",
            got=f"column {positions.moves[i, ply] + 1}",
            expected=f"one of {expected}",
        )


def play_positions(
    player: Player, positions: SolvedPositions, game: BatchedGame, *, seed: int
) -> PositionResults:
    """Results of `player` on the positions; `game` is that of `set_up_positions`.

    Its random numbers are a function of the seed and the row alone, so the other positions make no
    difference.
    """
    keys = np.empty(len(positions.rows), dtype=np.uint64)
    derive_keys(
        np.uint64(stream_key(_DRAWS, seed)), positions.rows, np.zeros_like(positions.rows), keys
    )
    slots = np.arange(len(positions.rows))
    actions = choose_actions(
        player, game, slots, uniforms(keys, np.zeros_like(positions.rows), EXPLORATION, 2)
    )
    return _results_from(
        positions, positions.keeping[slots, actions], positions.exact[slots, actions]
    )


def expected_of_random(positions: SolvedPositions) -> PositionResults:
    """Expected results of uniformly random legal moves, without any draw."""
    moves = positions.legal.sum(axis=1)
    return _results_from(
        positions, positions.keeping.sum(axis=1) / moves, positions.exact.sum(axis=1) / moves
    )


def _results_from(
    positions: SolvedPositions, kept: NDArray[Any], exact: NDArray[Any]
) -> PositionResults:
    """Results from the probabilities [n] that the moves keep the value and are exactly best."""

    def shares(chosen: NDArray[np.bool_]) -> Shares:
        n = int(chosen.sum())
        return (
            Shares(n, float(kept[chosen].mean()), float(exact[chosen].mean()))
            if n
            else Shares(0, None, None)
        )

    matters, stones = positions.matters, positions.stones
    bins = {f"{low}-{high}": (low <= stones) & (stones <= high) for low, high in BY_STONES}
    split = {
        label: (shares(among), shares(among & matters))
        for label, among in bins.items()
        if among.any()
    }
    return PositionResults(shares(np.ones_like(matters)), shares(matters), split)
