"""Positions as data that a page can draw: a declared board, the tokens of Ludo, the checkers of
backgammon, else text.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from sparring.games.compiled.game import CompiledGame
from sparring.games.python.game import LoopedGame
from sparring.games.spec import BatchedGame


def layout(game: BatchedGame) -> dict[str, Any]:
    """The drawing of a game, as JSON: `kind` is "grid", "ludo", "points" or "text".

    Of a grid, `planes_per_seat` says how many planes in a row are one seat's pieces, 0 where that
    is not known; `moves` says if actions are its cells, its columns, or neither ("list");
    `bottom_up`, if row 0 is drawn at the bottom.
    """
    spec = game.spec
    if _shows(game, "tokens"):
        return {"kind": "ludo"}
    if _shows(game, "drawn_points"):
        return {"kind": "points"}
    if spec.board is None:
        return {"kind": "text"}
    planes, rows, columns = spec.observation_shape
    moves = "list"
    if spec.num_actions == columns and spec.board.support:
        moves = "columns"
    elif spec.num_actions in (rows * columns, rows * columns + 1):
        moves = "cells"
    return {
        "kind": "grid",
        "rows": rows,
        "columns": columns,
        "planes_per_seat": 0 if planes % spec.num_players else planes // spec.num_players,
        "moves": moves,
        "bottom_up": any(0 <= below < cell for cell, below in enumerate(spec.board.support)),
    }


def drawing(game: BatchedGame, slot: int) -> dict[str, Any]:
    """The position in a slot, as JSON, by the kind of its `layout`.

    - grid: `cells`, row by row, 0 or 1 + the plane that shows something there to seat 0; None after
      the end of a match that shows its last position to nobody;
    - ludo: `tokens` with `seat`, `rank`, `row` and `column`, and `roll`;
    - points: `checkers` [2, 26] of each seat by its own numbers of points, and `dice`;
    - text: `text`.
    """
    if _shows(game, "tokens"):
        state = game.get_state()["states"][slot]
        return {"tokens": game.rules.tokens(state), "roll": int(state["roll"])}
    if _shows(game, "drawn_points"):
        shown: dict[str, Any] = game.rules.drawn_points(game.get_state()["states"][slot])
        return shown
    if game.spec.board is None:
        return {"text": game.text(slot)}
    planes = _planes(game, slot)
    if planes is None:
        return {"cells": None}
    taken = planes != 0
    cells = np.where(taken.any(axis=0), 1 + taken.argmax(axis=0), 0)
    return {"cells": cells.ravel().tolist()}


def cells_of_moves(game: BatchedGame, slot: int) -> dict[int, list[int]]:
    """The cells that each legal action would change, for games whose `layout` lists the moves of a
    grid; empty where the next position is not known (chance) or not shown.
    """
    if game.spec.chance or layout(game).get("moves") != "list":
        return {}
    before, state, cells = drawing(game, slot), game.get_state(), dict[int, list[int]]()
    actions = np.full(game.num_slots, -1)
    for action in np.flatnonzero(game.mask[slot]).tolist():
        actions[slot] = action
        game.step(actions)
        cells[action] = changed_cells(before, drawing(game, slot))
        game.set_state(state)
    return cells


def changed_cells(before: dict[str, Any], after: dict[str, Any]) -> list[int]:
    """The cells of a grid that differ between two drawings; none where one does not show them."""
    pairs = zip(before.get("cells") or [], after.get("cells") or [], strict=False)
    return [cell for cell, (old, new) in enumerate(pairs) if old != new]


def _shows(game: BatchedGame, what: str) -> TypeGuard[CompiledGame]:
    """Return whether the rules of the game have a function of that name."""
    return isinstance(game, CompiledGame) and hasattr(game.rules, what)


def _planes(game: BatchedGame, slot: int) -> NDArray[Any] | None:
    """[P, rows, columns]: the board as seat 0 sees it; None where the game does not show it after
    the end of a match.
    """
    if not game.terminated[slot]:
        planes: NDArray[Any] = game.observe_as(np.array([slot]), np.zeros(1, np.int64))[0]
        return planes
    shape, dtype = game.spec.observation_shape, game.spec.observation_dtype
    try:
        if isinstance(game, LoopedGame):
            match, _ = game.lent(slot)
            return np.asarray(match.observe(0), dtype).reshape(shape)
        if isinstance(game, CompiledGame):
            state, seen = game.get_state()["states"][slot], np.zeros(shape, dtype)
            state["seat"] = 0
            game.rules.observe(state, seen)
            return seen
    except Exception:  # no game has to show what follows its end
        pass
    return None
