"""Output of the commands for people, 80 columns wide, and figures of a training run for JSON."""

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
_MOST_COLUMNS = 19  # four letters each, of 80


def command(name: str = "sparring") -> str:
    """Command to type for a program of our environment: its path, where the environment is not
    activated and we were called by path too.
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

    _say(f"{result.episodes:,} matches, {result.plies:,} plies, {result.updates:,} updates")
    _say(
        f"this session: {result.seconds:,.0f} s, {result.plies_per_s:,.0f} plies/s and {result.episodes_per_min:,.0f} matches/min"
    )
    found = find_agent(f"{result.run}/", "")
    _say(f"agent  {found.path}")
    _say(f"last.safetensors sha256 {result.sha256}")
    if result.interrupted:
        return
    print_evaluation(
        {"agent": str(found.path), **evaluate_matches(found, (), matches=_STRENGTH_MATCHES, seed=0)}
    )
    _say("What next:")
    _say(f"  {command()} play {result.run}")
    _say(f"  {command()} evaluate {result.run} --matches 1000")
    _say(f"  {command()} resume {result.run} --n-episodes {2 * result.episodes}")
    _say(f"  {command('tensorboard')} --logdir {result.run.parent}")


def print_evaluation(figures: Mapping[str, Any]) -> None:
    """The result of `evaluate`: a table of matches, and what an exhaustive search found."""
    if "opponents" in figures:
        _print(_score_table(figures["opponents"]))
    if "positions" in figures:
        _print_positions(figures["positions"])
    if "exhaustive" in figures:
        found = figures["exhaustive"]
        _say(
            f"{found['losses']:,} losses in {found['lines']:,} lines of play, which are all that an opponent can choose"
        )
        for seat, lines in enumerate(found["seats"]):
            _say(
                f"  seat {seat}: {lines['wins']:,} wins, {lines['draws']:,} draws, {lines['losses']:,} losses"
            )


def _score_table(opponents: Mapping[str, Mapping[str, Any]]) -> Table:
    two = all(
        len(result["seats"]) <= 2 for result in opponents.values()
    )  # the scores of more seats would not fit in a line
    table = _table(
        "against",
        "matches",
        "wins",
        "draws",
        "losses",
        "score",
        "95 % interval",
        *(["by seat"] if two else []),
    )
    for name, result in opponents.items():
        low, high = result["interval95"]
        counts = (f"{result[key]:,}" for key in ("matches", "wins", "draws", "losses"))
        seats = [" ".join(f"{score:.3f}" for score in result["seats"])] if two else []
        table.add_row(name, *counts, f"{result['score']:.3f}", f"{low:.3f} - {high:.3f}", *seats)
    if not two:
        table.caption = f"score: share of first places; {1 / len(result['seats']):.3f} if all are equally strong"
    return table


def _print_positions(players: Mapping[str, Mapping[str, Any]]) -> None:
    """Print results of players on solved positions: three shares over all, then each share by
    number of stones.
    """
    first = next(iter(players.values()))
    _say(
        f"{first['all']['n']:,} solved positions; in {first['matters']['n']:,} it matters: the legal moves differ in outcome"
    )
    _say("Shares of moves that keep win, draw or loss, and of those exactly best (95 %):")
    table = _table("player", "keeps the value", "where it matters", "exactly best")
    for name, judged in players.items():
        every, matters = judged["all"], judged["matters"]
        figures = (
            (every, "value_preserving", "interval95"),
            (matters, "value_preserving", "interval95"),
            (every, "exact", "exact_interval95"),
        )
        table.add_row(
            name,
            *(
                _share_and_interval(shares[share], shares[interval])
                for shares, share, interval in figures
            ),
        )
    _print(table)
    for title, among, share, interval in (
        (
            "Keeps the value, by number of stones ± half the 95 % interval:",
            "all",
            "value_preserving",
            "interval95",
        ),
        ("The same where it matters:", "matters", "value_preserving", "interval95"),
        ("Exactly best:", "all", "exact", "exact_interval95"),
    ):
        _say(title)
        table = _table("player", *first["by_stones"])
        for name, judged in players.items():
            cells = (split[among] for split in judged["by_stones"].values())
            table.add_row(name, *(_share_and_doubt(cell[share], cell[interval]) for cell in cells))
        _print(table)


def _share_and_interval(share: float | None, interval: Sequence[float]) -> str:
    return "-" if share is None else f"{share:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def _share_and_doubt(share: float | None, interval: Sequence[float]) -> str:
    doubt = f"{(interval[1] - interval[0]) / 2:.3f}".removeprefix(
        "0"
    )  # a half at most; the letter is what five columns can spare
    return "-" if share is None else f"{share:.3f} ±{doubt}"


def print_tournament(figures: Mapping[str, Any]) -> None:
    """The table of ratings, and who scored how much against whom."""
    payoff = figures["payoff"]
    table = _table("", "player", "rating", "95 %", "score")
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
    _say(
        f"{figures['game']}, {figures['matches']:,} matches a pair; ratings are Elo, random has 0."
    )
    if not all(player["settled"] for player in figures["players"]):
        _say("* never won or never lost a point, itself or its like: the rating is held by")
        _say("  one virtual match with each opponent, and says no more than 'at least' that far.")
    if payoff["seats"] > 2:
        _say(
            f"Rows have one seat, columns the other {payoff['seats'] - 1}; equals score {1 / payoff['seats']:.2f}."
        )
    _print_payoff(payoff["scores"])


def _print_payoff(scores: Sequence[Sequence[float | None]]) -> None:
    """Per cent, in a row for each player and a column for each that it met, by their places."""
    if len(scores) > _MOST_COLUMNS:
        _say(f"The scores of {len(scores)} players do not fit here: see --json and --picture.")
        return
    _say("Score of the row against the column, in per cent, by place:")
    _say("    " + "".join(f"{place:4d}" for place in range(1, len(scores) + 1)))
    for place, row in enumerate(scores, 1):
        _say(
            f"{place:4d}"
            + "".join("   -" if score is None else f"{100 * score:4.0f}" for score in row)
        )


def _abbreviated(name: str, most: int) -> str:
    """The name with its middle left out where it is longer than `most`: the ends tell names apart."""
    tail = most // 2
    return name if len(name) <= most else f"{name[: most - tail - 1]}…{name[-tail:]}"


def print_games(games: Iterable[tuple[GameSpec, Sequence[int]]]) -> None:
    """The table of `sparring games`: what each declares, and how many may play it."""
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
