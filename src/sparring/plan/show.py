"""Output of `sparring plan` for people, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from sparring.bench.show import WIDTH, amount, say
from sparring.config.schema import TrainConfig
from sparring.errors import counted
from sparring.plan.figures import CPU, CUDA, Figures
from sparring.plan.plans import Machine, Plan
from sparring.plan.shape import (
    GPU_LAUNCH,
    GPU_TIMES_CORE,
    RAY_PART,
    REDUCE,
    REDUCE_BYTES_PER_S,
    Assumptions,
)

_GIB: Final = 2**30
_ADAPTIVE: Final = "adaptive"
_SERVERS: Final = {
    "learner": "one learner",
    "main process": "its process without updates",
    "link": "the link",
}


def print_plans(
    figures: Figures,
    config: TrainConfig,
    machine: Machine,
    found: Sequence[Plan],
    assumed: Assumptions,
    preset: str,
) -> None:
    """Print the figures, the plans side by side, what binds, and the command lines."""
    gpus = {0: "no GPU", 1: "1 GPU"}.get(machine.gpus, f"{machine.gpus} GPUs")
    nodes = f" in {machine.nodes:,} machines" if machine.nodes > 1 else ""
    say(f"{figures.game}, preset {preset}, on {machine.cores:,} cores{nodes} and {gpus}: simulated")
    for line in _figures(figures, config):
        say(line)
    for line in assumptions(figures, machine, assumed):
        say(f"assumed: {line}")
    Console(width=WIDTH).print(_table(found))
    for line in _remarks(found[0], config):
        say(line)
    for one in found:
        print(f"\n# {one.title}: {_needs(one)}")
        print(_broken(one.command))


def _figures(figures: Figures, config: TrainConfig) -> Iterator[str]:
    batch = config.batch_size
    times = [
        f"{1e3 * seconds:.3g} ms {where}"
        for where, device, threads in (
            *((f"on {counted(n, 'thread')}", CPU, n) for n in figures.threads()),
            ("on the GPU", CUDA, 1),
        )
        if (seconds := figures.update_seconds(device, threads, batch)) is not None
    ]
    yield f"{figures.source}; network {figures.network}"
    yield (
        f"a worker: {amount(figures.plies_per_s)} plies/s; a match: "
        f"{amount(figures.plies_per_match)} plies, {amount(figures.rows_per_match)} transitions"
    )
    yield f"an update of {batch:,}: {', '.join(times)}"
    yield (
        f"the main process: {1e3 * figures.part:.2g} ms for a worker's round, "
        f"{1e6 * figures.row:.2g} us for a transition"
    )
    yield (
        f"an evaluation: {figures.evaluation:.2g} s each {config.eval_interval:,} updates; "
        f"a checkpoint: {figures.checkpoint:.2g} s"
    )


def assumptions(figures: Figures, machine: Machine, assumed: Assumptions) -> list[str]:
    """Assumptions that were not measured, one line each."""
    lines = []
    if machine.gpus and assumed.gpu_updates_per_s is not None:
        lines.append(f"{assumed.gpu_updates_per_s:,.0f} updates/s on a GPU (--gpu-updates)")
    elif machine.gpus and all(one.device != CUDA for one in figures.updates):
        lines.append(
            f"an update on a GPU takes {1e3 * GPU_LAUNCH:g} ms and 1/{GPU_TIMES_CORE:g} of a "
            "core's time (--gpu-updates)"
        )
    if machine.gpus > 1:
        lines.append(
            f"{1e3 * REDUCE:g} ms and {REDUCE_BYTES_PER_S / 1e9:g} GB/s to sum gradients over GPUs"
        )
    if machine.nodes > 1:
        lines.append(f"a link of {assumed.link_gbit:g} Gbit/s to the learner (--link-gbit)")
        lines.append(f"{1e3 * RAY_PART:g} ms of the main process for a round of a remote worker")
    return lines


def _table(found: Sequence[Plan]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("", "workers", "matches/min", "updates/s", "run", "busiest"):
        table.add_column(name, justify="left" if name in ("", "busiest") else "right", no_wrap=True)
    for one in found:
        times = f"{one.agents} x " if one.agents > 1 else ""
        table.add_row(
            one.title,
            f"{times}{one.shape.workers:,}",
            f"{times}{amount(one.matches_per_min)}",
            f"{times}{amount(one.updates_per_s)}",
            _duration(one.minutes),
            f"{one.binds} {min(1.0, one.busy[one.binds]):.0%}",
        )
    return table


def _needs(plan: Plan) -> str:
    """Memory and disk of all its agents."""
    agents = plan.agents
    each = " each" if agents > 1 or plan.shape.gpus > 1 else ""
    gpu = f"{_gib(plan.memory['gpu'])} of a GPU{each}, " if plan.shape.gpus else ""
    memory, disk = (_gib(agents * plan.memory[name]) for name in ("memory", "disk"))
    return f"{memory} of memory, {gpu}{disk} of disk"


def _gib(size: float) -> str:
    return f"{size / _GIB:.1f} GiB"


def _duration(minutes: float) -> str:
    if minutes >= 600:
        return f"{minutes / 60:,.0f} h"
    return f"{minutes:,.0f} min" if minutes >= 10 else f"{minutes:.1f} min"


def _remarks(plan: Plan, config: TrainConfig) -> Iterator[str]:
    """Points of saturation, and the setting that would keep all workers busy."""
    words = [f"{_SERVERS[name]} {amount(count)}" for name, count in plan.saturation.items()]
    yield f"busy workers that can be served: by {', by '.join(words)}"
    balanced = f"{plan.balanced_samples_per_insert:.2g}"
    if config.learning_steps_per_batch == _ADAPTIVE and plan.binds == "updates" and float(balanced):
        yield (
            f"--samples-per-insert {balanced} instead of "
            f"{config.samples_per_insert:g} keeps all {plan.shape.workers:,} busy; it learns less "
            "from each match"
        )


def _broken(command: str) -> str:
    """The command line in lines of 80 columns, which a shell reads as one."""
    lines, line = [], ""
    for word in command.split(" "):
        if line and len(line) + len(word) + 3 > WIDTH:
            lines.append(f"{line} \\")
            line = f"   {word}"
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])
