"""Bodies that workers are given in place of `Rollout`, to look at one thing alone; each is made and asked as a `Rollout` is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparring.bench.work import BATCH, forward_step
from sparring.games import spec_of
from sparring.opponents.records import result_dtype
from sparring.replay.transitions import transition_dtype
from sparring.rollout.rollout import Rollout, RolloutSettings, Sink
from sparring.rollout.round import RoundCommand, RoundReport, WeightSource

MEMORY_USE: Final = Path("/proc/self/smaps_rollup")
_PASSES: Final = 64  # of a round


@dataclass(frozen=True)
class PacedSettings(RolloutSettings):
    """`plies_per_s` that a real worker of these settings makes, `plies` that its round has."""

    plies_per_s: float = 1.0
    plies: int = 1


class _Stateless:
    """What a body without a state answers when it is asked for it."""

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass


class PacedStandIn(_Stateless):
    """Hands on ready-made transitions as fast as a real worker plays them, one a ply, and sleeps the rest of the time.

    It may fall behind by one block. What a full ring or a late command takes from it beyond that is lost, as it would be to a real worker.
    """

    def __init__(self, settings: PacedSettings, weights: WeightSource, *, worker: int, incarnation: int) -> None:
        spec = spec_of(settings.policy.game)
        self._settings = settings
        self._rows = np.zeros(settings.block, transition_dtype(spec))
        self._num_players = spec.num_players

    def play_round(self, command: RoundCommand, sink: Sink) -> RoundReport:
        settings, begun = self._settings, time.perf_counter()
        due, handed = begun, 0
        while handed < settings.plies:
            block = self._rows[: settings.plies - handed]
            due += len(block) / settings.plies_per_s
            time.sleep(max(0.0, due - time.perf_counter()))
            sink(block)
            due = max(due, time.perf_counter() - len(block) / settings.plies_per_s)
            handed += len(block)
        results = np.zeros(command.episodes, result_dtype(self._num_players))
        return RoundReport(command.round, results, frozenset(), settings.plies, time.perf_counter() - begun)


class BarePasses(_Stateless):
    """Makes forward passes and nothing else: what the cores give when nothing has to be coordinated."""

    def __init__(self, settings: RolloutSettings, weights: WeightSource, *, worker: int, incarnation: int) -> None:
        spec = spec_of(settings.policy.game)
        observation = np.zeros((BATCH, *spec.observation_shape), spec.observation_dtype)
        self._pass = forward_step(settings.policy, observation, "bfloat16" if settings.bfloat16 else "float32")
        self._nothing = np.zeros(0, result_dtype(spec.num_players))

    def play_round(self, command: RoundCommand, sink: Sink) -> RoundReport:
        begun = time.perf_counter()
        plies = sum(self._pass() for _ in range(_PASSES))
        return RoundReport(command.round, self._nothing, frozenset(), plies, time.perf_counter() - begun)


class Weighed(Rollout):
    """A worker's body whose state is the memory that its process shares with no other."""

    def get_state(self) -> dict[str, Any]:
        return {"private_bytes": private_bytes()}


def private_bytes(memory_use: Path = MEMORY_USE) -> int:
    """Memory that would be free without this process, as Linux counts it: pages that no other process maps."""
    lines = memory_use.read_text(encoding="utf-8").splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_"))
