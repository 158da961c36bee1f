"""Short trainings of every mode: name, updates and SHA-256 of the agent file, one line each.

    python benchmarks/same_weights.py > before.txt
    python benchmarks/same_weights.py pig two-threads     # only some

Equal lines before and after a change show that it does not change what is learned. All runs are
deterministic on one machine; other processors may round differently. A few seconds for each.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Annotated, Any, Final

import numpy as np
import tyro
from numpy.typing import NDArray

from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config
from sparring.games import GameSpec
from sparring.training import TrainResult, resume, train

SMALL: Final[dict[str, Any]] = {
    "game": "connect_four",
    "n_episodes": 200,
    "seed": 3,
    "num_workers": 2,
    "episodes_per_batch": 8,
    "learning_starts": 200,
    "batch_size": 32,
    "buffer_size": 5_000,
    "target_update_interval": 20,
    "snapshot_interval": 60,
    "learning_rate": 1e-3,
    "eval_matches": 20,
    "eval_interval": 40,
    "tensorboard": False,
    "device": "cpu",
}
INLINE: Final = {"backend": "inline"}
SYNC: Final = {"mode": "sync"}
PRIORITIES: Final = {"prioritized_replay": True}
RAINBOW: Final = {
    **PRIORITIES,
    "policy_kwargs": {"atoms": 21, "noisy": True, "dueling": True},
    "double_q": True,
    "n_steps": 3,
}
POOL: Final = {
    "matchmaking": "pfsp",
    "gate": "win_rate",
    "gate_matches": 10,
    "max_snapshots": 3,
    "opponents": {"self": 0.4, "snapshots": 0.4, "random": 0.1, "minimax:2": 0.1},
}
RUNS: Final[dict[str, dict[str, Any]]] = {
    "sync": SYNC,
    "sync-inline": {**SYNC, **INLINE},
    "overlap": {},
    "overlap-inline": INLINE,
    "spawn": {"start_method": "spawn"},
    "priorities": PRIORITIES,
    "rainbow": RAINBOW,
    "patches": {
        "policy_kwargs": {"network": "patches", "activation": "squared_relu"},
        "symmetry_augmentation": True,
    },
    "resnet": {"policy_kwargs": {"network": "resnet", "channels": 8}},
    "two-threads": {**PRIORITIES, "learner_threads": 2},
    "float32": {"learner_precision": "float32", "actor_precision": "float32"},
    "pool": POOL,
    "averaging": {
        "weight_averaging": 0.95,
        "tau": 0.05,
        "learning_rate_schedule": "cosine",
    },
    "own-turn": {"bootstrap": "own_turn", "learn_from": "all"},
    "ludo": {"game": "ludo", "num_players": 4, "n_episodes": 100},
    "leduc": {"game": "openspiel:leduc_poker"},
    "pig": {"game": "same_weights:Pig"},
    "pig-inline": {"game": "same_weights:Pig", **INLINE},
}
RESUMED: Final = ("overlap", "rainbow", "two-threads", "pool", "ludo", "pig")


class Pig:
    """Roll (0) as often as you dare, a 1 loses the turn's points; hold (1). 20 points win."""

    spec = GameSpec(
        num_players=2,
        num_actions=2,
        observation_shape=(3,),
        observation_dtype="int8",
        max_plies=60,
        chance=True,
        zero_sum=True,
        returns=(-1.0, 1.0),
    )

    def reset(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.banked = [0, 0]
        self.turn = self.seat = 0

    def mask(self) -> list[bool]:
        return [True, self.turn > 0]

    def observe(self, seat: int) -> NDArray[np.int8]:
        return np.array([self.banked[seat], self.banked[1 - seat], self.turn], np.int8)

    def step(self, action: int) -> tuple[list[int] | None, bool]:
        if action == 0 and (face := int(self.rng.integers(1, 7))) > 1:
            self.turn = min(100, self.turn + face)
            return None, False
        if action == 1:
            self.banked[self.seat] += self.turn
            if self.banked[self.seat] >= 20:
                return ([1, -1] if self.seat == 0 else [-1, 1]), True
        self.turn, self.seat = 0, 1 - self.seat
        return None, False


def _config(name: str, runs_dir: str) -> TrainConfig:
    changes = {**RUNS[name], "runs_dir": runs_dir, "name": name}
    return build_config(overrides={**SMALL, **changes})


def _report(name: str, result: TrainResult) -> None:
    print(name, result.updates, result.sha256, flush=True)


def main(names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()) -> int:
    if unknown := set(names) - RUNS.keys():
        print(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(RUNS)}", file=sys.stderr)
        return 2
    for name in names or RUNS:
        with tempfile.TemporaryDirectory() as runs_dir:
            _report(name, train(_config(name, runs_dir), console=False))
            if name in RESUMED:
                longer = resume(
                    name, runs_dir=runs_dir, overrides={"n_episodes": 400}, console=False
                )
                _report(f"{name}-resumed", longer)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main, description=__doc__))
