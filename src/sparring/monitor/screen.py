"""The live console: one panel, 80 columns wide, redrawn in place."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sparring.monitor.state import (
    BUFFER_FILL,
    EPSILON,
    EVAL_SCORE,
    LEARNER_IDLE,
    WORKERS_IDLE,
    ConsoleState,
    Opponent,
    clock_time,
    count,
    figure,
    percent,
)

WIDTH: Final = 80
MAX_OPPONENTS: Final = 8
_BAR: Final = 14
_MAX_DIRECTORY: Final = 60
_REDRAW_INTERVAL: Final = 0.25  # seconds


class SerialConsole(Console):
    """A console that serves one thread at a time, and falls silent when it cannot be written.

    rich locks the writing alone. A line that one thread prints while another redraws the panel
    would then start from a height that is not on the screen yet, and leave borders behind. And a
    pipe without a reader, a closed terminal or a full disk would end the training.
    """

    def __init__(self, **options: Any) -> None:
        self._serial = threading.RLock()
        super().__init__(**options)

    def __enter__(self) -> Self:
        self._serial.acquire()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            super().__exit__(*error)
        except OSError:
            self.on_broken_pipe()
        finally:
            self._serial.release()

    def on_broken_pipe(self) -> None:
        self.quiet = True


class LivePanel:
    """Redraws the panel within its `with` block, on a thread.

    Locks are taken in one order: the console's, then rich's own for the panel.
    """

    def __init__(self, shown: RenderableType, console: SerialConsole) -> None:
        self._console = console
        self._live = Live(shown, console=console, auto_refresh=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._redraw, daemon=True)

    def __enter__(self) -> Self:
        with self._console:
            self._live.start(refresh=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        with self._console:
            self._live.stop()

    def _redraw(self) -> None:
        while not self._stop.wait(_REDRAW_INTERVAL):
            with self._console:
                self._live.refresh()


class Screen:
    """Draws a `ConsoleState` as it is when rich asks."""

    def __init__(self, progress: ConsoleState) -> None:
        self._progress = progress

    def __rich__(self) -> RenderableType:
        parts = [_headline(self._progress)]
        if self._progress.values:
            parts += [Text(""), _figures(self._progress)]
        if opponents := self._progress.opponents():
            parts += [Text(""), _results(opponents)]
        elapsed = clock_time(self._progress.elapsed)
        title = Text(f"{_shortened(self._progress.directory)}  {elapsed}", style="bold")
        panel = Panel(
            Group(*parts),
            title=title,
            title_align="left",
            width=WIDTH,
            border_style="cyan",
            padding=(0, 1),
        )
        # the empty line is for the ^C that terminals echo, which would push the panel up
        return Group(panel, Text(""))


def _shortened(directory: str) -> str:
    """Return a directory of at most `_MAX_DIRECTORY` columns: a long one loses its beginning."""
    text = Text("".join(reversed(directory)))
    text.truncate(_MAX_DIRECTORY, overflow="ellipsis")
    return "".join(reversed(text.plain))


def _headline(progress: ConsoleState) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    for justify, ratio in (("left", 1), ("right", None), ("right", None)):
        grid.add_column(justify=justify, ratio=ratio, no_wrap=True)  # type: ignore[arg-type]
    total = "" if progress.total_episodes is None else f" / {count(progress.total_episodes)}"
    matches = f"{count(progress.episodes)}{total} matches"
    eta = f"ETA {clock_time(progress.eta)}" if progress.values else "starting: compiling the game"
    bar = ProgressBar(
        total=1.0, completed=progress.share, complete_style="green", finished_style="green"
    )
    grid.add_row(bar, Text(percent(progress.share), style="bold"), Text(matches))
    score = progress.values.get(EVAL_SCORE)
    found = "" if score is None else f"score {figure(score)}"
    grid.add_row(Text(found, style="dim"), "", Text(eta, style="dim"))
    return grid


def _figures(progress: ConsoleState) -> RenderableType:
    """Three columns of names and values: speed, learning, and how the machine is used."""
    grid = Table.grid(expand=True, padding=(0, 1))
    for column in range(3):
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        if column < 2:
            grid.add_column(width=2)
    get = progress.values.get
    pace = {
        "plies/s": "perf/plies_per_s",
        "matches/min": "perf/episodes_per_min",
        "updates/s": "perf/updates_per_s",
        "updates": "train/n_updates",
    }
    learning = {
        "loss": "train/loss",
        "Q mean": "train/q_mean",
        "grad norm": "train/grad_norm",
        "learning rate": "train/learning_rate",
    }
    use = {
        "epsilon": EPSILON,
        "buffer": BUFFER_FILL,
        "workers idle": WORKERS_IDLE,
        "learner idle": LEARNER_IDLE,
    }
    for (fast, rate), (learned, value), (used, share) in zip(
        pace.items(), learning.items(), use.items(), strict=True
    ):
        show = figure if share == EPSILON else percent
        grid.add_row(
            fast,
            count(get(rate)),
            "",
            learned,
            figure(get(value)),
            "",
            used,
            show(get(share)) or "-",
        )
    return grid


def _results(opponents: Sequence[Opponent]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, width=18, overflow="ellipsis")
    for _ in range(2):
        grid.add_column(width=_BAR, no_wrap=True)
        grid.add_column(width=6, no_wrap=True)
    grid.add_column(no_wrap=True, width=14)
    header = ("win rate vs", "training", "", "evaluation", "", "")
    grid.add_row(*(Text(word, style="dim") for word in header))
    for opponent in opponents[:MAX_OPPONENTS]:
        drawn = "" if opponent.greedy_draws is None else f"{percent(opponent.greedy_draws)} drawn"
        if opponent.mean_return is not None:
            drawn = f"return {opponent.mean_return:+.3g}"
        cells = [
            _bar(opponent.exploring),
            percent(opponent.exploring),
            _bar(opponent.greedy),
            percent(opponent.greedy),
        ]
        grid.add_row(Text(opponent.name), *cells, Text(drawn, style="dim"))
    if len(opponents) > MAX_OPPONENTS:
        grid.add_row(Text(f"and {len(opponents) - MAX_OPPONENTS} more", style="dim"))
    return grid


def _bar(share: float | None) -> RenderableType:
    if share is None:
        return Text("")
    style = "green" if share >= 0.5 else "yellow"
    return ProgressBar(
        total=1.0, completed=share, width=_BAR, complete_style=style, finished_style=style
    )
