"""Cost of coordinating many workers: the time of their start, their memory, and the load of a main
process that serves 46.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparring.bench.measure import Case, Cases, Settings, Side, case, turns
from sparring.bench.sessions import CONNECT_FOUR, open_session
from sparring.bench.work import (
    BATCH,
    MLP,
    forward_step,
    rollout_settings,
    round_command,
    weights_in_place,
)
from sparring.config.schema import TrainConfig
from sparring.config.system import available_cpus
from sparring.dqn.kernels import has_bfloat16
from sparring.dqn.networks import PolicySpec
from sparring.errors import ConfigurationError
from sparring.opponents.records import result_dtype
from sparring.replay.transitions import transition_dtype
from sparring.rollout.rollout import Rollout, RolloutSettings, Sink
from sparring.rollout.round import Between, RoundCommand, RoundReport, WeightSource, to_the_end
from sparring.runtime import (
    Batch,
    InferenceSettings,
    ProcessWorkers,
    allow_open_files,
    default_start_method,
)
from sparring.training.assembly import Parts

_FLOORS: Final = {"float32": 1.9, "bfloat16": 1.7}  # two workers beside one, on two cores or more
_MANY: Final = 64
_MANY_FLOOR: Final = 0.9  # beside two
_BETWEEN: Final = (4, 8, 16, 32)
_LARGE: Final = 46  # workers of a machine with 48 CPUs
_MAX_SECONDS: Final = 5.0
_MAX_MEGABYTES: Final = 40.0
_NO_LEARNING: Final = 1e-12  # samples per insert


def measure(settings: Settings) -> Cases:
    """Connect Four, the MLP 2 x 256, 256 envs a worker, rounds of more than 50 ticks, the learner
    off.
    """
    try:
        allow_open_files(_MANY)
    except ConfigurationError as error:
        settings.note(f"workers: skipped: {error}")
        return {}
    precision = "bfloat16" if has_bfloat16() else "float32"
    cases: Cases = {}
    if available_cpus() > 1:
        for kind in sorted({"float32", precision}, reverse=True):
            cases |= _two_to_one(settings, kind)
    else:
        settings.note("workers: two beside one skipped: there is one core")
    cases |= _many(settings, precision, (_MANY,))
    cases |= _many(settings, precision, _BETWEEN)
    cases |= _start(settings, precision)
    for kind in sorted({"float32", precision}, reverse=True):
        cases[f"main_of_{_LARGE}_{kind}"] = _simulated(settings, kind)
    return cases


def _two_to_one(settings: Settings, precision: str) -> Cases:
    """Two workers beside one; and two processes that make bare forward passes beside one, which
    shows the gain that the second core can give.
    """
    settings.say(f"workers: two beside one, {precision}")
    with ExitStack() as stack:
        one, two = (stack.enter_context(open_group(MLP, count, precision)) for count in (1, 2))
        bare_one, bare_two = (
            stack.enter_context(open_group(MLP, count, precision, body=BarePasses))
            for count in (1, 2)
        )
        groups = {"one": one, "two": two, "bare_one": bare_one, "bare_two": bare_two}
        rates = turns(
            {name: _side(settings, group) for name, group in groups.items()}, settings.slices
        )
        also = {"main_process": statistics.median(two.main_shares)}
    return {
        f"two_to_one_{precision}": case(
            rates["two"], "plies/s", limits=rates["one"], floor=_FLOORS[precision], also=also
        ),
        f"cores_two_to_one_{precision}": case(
            rates["bare_two"], "states/s", limits=rates["bare_one"]
        ),
    }


def _many(settings: Settings, precision: str, counts: Sequence[int]) -> Cases:
    """Groups of these sizes beside two workers, or one on a single core; the limit grows with the
    number of cores.
    """
    cpus = available_cpus()
    few = min(2, cpus)
    with ExitStack() as stack:
        settings.say(f"workers: {', '.join(map(str, counts))} beside {few}")
        groups = {
            count: stack.enter_context(open_group(MLP, count, precision))
            for count in (few, *counts)
        }
        rates = turns(
            {str(count): _side(settings, group) for count, group in groups.items()}, settings.slices
        )
    cases: Cases = {}
    for count in counts:
        limits = [rate * min(count, cpus) / few for rate in rates[str(few)]]
        floor = _MANY_FLOOR if count == _MANY else None
        also = {"main_process": statistics.median(groups[count].main_shares)}
        cases[f"workers_{count}"] = case(
            rates[str(count)], "plies/s", limits=limits, floor=floor, also=also
        )
    return cases


def _side(settings: Settings, group: WorkerGroup) -> Side:
    group.start(1)  # touches code and memory for the first time
    group.finish()
    return partial(group.slice, settings.seconds)


def _start(settings: Settings, precision: str) -> Cases:
    """Seconds from the start of the fork server until 46 workers have played a first match, and the
    memory of each.
    """
    seconds: list[float] = []
    private: list[float] = []
    for turn in range(settings.slices):
        settings.say(f"workers: start of {_LARGE}, turn {turn + 1} of {settings.slices}")
        command = [sys.executable, "-m", "sparring.bench.start", str(_LARGE), precision]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        seconds.append(figures["seconds"])
        private = [count / 1e6 for count in figures["private_bytes"]] or private
    floor = 1.0 if default_start_method() == "forkserver" else None
    cases = {
        f"start_of_{_LARGE}": case(
            seconds, "s", limits=_MAX_SECONDS, floor=floor, less_is_better=True
        )
    }
    if private:
        cases["private_memory"] = case(
            private, "MB", limits=_MAX_MEGABYTES, floor=floor, less_is_better=True
        )
    return cases


def _simulated(settings: Settings, precision: str) -> Case:
    """A run without learning whose 46 workers are stand-ins at the rate of a real one."""
    settings.say(f"workers: {_LARGE} stand-ins at a real worker's rate")
    with open_group(MLP, 1, precision) as group:
        plies_per_s = statistics.median(group.slice(settings.seconds) for _ in range(3))
        group.start()
        plies = group.finish().plies

    def stand_ins(config: TrainConfig, parts: Parts, *, notify: Any) -> ProcessWorkers:
        return ProcessWorkers(
            PacedSettings(**vars(parts.rollout), plies_per_s=plies_per_s, plies=plies),
            num_workers=parts.num_workers,
            size=parts.learner.layout.size,
            num_snapshots=parts.num_snapshots,
            num_versions=parts.num_versions,
            episodes=config.episodes_per_batch,
            start_method=default_start_method(),
            notify=notify,
            body=PacedStandIn,
        )

    options = {
        **CONNECT_FOUR,
        "num_workers": _LARGE,
        "learner_threads": 1,
        "episodes_per_batch": ROUND,
        "buffer_size": 500_000,
    }
    with open_session(
        {**options, "mode": "overlap", "samples_per_insert": _NO_LEARNING}, workers=stand_ins
    ) as session:
        session.warm_up(settings.seconds)
        paces = [session.slice(settings.seconds) for _ in range(settings.slices)]
    also = {
        "main_process": statistics.median(pace.main_share for pace in paces),
        "asked_of_each": plies_per_s,
    }
    return case(
        [pace.plies_per_s for pace in paces], "plies/s", limits=_LARGE * plies_per_s, also=also
    )


ROUND: Final = 3 * BATCH  # matches of a worker's round: more than 50 ticks


class WorkerGroup:
    """Worker processes without a learner that play rounds as in `overlap`, measured in slices."""

    def __init__(self, workers: ProcessWorkers, count: int) -> None:
        self.count = count
        self._workers = workers
        self._started = 0
        # processor time of the main process in each slice, as a share of one core
        self.main_shares: list[float] = []

    def slice(self, seconds: float) -> float:
        """Plies a second of rounds that are started within `seconds`, until all of them are
        finished.

        Nothing is in flight before and after; in between some workers may be rounds ahead of
        others.
        """
        plies, in_flight, begun, worked = 0, 2, time.perf_counter(), time.process_time()
        self.start()
        self.start()
        while in_flight:
            plies += self.finish().plies
            spent = time.perf_counter() - begun
            if spent < seconds:
                self.start()
            else:
                in_flight -= 1
        self.main_shares.append((time.process_time() - worked) / spent)
        return plies / spent

    def start(self, episodes: int = ROUND) -> None:
        """Start a round; at most two may be in flight."""
        for worker in range(self.count):
            self._workers.start(worker, round_command(self._started, episodes))
        self._started += 1

    def finish(self) -> Batch:
        """Wait for the oldest round in flight."""
        batch = self._workers.finish_round()
        batch.release()
        return batch

    def states(self) -> list[dict[str, Any]]:
        """States of the bodies, in order of the workers."""
        return [state["body"] for state in self._workers.get_state().values()]


@contextmanager
def open_group(
    policy: PolicySpec,
    count: int,
    precision: str,
    *,
    num_envs: int = BATCH,
    body: Any = Rollout,
    inference: InferenceSettings | None = None,
) -> Iterator[WorkerGroup]:
    """So many workers with the network's initial weights; with `inference` on a server."""
    groups = 1 if inference is None else 2
    vector = weights_in_place(policy).published(0)
    workers = ProcessWorkers(
        rollout_settings(policy, precision=precision, num_envs=num_envs, groups=groups),
        num_workers=count,
        size=len(vector),
        num_snapshots=0,
        num_versions=2,
        episodes=ROUND,
        start_method=default_start_method(),
        notify=lambda text: None,
        body=body,
        inference=inference,
    )
    with workers:
        workers.weights.publish(0, vector)
        yield WorkerGroup(workers, count)


MEMORY_USE: Final = Path("/proc/self/smaps_rollup")
_PASSES: Final = 64  # of a round


@dataclass(frozen=True)
class PacedSettings(RolloutSettings):
    """`plies_per_s` of a real worker with these settings, `plies` of its round."""

    plies_per_s: float = 1.0
    plies: int = 1


class _Stateless:
    """State of a body that has none."""

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass


class PacedStandIn(_Stateless):
    """A body in place of a `Rollout` that sends ready transitions at the rate of a real worker, one
    a ply, and sleeps the rest of the time.

    It may fall behind by one block. Time beyond that which a full ring or a late command costs is
    lost, as it would be to a real worker.
    """

    def __init__(
        self, settings: PacedSettings, weights: WeightSource, *, worker: int, incarnation: int
    ) -> None:
        spec = settings.policy.game_spec
        self._settings = settings
        self._rows = np.zeros(settings.block, transition_dtype(spec))
        self._num_players = spec.num_players

    def play_round(
        self, command: RoundCommand, sink: Sink, between: Between = to_the_end
    ) -> RoundReport:
        settings, begun = self._settings, time.perf_counter()
        due, sent = begun, 0
        while sent < settings.plies:
            block = self._rows[: settings.plies - sent]
            due += len(block) / settings.plies_per_s
            time.sleep(max(0.0, due - time.perf_counter()))
            sink(block)
            due = max(due, time.perf_counter() - len(block) / settings.plies_per_s)
            sent += len(block)
        results = np.zeros(command.episodes, result_dtype(self._num_players))
        return RoundReport(
            command.round, results, frozenset(), settings.plies, time.perf_counter() - begun
        )


class BarePasses(_Stateless):
    """A body that makes forward passes only: the speed of the cores without coordination."""

    def __init__(
        self, settings: RolloutSettings, weights: WeightSource, *, worker: int, incarnation: int
    ) -> None:
        spec = settings.policy.game_spec
        observation = np.zeros((BATCH, *spec.observation_shape), spec.observation_dtype)
        self._pass = forward_step(
            settings.policy, observation, "bfloat16" if settings.bfloat16 else "float32"
        )
        self._nothing = np.zeros(0, result_dtype(spec.num_players))

    def play_round(
        self, command: RoundCommand, sink: Sink, between: Between = to_the_end
    ) -> RoundReport:
        begun = time.perf_counter()
        plies = sum(self._pass() for _ in range(_PASSES))
        return RoundReport(
            command.round, self._nothing, frozenset(), plies, time.perf_counter() - begun
        )


class MemoryReporter(Rollout):
    """A worker's body whose state is the private memory of its process."""

    def get_state(self) -> dict[str, Any]:
        return {"private_bytes": private_bytes()}


def private_bytes(memory_use: Path = MEMORY_USE) -> int:
    """Memory that only this process maps, as Linux counts it."""
    lines = memory_use.read_text(encoding="utf-8").splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_"))
