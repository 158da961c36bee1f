"""Same seed, same agent, stopped or not, in games with dice and four players, of another library,
and of a user's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stopped_runs import NEVER, StopAfter, figures, resume_until, saved, train_until

# Ludo and the adapters' games need smaller runs: their matches are longer, or slower.
SHORT: dict[str, Any] = {
    "n_episodes": 90,
    "learning_steps_per_batch": 4,
    "snapshot_interval": 20,
    "eval_matches": 4,
}
SHARES = {"self": 0.3, "snapshots": 0.4, "random": 0.3}
GAMES: dict[str, dict[str, Any]] = {
    "ludo(num_players=4)": {
        **SHORT, "n_episodes": 30, "num_envs_per_worker": 6, "episodes_per_batch": 3,
        "snapshot_interval": 6, "max_opponents_per_worker": 4,
        "opponents": {"self": 0.3, "snapshots": 0.3, "ludo:greedy": 0.2, "ludo:racer": 0.2},
    },
    "layered_games:LayeredAfter(seed=1)": {**SHORT, "opponents": SHARES},
    "openspiel:leduc_poker": {**SHORT, "opponents": SHARES},
    "pettingzoo:classic/tictactoe-v3": {**SHORT, "n_episodes": 60, "opponents": SHARES},
    "same_weights:Pig": {**SHORT, "opponents": {**SHARES, "one_ply": 0.1}},
    "compiled:race_rules": {**SHORT, "opponents": SHARES},
    "connect_four": {
        **SHORT, "policy_kwargs": {"network": "ntuples", "tuples": 4, "tuple_size": 4},
        "target_update_interval": 500, "prioritized_replay": False,
        "n_steps": 8, "td_lambda": 0.7, "random_start_share": 0.5, "opponents": SHARES,
    },
}  # fmt: skip
MODES = ("sync", "overlap")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    StopAfter.looks = NEVER
    yield
    StopAfter.looks = NEVER


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("mode", MODES)
def test_processes_play_what_the_main_process_would(game: str, mode: str, tmp_path: Path) -> None:
    options = {"game": game, "mode": mode, **GAMES[game]}
    inline = train_until(NEVER, tmp_path, "inline", **options)
    processes = train_until(NEVER, tmp_path, "processes", backend="processes", **options)
    assert figures(processes) == figures(inline)
    assert processes.agent.read_bytes() == inline.agent.read_bytes()
    assert processes.workers_replaced == 0
    assert figures(train_until(NEVER, tmp_path, "other", seed=4, **options)) != figures(inline)
    opponents = {
        name
        for name, record in saved(inline)["opponents"]["recent"].items()
        if sum(record.values()) > 0
    }
    assert any(name.startswith("snapshot:") for name in opponents)
    assert opponents >= GAMES[game]["opponents"].keys() - {"self", "snapshots"}


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("mode", MODES)
def test_a_stopped_run_goes_on_as_if_it_had_not(game: str, mode: str, tmp_path: Path) -> None:
    options = {"game": game, "mode": mode, **GAMES[game]}
    whole = train_until(NEVER, tmp_path, "whole", **options)
    looks = StopAfter.looked
    for backend, point in (("inline", looks // 3), ("processes", 2 * looks // 3)):
        stopped = train_until(point, tmp_path, backend, **{**options, "backend": backend})
        assert stopped.interrupted
        assert saved(stopped)["workers"]["1"]["body"]["game"]["plies"].any(), (
            "some matches are under way"
        )
        assert figures(resume_until(NEVER, tmp_path, backend)) == figures(whole)


@pytest.mark.slow
def test_spawned_workers_find_a_game_of_ones_own(tmp_path: Path) -> None:
    options = {"game": "same_weights:Pig", **GAMES["same_weights:Pig"], "num_workers": 1}
    inline = train_until(NEVER, tmp_path, "inline", **options)
    assert figures(
        train_until(NEVER, tmp_path, "spawn", backend="processes", start_method="spawn", **options)
    ) == figures(inline)
