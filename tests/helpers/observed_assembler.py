"""The assembler on the game's own observations."""

from __future__ import annotations

from typing import Any

from sparring.replay.transitions import transition_dtype
from sparring.rollout.assembler import TransitionAssembler
from sparring.rollout.positions import Observed


class Assembler(TransitionAssembler):
    """Makes rows of the game's own observations."""

    def __init__(self, game: Any, **options: Any) -> None:
        super().__init__(game, transition_dtype(game.spec), **options)
        self._observed = Observed(game)

    def decide(self, actions: Any, learns: Any, version: int) -> None:  # type: ignore[override]
        made, following = self._observed.decisions(actions), self._observed.successors()
        super().decide(actions, learns, version, made, following)

    def settle(self, actions: Any) -> None:  # type: ignore[override]
        super().settle(actions, self._observed.successors())
