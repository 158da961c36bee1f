"""`sparring play`: a person against the agent of a file, in the terminal or in the browser."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from sparring import games
from sparring.cli.evaluate import load_agent
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.tree_search import NO_LOOKAHEAD, Lookahead
from sparring.opponents.found import FoundAgent
from sparring.play.commands import AGENT, Conversation, OpponentChoices
from sparring.play.match import OpenMatch, PlaySession, check_seat
from sparring.play.terminal import converse


def play(
    found: FoundAgent,
    *,
    opponent: str,
    seat: int,
    seed: int | None,
    show_values: bool,
    lookahead: Lookahead = NO_LOOKAHEAD,
    runs_dir: str = "runs",
) -> None:
    """Play in the terminal until the person leaves. Without a seed, other dice each time.
    `runs_dir` has the runs of agents as opponents.
    """
    policy, choices = _loaded(found, lookahead, runs_dir)
    session = PlaySession(
        games.make(policy.spec.game, 1),
        policy,
        choices.player(opponent),
        seat=seat,
        seed=_seed(seed),
    )
    converse(Conversation(session, choices, show_values=show_values))


def play_in_browser(
    found: FoundAgent,
    *,
    opponent: str,
    seat: int,
    seed: int | None,
    show_values: bool,
    host: str,
    port: int,
    open_browser: bool,
    lookahead: Lookahead = NO_LOOKAHEAD,
    runs_dir: str = "runs",
) -> None:
    """Serve the page until Ctrl-C. Raises `InputError` where FastAPI is not installed."""
    from sparring.play.web.matches import WebMatches
    from sparring.play.web.server import WebServer

    policy, choices = _loaded(found, lookahead, runs_dir)
    spec = policy.spec.game_spec
    matches = WebMatches(
        spec,
        lambda: OpenMatch(games.make(policy.spec.game, 1), policy),
        choices,
        _levels(choices, opponent, found.path),
    )
    check_seat(seat, spec.num_players)
    choices.player(opponent)  # a wrong name ends here, not in the page
    first = {
        "seed": str(_seed(seed)),  # beyond 2^53 a number would lose digits in the page
        "players": [None if player == seat else opponent for player in range(spec.num_players)],
        "values": show_values,
    }
    server = WebServer(matches, first, host=host, port=port)
    print(f"Play {spec.name} in the browser; Ctrl-C stops the server.\n{server.url}", flush=True)
    if not server.is_private:
        print("Everyone who has this address can play, and nothing is encrypted.", file=sys.stderr)
    server.serve(open_browser=open_browser)


def _loaded(
    found: FoundAgent, lookahead: Lookahead, runs_dir: str
) -> tuple[InferencePolicy, OpponentChoices]:
    policy, folder = load_agent(found).policy(), found.path.parent
    run = folder if (folder / "checkpoints").is_dir() else None
    return policy, OpponentChoices(policy, run, lookahead=lookahead, runs_dir=runs_dir)


def _seed(seed: int | None) -> int:
    return secrets.randbelow(1_000_000) if seed is None else seed


def _levels(choices: OpponentChoices, opponent: str, agent: Path) -> dict[str, str]:
    """The agent at its ages, then the opponent asked for if it is another player; their labels."""
    labels = {name: name.replace(":", " ") for name in choices.history()}
    labels[AGENT] = agent.stem if len(labels) > 1 else AGENT
    return {**labels, opponent: labels.get(opponent, opponent)}
