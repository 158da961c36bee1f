"""Rules of games, and the batched protocol through which everything else plays them."""

from __future__ import annotations

import importlib

from sparring.errors import ConfigurationError, nearest
from sparring.games.spec import BatchedGame, GameSpec, Symmetry

__all__ = ["BatchedGame", "GameSpec", "Symmetry", "make", "names", "spec_of"]

_RULES = {
    "connect_four": "sparring.games.connect_four",
    "tic_tac_toe": "sparring.games.tic_tac_toe",
}


def names() -> tuple[str, ...]:
    """Every built-in game, in alphabetical order."""
    return tuple(_RULES)


def spec_of(name: str) -> GameSpec:
    """What a built-in game declares; compiles nothing."""
    spec = importlib.import_module(_rules_of(name)).SPEC
    assert isinstance(spec, GameSpec)
    return spec


def make(name: str, num_slots: int) -> BatchedGame:
    """A built-in game with `num_slots` matches side by side."""
    from sparring.games.compiled import CompiledGame  # Numba takes half a second, which a list of games need not wait for

    return CompiledGame(_rules_of(name), num_slots)


def _rules_of(name: str) -> str:
    if name not in _RULES:
        raise ConfigurationError("unknown game", got=repr(name), expected=f"one of {', '.join(_RULES)}", remedy=nearest(name, _RULES))
    return _RULES[name]
