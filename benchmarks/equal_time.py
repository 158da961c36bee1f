"""Curves of Connect Four presets and of their parts over processor time, in one picture.

    python benchmarks/equal_time.py --minutes 10

All rows are trained side by side, so each gets about the same share of the CPUs, busy or not. The
x-axis is the processor time of a run and its workers, without evaluations, so it does not depend on
that share. A point is an evaluation of the newest agent, greedy: the share of moves that keep the
value in the odd rows of the solved positions in which moves differ in outcome. Learning rates and
exploration follow the clock to their ends.

Points are appended to OUT/points.jsonl; OUT/curves.png shows those of the last call.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]
import torch
import tyro
from matplotlib.lines import Line2D

from sparring.config.sources import build_config
from sparring.dqn.agent import DQNAgent
from sparring.evaluation import solved_positions as solved
from sparring.opponents.players import NetworkPlayer
from sparring.plot import style
from sparring.training import train

POSITIONS: Final = Path(__file__).parents[1] / "tests" / "data" / "connect_four" / "positions.csv"
RANDOM_STARTS: Final = {"random_start_share": 0.7, "random_start_plies": 30}
ROWS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "tables": ("quick", {"eval_interval": 800}),
    "tables, no random starts": ("quick", {"eval_interval": 800, "random_start_share": 0.0}),
    "deep": ("quick-dqn", {"eval_interval": 1_000}),
    "deep, random starts": ("quick-dqn", {"eval_interval": 1_000, **RANDOM_STARTS}),
    "deep, values of actions": ("quick-dqn", {"eval_interval": 1_000, "afterstates": "off"}),
}
TITLE: Final = "Connect Four at equal processor time"
COLOURS: Final = ("#1F5FA8", "#7FB2E5", "#C2410C", "#F2A65A", "#6B7280")


@dataclass(frozen=True)
class Settings:
    """Minutes, rows and files."""

    minutes: float = 10.0
    """Wall time of all trainings, which run side by side."""
    out: Path = Path("benchmarks/results/equal-time")
    """Folder for runs, points and the picture."""
    rows: tuple[str, ...] = tuple(ROWS)
    """Rows to train."""
    alone: bool = False
    """Train the only row in this process, without a picture."""


def main(settings: Settings) -> None:
    """Train all rows and draw their curves, or train one."""
    settings.out.mkdir(parents=True, exist_ok=True)
    if settings.alone:
        trained(settings, settings.rows[0])
        return
    points = settings.out / "points.jsonl"
    points.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--out", str(settings.out), "--alone"]
    processes = [
        subprocess.Popen([*command, "--minutes", str(settings.minutes), "--rows", row])
        for row in settings.rows
    ]
    failed = [process.wait() for process in processes]
    if any(failed):
        sys.exit("a training failed")
    read = [json.loads(line) for line in points.open()]
    draw(settings.out / "curves.png", settings.rows, read)


def trained(settings: Settings, row: str) -> None:
    """Train one row; its evaluations write the points."""
    preset, changes = ROWS[row]
    torch.set_num_threads(1)
    positions = solved.load_positions(POSITIONS, "odd")
    game = solved.set_up_positions(positions)
    evaluations = 0.0  # processor seconds

    def share(agent: DQNAgent) -> float:
        nonlocal evaluations
        before = processor_seconds()
        player = NetworkPlayer("agent", agent.policy())
        results = solved.play_positions(player, positions, game, seed=1)
        kept = float(results.matters.value_preserving or 0.0)
        point = {"row": row, "minutes": (before - evaluations) / 60, "share": kept}
        with (settings.out / "points.jsonl").open("a") as file:
            file.write(json.dumps(point) + "\n")
        evaluations += processor_seconds() - before
        return kept

    same = {"eval_matches": 1, "tensorboard": False, "runs_dir": str(settings.out / "runs")}
    length = {"max_minutes": settings.minutes, "seed": 0}
    overrides = {"game": "connect_four", **same, **length, **changes}
    config = build_config(preset=preset, overrides=overrides)
    train(config, console=False, evaluate_with=share)


def processor_seconds() -> float:
    """Processor time of this process and of all that it has started."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    used = [one.cpu_times() for one in family]
    return float(sum(times.user + times.system for times in used))


def draw(path: Path, rows: Sequence[str], points: Sequence[Mapping[str, Any]]) -> None:
    """Write the picture of all curves."""
    looks = {row: colour for row, colour in zip(ROWS, COLOURS, strict=True) if row in rows}
    keys = [Line2D([], [], color=colour, label=row) for row, colour in looks.items()]
    note = "share of moves that keep the value, odd rows in which moves differ; one seed"
    with style.picture(path, 11.5, 4.6, TITLE, note, keys) as page:
        axes = page.add_subplot(page.add_gridspec(1, 1)[0, 0])
        for row, colour in looks.items():
            mine = [point for point in points if point["row"] == row]
            minutes = [point["minutes"] for point in mine]
            axes.plot(minutes, [point["share"] for point in mine], color=colour, marker=".")
        axes.set_xlabel("processor minutes, workers included")
        axes.set_xlim(left=0.0)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
