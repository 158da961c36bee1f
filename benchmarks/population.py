"""A population with a shared pool beside separate runs of equal cost.

    python benchmarks/population.py --agents 3 --minutes 10 --kill-after 4 --out runs/shared
    python benchmarks/population.py --agents 3 --episodes 5000 --kill-after 1

First a population with a shared pool, of which one member is killed (SIGKILL) on the way and comes
back; then as many agents without one, also at once, for the same time or the same number of
matches, with other seeds. Equal minutes cost the same only on a machine that does nothing else. At
the end a round robin of all agents and `random`; ratings in Elo. One JSON object is printed.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from sparring.config.sources import build_config
from sparring.evaluation.matches import default_opening_plies
from sparring.evaluation.tournament import play_tournament, standings
from sparring.games import make, spec_of
from sparring.opponents.agents import load_opponent
from sparring.opponents.players import Player
from sparring.opponents.scripted import scripted_player
from sparring.population import PopulationResult, start_population
from sparring.population.options import PopulationOptions


def main(
    game: Annotated[str, tyro.conf.Positional] = "connect_four",
    agents: int = 3,
    minutes: float = 10.0,
    episodes: int | None = None,
    kill_after: float = 4.0,
    seed: int = 0,
    matches: int = 400,
    out: Path = Path("runs/population-benchmark"),
) -> None:
    """`episodes`: length in matches, in place of `minutes`. `kill_after`: minutes until member 1 is
    killed.
    """
    length: dict[str, float] = (
        {"max_minutes": minutes} if episodes is None else {"n_episodes": episodes}
    )
    killer = threading.Thread(
        target=_kill, args=(out / "shared-pool" / "member-1", 60.0 * kill_after), daemon=True
    )
    killer.start()
    shared = _train(game, agents, length, seed, out, "shared-pool", shared_pool=True)
    separate = _train(game, agents, length, seed + agents, out, "separate", shared_pool=False)
    rows = _rated(game, {"shared": shared, "separate": separate}, matches)
    print(json.dumps({"load": os.getloadavg(), "players": rows}, indent=1))


def _train(
    game: str,
    agents: int,
    length: Mapping[str, float],
    seed: int,
    out: Path,
    name: str,
    *,
    shared_pool: bool,
) -> PopulationResult:
    settings = {
        **length, "game": game, "seed": seed, "runs_dir": str(out), "name": name,
        "checkpoint_minutes": 1.0, "device": "cpu", "snapshot_interval": 1_000,
        "opponents": {"self": 0.5, "snapshots": 0.3, "minimax:2": 0.1, "random": 0.1},
    }  # fmt: skip
    config = build_config(preset="quick-dqn", overrides=settings)
    return start_population(config, PopulationOptions(agents, "cpu", shared_pool))


def _kill(run: Path, seconds: float) -> None:
    """Kill the process that trains in `run`, without a warning."""
    time.sleep(seconds)
    pid = int((run / "lock").read_text())
    print(f"killing process {pid} of {run}", flush=True)
    os.kill(pid, signal.SIGKILL)


def _rated(game: str, results: dict[str, PopulationResult], matches: int) -> list[dict[str, Any]]:
    spec = spec_of(game)
    players: dict[str, Player] = {"random": scripted_player("random")}
    played: dict[str, Any] = {}
    for kind, result in results.items():
        for member in result.members:
            name = f"{kind}/{member.name}"
            players[name] = load_opponent(f"agent:{member.run}{os.sep}", spec).player(name)
            played[name] = {"matches": member.matches, "restarts": member.restarts}
    table = play_tournament(
        partial(make, game), players, matches=matches, seed=0,
        opening_plies=default_opening_plies(spec),
    )  # fmt: skip
    return [
        {**row, **played.get(row["name"], {})} for row in standings(table, table.ratings("random"))
    ]


if __name__ == "__main__":
    tyro.cli(main)
