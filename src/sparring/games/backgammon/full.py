"""Backgammon in which a gammon pays 2 and a backgammon 3."""

from __future__ import annotations

from typing import Final

from sparring.games.backgammon.board import STYLE, action_text, drawn_points, text
from sparring.games.backgammon.rules import STATE, declare, legal, observe, place, start
from sparring.games.backgammon.rules import move_full as move
from sparring.games.backgammon.rules import play_full as play

__all__ = [
    "SPEC", "STATE", "STYLE",
    "action_text", "drawn_points", "legal", "move", "observe", "place", "play", "start", "text",
]  # fmt: skip

SPEC: Final = declare("backgammon(scoring=full)", highest=3)
