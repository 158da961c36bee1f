"""Reports of a run on the console, in `metrics.jsonl` and for TensorBoard: the same values under
the same tags.
"""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console

from sparring.monitor.plain import report_line
from sparring.monitor.screen import WIDTH, LivePanel, Screen, SerialConsole
from sparring.monitor.state import ConsoleState

if TYPE_CHECKING:
    from sparring.monitor.files import MetricsWriter

__all__ = ["Monitor", "RunPaths", "console_of"]


class RunPaths(Protocol):
    """Paths of a run's files, as in `RunDirectory`."""

    @property
    def name(self) -> str: ...
    @property
    def metrics_path(self) -> Path: ...
    @property
    def tensorboard_path(self) -> Path: ...


class Monitor:
    """Shows and stores the reports of a run within its `with` block.

    `console=True` shows progress on standard output: a live panel on a terminal, plain lines
    elsewhere. Between reports `advance` moves the bar of the panel. Any thread may call `note`.
    `total_episodes`: length of the run, None if it is not in matches.
    `resumed_at`: plies at the checkpoint that the run continues from; what was reported after it is
    played again, and dropped from the files.
    """

    def __init__(
        self,
        run_paths: RunPaths,
        *,
        total_episodes: int | None,
        tensorboard: bool,
        console: SerialConsole | bool = True,
        clock: Callable[[], float] = time.monotonic,
        resumed_at: int | None = None,
    ) -> None:
        self._paths = run_paths
        self._tensorboard = tensorboard
        self._resumed_at = resumed_at
        self._progress = ConsoleState(str(run_paths.metrics_path.parent), total_episodes, clock)
        self._console = console_of(quiet=not console) if isinstance(console, bool) else console
        self._live = False
        self._writers: list[MetricsWriter] = []
        self._incomplete: set[Path] = set()  # files in which reports are missing
        self._open = ExitStack()

    def __enter__(self) -> Self:
        # here, because importing protobuf and TensorBoard takes time
        from sparring.monitor.files import EventFile, MetricsFile

        with ExitStack() as opened:
            self._writers = [MetricsFile(self._paths.metrics_path, self._resumed_at)]
            opened.callback(self._writers[0].close)
            if self._tensorboard:
                self._writers.append(EventFile(self._paths.tensorboard_path, self._resumed_at))
                opened.callback(self._writers[1].close)
            if self._console.is_interactive and not self._console.quiet:
                self._live = True
                opened.enter_context(LivePanel(Screen(self._progress), self._console))
            self._open = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def report(self, values: Mapping[str, float], *, plies: int) -> None:
        """Write and show one report, with `plies` as its place on the x-axis.

        Values that are not finite are left out. Tags that are missing keep their last value on the
        console.
        """
        finite = {tag: float(value) for tag, value in values.items() if math.isfinite(value)}
        for writer in self._writers:
            self._write(writer, finite, plies)
        self._progress.update(finite)
        if not self._live:
            self._print(report_line(self._progress))

    def advance(self, episodes: int, share: float) -> None:
        """Show, between reports, that `episodes` matches are finished, and a share of the run."""
        self._progress.advance(episodes, share)

    def note(self, text: str) -> None:
        """Print a line above the live panel: a worker was replaced, a checkpoint saved."""
        self._print(text)

    def warn(self, text: str) -> None:
        """Print a warning above the live panel, or without one as a line."""
        line = f"warning: {text}"
        panel = textwrap.fill(line, WIDTH, subsequent_indent=" " * 9)
        self._print(panel if self._live else line, style="yellow")

    def _write(self, writer: MetricsWriter, values: Mapping[str, float], plies: int) -> None:
        """Write a report to a file; on a full disk leave it out, and say so once a file."""
        try:
            writer.write(values, plies)
        except OSError as error:
            if writer.path not in self._incomplete:
                self._incomplete.add(writer.path)
                self.warn(
                    f"cannot write {writer.path}: {error.strerror}; reports are missing there"
                )

    def _print(self, text: str, style: str | None = None) -> None:
        # plain lines go to files and pipes, which have no width
        self._console.print(
            text,
            style=style,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=not self._live,
        )


def console_of(*, quiet: bool) -> SerialConsole:
    """Standard output. A notebook calls itself a terminal but gets plain lines: a live panel there
    needs ipywidgets.
    """
    notebook = Console().is_jupyter
    return SerialConsole(
        force_jupyter=False, force_terminal=False if notebook else None, quiet=quiet
    )
