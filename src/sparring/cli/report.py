"""What the commands print for people, 80 columns wide, and the figures of a training run for JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from sparring.cli.agents import find_agent
from sparring.games import GameSpec

if TYPE_CHECKING:
    from sparring.training import TrainResult

_STRENGTH_MATCHES = 200


def command(name: str = "sparring") -> str:
    """What to type for a program of our environment: its path, where the environment is not activated and we were called by path too."""
    called = Path(sys.argv[0])
    return name if called.name != "sparring" or shutil.which(name) else str(called.with_name(name))


def training_figures(result: TrainResult) -> dict[str, Any]:
    """The JSON object of `train` and `resume`."""
    return {
        "run": str(result.run),
        "agent": str(result.agent),
        "updates": result.updates,
        "plies": result.plies,
        "episodes": result.episodes,
        "seconds": round(result.seconds, 3),
        "episodes_per_min": round(result.episodes_per_min, 3),
        "plies_per_s": round(result.plies_per_s, 3),
        "sha256": result.sha256,
    }


def print_training(result: TrainResult) -> None:
    """What the run came to, how strong its agent is, and what to type next."""
    from sparring.cli.judging import judge

    _say(f"{result.episodes:,} matches, {result.plies:,} plies and {result.updates:,} updates in all")
    _say(f"this time {result.seconds:,.0f} s at {result.plies_per_s:,.0f} plies/s and {result.episodes_per_min:,.0f} matches/min")
    found = find_agent(f"{result.run}/", "")
    _say(f"agent  {found.path}")
    _say(f"last   sha256 {result.sha256}")
    if result.interrupted:
        return
    print_evaluation({"agent": str(found.path), **judge(found, (), matches=_STRENGTH_MATCHES, seed=0)})
    _say("What next:")
    _say(f"  {command()} play {result.run}")
    _say(f"  {command()} evaluate {result.run} --matches 1000")
    _say(f"  {command()} resume {result.run} --n-episodes {2 * result.episodes}")
    _say(f"  {command('tensorboard')} --logdir {result.run.parent}")


def print_evaluation(figures: Mapping[str, Any]) -> None:
    """The result of `evaluate`: a table of matches, and what an exhaustive search found."""
    if "opponents" in figures:
        _print(_score_table(figures["opponents"]))
    if "exhaustive" in figures:
        found = figures["exhaustive"]
        _say(f"{found['losses']:,} losses in {found['lines']:,} lines of play, which are all that an opponent can choose")
        for seat, lines in enumerate(found["seats"]):
            _say(f"  seat {seat}: {lines['wins']:,} wins, {lines['draws']:,} draws, {lines['losses']:,} losses")


def _score_table(opponents: Mapping[str, Mapping[str, Any]]) -> Table:
    two = all(len(result["seats"]) <= 2 for result in opponents.values())  # the scores of more seats would not fit in a line
    table = _table("against", "matches", "wins", "draws", "losses", "score", "95 % interval", *(["by seat"] if two else []))
    for name, result in opponents.items():
        low, high = result["interval95"]
        counts = (f"{result[key]:,}" for key in ("matches", "wins", "draws", "losses"))
        seats = [" ".join(f"{score:.3f}" for score in result["seats"])] if two else []
        table.add_row(name, *counts, f"{result['score']:.3f}", f"{low:.3f} - {high:.3f}", *seats)
    if not two:
        table.caption = f"score: share of first places; {1 / len(result['seats']):.3f} if all are equally strong"
    return table


def print_games(games: Iterable[tuple[GameSpec, Sequence[int]]]) -> None:
    """The table of `sparring games`: what each declares, and how many may play it."""
    table = _table("game", "players", "actions", "observation", "chance", "ply limit")
    for spec, players in games:
        observation = f"{spec.observation_dtype} {' x '.join(map(str, spec.observation_shape))}"
        chance = "yes" if spec.chance else "no"
        table.add_row(spec.name, ", ".join(map(str, players)), str(spec.num_actions), observation, chance, str(spec.max_plies))
    _print(table)
    _say("Others by name: openspiel:backgammon, pettingzoo:classic/chess-v6, and your own:")
    _say("module:Class or compiled:module. `sparring check-game NAME` checks one.")


def _table(first: str, *others: str) -> Table:
    """Names on the left, figures on the right."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _print(table: Table) -> None:
    Console(width=80).print(table)


def _say(text: str) -> None:
    Console(soft_wrap=True).print(text, markup=False, highlight=False, emoji=False)
