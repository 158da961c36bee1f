"""How strong the agent in a file is, as plain figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sparring import games
from sparring.cli.agents import FoundAgent
from sparring.dqn.agent import DQNAgent
from sparring.evaluation import evaluate, exhaustive_losses
from sparring.opponents.players import NetworkPlayer
from sparring.opponents.scripted import yardsticks


def load_agent(found: FoundAgent) -> DQNAgent:
    """The agent, ready to play."""
    return DQNAgent.load(found.path, game=found.game, network=found.network)


def judge(found: FoundAgent, opponents: Sequence[str], *, matches: int, seed: int) -> dict[str, Any]:
    """`{"opponents": {NAME: {"matches", "wins", ..., "score", "interval95", "seats"}}}` of the greedy agent.

    Without `opponents` it meets the yardsticks of its game.
    """
    agent = load_agent(found)
    player, game = NetworkPlayer("agent", agent.policy()), agent.spec.game
    return evaluate(player, game, opponents or yardsticks(game), matches=matches, seed=seed)


def search_losses(found_agent: FoundAgent) -> dict[str, Any]:
    """Every line of play against the greedy agent: how many there are, and how they end, by its seat."""
    agent = load_agent(found_agent)
    found = exhaustive_losses(partial(games.make, agent.spec.game), NetworkPlayer("agent", agent.policy()))
    seats = [{"lines": seat.lines, "wins": seat.wins, "draws": seat.draws, "losses": seat.losses} for seat in found.seats]
    return {"lines": found.lines, "losses": found.losses, "seats": seats}
