"""Ludo for two players."""

from __future__ import annotations

from typing import Final

from sparring.games.ludo.board import STYLE, action_text, text, tokens
from sparring.games.ludo.rules import declare, legal, move, observe, place, play, start, state_dtype

__all__ = [
    "SPEC", "STATE", "STYLE",
    "action_text", "legal", "move", "observe", "place", "play", "start", "text", "tokens",
]  # fmt: skip

SPEC: Final = declare("ludo", 2)
STATE: Final = state_dtype(2)
