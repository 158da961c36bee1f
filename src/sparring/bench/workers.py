"""What many workers cost to coordinate; how soon they answer, what memory they take; and whether one main process can serve 46."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from sparring.assembly import Parts
from sparring.bench.bodies import BarePasses, PacedSettings, PacedStandIn
from sparring.bench.crews import ROUND, Crew, open_crew
from sparring.bench.measure import Case, Cases, Settings, Side, case, turns
from sparring.bench.sessions import CONNECT_FOUR, open_session
from sparring.bench.work import MLP
from sparring.config import TrainConfig
from sparring.dqn.precision import has_bfloat16
from sparring.resolve import available_cpus
from sparring.runtime import ProcessWorkers, default_start_method

_FLOORS: Final = {"float32": 1.9, "bfloat16": 1.7}  # two workers beside one, on two cores or more
_MANY: Final = 64
_MANY_FLOOR: Final = 0.9  # beside two
_BETWEEN: Final = (4, 8, 16, 32)
_LARGE: Final = 46  # workers of a machine with 48 CPUs
_MOST_SECONDS: Final = 5.0
_MOST_MEGABYTES: Final = 40.0
_NO_LEARNING: Final = 1e-12  # samples per insert


def measure(settings: Settings) -> Cases:
    """Connect Four, the MLP 2 x 256, 256 envs a worker, rounds of more than 50 ticks, the learner off."""
    precision = "bfloat16" if has_bfloat16() else "float32"
    cases: Cases = {}
    if available_cpus() > 1:
        for kind in sorted({"float32", precision}, reverse=True):
            cases |= _two_to_one(settings, kind)
    else:
        settings.note("workers: two beside one is left out: there is one core")
    cases |= _many(settings, precision, (_MANY,))
    cases |= _many(settings, precision, _BETWEEN)
    cases |= _start(settings, precision)
    for kind in sorted({"float32", precision}, reverse=True):
        cases[f"main_of_{_LARGE}_{kind}"] = _simulated(settings, kind)
    return cases


def _two_to_one(settings: Settings, precision: str) -> Cases:
    """Two workers beside one; and two processes that do nothing but pass forward beside one, which is what the second core has to give."""
    settings.say(f"workers: two beside one, {precision}")
    with ExitStack() as stack:
        one, two = (stack.enter_context(open_crew(MLP, count, precision)) for count in (1, 2))
        bare_one, bare_two = (stack.enter_context(open_crew(MLP, count, precision, body=BarePasses)) for count in (1, 2))
        crews = {"one": one, "two": two, "bare_one": bare_one, "bare_two": bare_two}
        rates = turns({name: _side(settings, crew) for name, crew in crews.items()}, settings.slices)
        also = {"main_process": statistics.median(two.main_shares)}
    return {
        f"two_to_one_{precision}": case(rates["two"], "plies/s", limits=rates["one"], floor=_FLOORS[precision], also=also),
        f"cores_two_to_one_{precision}": case(rates["bare_two"], "states/s", limits=rates["bare_one"]),
    }


def _many(settings: Settings, precision: str, counts: Sequence[int]) -> Cases:
    """Crews of these sizes beside two workers, or one on a single core; where there are cores for more, the limit grows with them."""
    cpus = available_cpus()
    few = min(2, cpus)
    with ExitStack() as stack:
        settings.say(f"workers: {', '.join(map(str, counts))} beside {few}")
        crews = {count: stack.enter_context(open_crew(MLP, count, precision)) for count in (few, *counts)}
        rates = turns({str(count): _side(settings, crew) for count, crew in crews.items()}, settings.slices)
    cases: Cases = {}
    for count in counts:
        limits = [rate * min(count, cpus) / few for rate in rates[str(few)]]
        floor = _MANY_FLOOR if count == _MANY else None
        also = {"main_process": statistics.median(crews[count].main_shares)}
        cases[f"workers_{count}"] = case(rates[str(count)], "plies/s", limits=limits, floor=floor, also=also)
    return cases


def _side(settings: Settings, crew: Crew) -> Side:
    crew.start(1)  # code and memory that are used for the first time
    crew.finish()
    return partial(crew.slice, settings.seconds)


def _start(settings: Settings, precision: str) -> Cases:
    """Seconds from the start of the fork server until 46 workers have played a first match, and the memory of each."""
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
    cases = {f"start_of_{_LARGE}": case(seconds, "s", limits=_MOST_SECONDS, floor=floor, less_is_better=True)}
    if private:
        cases["private_memory"] = case(private, "MB", limits=_MOST_MEGABYTES, floor=floor, less_is_better=True)
    return cases


def _simulated(settings: Settings, precision: str) -> Case:
    """A run whose 46 workers are stand-ins at the rate of a real one, and all that the main process does but for learning."""
    settings.say(f"workers: {_LARGE} stand-ins at a real worker's rate")
    with open_crew(MLP, 1, precision) as crew:
        plies_per_s = statistics.median(crew.slice(settings.seconds) for _ in range(3))
        crew.start()
        plies = crew.finish().plies

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

    options = {**CONNECT_FOUR, "num_workers": _LARGE, "learner_threads": 1, "episodes_per_batch": ROUND, "buffer_size": 500_000}
    with open_session({**options, "mode": "overlap", "samples_per_insert": _NO_LEARNING}, workers=stand_ins) as session:
        session.warm_up(settings.seconds)
        paces = [session.slice(settings.seconds) for _ in range(settings.slices)]
    also = {"main_process": statistics.median(pace.main_share for pace in paces), "asked_of_each": plies_per_s}
    return case([pace.plies_per_s for pace in paces], "plies/s", limits=_LARGE * plies_per_s, also=also)
