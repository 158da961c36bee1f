"""Strength of the agent in a file, as plain figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from sparring import games
from sparring.dqn.agent import DQNAgent
from sparring.dqn.tree_search import NO_LOOKAHEAD, Lookahead
from sparring.errors import InputError
from sparring.evaluation import GameCache, evaluate, exhaustive_losses
from sparring.evaluation import solved_positions as solved
from sparring.opponents.found import FoundAgent
from sparring.opponents.lookahead import agent_player
from sparring.opponents.roster import players_of
from sparring.opponents.scripted import baseline_opponents

POSITION_OPPONENTS: Final = (
    "random",
    "one_ply",
    "minimax:2",
    "minimax:4",
    "minimax:6",
    "minimax:8",
)


def load_agent(found: FoundAgent) -> DQNAgent:
    """Load the agent."""
    return DQNAgent.load(found.path, game=found.game, network=found.network)


def evaluate_matches(
    found: FoundAgent,
    opponents: Sequence[str],
    *,
    matches: int,
    seed: int,
    opening_plies: int | None = None,
    lookahead: Lookahead = NO_LOOKAHEAD,
    runs_dir: str = "runs",
) -> dict[str, Any]:
    """Results of the greedy agent as of `sparring.evaluation.evaluate`; it looks
    ahead so far.

    Without `opponents` it plays the baseline opponents of its game. `runs_dir` has the runs of
    agents among them.
    """
    agent = load_agent(found)
    games_made, names = GameCache(agent.game), opponents or baseline_opponents(agent.spec.game)
    others = players_of(names, agent.game, games_made, runs_dir=runs_dir, network=found.network)
    return evaluate(
        agent_player("agent", agent.policy(), lookahead=lookahead),
        games_made,
        others,
        matches=matches,
        seed=seed,
        opening_plies=opening_plies,
    )


def search_losses(
    found_agent: FoundAgent, *, lookahead: Lookahead = NO_LOOKAHEAD
) -> dict[str, Any]:
    """Numbers of all lines of play against the greedy agent, by their end and the agent's seat."""
    agent = load_agent(found_agent)
    found = exhaustive_losses(
        partial(games.make, agent.spec.game),
        agent_player("agent", agent.policy(), lookahead=lookahead),
    )
    seats = [{"lines": seat.lines, **asdict(seat)} for seat in found.seats]
    return {"lines": found.lines, "losses": found.losses, "seats": seats}


def evaluate_positions(
    found: FoundAgent,
    file: Path,
    others: Sequence[str],
    *,
    rows: solved.Rows,
    seed: int,
    lookahead: Lookahead = NO_LOOKAHEAD,
    runs_dir: str = "runs",
) -> dict[str, Any]:
    """Results of the greedy agent and `others` on solved positions: `{PLAYER: {"all" | "matters":
    {"n", ...}, "by_stones": {...}}}`.

    Without `others` those of `POSITION_OPPONENTS`. The figures of `random` are exact expectations;
    other players that break ties at random draw once, from `seed`.
    """
    agent = load_agent(found)
    if agent.spec.game != solved.GAME:
        raise InputError(
            "solved positions are of another game",
            got=f"an agent for {agent.spec.game}",
            expected=solved.GAME,
        )
    players = players_of(
        others or POSITION_OPPONENTS,
        agent.game,
        GameCache(agent.game),
        runs_dir=runs_dir,
        network=found.network,
    )
    positions = solved.load_positions(file, rows)
    game = solved.set_up_positions(positions)
    results = {}
    own = agent_player("agent", agent.policy(), lookahead=lookahead)
    for player in (own, *players.values()):
        results[player.name] = (
            solved.expected_of_random(positions)
            if player.name == "random"
            else solved.play_positions(player, positions, game, seed=seed)
        )
    return {name: result.as_dict() for name, result in results.items()}
