"""Backgammon in which every win pays 1."""

from __future__ import annotations

from typing import Final

from sparring.games.backgammon.board import STYLE, action_text, drawn_points, text
from sparring.games.backgammon.rules import (
    STATE,
    declare,
    legal,
    move,
    observe,
    place,
    play,
    start,
)

__all__ = [
    "SPEC", "STATE", "STYLE",
    "action_text", "drawn_points", "legal", "move", "observe", "place", "play", "start", "text",
]  # fmt: skip

SPEC: Final = declare("backgammon", highest=1)
