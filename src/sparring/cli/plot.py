"""`sparring plot`: the pictures of a run, from its metrics and its newest checkpoint. The run may
be training.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparring import games
from sparring.cli.agents import FoundAgent, find_agent
from sparring.cli.evaluate import load_agent
from sparring.dqn.agent import DQNAgent
from sparring.evaluation.matches import usual_plies
from sparring.evaluation.tournament import play_tournament, strongest_first
from sparring.games import GameSpec
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.pool import snapshot_player, stored_snapshots
from sparring.opponents.scripted import baseline_opponents, scripted_player
from sparring.plot.curves import save_learning, save_opponents
from sparring.plot.metrics import Metrics, read_metrics
from sparring.plot.payoff import save_payoff
from sparring.runtime import torch_threads
from sparring.storage.run_directory import read_newest

_AGENTS: Final = ("best", "last")
_MOST_SNAPSHOTS: Final = 10
_MOST_MATCHES, _FEWEST_MATCHES = 200, 20  # of a pair
_COMPILED_PLIES: Final = 4_000_000  # that one picture is worth, in all: about a minute
_OTHER_PLIES: Final = 200_000  # in games that Python plays ply by ply
_SEED: Final = 0
_ZERO: Final = "random"  # whose rating is 0; one of every game's baseline opponents


def plot(run: Path, folder: Path) -> dict[str, Any]:
    """Write the pictures into `folder`, telling each; `{"run", "pictures": {NAME: PATH}, "skipped":
    {NAME: WHY}}`.
    """
    metrics = read_metrics(run / "metrics.jsonl")
    title = run.resolve().name
    pictures: dict[str, str] = {}
    skipped: dict[str, str] = {}

    def tell(name: str, missing: str = "") -> None:
        path = str(folder / f"{name}.png")
        (skipped if missing else pictures)[name] = missing or path
        print(f"{name}: {f'skipped, {missing}' if missing else path}", flush=True)

    save_learning(folder / "learning.png", title, metrics)
    tell("learning")
    if metrics.opponents():
        save_opponents(folder / "opponents.png", title, metrics)
    tell("opponents", "" if metrics.opponents() else "the metrics have no win rates yet")
    tell("payoff", _save_payoff(folder / "payoff.png", run, metrics))
    return {"run": str(run), "pictures": pictures, "skipped": skipped}


def _save_payoff(path: Path, run: Path, metrics: Metrics) -> str:
    """Let the run's agents, snapshots and baseline opponents meet and draw what came of it; else
    the reason why not.
    """
    if not any((run / f"{name}.safetensors").is_file() for name in _AGENTS):
        return "the run has no agent yet"
    agents = _agents(run)
    newest = next(reversed(agents.values()))
    game = newest.spec.game
    spec = newest.game
    players: dict[str, Player] = {
        name: scripted_player(name, game) for name in baseline_opponents(game)
    }
    stored = stored_snapshots(read_newest(run, "opponents"))
    players |= {
        name: snapshot_player(name, stored[name], newest.spec, run)
        for name in spaced(list(stored), _MOST_SNAPSHOTS)
    }
    players |= {name: NetworkPlayer(name, agent.policy()) for name, agent in agents.items()}
    matches = matches_a_pair(
        spec, len(players), metrics.last("rollout/ep_len_mean") or spec.max_plies
    )
    with torch_threads(1):  # batches are small: more threads would mostly wait for one another
        played = play_tournament(
            partial(games.make, game),
            players,
            matches=matches,
            seed=_SEED,
            opening_plies=usual_plies(spec),
        )
    ratings, order = played.ratings(_ZERO).values, strongest_first(played, _ZERO)
    save_payoff(
        path, [played.names[i] for i in order], played.scores()[np.ix_(order, order)],
        ratings[order].tolist(),
        title=f"{run.resolve().name}: who beats whom", fair=1.0 / spec.num_players,
        note=f"score of the row against the column, %, in {played.matches} matches; rating in Elo, {_ZERO} = 0",
    )  # fmt: skip
    return ""


def _agents(run: Path) -> dict[str, DQNAgent]:
    """The best and the last agent of the run, those that are there, the last one last; one of them
    where they are the same.
    """
    found = find_agent(f"{run}/", "")
    files = {name: run / f"{name}.safetensors" for name in _AGENTS}
    there = {name: path for name, path in files.items() if path.is_file()}
    if len(there) == 2 and there["best"].read_bytes() == there["last"].read_bytes():
        del there["best"]
    return {
        name: load_agent(FoundAgent(path, found.game, found.network))
        for name, path in there.items()
    }


def matches_a_pair(spec: GameSpec, players: int, plies_a_match: float) -> int:
    """Number of matches of each pair: 200, or as many as a bounded number of plies allows, but
    20 at least.
    """
    pairs = players * (players - 1) // (2 if spec.num_players == 2 else 1)
    plies = _COMPILED_PLIES if games.is_built_in(spec.name) else _OTHER_PLIES
    return int(
        min(_MOST_MATCHES, max(_FEWEST_MATCHES, plies // (max(1, pairs) * max(1.0, plies_a_match))))
    )


def spaced(names: Sequence[str], most: int) -> list[str]:
    """At most `most` (2 or more) of the names, evenly spaced, the first and the last among them."""
    if len(names) <= most:
        return list(names)
    return [names[round(i * (len(names) - 1) / (most - 1))] for i in range(most)]
