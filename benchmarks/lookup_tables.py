"""Speed of lookup tables beside the bare gathers of the same tables, on one core and on two.

    python benchmarks/lookup_tables.py

The tables are those of a preset of Connect Four, the positions those after all moves of random
matches. Bare gathers read the weights of known places and add them up, in the order of shuffled
positions: what remains of a lookup when nothing has to be found, and bounded by memory. All parts
take turns, five times; a rate is the median. Two cores: two processes with tables of their own at
the same time, their rates added.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tyro
from numpy.typing import NDArray

from sparring.config.sources import build_config
from sparring.dqn import ntuple_kernels as kernels
from sparring.dqn.ntuples import NTupleNetwork, ntuples
from sparring.games import make, spec_of
from sparring.games.afterstates import afterstate_spec, afterstates_of
from sparring.njit import njit

PLIES: Final = 24
SLOTS: Final = 256
TURNS: Final = 5


@dataclass(frozen=True)
class Settings:
    """The tables, and the number of processes."""

    preset: str = "quick"
    """Preset of Connect Four that has the tables."""
    processes: tuple[int, ...] = (1, 2)
    """Numbers of processes to measure, one after the other."""
    alone: bool = False
    """Measure in this process and print JSON."""


def main(settings: Settings) -> None:
    """Print positions per second of each part, by number of processes."""
    if settings.alone:
        print(json.dumps(rates(settings.preset)))
        return
    command = [sys.executable, __file__, "--alone", "--preset", settings.preset]
    for count in settings.processes:
        started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
        found = [json.loads(process.communicate()[0]) for process in started]
        print(f"{count} process{'es' if count > 1 else ''}, positions/s")
        bare = sum(one["bare gathers"] for one in found)
        for part in found[0]:
            total = sum(one[part] for one in found)
            print(f"  {part:30} {total:12,.0f}   {total / bare:.2f} of bare gathers")


def rates(preset: str) -> dict[str, float]:
    """Positions per second of each part in this process."""
    spec = afterstate_spec(spec_of("connect_four"))
    kwargs = build_config(preset=preset, overrides={"game": "connect_four"}).policy_kwargs
    network = ntuples(spec, tuples=kwargs.tuples, tuple_size=kwargs.tuple_size)
    assert isinstance(network, NTupleNetwork)
    rng = np.random.default_rng(0)
    network.array[:] = rng.normal(size=network.array.shape) * 0.02
    ordered = random_positions(rng)
    shuffled = rng.permutation(ordered)
    values = np.empty(len(ordered), np.float32)
    flat = network.array.reshape(-1)
    places = places_of(shuffled, network.lookup, np.uint32(len(flat) // kernels.SETS))
    learn = learning(network, shuffled, rng)

    def look_up(positions: NDArray[np.int8]) -> None:
        kernels.fill_values(positions, network.lookup, network.array, network.scale, values)

    return measured(
        len(ordered),
        {
            "bare gathers": lambda: gather(flat, places, values),
            "lookups, shuffled": lambda: look_up(shuffled),
            "lookups, moves of a position": lambda: look_up(ordered),
            "learning, no next position": lambda: learn(0.0),
            "learning, next position, too": lambda: learn(1.0),
        },
    )


def measured(count: int, parts: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Medians of `count` per second, of all parts in turn; the first turn compiles."""
    seconds: dict[str, list[float]] = {part: [] for part in parts}
    for turn in range(TURNS + 1):
        for part, run in parts.items():
            begin = time.perf_counter()
            run()
            if turn:
                seconds[part].append(time.perf_counter() - begin)
    return {part: count / statistics.median(times) for part, times in seconds.items()}


def random_positions(rng: np.random.Generator) -> NDArray[np.int8]:
    """Positions [n, P * C] after all moves of random matches, those of one position together."""
    game = make("connect_four", SLOTS)
    slots = np.arange(SLOTS)
    game.reset(slots, slots.astype(np.uint64))
    found = []
    for _ in range(PLIES):
        after = afterstates_of(game, slots).observation
        found.append(after.reshape(len(after), -1).copy())
        game.step(np.array([rng.choice(np.flatnonzero(mask)) for mask in game.mask]))
        over = np.flatnonzero(game.terminated | game.truncated)
        if len(over):
            game.reset(over, rng.integers(2**32, size=len(over), dtype=np.uint64))
    return np.concatenate(found)


@njit
def places_of(positions: Any, lookup: Any, half: Any) -> Any:
    """The places [n, K * T] that positions read."""
    shown, codes = np.zeros((2, positions.shape[1] // lookup.planes), np.uint32)
    places = np.zeros((positions.shape[0], lookup.starts.shape[0]), np.uint32)
    for i in range(positions.shape[0]):
        occupied = kernels._read_cells(positions[i], lookup, shown, codes)
        kernels._find(codes, occupied % np.uint32(kernels.SETS) * half, lookup, places[i])
    return places


@njit
def gather(flat: Any, places: Any, out: Any) -> None:
    """Fill `out` [n] with sums of the weights at `places` [n, K * T]."""
    for i in range(places.shape[0]):
        out[i] = kernels._sum(flat, places[i])


def learning(
    network: NTupleNetwork, positions: NDArray[np.int8], rng: np.random.Generator
) -> Callable[[float], None]:
    """A function that learns all positions once, with a discount of the next ones' values."""
    n = len(positions)
    entries = np.zeros((*network.array.shape, 3), np.float32)
    returns = rng.uniform(-1.0, 1.0, n).astype(np.float32)
    sign, errors, values = np.ones(n, np.int8), np.empty(n, np.float32), np.empty(n, np.float32)
    followers = rng.permutation(positions)

    def learn(discount: float) -> None:
        kernels.learn(
            positions,
            followers,
            returns,
            np.full(n, discount, np.float32),
            sign,
            (-1.0, 1.0),
            network.lookup,
            entries,
            network.scale,
            0.001,
            errors,
            values,
        )

    return learn


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
