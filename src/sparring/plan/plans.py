"""The plans that are compared: one agent on one GPU, on all GPUs, with a larger batch; several
agents at once. Each with its expected rates, what binds, and the command line to type.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sparring.config.schema import TrainConfig
from sparring.config.sources import AUTO
from sparring.errors import InputError, counted
from sparring.plan.figures import Figures
from sparring.plan.shape import (
    Assumptions,
    Shape,
    balanced_samples_per_insert,
    expected,
    limits,
    memory,
    run_of,
    saturation,
    shape_of,
)
from sparring.plan.simulation import Outcome, Run, simulate

_MANY_ROUNDS: Final = 100  # of a run: with fewer, the agent meets old weights of its own only
_COST_OF_SHORT_ROUNDS: Final = 0.03  # of the matches, at most
_LARGER_BATCH: Final = 4
_PARTS: Final = 60_000  # simulated, about, for one plan
_TRIAL_PARTS: Final = 8_000  # and to choose the length of its rounds
_MOST_ROUNDS: Final = 400
_WHAT: Final = {
    "update": "updates",
    "receive": "main process",
    "publish": "main process",
    "pause": "pauses",
}


@dataclass(frozen=True)
class Machine:
    """Hardware to plan for."""

    cores: int
    gpus: int = 0
    nodes: int = 1


@dataclass(frozen=True)
class Plan:
    """Expected figures of `agents` runs of one shape side by side."""

    title: str
    agents: int
    shape: Shape
    matches_per_min: float  # of each agent
    updates_per_s: float  # of each agent
    minutes: float  # until all matches of the run are played
    binds: str
    busy: Mapping[str, float]  # shares of time, of what could bind
    limits: Mapping[str, float]  # matches a minute that each resource could do alone
    saturation: Mapping[str, float]  # workers that each could serve
    balanced_samples_per_insert: float
    memory: Mapping[str, float]
    command: str

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values; a limit that does not exist is left out."""
        values = dataclasses.asdict(self)
        values["limits"] = {name: rate for name, rate in self.limits.items() if rate < float("inf")}
        return values


def plans(
    figures: Figures,
    config: TrainConfig,
    machine: Machine,
    *,
    preset: str,
    agents: int,
    assumed: Assumptions,
) -> list[Plan]:
    """All plans for a machine, in the order of the output. Raises `InputError` for a machine that
    is too small for any.
    """
    if machine.cores < 2:
        raise InputError(
            "--cores", got=machine.cores, expected="at least 2: one worker, one learner"
        )
    planner = _Planner(figures, config, machine, preset, assumed)
    found = list(planner.one_agent())
    if agents > 1 and machine.cores >= 2 * agents and machine.nodes == 1:
        found.append(planner.population(agents))
    return found


@dataclass(frozen=True)
class _Planner:
    figures: Figures
    config: TrainConfig
    machine: Machine
    preset: str
    assumed: Assumptions

    def one_agent(self) -> Iterator[Plan]:
        cores, gpus, nodes = (getattr(self.machine, name) for name in ("cores", "gpus", "nodes"))
        batch = _LARGER_BATCH * self.config.batch_size
        if not gpus:
            fastest = max(
                (
                    self._plan(f"one agent, {counted(threads, 'thread')}", 1, shape)
                    for threads in self.figures.threads()
                    if threads <= cores
                    for shape in self._on_threads(threads)
                ),
                key=lambda plan: plan.matches_per_min,
            )
            yield fastest
            yield self._plan(
                f"the same, batch {batch:,}", 1, dataclasses.replace(fastest.shape, batch=batch)
            )
            return
        alone = shape_of(self.config, cores=cores, workers=_all_but_two(cores), gpus=1, nodes=nodes)
        yield self._plan("one agent, one GPU", 1, alone)
        if gpus > 1 and cores > gpus:
            workers = max(1, cores - max(2, gpus))
            shared = _multiple(alone.batch, gpus)
            everywhere = dataclasses.replace(alone, workers=workers, gpus=gpus, batch=shared)
            yield self._plan(f"one agent, {gpus} GPUs", 1, everywhere)
        larger = dataclasses.replace(alone, batch=batch)
        yield self._plan(f"one GPU, batch {batch:,}", 1, larger)

    def _on_threads(self, threads: int) -> Iterator[Shape]:
        """With a core for each thread of the learner, and with cores that they share."""
        cores, nodes = self.machine.cores, self.machine.nodes
        for workers in dict.fromkeys((max(1, cores - threads), cores - 1, cores)):
            yield shape_of(self.config, cores=cores, workers=workers, threads=threads, nodes=nodes)

    def population(self, agents: int) -> Plan:
        """Each with its share of the cores, and a GPU where there are some."""
        cores = self.machine.cores // agents
        shape = shape_of(
            self.config,
            cores=cores,
            workers=max(1, cores - 1),
            gpus=min(1, self.machine.gpus),
            threads=min(self.figures.threads()),
        )
        return self._plan(f"{agents} agents at once", agents, shape)

    def _plan(self, title: str, agents: int, shape: Shape) -> Plan:
        shape = self._with_rounds(shape)
        rounds = _rounds(shape.workers, _PARTS)
        run, outcome = expected(self.figures, self.config, shape, self.assumed, rounds)
        busy = _busy(outcome, run)
        per_min = 60.0 * shape.episodes
        matches = per_min * outcome.parts_per_s
        return Plan(
            title=title,
            agents=agents,
            shape=shape,
            matches_per_min=matches,
            updates_per_s=outcome.updates_per_s,
            minutes=self.config.n_episodes / matches,
            binds=max(busy, key=lambda name: busy[name]),
            busy=busy,
            limits={name: per_min * rate for name, rate in limits(run).items()},
            saturation=saturation(run),
            balanced_samples_per_insert=balanced_samples_per_insert(
                self.figures, self.config, shape, self.assumed
            ),
            memory=memory(self.figures, self.config, shape),
            command=self._command(agents, shape),
        )

    def _with_rounds(self, shape: Shape) -> Shape:
        """The shape with shorter rounds where the run would have few of them, as short as costs
        few matches.
        """
        wanted = self.config.n_episodes // (_MANY_ROUNDS * shape.workers)
        episodes = max(1, min(shape.episodes, wanted))
        rate = self._rate(shape) if episodes < shape.episodes else 0.0
        while episodes < shape.episodes:
            shorter = dataclasses.replace(shape, episodes=episodes)
            if self._reaches(shorter, (1.0 - _COST_OF_SHORT_ROUNDS) * rate):
                return shorter
            episodes *= 2
        return shape

    def _reaches(self, shape: Shape, rate: float) -> bool:
        """Return whether so many matches a second can be had; where arithmetic says no, nothing is
        simulated.
        """
        found = limits(run_of(self.figures, self.config, shape, self.assumed))
        serial = 1.0 / (1.0 / found["updates"] + 1.0 / found["main process"])
        bound = min(serial, *found.values()) * shape.episodes
        return bound >= rate and self._rate(shape) >= rate

    def _rate(self, shape: Shape) -> float:
        """Matches a second, from a short simulation without pauses."""
        run = dataclasses.replace(run_of(self.figures, self.config, shape, self.assumed), pauses=())
        return (
            simulate(run, _rounds(run.workers, _TRIAL_PARTS, least=2)).parts_per_s * shape.episodes
        )

    def _command(self, agents: int, shape: Shape) -> str:
        """The command line; it names what the preset leaves open or has otherwise."""
        words = ["sparring", "train" if agents == 1 else "population", self.figures.game]
        words += ["--preset", self.preset]
        if agents > 1:
            gpus = self.machine.gpus
            devices = ",".join(f"cuda:{k % gpus}" for k in range(agents)) if gpus else "cpu"
            words += ["--agents", str(agents), "--devices", devices]
        elif shape.gpus > 1:
            words += ["--devices", ",".join(f"cuda:{k}" for k in range(shape.gpus))]
        else:
            words += ["--device", "cuda:0" if shape.gpus else "cpu"]
        if shape.nodes > 1:
            words += ["--backend", "ray", "--ray-address", AUTO]
        words += ["--num-workers", str(shape.workers)]
        if not shape.gpus:
            words += ["--learner-threads", str(shape.threads)]
        stored = self.config.buffer_size
        for option, value, usual in (
            ("--mode", shape.mode, TrainConfig.model_fields["mode"].default),  # no preset has one
            ("--episodes-per-batch", shape.episodes, self.config.episodes_per_batch),
            ("--batch-size", shape.batch, self.config.batch_size),
            ("--buffer-size", _multiple(stored, max(1, shape.gpus)), stored),
        ):
            if value != usual:
                words += [option, str(value)]
        return shlex.join(words)


def _multiple(size: int, ranks: int) -> int:
    """The size, or the next larger one that the ranks can share out evenly."""
    return -(-size // ranks) * ranks


def _all_but_two(cores: int) -> int:
    return max(1, cores - 2)


def _rounds(workers: int, parts: int, least: int = 6) -> int:
    """Rounds to simulate: about so many parts."""
    return max(least, min(_MOST_ROUNDS, parts // workers))


def _busy(outcome: Outcome, run: Run) -> dict[str, float]:
    """Shares of time of what could bind; of the cores only where there are too few for all."""
    main = dict.fromkeys(("updates", "main process", "pauses"), 0.0)
    for name, share in outcome.main.items():
        main[_WHAT[name]] += share
    busy = {"play": outcome.playing, **main, "link": outcome.link}
    if run.workers + run.threads > run.cores:
        learning = outcome.updates_per_s * run.update * run.threads
        busy["cores"] = (outcome.playing * run.workers + learning) / run.cores
    return busy
