"""Ludo for three players, observed without facts of moves."""

from __future__ import annotations

from typing import Final

from sparring.games.ludo.board import STYLE, action_text, text, tokens
from sparring.games.ludo.rules import (
    declare,
    legal,
    move,
    observe_raw,
    place_raw,
    play,
    start,
    state_dtype,
)

__all__ = [
    "SPEC", "STATE", "STYLE",
    "action_text", "legal", "move", "observe", "place", "play", "start", "text", "tokens",
]  # fmt: skip

SPEC: Final = declare("ludo(num_players=3,observation=raw)", 3, raw=True)
STATE: Final = state_dtype(3)
observe = observe_raw
place = place_raw
