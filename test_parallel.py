"""A short parallel run that says what it checked: `python test_parallel.py`, exit status 0 if
everything held.

Two worker processes play Connect Four and the learner learns from them; then the same run is made
once more inside this process, which has to give the same weights, bit for bit. Takes well under a
minute.

"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from parallel_worker import InferencePolicy
from policy_dqn import DQNAgent
from sparring.config.sources import build_config
from sparring.errors import SparringError
from sparring.games import make
from sparring.storage.run_directory import RunDirectory
from sparring.training import TrainResult, train

EPISODES = 400
WORKERS = 2


def run(runs_dir: str, backend: str) -> TrainResult:
    """Train from the start; calls differ only in the way in which workers run."""
    return train(
        build_config(
            overrides={
                "game": "connect_four", "n_episodes": EPISODES, "num_workers": WORKERS,
                "episodes_per_batch": 20, "batch_size": 64, "learning_starts": 500,
                "learner_threads": 1, "device": "cpu", "tensorboard": False, "name": backend,
                "backend": backend, "runs_dir": runs_dir,
            }
        ),
        console=False,
    )  # fmt: skip


def check(holds: bool, what: str) -> None:
    """Print what was checked; end the program when it does not hold."""
    print(f"{'ok    ' if holds else 'FAILED'} {what}", flush=True)
    if not holds:
        sys.exit(1)


def matches_begun(path: Path) -> list[int]:
    """How many matches each worker has begun, from the run's last checkpoint."""
    with RunDirectory.open(path.parent, path.name) as directory:
        workers = directory.load_checkpoint()["workers"]
    return [
        int(np.sum(workers[str(worker)]["body"]["matches"]["number"] + 1))
        for worker in range(WORKERS)
    ]


def predicts_legal_move(path: Path) -> bool:
    """Return whether the agent in this file moves legally where three columns are full."""
    game = make("connect_four", 1)
    game.reset(np.array([0]), np.array([0], np.uint64))
    for column in (0, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 2, 2, 2, 2, 2, 2):
        game.step(np.array([column]))
    action, _ = DQNAgent.load(path).predict(game.observation[0], action_masks=game.mask[0])
    return bool(game.mask[0].sum() == 4 and game.mask[0, action])


def main() -> None:
    """All checks, in the order in which a run makes them possible."""
    with tempfile.TemporaryDirectory() as runs_dir:
        result = run(runs_dir, "processes")
        check(
            result.workers_replaced == 0,
            f"{WORKERS} worker processes answered, and none of them failed",
        )
        check(
            result.episodes >= EPISODES, f"{result.episodes} matches received, {result.plies} plies"
        )
        begun = matches_begun(result.run)
        check(min(begun) >= EPISODES // WORKERS, f"every worker contributed: matches begun {begun}")
        check(result.updates > 0, f"{result.updates} updates made from what they played")
        before, after = (
            InferencePolicy(result.trained.spec).get_weights(),
            result.trained.get_weights(),
        )
        check(
            all(not np.array_equal(before[name], after[name]) for name in after),
            "all weights changed",
        )
        check(
            all(np.isfinite(weights).all() for weights in after.values()), "all weights are finite"
        )
        check(predicts_legal_move(result.agent), "the agent file loads and predicts a legal move")
        check(
            run(runs_dir, "inline").sha256 == result.sha256,
            f"the same run inside one process gives the same agent {result.sha256[:12]}",
        )


if __name__ == "__main__":
    try:
        main()
    except SparringError as error:
        check(False, f"{type(error).__name__}: {error}")
