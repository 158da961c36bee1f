"""Whole training runs: play and learning together, in every mode, beside the best possible use of
this machine's CPUs for the same work.

The limit of a workload is the best split of its work over the CPUs, each piece at its bare speed:
forward passes and updates on ready data, measured in the same turns, without game, transport,
replay and waiting.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final

from sparring.bench.learner import update_step
from sparring.bench.measure import Case, Cases, Settings, case, repeated
from sparring.bench.sessions import (
    CONNECT_FOUR,
    LEARNING_LIMITED,
    LUDO,
    PLAY_LIMITED,
    QUIET,
    LiveSession,
    Pace,
    open_session,
)
from sparring.bench.work import forward_step, transitions
from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config
from sparring.config.system import available_cpus
from sparring.runtime import torch_threads
from sparring.training.assembly import policy_of
from sparring.training.autotune import best_split
from sparring.training.resolve import resolved

MODES: Final = ("sync", "overlap", "async")
_WORKLOADS: Final = {"ludo": LUDO, "learning": LEARNING_LIMITED, "play": PLAY_LIMITED}
_FLOOR: Final = 0.75  # of the limit, by overlap or async, whichever is better
_MIN_EPISODES: Final = 20_000.0  # of Ludo, a minute, on two cores
_OVERLAP_FLOOR: Final = 1.7  # times sync, where play and learning take equally long
_ASYNC_FLOOR: Final = 0.95  # of overlap, there
_LONGER: Final = 2.0  # slices of a whole run, beside the settings'
_BARE: Final = 0.4  # and those of the bare pieces
_TRIAL: Final = 0.7  # and those of trials
_TRIAL_SLICES: Final = 2


def measure(settings: Settings) -> Cases:
    """Ludo; Connect Four limited by learning, and limited by play; then play and learning that take
    equally long.
    """
    cases: Cases = {}
    for name, options in _WORKLOADS.items():
        cases |= _workload(settings, name, options)
    if available_cpus() > 1:
        cases |= _equal_work(settings)
    else:
        settings.note("whole: equal work skipped: there is one core for both sides")
    return cases


def _workload(settings: Settings, name: str, options: Mapping[str, Any]) -> Cases:
    with ExitStack() as stack:
        pieces = BarePieces({**options, "mode": "sync"}, settings.seconds * _BARE)
        threads = useful_threads(pieces.speeds()[1])
        sessions = {
            mode: fastest(settings, stack, name, {**options, "mode": mode}, threads)
            for mode in MODES
        }
        paces: dict[str, list[Pace]] = {mode: [] for mode in MODES}
        limits: dict[str, list[float]] = {mode: [] for mode in MODES}
        for turn in range(settings.slices):
            settings.say(f"whole: {name}, turn {turn + 1} of {settings.slices}")
            plies_per_s, updates_per_s = pieces.speeds()
            for mode, session in sessions.items():
                pace = session.slice(settings.seconds * _LONGER)
                split = best_split(
                    cpus=available_cpus(),
                    plies_per_update=pace.plies_per_update,
                    plies_per_s=plies_per_s,
                    updates_per_s=updates_per_s,
                )
                paces[mode].append(pace)
                limits[mode].append(split.plies_per_s)
        return _workload_cases(name, sessions, paces, limits)


def _workload_cases(
    name: str,
    sessions: Mapping[str, LiveSession],
    paces: Mapping[str, Sequence[Pace]],
    limits: Mapping[str, Sequence[float]],
) -> Cases:
    plies = {mode: [pace.plies_per_s for pace in paces[mode]] for mode in MODES}
    also = {mode: _also(sessions[mode].config, paces[mode]) for mode in MODES}
    cases = {
        f"{name}_{mode}": case(plies[mode], "plies/s", limits=limits[mode], also=also[mode])
        for mode in MODES
    }
    best = max(("overlap", "async"), key=lambda mode: cases[f"{name}_{mode}"].ratio or 0.0)
    cases[f"{name}_best"] = case(
        plies[best], "plies/s", limits=limits[best], floor=_FLOOR, also={"mode": best}
    )
    cases[f"{name}_overlap_to_sync"] = case(
        plies["overlap"], "plies/s", limits=plies["sync"], floor=1.0
    )
    if name == "ludo":
        episodes = [pace.episodes_per_min for pace in paces[best]]
        asked = _MIN_EPISODES if available_cpus() > 1 else None
        cases["ludo_matches"] = case(
            episodes,
            "matches/min",
            limits=asked,
            floor=None if asked is None else 1.0,
            also={"mode": best},
        )
    return cases


def _also(config: TrainConfig, paces: Sequence[Pace]) -> dict[str, Any]:
    """Further figures of a case."""
    return {
        "workers": config.num_workers,
        "learner_threads": config.learner_threads,
        "episodes_per_min": statistics.median(pace.episodes_per_min for pace in paces),
        "updates_per_s": statistics.median(pace.updates_per_s for pace in paces),
        "plies_per_update": statistics.median(pace.plies_per_update for pace in paces),
        "worker_wait": statistics.median(pace.worker_wait for pace in paces),
        "learner_wait": statistics.median(pace.learner_wait for pace in paces),
    }


def fastest(
    settings: Settings,
    stack: ExitStack,
    name: str,
    options: Mapping[str, Any],
    threads: Sequence[int],
) -> LiveSession:
    """A warm session, open until `stack` closes, with the numbers of workers and learner threads
    that were fastest in a few short slices.

    `threads` are those of the learner to be tried, one first.
    """
    trials: list[tuple[LiveSession, ExitStack]] = []
    for hardware in _candidates(options["mode"], threads):
        words = f"workers: {hardware['num_workers']}, threads: {hardware['learner_threads']}"
        settings.say(f"whole: {name}, {options['mode']}, trial of {words}")
        opened = stack.enter_context(ExitStack())
        session = opened.enter_context(open_session({**options, **hardware}))
        session.warm_up(settings.seconds)
        trials.append((session, opened))
    speeds = [0.0] * len(trials)
    for _ in range(_TRIAL_SLICES if len(trials) > 1 else 0):  # in turns, as everything
        for number, (session, _) in enumerate(trials):
            speeds[number] += session.slice(settings.seconds * _TRIAL).plies_per_s
    chosen, _ = trials[speeds.index(max(speeds))]
    for session, opened in trials:
        if session is not chosen:
            opened.close()
    return chosen


def _candidates(mode: str, threads: Sequence[int]) -> list[dict[str, int]]:
    """Numbers of workers and threads to try: in `sync` all CPUs play and then some learn; otherwise
    the learner has one for itself, or shares one or more with the workers.
    """
    cpus = available_cpus()
    fewer = max(1, cpus - 1)
    pairs = [(cpus, 1)] if mode == "sync" else [(fewer, 1), (cpus, 1)]
    pairs += [(cpus if mode == "sync" else fewer, count) for count in threads[1:]]
    return [
        {"num_workers": workers, "learner_threads": count}
        for workers, count in dict.fromkeys(pairs)
    ]


def _equal_work(settings: Settings) -> Cases:
    """One worker and one learner thread with equally much work, balanced by trials."""
    one: dict[str, Any] = {**CONNECT_FOUR, "num_workers": 1, "learner_threads": 1}
    with ExitStack() as stack:
        sessions = {}
        options = {**one, "samples_per_insert": _equal_share(settings, one)}
        for mode in MODES:
            settings.say(f"whole: equal work, {mode}")
            sessions[mode] = stack.enter_context(open_session({**options, "mode": mode}))
            sessions[mode].warm_up(settings.seconds)
        paces: dict[str, list[Pace]] = {mode: [] for mode in MODES}
        for turn in range(settings.slices):
            settings.say(f"whole: equal work, turn {turn + 1} of {settings.slices}")
            for mode, session in sessions.items():
                paces[mode].append(session.slice(settings.seconds * _LONGER))
    return {
        "equal_overlap_to_sync": _against(paces, "overlap", "sync", _OVERLAP_FLOOR),
        "equal_async_to_overlap": _against(paces, "async", "overlap", _ASYNC_FLOOR),
    }


def _equal_share(settings: Settings, options: Mapping[str, Any]) -> float:
    """Samples per insert with which the learner takes as long for a transition as the worker, while
    both are busy.

    Found in two trials, because each side is a little slower beside a busy one than beside an idle
    one.
    """
    share = 1.0
    for _ in range(2):
        with open_session({**options, "mode": "overlap", "samples_per_insert": share}) as session:
            session.warm_up(settings.seconds)
            pace = session.slice(settings.seconds * _LONGER)
        play, learning = (
            pace.played / pace.plies,
            (pace.seconds - pace.waited) / max(1, pace.updates),
        )
        share = float(options["batch_size"]) * play / learning
    return share


def _against(paces: Mapping[str, Sequence[Pace]], mode: str, other: str, floor: float) -> Case:
    rates, limits = ([pace.plies_per_s for pace in paces[name]] for name in (mode, other))
    waits = {"worker_wait": statistics.median(pace.worker_wait for pace in paces[mode])}
    waits["learner_wait"] = statistics.median(pace.learner_wait for pace in paces[mode])
    return case(rates, "plies/s", limits=limits, floor=floor, also=waits)


_MAX_THREADS: Final = 2  # of a learner: more do not help with networks of this size
_MIN_GAIN: Final = 1.1


class BarePieces:
    """The bare forward passes and updates of a run of these `options`, by the clock, one after the
    other.
    """

    def __init__(self, options: Mapping[str, Any], seconds: float) -> None:
        config, game = resolved(build_config(overrides={**QUIET, **options}))
        policy = policy_of(config, game)
        envs = config.num_envs_per_worker
        rows = transitions(policy, max(config.batch_size, envs))
        forward = forward_step(policy, rows["observation"][:envs].copy(), config.actor_precision)
        self._forward = repeated(forward, seconds, time.perf_counter)
        bfloat16 = config.learner_precision == "bfloat16"
        self._updates = {
            threads: repeated(
                update_step(policy, rows, config, bfloat16=bfloat16, threads=threads),
                seconds,
                time.perf_counter,
            )
            for threads in sorted({1, min(_MAX_THREADS, available_cpus())})
        }

    def speeds(self) -> tuple[float, dict[int, float]]:
        """Plies a second of one CPU, and updates a second by the number of threads."""
        with torch_threads(1):
            return self._forward(), {threads: update() for threads, update in self._updates.items()}


def useful_threads(updates_per_s: Mapping[int, float]) -> tuple[int, ...]:
    """Numbers of learner threads to try: one, and those that make bare updates at least a tenth
    faster.
    """
    return (
        1,
        *(
            threads
            for threads, rate in updates_per_s.items()
            if threads > 1 and rate > _MIN_GAIN * updates_per_s[1]
        ),
    )
