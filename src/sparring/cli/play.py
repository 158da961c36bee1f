"""`sparring play`: a person against the agent of a file, in the terminal."""

from __future__ import annotations

import secrets

from sparring import games
from sparring.cli.evaluate import load_agent
from sparring.opponents.found import FoundAgent
from sparring.play.commands import Conversation, OpponentChoices
from sparring.play.match import PlaySession
from sparring.play.terminal import converse


def play(
    found: FoundAgent,
    *,
    opponent: str,
    seat: int,
    seed: int | None,
    show_values: bool,
    lookahead: int = 0,
    runs_dir: str = "runs",
) -> None:
    """Play until the person leaves. Without a seed, other dice each time. `runs_dir` has the runs
    of agents as opponents.
    """
    agent = load_agent(found)
    policy, folder = agent.policy(), found.path.parent
    run = folder if (folder / "checkpoints").is_dir() else None
    choices = OpponentChoices(policy, run, lookahead=lookahead, runs_dir=runs_dir)
    session = PlaySession(
        games.make(agent.spec.game, 1),
        policy,
        choices.player(opponent),
        seat=seat,
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
    )
    converse(Conversation(session, choices, show_values=show_values))
