"""Output of the commands as text, 80 columns wide, and figures of a training run for JSON."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from sparring.config.sources import AUTO, read_toml
from sparring.games import GameSpec
from sparring.storage.run_directory import as_argument

if TYPE_CHECKING:
    from sparring.training import TrainResult

_WIDTH = 80
# Of a result: its mean, its interval, the means by seat.
_SCORE_KEYS = ("score", "interval95", "seats")
_RETURN_KEYS = ("mean_return", "return_interval95", "return_seats")
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
        "stopped": result.stopped,
    }


def print_training(result: TrainResult) -> None:
    """Print the result of a run, the strength of its agent, and what to type next."""
    from sparring.cli.evaluate import evaluate_matches
    from sparring.opponents.found import find_agent
    from sparring.opponents.names import is_agent
    from sparring.opponents.scripted import baseline_opponents

    _line(f"{result.episodes:,} matches, {result.plies:,} plies, {result.updates:,} updates")
    _line(
        f"this session: {result.seconds:,.0f} s, {result.plies_per_s:,.0f} plies/s, "
        f"{result.episodes_per_min:,.0f} matches/min"
    )
    if result.stopped:
        _line(f"stopped early: {result.stopped}")
    found = find_agent(f"{result.run}/", "")
    _line(f"agent: {found.path}")
    _line(f"sha256 of last: {result.sha256}")
    if result.interrupted:
        return
    config = read_toml(result.run / "config.toml")
    matches = int(config["eval_matches"])
    _line(f"evaluating the agent: {matches:,} greedy matches for each line of the table ...")
    usual = baseline_opponents(config["game"])
    met = [name for name, share in config["opponents"].items() if share > 0.0]
    judges = baseline_opponents(config["game"], met)
    # agents of other runs may be gone by now: training has copies of its own
    present = [name for name in judges if not is_agent(name)]
    print_evaluation(evaluate_matches(found, present, matches=matches, seed=0))
    run = as_argument(result.run)
    others = judges if len(judges) > len(usual) else ()
    against = "".join(f" --opponent {shlex.quote(name)}" for name in others)
    _line("What next:")
    _line(f"  {command()} play {run}")
    _line(f"  {command()} evaluate {run} --matches 1000{against}")
    _line(f"  {command()} resume {run} {_continuation(result, config)}".rstrip())
    _line(f"  {command('tensorboard')} --logdir {shlex.quote(str(result.run.parent))}")


def _continuation(result: TrainResult, config: Mapping[str, Any]) -> str:
    """Options of a `resume` that goes on: twice as long, or past what stopped the run."""
    if result.stopped:
        return "--stop-at-score auto" if result.stopped.startswith("stop_at_score") else ""
    minutes = config.get("max_minutes", AUTO)
    if minutes != AUTO:
        return f"--max-minutes {2 * minutes:g}"
    return f"--n-episodes {2 * result.episodes}"


def print_evaluation(figures: Mapping[str, Any]) -> None:
    """Print the result of `evaluate`: matches, solved positions, exhaustive search."""
    if "opponents" in figures:
        _print_scores(figures["opponents"])
    if "players" in figures:
        _print_solo(figures["players"])
    if "positions" in figures:
        _print_positions(figures["positions"])
    if "exhaustive" in figures:
        _print_exhaustive(figures["exhaustive"])


def _print_scores(opponents: Mapping[str, Mapping[str, Any]]) -> None:
    """A row per opponent; where matches pay graded amounts the mean return instead of the score.

    Results by seat fit into a line for two seats only.
    """
    results = opponents.values()
    seats = max(len(result["seats"]) for result in results)
    graded = any(result["graded"] for result in results)
    counts = ["matches", "wins", "draws", "losses", *(["cut"] if _any_cut(results) else [])]
    value, interval, by_seat = _RETURN_KEYS if graded else _SCORE_KEYS
    columns = ["return" if graded else "score", "95 % interval", "by seat"]
    table = _table("against", *counts, *columns[: 3 if seats <= 2 else 2])
    for name, result in opponents.items():
        cells = [f"{result[key]:,}" for key in counts]
        cells += [f"{result[value]:.3f}", _interval(result[interval])]
        if seats <= 2:
            cells.append(" ".join(f"{mean:.3f}" for mean in result[by_seat]))
        table.add_row(name, *cells)
    _print(table)
    if graded:
        _line("return: mean of what a match pays the agent.")
    elif seats > 2:
        _line(f"score: share of first places; {1 / seats:.3f} between equals.")
    if _any_cut(results):
        _line("cut: matches that reached the ply limit; they are neither won, drawn nor lost.")
    _print_distinct(opponents)


def _print_solo(players: Mapping[str, Mapping[str, Any]]) -> None:
    """A row per player of a game for one player."""
    cut = ["cut"] if _any_cut(players.values()) else []
    table = _table("player", "matches", *cut, "return", "95 % interval")
    for name, result in players.items():
        counts = (f"{result[key]:,}" for key in ("matches", *cut))
        mean, interval = result["mean_return"], result["return_interval95"]
        table.add_row(_abbreviated(name, 40), *counts, f"{mean:.3f}", _interval(interval))
    _print(table)
    _line("return: mean of what a match pays; each plays alone from the same openings.")
    _print_distinct(players)


def _print_distinct(players: Mapping[str, Mapping[str, Any]]) -> None:
    """Tell how many matches of each line differ in their moves."""
    repeated = {
        name: result for name, result in players.items() if result["distinct"] < result["matches"]
    }
    for name, result in repeated.items():
        count = f"{result['distinct']:,} of {result['matches']:,}"
        _line(f"{_abbreviated(name, 40)}: {count} matches are distinct.")
    others = "All other matches" if 0 < len(repeated) < len(players) else "All matches"
    if len(repeated) < len(players):
        _line(f"{others} are distinct: no two have the same moves.")


def _any_cut(results: Iterable[Mapping[str, Any]]) -> bool:
    return any(result["cut"] for result in results)


def _interval(bounds: Sequence[float], digits: int = 3) -> str:
    low, high = bounds
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _print_exhaustive(found: Mapping[str, Any]) -> None:
    _line(f"{found['losses']:,} losses in {found['lines']:,} lines of play (all that exist)")
    for seat, lines in enumerate(found["seats"]):
        kinds = ("wins", "draws", "losses", *(["cut"] if lines["cut"] else []))
        counts = ", ".join(f"{lines[key]:,} {key}" for key in kinds)
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
    """Print the ratings, or mean returns where matches are graded, and the payoff matrix."""
    if "payoff" not in figures:
        _print_solo({player["name"]: player for player in figures["players"]})
        return
    payoff, graded = figures["payoff"], figures["graded"]
    table = _table("", "player", "return" if graded else "rating", "95 % interval", "score")
    table.columns[1].justify = "left"
    for place, player in enumerate(figures["players"], 1):
        if graded:
            cells = f"{player['mean_return']:.3f}", _interval(player["return_interval95"])
        else:
            mark = "" if player["settled"] else "*"
            cells = f"{player['rating']:.0f}{mark}", _interval(player["interval95"], 0)
        name = _abbreviated(player["name"], 40)
        table.add_row(str(place), name, *cells, f"{player['score']:.3f}")
    _print(table)
    scale = "mean returns per match" if graded else "ratings in Elo, random = 0"
    _line(f"{figures['game']}, {figures['matches']:,} matches per pair; {scale}.")
    if figures["cut"]:
        _line(f"{figures['cut']:,} matches reached the ply limit and were cut.")
    if not all(player.get("settled", True) for player in figures["players"]):
        _line("* a bound only: results do not connect this player with random both ways (it, or a")
        _line("  group that it belongs to, won or lost every point)")
    if payoff["seats"] > 2:
        _line(
            f"The row's player has one seat, the column's the other {payoff['seats'] - 1}; "
            f"equals score {1 / payoff['seats']:.2f}."
        )
    if graded:
        title = "Mean return of the row's player against the column's, by place:"
        _print_payoff(payoff["mean_returns"], title, 7, "{:7.2f}")
    else:
        percents = [[s and 100 * s for s in row] for row in payoff["scores"]]
        title = "Score of the row's player against the column's, in per cent, by place:"
        _print_payoff(percents, title, 4, "{:4.0f}")


def _print_payoff(
    values: Sequence[Sequence[float | None]], title: str, width: int, form: str
) -> None:
    """Print values in cells of `width`; rows and columns are the players' places."""
    if 4 + width * len(values) > _WIDTH:
        _line(f"The results of {len(values)} players do not fit here: see --json and --picture.")
        return
    _line(title)
    _line("    " + "".join(f"{place:{width}d}" for place in range(1, len(values) + 1)))
    for place, row in enumerate(values, 1):
        cells = (f"{'-':>{width}}" if value is None else form.format(value) for value in row)
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
    _line("Others by name: openspiel:go, pettingzoo:classic/go-v5, gymnasium:CartPole-v1;")
    _line("your own: module:Class, compiled:module. `sparring check-game` checks a game.")


def _table(first: str, *others: str) -> Table:
    """An empty table: names on the left, figures on the right. Long names fold, so that figures
    are never cut.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _print(table: Table) -> None:
    Console(width=_WIDTH).print(table)


def _line(text: str) -> None:
    Console(soft_wrap=True).print(text, markup=False, highlight=False, emoji=False)
