"""Updates per second of the learner on a GPU, compared with recorded bare updates on minibatches
that are in place.

    python benchmarks/cuda_learner.py                    about a minute
    python benchmarks/cuda_learner.py --seconds 5 --device cuda:1

The MLP 2 x 256 for Connect Four and minibatches of 256 out of 200,000 transitions, uniform and by
priority, in float32 and bfloat16. Both sides make 8 updates per launch; the learner's also sample,
relabel and weight their minibatches, update priorities, sum up statistics, and move the target.
Both run in turn, and rates are medians of 5 turns. Required are 5,000 updates per second in float32
with uniform sampling, and 0.8 of the bare rate.

It has not run on a GPU yet. The code is tested on the CPU, where the launches run step by step.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from sparring.bench.learner import launched_updates
from sparring.bench.work import MLP
from sparring.config.schema import LearningOptions
from sparring.dqn.learner import UPDATES_PER_LAUNCH, Learner
from sparring.games import spec_of
from sparring.replay import RandomSymmetry, transition_dtype
from sparring.replay.cuda import DeviceReplay
from sparring.replay.cuda_samplers import DevicePrioritized, DeviceUniform

STORED: Final = 200_000
SERIES: Final = 1_000  # updates a call of the learner
TURNS: Final = 5
MIN_RATE: Final = 5_000.0
MIN_RATIO: Final = 0.8


def main(seconds: float = 2.0, device: str = "cuda") -> int:
    """Print one JSON object; exit status 2 without a GPU.

    Args:
        seconds: for each side and turn.
        device: cuda, cuda:0, cuda:1, ...
    """
    if not torch.cuda.is_available():
        print("cuda_learner: no CUDA device here", file=sys.stderr)
        return 2
    place = torch.device(device)
    torch.cuda.set_device(place)
    rows = random_rows(STORED)
    cases = {}
    for precision in ("float32", "bfloat16"):
        for prioritized in (False, True):
            bfloat16 = precision == "bfloat16"
            bare = launched_updates(MLP, rows, LearningOptions(), device, bfloat16=bfloat16)
            sides = {
                "learner": learner(rows, place, prioritized=prioritized, bfloat16=bfloat16),
                "bare": series(bare),
            }
            name = f"{precision}_{'prioritized' if prioritized else 'uniform'}"
            cases[name] = compared(sides, seconds, place)
    required = cases["float32_uniform"]
    passed = {"rate": required["learner"] >= MIN_RATE, "ratio": required["ratio"] >= MIN_RATIO}
    print(
        json.dumps(
            {
                "device": torch.cuda.get_device_name(place),
                "torch": torch.__version__,
                "cases": cases,
                "passed": passed,
            }
        )
    )
    return 0


def random_rows(count: int) -> NDArray[Any]:
    """Random numbers in the form of transitions of Connect Four."""
    rng = np.random.default_rng(0)
    rows = np.zeros(count, transition_dtype(spec_of(MLP.game)))
    for name in ("observation", "next_observation", "mask", "next_mask"):
        rows[name] = rng.integers(0, 2, rows[name].shape)
    rows["action"] = rng.integers(0, rows["mask"].shape[1], count)
    rows["R"], rows["discount"], rows["sign"] = rng.choice([-1.0, 0.0, 1.0], count), 0.99, -1
    return rows


def learner(
    rows: NDArray[Any], place: torch.device, *, prioritized: bool, bfloat16: bool
) -> Callable[[], int]:
    """A function that makes a series of updates from a full replay on the device; it returns how
    many.
    """
    made = Learner(MLP, LearningOptions(), device=place, seed=0, bfloat16=bfloat16)
    sampler = DevicePrioritized(len(rows), 0.6, 1e-6, place) if prioritized else DeviceUniform()
    replay = DeviceReplay(rows.dtype, len(rows), sampler, place, RandomSymmetry(spec_of(MLP.game)))
    replay.extend(rows)
    return lambda: made.update(replay, SERIES, beta=0.5).updates


def series(launch: Callable[[], int]) -> Callable[[], int]:
    """A function that launches as many updates as a series of the learner; it returns how many."""
    return lambda: sum(launch() for _ in range(SERIES // UPDATES_PER_LAUNCH))


def compared(
    sides: dict[str, Callable[[], int]], seconds: float, place: torch.device
) -> dict[str, float]:
    """Median updates per second of each side, in turns, and their ratio."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()
    for _ in range(TURNS):
        for name, side in sides.items():
            torch.cuda.synchronize(place)
            begun, updates = time.perf_counter(), 0
            while time.perf_counter() - begun < seconds:
                updates += side()
                torch.cuda.synchronize(place)
            rates[name].append(updates / (time.perf_counter() - begun))
    medians = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    ratios = [one / other for one, other in zip(*rates.values(), strict=True)]
    return {**medians, "ratio": round(statistics.median(ratios), 3)}


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
