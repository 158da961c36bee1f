"""Backgammon agents against PubEval and GNU Backgammon: points a match in both seats.

    python benchmarks/backgammon_judge.py runs/backgammon-1/last.safetensors \\
        --pubeval pubeval.c --gnubg

PubEval is Gerald Tesauro's linear evaluator, which he put into the public domain as a benchmark.
Its weights are not part of Sparring: `--pubeval` names the file pubeval.c of OpenBSD's source
(games/backgammon/backgammon). GNU Backgammon plays with its networks at 0 plies, without noise, if
it is installed (Debian: apt-get install gnubg; licence GPL-3.0). Both choose among all positions
that their throw can lead to. So does an agent with `--lookahead turn`; without, it compares the
moves of one checker at a time.

A money game without a cube: gammons pay 2, backgammons 3 (`--scoring winloss`: every win pays 1).
Each sequence of throws is played twice, once from each seat. Intervals are bootstrapped over these
pairs. `pubeval` and `gnubg` may also stand in place of an agent.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import tyro
from backgammon_turns import TurnPlayer, read_pubeval
from gnubg_bridge import Gnubg
from rich import box
from rich.console import Console
from rich.table import Table

from sparring import games
from sparring.cli.evaluate import load_agent
from sparring.dqn.tree_search import Lookahead
from sparring.errors import InputError, SparringError
from sparring.evaluation import play_matches, score_matches
from sparring.opponents.found import find_agent
from sparring.opponents.lookahead import agent_player
from sparring.opponents.players import Player

GAME: Final = "backgammon"
PUBEVAL, GNUBG = "pubeval", "gnubg"


@dataclass(frozen=True)
class Settings:
    """Agents, matches, and who judges."""

    agents: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Agent files, directories or names of runs, pubeval or gnubg."""
    pubeval: Path | None = None
    """File pubeval.c with the weights of PubEval."""
    gnubg: bool = False
    """Play against GNU Backgammon at 0 plies, too."""
    matches: int = 4000
    """Against each judge, half of them in each seat."""
    lookahead: Literal["none", "turn"] = "none"
    """turn: the agents compare the ends of whole turns, not the moves of one checker."""
    scoring: Literal["full", "winloss"] = "full"
    """full: gammons pay 2, backgammons 3; winloss: every win pays 1."""
    seed: int = 0
    """Of the throws."""
    runs_dir: str = "runs"
    """Directory of runs given by name."""
    json: bool = False
    """Print one JSON object as the last line."""

    @property
    def game(self) -> str:
        return f"{GAME}(scoring={self.scoring})"


def load_player(name: str, settings: Settings, judges: Mapping[str, Player]) -> Player:
    """The greedy player of an agent, or a judge by its name."""
    if name in (PUBEVAL, GNUBG):
        if name not in judges:
            raise InputError(f"{name} as a player", remedy=f"give --{name}, too")
        return judges[name]
    agent = load_agent(find_agent(name, settings.runs_dir))
    if not agent.spec.game.startswith(GAME):
        raise InputError(
            f"{name} plays another game", got=f"an agent for {agent.spec.game}", expected=GAME
        )
    lookahead = Lookahead(turn=settings.lookahead == "turn")
    return agent_player(name, agent.policy(), lookahead=lookahead)


def find_judges(settings: Settings, stack: ExitStack) -> dict[str, Player]:
    """The judges that the settings ask for; `stack` closes them."""
    judges: dict[str, Player] = {}
    if settings.pubeval is not None:
        judges[PUBEVAL] = TurnPlayer(PUBEVAL, read_pubeval(settings.pubeval))
    if settings.gnubg:
        gnubg = Gnubg()
        stack.callback(gnubg.close)
        judges[GNUBG] = TurnPlayer(GNUBG, gnubg)
    if not settings.agents:
        raise InputError("no agent", remedy="name a run, an agent file, pubeval or gnubg")
    if not judges:
        raise InputError("no judge", remedy="give --pubeval FILE, --gnubg, or both")
    return judges


def main(settings: Settings) -> list[dict[str, Any]]:
    """Play the matches of all agents; a row of figures for each agent and judge."""
    with ExitStack() as stack:
        judges = find_judges(settings, stack)
        agents = [load_player(name, settings, judges) for name in settings.agents]
        return [
            play(agent, judge, settings)
            for agent in agents
            for judge in judges.values()
            if judge is not agent
        ]


def play(agent: Player, judge: Player, settings: Settings) -> dict[str, Any]:
    """Play the matches of an agent with a judge."""
    begun = time.process_time()
    table = play_matches(
        partial(games.make, settings.game),
        [agent, judge],
        matches=settings.matches,
        seed=settings.seed,
        opening_plies=0,  # the throws make matches differ
    )
    score, points = score_matches(table), table.returns[:, 0]
    seconds = time.process_time() - begun
    print(f"{agent.name} against {judge.name}: {seconds:.0f} s of processor time", file=sys.stderr)
    return {
        "agent": agent.name,
        "judge": judge.name,
        "matches": score.matches,
        "distinct": score.distinct,
        "points": score.mean_return,
        "points95": score.return_interval95,
        "points_by_seat": score.return_seats,
        "won_share": score.score,
        "won95": score.interval95,
        "gammons_won": float((points > 1).mean()),
        "gammons_lost": float((points < -1).mean()),
    }


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table: a line for each agent and judge."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in (
        "", "against", "matches", "points a match", "seats", "won", "gammons\nwon", "\nlost",
    ):  # fmt: skip
        justify: Literal["left", "right"] = "left" if column in ("", "against") else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(
            row["agent"],
            row["judge"],
            f"{row['matches']:,}",
            _interval("+.3f", row["points"], row["points95"]),
            ", ".join(f"{points:+.2f}" for points in row["points_by_seat"]),
            _interval(".3f", row["won_share"], row["won95"]),
            f"{row['gammons_won']:.3f}",
            f"{row['gammons_lost']:.3f}",
        )
    Console(width=120 + max(len(row["agent"]) for row in rows)).print(table)


def _interval(form: str, mean: float, bounds: tuple[float, float]) -> str:
    return f"{mean:{form}} ({bounds[0]:{form}} to {bounds[1]:{form}})"


if __name__ == "__main__":
    given = tyro.cli(Settings)
    try:
        found = main(given)
    except SparringError as error:
        print(f"backgammon_judge: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    show(found)
    if given.json:
        print(json.dumps(found))
