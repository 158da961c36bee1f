"""Output of the commands as text, 80 columns wide, and figures of a training run for JSON."""

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
_MAX_PLAYERS = 19  # in the payoff table: four characters each
# Columns of solved positions: among which, the share, its interval.
_POSITION_SHARES = {
    "keeps the value": ("all", "value_preserving", "interval95"),
    "where it matters": ("matters", "value_preserving", "interval95"),
    "exactly best": ("all", "exact", "exact_interval95"),
}


def command(name: str = "sparring") -> str:
    """The command to type for a program of our environment: its name, or its path where the
    environment is not activated and `sparring` was itself called by path.
    """
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
    """Print the result of a run, the strength of its agent, and what to type next."""
    from sparring.cli.evaluate import evaluate_matches

    _line(f"{result.episodes:,} matches, {result.plies:,} plies, {result.updates:,} updates")
    _line(
        f"this session: {result.seconds:,.0f} s, {result.plies_per_s:,.0f} plies/s, "
        f"{result.episodes_per_min:,.0f} matches/min"
    )
    found = find_agent(f"{result.run}/", "")
    _line(f"agent: {found.path}")
    _line(f"last.safetensors sha256 {result.sha256}")
    if result.interrupted:
        return
    print_evaluation(
        {"agent": str(found.path), **evaluate_matches(found, (), matches=_STRENGTH_MATCHES, seed=0)}
    )
    _line("What next:")
    _line(f"  {command()} play {result.run}")
    _line(f"  {command()} evaluate {result.run} --matches 1000")
    _line(f"  {command()} resume {result.run} --n-episodes {2 * result.episodes}")
    _line(f"  {command('tensorboard')} --logdir {result.run.parent}")


def print_evaluation(figures: Mapping[str, Any]) -> None:
    """Print the result of `evaluate`: matches, solved positions, exhaustive search."""
    if "opponents" in figures:
        _print(_score_table(figures["opponents"]))
    if "positions" in figures:
        _print_positions(figures["positions"])
    if "exhaustive" in figures:
        _print_exhaustive(figures["exhaustive"])


def _score_table(opponents: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row per opponent. Scores by seat fit into a line for two seats only."""
    seats = max(len(result["seats"]) for result in opponents.values())
    columns = ["matches", "wins", "draws", "losses", "score", "95 % interval"]
    table = _table("against", *columns, *(["by seat"] if seats <= 2 else []))
    for name, result in opponents.items():
        low, high = result["interval95"]
        counts = (f"{result[key]:,}" for key in ("matches", "wins", "draws", "losses"))
        by_seat = [" ".join(f"{score:.3f}" for score in result["seats"])] if seats <= 2 else []
        table.add_row(name, *counts, f"{result['score']:.3f}", f"{low:.3f} - {high:.3f}", *by_seat)
    if seats > 2:
        table.caption = f"score: share of first places; {1 / seats:.3f} between equals"
    return table


def _print_exhaustive(found: Mapping[str, Any]) -> None:
    _line(f"{found['losses']:,} losses in {found['lines']:,} lines of play (all that exist)")
    for seat, lines in enumerate(found["seats"]):
        counts = ", ".join(f"{lines[key]:,} {key}" for key in ("wins", "draws", "losses"))
        _line(f"  seat {seat}: {counts}")


def _print_positions(players: Mapping[str, Mapping[str, Any]]) -> None:
    """Print results of players on solved positions: three shares over all positions, then each
    share by number of stones.
    """
    first = next(iter(players.values()))
    _line(
        f"{first['all']['n']:,} solved positions; in {first['matters']['n']:,} of them the legal "
        "moves differ in outcome"
    )
    _line("Shares of moves (95 % interval):")
    table = _table("player", *_POSITION_SHARES)
    for name, results in players.items():
        cells = (
            _share_and_interval(results[among][share], results[among][interval])
            for among, share, interval in _POSITION_SHARES.values()
        )
        table.add_row(name, *cells)
    _print(table)
    for title, (among, share, interval) in _POSITION_SHARES.items():
        _line(f"{title}, by number of stones (± half the 95 % interval):")
        table = _table("player", *first["by_stones"])
        for name, results in players.items():
            splits = (split[among] for split in results["by_stones"].values())
            table.add_row(name, *(_share_and_half(cell[share], cell[interval]) for cell in splits))
        _print(table)


def _share_and_interval(share: float | None, interval: Sequence[float]) -> str:
    return "-" if share is None else f"{share:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def _share_and_half(share: float | None, interval: Sequence[float]) -> str:
    """The half is at most 0.5; without its 0 five columns fit."""
    half = f"{(interval[1] - interval[0]) / 2:.3f}".removeprefix("0")
    return "-" if share is None else f"{share:.3f} ±{half}"


def print_tournament(figures: Mapping[str, Any]) -> None:
    """Print the ratings and the payoff matrix."""
    payoff = figures["payoff"]
    table = _table("", "player", "rating", "95 % interval", "score")
    table.columns[1].justify = "left"
    for place, player in enumerate(figures["players"], 1):
        low, high = player["interval95"]
        mark = "" if player["settled"] else "*"
        name = _abbreviated(player["name"], 40)
        table.add_row(
            str(place),
            name,
            f"{player['rating']:.0f}{mark}",
            f"{low:.0f} to {high:.0f}",
            f"{player['score']:.3f}",
        )
    _print(table)
    _line(
        f"{figures['game']}, {figures['matches']:,} matches per pair; ratings in Elo, random = 0."
    )
    if not all(player["settled"] for player in figures["players"]):
        _line("* a bound only: results do not connect this player with random both ways (it, or a")
        _line("  group that it belongs to, won or lost every point)")
    if payoff["seats"] > 2:
        _line(
            f"The row's player has one seat, the column's the other {payoff['seats'] - 1}; "
            f"equals score {1 / payoff['seats']:.2f}."
        )
    _print_payoff(payoff["scores"])


def _print_payoff(scores: Sequence[Sequence[float | None]]) -> None:
    """Print scores in per cent; rows and columns are the players' places in the ranking."""
    if len(scores) > _MAX_PLAYERS:
        _line(f"The scores of {len(scores)} players do not fit here: see --json and --picture.")
        return
    _line("Score of the row's player against the column's, in per cent, by place:")
    _line("    " + "".join(f"{place:4d}" for place in range(1, len(scores) + 1)))
    for place, row in enumerate(scores, 1):
        cells = ("   -" if score is None else f"{100 * score:4.0f}" for score in row)
        _line(f"{place:4d}{''.join(cells)}")


def _abbreviated(name: str, limit: int) -> str:
    """The name, at most `limit` characters of it: the middle is left out, as ends tell names
    apart.
    """
    tail = limit // 2
    return name if len(name) <= limit else f"{name[: limit - tail - 1]}…{name[-tail:]}"


def print_games(games: Iterable[tuple[GameSpec, Sequence[int]]]) -> None:
    """Print the table of `sparring games`: the spec of each game and its numbers of players."""
    table = _table("game", "players", "actions", "observation", "chance", "ply limit")
    for spec, players in games:
        observation = f"{spec.observation_dtype} {' x '.join(map(str, spec.observation_shape))}"
        chance = "yes" if spec.chance else "no"
        table.add_row(
            spec.name,
            ", ".join(map(str, players)),
            str(spec.num_actions),
            observation,
            chance,
            str(spec.max_plies),
        )
    _print(table)
    _line("Others by name: openspiel:backgammon, pettingzoo:classic/chess-v6; your own:")
    _line("module:Class or compiled:module. `sparring check-game NAME` checks a game.")


def _table(first: str, *others: str) -> Table:
    """An empty table: names on the left, figures on the right."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _print(table: Table) -> None:
    Console(width=80).print(table)


def _line(text: str) -> None:
    Console(soft_wrap=True).print(text, markup=False, highlight=False, emoji=False)
