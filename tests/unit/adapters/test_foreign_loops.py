"""The conversions of docs/use-your-agent.md give the observations of the built-in game."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring.games import BatchedGame, make

PAGE = Path(__file__).parents[3] / "docs" / "use-your-agent.md"


def function(name: str) -> Callable[..., Any]:
    """A function that the page defines."""
    [code] = re.findall(rf"^def {name}\(.*?(?=\n\n\n)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    scope: dict[str, Any] = {"np": np}
    exec(code, scope)
    found: Callable[..., Any] = scope[name]
    return found


@pytest.fixture
def game() -> BatchedGame:
    made = make("connect_four", 1)
    made.reset(np.array([0]), np.array([1], np.uint64))
    return made


def play_some(game: BatchedGame, also: Callable[[int], Any]) -> int:
    """Play twelve random plies at most, in both games; return their number."""
    rng = np.random.default_rng(3)
    for ply in range(12):
        if game.terminated[0]:
            return ply
        action = int(rng.choice(np.flatnonzero(game.mask[0])))
        game.step(np.array([action]))
        if not game.terminated[0]:
            also(action)
    return 12


def test_pettingzoo(game: BatchedGame) -> None:
    env = pytest.importorskip("pettingzoo").make("aec", "classic/connect_four-v3")
    env.reset(seed=0)
    convert = function("from_pettingzoo")

    def compare(action: int) -> None:
        env.step(action)
        seen = env.observe(env.agent_selection)
        np.testing.assert_array_equal(convert(seen["observation"]), game.observation[0])
        np.testing.assert_array_equal(seen["action_mask"].astype(bool), game.mask[0])

    assert play_some(game, compare) > 6


def test_openspiel(game: BatchedGame) -> None:
    state = pytest.importorskip("pyspiel").load_game("connect_four").new_initial_state()
    convert = function("from_openspiel")

    def compare(action: int) -> None:
        state.apply_action(action)
        np.testing.assert_array_equal(convert(state), game.observation[0])

    assert play_some(game, compare) > 6


def test_a_board_as_text(game: BatchedGame) -> None:
    convert = function("observe")

    def compare(_: int) -> None:
        board = "\n".join(line.replace(" ", "") for line in game.text(0).splitlines()[:6])
        mover = "XO"[int(game.seat[0])]
        other = "OX"[int(game.seat[0])]
        np.testing.assert_array_equal(convert(board, mover, other), game.observation[0])

    assert play_some(game, compare) > 6
