"""How strong the agent in a file is, as plain figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sparring import games
from sparring.dqn.agent import DQNAgent
from sparring.evaluation import evaluate, exhaustive_losses
from sparring.opponents.players import NetworkPlayer


def judge(path: Path, game: str | None, opponents: Sequence[str], *, matches: int, seed: int) -> dict[str, Any]:
    """`{"opponents": {NAME: {"matches", "wins", ..., "score", "interval95", "seats"}}}` of the greedy agent in `path`."""
    agent = DQNAgent.load(path, game=game)
    return evaluate(NetworkPlayer("agent", agent.policy()), agent.spec.game, opponents, matches=matches, seed=seed)


def search_losses(path: Path, game: str | None) -> dict[str, Any]:
    """Every line of play against the greedy agent in `path`: how many there are, and how they end, by its seat."""
    agent = DQNAgent.load(path, game=game)
    found = exhaustive_losses(partial(games.make, agent.spec.game), NetworkPlayer("agent", agent.policy()))
    seats = [{"lines": seat.lines, "wins": seat.wins, "draws": seat.draws, "losses": seat.losses} for seat in found.seats]
    return {"lines": found.lines, "losses": found.losses, "seats": seats}
