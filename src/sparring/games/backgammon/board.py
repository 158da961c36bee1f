"""A position of backgammon and its moves for people, as the seat to move numbers the points."""

from __future__ import annotations

from typing import Any, Final

from sparring.games.backgammon.rules import BAR, CHECKERS, OFF, POINTS, SOURCES
from sparring.games.spec import BoardStyle

STYLE: Final = BoardStyle(marks="XO", colours=(("X", "bold red"), ("O", "bold yellow")))
_HEIGHT: Final = 5  # rows of a point; a taller stack shows its number at its tip


def text(state: Any) -> str:
    """The board, the mover's home below on the right, then bars, borne off, and the dice."""
    upper = [_stack(state, point) for point in range(POINTS // 2 + 1, POINTS + 1)]
    lower = [_stack(state, point) for point in range(POINTS // 2, 0, -1)]
    lines = [_row([str(point) for point in range(POINTS // 2 + 1, POINTS + 1)])]
    lines += [_row([stack[height] for stack in upper]) for height in range(_HEIGHT)]
    lines += [""]
    lines += [_row([stack[height] for stack in lower]) for height in reversed(range(_HEIGHT))]
    lines += [_row([str(point) for point in range(POINTS // 2, 0, -1)])]
    for name, place in (("bar", BAR), ("borne off", OFF)):
        counts = [f"{mark} {state['checkers'][seat, place]}" for seat, mark in _marks()]
        lines.append(f"{name}: {', '.join(counts)}")
    return "\n".join([*lines, _turn(state)])


def drawn_points(state: Any) -> dict[str, list[Any]]:
    """The checkers of each seat in each place, by its own numbers, and the dice left to play."""
    return {"checkers": state["checkers"].tolist(), "dice": _dice(state)}


def action_text(state: Any, action: int) -> str:
    """Die, from and to in the mover's numbers, a star for a hit: "6: 24/18*"."""
    which, source = action // SOURCES, action % SOURCES + 1
    die = int(state["dice"][which])
    target = max(source - die, OFF)
    hits = target > OFF and state["checkers"][1 - state["seat"], BAR - target] > 0
    begin, end = "bar" if source == BAR else source, target or "off"
    return f"{die}: {begin}/{end}{'*' if hits else ''}"


def _marks() -> list[tuple[int, str]]:
    return list(enumerate(STYLE.marks))


def _row(cells: list[str]) -> str:
    padded = [f"{cell:>2}" for cell in cells]
    return f"{' '.join(padded[:6])} | {' '.join(padded[6:])}".rstrip()


def _stack(state: Any, point: int) -> list[str]:
    """Signs of a point from the edge of the board inwards."""
    seat = int(state["seat"])
    for owner, place in ((seat, point), (1 - seat, BAR - point)):
        count = int(state["checkers"][owner, place])
        if count:
            shown = [STYLE.marks[owner]] * min(count, _HEIGHT)
            if count > _HEIGHT:
                shown[-1] = str(count)
            return shown + [""] * (_HEIGHT - len(shown))
    return ["."] + [""] * (_HEIGHT - 1)


def _turn(state: Any) -> str:
    seat = int(state["seat"])
    mark = STYLE.marks[seat]
    if state["checkers"][seat, OFF] == CHECKERS:
        return f"{mark} has borne off all checkers."
    return f"{mark} moves from 24 to 1 and has to play {' '.join(map(str, _dice(state)))}."


def _dice(state: Any) -> list[int]:
    """The dice left to play, the higher one first."""
    high, low, repeats = int(state["dice"][0]), int(state["dice"][1]), int(state["repeats"])
    return [high] * (1 + repeats) + [low] * (low > 0)
