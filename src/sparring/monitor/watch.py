"""The console of a run that another process trains, from the run's files: nothing is written there,
and no lock is taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from rich.console import RenderableType

from sparring.monitor.plain import report_line
from sparring.monitor.screen import LivePanel, Screen, SerialConsole
from sparring.monitor.state import ConsoleState
from sparring.storage.reports import Reports
from sparring.storage.run_directory import RunState, newest_checkpoint, state_of

_EPISODES: Final = "rollout/episodes"
_EARLIER: Final = 10  # reports that are printed at first where there is no panel
_INTERVAL: Final = 1.0  # seconds between two looks at the files


class WatchedRun:
    """Shows the reports of a run until it ends: a live panel on a terminal, else plain lines.

    The run's length is `n_episodes` matches, unless `max_minutes` is given: its share then follows
    the times of the reports, pauses included.
    """

    def __init__(
        self, run: Path, *, n_episodes: int, max_minutes: float | None, console: SerialConsole
    ) -> None:
        self._run = run
        self._n_episodes, self._max_minutes = n_episodes, max_minutes
        self._console, self._live = console, console.is_interactive
        self._reports = Reports(run / "metrics.jsonl")
        self._time: float | None = None  # that the panel shows; None: now
        self._began = 0.0
        self._progress = self._unknown()

    def __rich__(self) -> RenderableType:
        return Screen(self._progress).__rich__()

    def show(self, pause: Callable[[float], None] = time.sleep) -> RunState:
        """Show the run until it ends; return how."""
        state, checkpoint = state_of(self._run), newest_checkpoint(self._run)
        if state.state == "running":
            self._print(f"{self._run}: running, {_of(checkpoint)}")
        lines = self._read(running=state.state == "running")[-_EARLIER:]
        self._live &= state.state == "running" or bool(lines)
        with LivePanel(self, self._console) if self._live else nullcontext():
            while True:
                if not self._live:
                    self._print(*lines)
                if state.state != "running" or self._console.quiet:  # nobody reads it any more
                    break
                pause(_INTERVAL)
                state = state_of(self._run)  # before the reports: none comes after the end
                lines = self._read(running=state.state == "running")
                if (newest := newest_checkpoint(self._run)) != checkpoint:
                    checkpoint = newest
                    self._print(_of(checkpoint))
        reason = f" ({state.reason})" if state.reason else ""
        self._print(f"{self._run}: {state.state}{reason}, {_of(checkpoint)}")
        return state

    def _unknown(self) -> ConsoleState:
        total = self._n_episodes if self._max_minutes is None else None
        return ConsoleState(str(self._run), total, lambda: self._time or time.time())

    def _read(self, *, running: bool) -> list[str]:
        """Take in new reports; return them as lines."""
        anew, reports = self._reports.new()
        lines = []
        for report in reports:
            self._time = report["wall_time"]
            if anew:  # also where a resume has dropped what it plays again
                self._began, self._progress, anew = self._time, self._unknown(), False
            self._progress.advance(
                int(report.get(_EPISODES, self._progress.episodes)), self._share(report)
            )
            self._progress.update(report)
            lines.append(report_line(self._progress, self._time))
        if running:
            self._time = None
        return lines

    def _share(self, report: Mapping[str, float]) -> float:
        if self._max_minutes is not None:
            return (report["wall_time"] - self._began) / (60.0 * self._max_minutes)
        return report.get(_EPISODES, self._progress.episodes) / self._n_episodes

    def _print(self, *lines: str) -> None:
        for line in lines:
            self._console.print(
                line, markup=False, highlight=False, emoji=False, soft_wrap=not self._live
            )


def _of(checkpoint: int | None) -> str:
    return "no checkpoint yet" if checkpoint is None else f"checkpoint of {checkpoint:,} updates"
