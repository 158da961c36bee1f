"""The console of a population: one row an agent, 80 columns; without a terminal plain lines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sparring.monitor import console_of
from sparring.monitor.screen import WIDTH, LivePanel, SerialConsole
from sparring.monitor.state import clock_time, count, figure, percent
from sparring.population.member import Member

_INTERVAL: Final = 10.0  # seconds between plain lines
_RATE: Final = "perf/episodes_per_min"
_UPDATES: Final = "perf/updates_per_s"
# Titles and widths of the columns; with one column between two they fill the panel.
_COLUMNS: Final = {
    "agent": 10, "device": 7, "done": 5, "matches": 11, "/min": 9, "upd/s": 7, "score": 6,
    "state": 14,
}  # fmt: skip


class Board:
    """Shows the members within its `with` block: a live panel on a terminal, else plain lines."""

    def __init__(
        self, title: str, members: Sequence[Member], *, console: SerialConsole | bool = True
    ) -> None:
        self._title = title
        self._members = members
        self._console = console_of(quiet=not console) if isinstance(console, bool) else console
        self._live = self._console.is_interactive and not self._console.quiet
        self._began = self._printed = time.monotonic()

    def live(self) -> AbstractContextManager[object]:
        """Return the context in which the panel is drawn; without a terminal it does nothing."""
        return LivePanel(self, self._console) if self._live else nullcontext()

    def note(self, text: str) -> None:
        """Print a line, above the panel where there is one; any thread may call this."""
        stamp = "" if self._live else time.strftime("%Y-%m-%d %H:%M:%S  ")
        self._console.print(
            f"{stamp}{text}", markup=False, highlight=False, emoji=False, soft_wrap=not self._live
        )

    def refresh(self) -> None:
        """Print plain lines, if they are due and there is no panel."""
        now = time.monotonic()
        if not self._live and now - self._printed >= _INTERVAL:
            self._printed = now
            for member in self._members:
                self.note("  ".join(cell for cell in _plain(member) if cell))

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 1, 0, 0))
        for title, width in _COLUMNS.items():
            left = title in ("agent", "device", "state")
            table.add_column(
                justify="left" if left else "right", width=width, no_wrap=True, overflow="ellipsis"
            )
        table.add_row(*(Text(title, style="dim") for title in _COLUMNS))
        for member in self._members:
            table.add_row(*(Text(cell) for cell in _cells(member)))
        rate = sum(_now(member, _RATE) for member in self._members)
        elapsed = clock_time(time.monotonic() - self._began)
        panel = Panel(
            table,
            title=Text(f"{self._title}  {elapsed}", style="bold"),
            title_align="left",
            subtitle=Text(f"{count(rate)} matches/min in all"),
            subtitle_align="right",
            width=WIDTH,
            border_style="cyan",
            padding=(0, 0, 0, 1),
        )
        # the empty line is for the ^C that terminals echo, which would push the panel up
        return Group(panel, Text(""))


def _cells(member: Member) -> list[str]:
    return [
        member.name,
        member.config.device,
        percent(member.share).strip(),
        count(member.matches),
        count(_now(member, _RATE)),
        count(_now(member, _UPDATES)),
        figure(member.score),
        _state(member),
    ]


def _plain(member: Member) -> list[str]:
    name, device, done, matches, rate, updates, score, state = _cells(member)
    return [
        name, device, f"{done:>5}", f"{matches} matches", f"{rate}/min", f"{updates} updates/s",
        f"score {score}", state, *(f"{key} {value:g}" for key, value in member.tuned.items()),
    ]  # fmt: skip


def _now(member: Member, tag: str) -> float:
    """The newest rate of a member, 0 while it does not run."""
    return member.figures.get(tag, 0.0) if member.running else 0.0


def _state(member: Member) -> str:
    if member.running and not member.has_reported:
        return "starting"
    again = f" ({member.restarts})" if member.restarts else ""
    return f"{member.state}{again}"
