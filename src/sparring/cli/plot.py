"""`sparring plot`: pictures of a run from its metrics and its newest checkpoint. The run may still
be training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparring import games
from sparring.cli.evaluate import load_agent
from sparring.config.sources import read_toml
from sparring.dqn.agent import DQNAgent
from sparring.errors import InputError
from sparring.evaluation.matches import default_opening_plies
from sparring.evaluation.tournament import (
    Ratings,
    Tournament,
    play_tournament,
    strongest_first,
)
from sparring.games import GameSpec
from sparring.opponents.found import FoundAgent, find_agent
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.pool import snapshot_player, stored_snapshots
from sparring.opponents.roster import load_roster
from sparring.opponents.scripted import baseline_opponents, scripted_player
from sparring.opponents.user_players import is_from_outside
from sparring.plot.curves import save_learning, save_opponents, save_returns
from sparring.plot.metrics import Metrics, read_metrics
from sparring.plot.payoff import save_payoff
from sparring.runtime import torch_threads
from sparring.storage.run_directory import OPPONENTS, read_newest

_AGENTS: Final = ("best", "last")
_MAX_SNAPSHOTS: Final = 10
_MIN_MATCHES, _MAX_MATCHES = 20, 200  # per pair
_COMPILED_PLIES: Final = 4_000_000  # limit for the whole picture: about a minute
_OTHER_PLIES: Final = 200_000  # the same for games that run in Python
_SEED: Final = 0
_ZERO: Final = "random"  # its rating is 0; one of every game's baseline opponents


def plot(run: Path, folder: Path) -> dict[str, Any]:
    """Write the pictures into `folder` and print a line for each; return `{"run", "pictures":
    {NAME: PATH}, "skipped": {NAME: REASON}}`.
    """
    metrics = read_metrics(run / "metrics.jsonl")
    title = run.resolve().name
    pictures: dict[str, str] = {}
    skipped: dict[str, str] = {}

    def report(name: str, missing: str = "") -> None:
        path = str(folder / f"{name}.png")
        (skipped if missing else pictures)[name] = missing or path
        print(f"{name}: {f'skipped, {missing}' if missing else path}", flush=True)

    save_learning(folder / "learning.png", title, metrics)
    report("learning")
    if metrics.opponents():
        save_opponents(folder / "opponents.png", title, metrics)
    report("opponents", "" if metrics.opponents() else "the metrics have no win rates yet")
    if metrics.with_returns():
        save_returns(folder / "returns.png", title, metrics)
        report("returns")
    report("payoff", _save_payoff(folder / "payoff.png", run, metrics))
    return {"run": str(run), "pictures": pictures, "skipped": skipped}


def draw_payoff(path: Path, played: Tournament, ratings: Ratings | None, title: str) -> None:
    """Draw the results of a round robin, the strongest player first: scores with ratings, or
    without ratings mean returns.
    """
    order = strongest_first(played, ratings)
    names, cells = [played.names[i] for i in order], np.ix_(order, order)
    matches = f"{played.matches} matches"
    if ratings is None:
        note = f"mean return of the row against the column, {matches}"
        values = played.mean_returns()[cells]
        save_payoff(path, names, values, None, title=title, note=note, fair=None)
        return
    save_payoff(
        path,
        names,
        played.scores()[cells],
        ratings.values[order].tolist(),
        title=title,
        note=f"score of the row against the column, %, {matches}; Elo of random = 0",
        fair=1.0 / played.seats,
    )


def _save_payoff(path: Path, run: Path, metrics: Metrics) -> str:
    """Play and draw a round robin; return the reason if there is none to draw."""
    if not any((run / f"{name}.safetensors").is_file() for name in _AGENTS):
        return "the run has no agent yet"
    agents = _agents(run)
    if next(iter(agents.values())).game.num_players == 1:
        return "it is a game for one player"
    played = _play_round_robin(run, agents, metrics)
    ratings = None if played.graded else played.ratings(_ZERO)
    draw_payoff(path, played, ratings, f"{run.resolve().name}: payoff matrix")
    return ""


def _play_round_robin(run: Path, agents: Mapping[str, DQNAgent], metrics: Metrics) -> Tournament:
    """Matches among the agents of the run, some of its snapshots, the baseline opponents, and its
    opponents from outside.
    """
    newest = list(agents.values())[-1]
    game, spec = newest.spec.game, newest.game
    players: dict[str, Player] = {
        name: scripted_player(name, game) for name in baseline_opponents(game)
    }
    players |= _from_outside(run, spec)
    stored = stored_snapshots(read_newest(run, "opponents"))
    players |= {
        name: snapshot_player(name, stored[name], newest.spec, run)
        for name in evenly_spaced(list(stored), _MAX_SNAPSHOTS)
    }
    players |= {name: NetworkPlayer(name, agent.policy()) for name, agent in agents.items()}
    plies = metrics.last("rollout/ep_len_mean") or spec.max_plies
    with torch_threads(1):  # batches are small: more threads would mostly wait for one another
        return play_tournament(
            partial(games.make, game),
            players,
            matches=matches_per_pair(spec, len(players), plies),
            seed=_SEED,
            opening_plies=default_opening_plies(spec),
        )


def _from_outside(run: Path, game: GameSpec) -> dict[str, Player]:
    """The players of users and the agents that the run trains against, as far as they can be made
    here.
    """
    shares = read_toml(run / "config.toml").get("opponents")
    names = [name for name, share in shares.items() if share] if isinstance(shares, dict) else []
    runs_dir, network = str(run.resolve().parent), find_agent(f"{run}/", "").network
    players: dict[str, Player] = {}
    for name in filter(is_from_outside, names):
        try:
            roster = load_roster(
                [name], game, runs_dir=runs_dir, kept=run / OPPONENTS, network=network
            )
            players[name] = roster.player(name)
        except InputError as error:
            print(f"payoff: without {name}: {error}", flush=True)
    return players


def _agents(run: Path) -> dict[str, DQNAgent]:
    """The best and the last agent of the run, as far as they exist, the last one last; only the
    last one where both are the same.
    """
    found = find_agent(f"{run}/", "")
    files = {name: run / f"{name}.safetensors" for name in _AGENTS}
    existing = {name: path for name, path in files.items() if path.is_file()}
    if len(existing) == 2 and existing["best"].read_bytes() == existing["last"].read_bytes():
        del existing["best"]
    return {
        name: load_agent(FoundAgent(path, found.game, found.network))
        for name, path in existing.items()
    }


def matches_per_pair(spec: GameSpec, players: int, plies_per_match: float) -> int:
    """Number of matches of each pair: 200, or as many as a limit on the plies of all pairs allows,
    but at least 20.
    """
    pairs = max(1, players * (players - 1) // (2 if spec.num_players == 2 else 1))
    plies = _COMPILED_PLIES if games.is_built_in(spec.name) else _OTHER_PLIES
    affordable = int(plies // (pairs * max(1.0, plies_per_match)))
    return min(_MAX_MATCHES, max(_MIN_MATCHES, affordable))


def evenly_spaced(names: Sequence[str], limit: int) -> list[str]:
    """At most `limit` (2 or more) of the names, evenly spaced, with the first and the last."""
    if len(names) <= limit:
        return list(names)
    return [names[round(i * (len(names) - 1) / (limit - 1))] for i in range(limit)]
