"""Output of `sparring bench` for people, 80 columns wide."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sparring.bench.measure import Case, Cases, rounded

WIDTH: Final = 80
_PREFIXES: Final = ((1e9, " G"), (1e6, " M"), (1e4, " k"))
_SHARES: Final = ("worker_wait", "learner_wait", "main_process")  # shown in per cent


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that shows the current measurement on standard error: on a terminal in one line
    that is overwritten, elsewhere in many.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: print(text, file=sys.stderr, flush=True)
        return
    with console.status("") as status:
        yield status.update


def note(text: str) -> None:
    """Print a remark on standard error."""
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False, emoji=False)


def print_machine(machine: Mapping[str, Any]) -> None:
    """Print the machine's description in a few lines."""
    quota = "no quota" if machine["quota"] is None else f"a quota of {machine['quota']}"
    memory = (
        ""
        if machine["free_memory_gib"] is None
        else f", {machine['free_memory_gib']} GiB of memory free"
    )
    say(f"{machine['cpu']}: {machine['usable_cpus']} of {machine['cpus']} CPUs ({quota}){memory}")
    say(f"{machine['simd']}, {', '.join(machine['flags'])}; GPU: {machine['cuda'] or 'none'}")
    libraries = ("torch", "numpy", "numba")
    say(", ".join([f"Python {machine['python']}", *(f"{n} {machine[n]}" for n in libraries)]))
    busy = "" if machine["busy"] is None else f", CPUs {machine['busy']:.0%} busy"
    say(f"before the start: load {machine['load']}{busy}")


def print_part(name: str, cases: Cases) -> None:
    """Print the table of one part, and below it the further figures of its cases."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    rows = [(case_name, *_cells(one)) for case_name, one in cases.items()]
    columns = (name, "rate", "limit", "ratio", "floor", "spread", "unit")
    used = [place for place in range(len(columns)) if any(len(row[place]) for row in rows)]
    for place in used:
        table.add_column(
            columns[place],
            justify="left" if columns[place] in (name, "unit") else "right",
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*(row[place] for place in used))
    Console(width=WIDTH).print(table)
    for case_name, one in cases.items():
        if one.also:
            Console(width=WIDTH).print(
                f"  {case_name}: {', '.join(_figures(one))}",
                markup=False,
                highlight=False,
                emoji=False,
            )


def print_floors(parts: Mapping[str, Cases], seconds: float) -> None:
    """Print how many minimum ratios were reached, which were not, and the time taken."""
    asked = {
        f"{part} {name}": one
        for part, cases in parts.items()
        for name, one in cases.items()
        if one.floor is not None
    }
    missed = [
        f"{name} ({one.ratio:.3g} of {one.floor:g})"
        for name, one in asked.items()
        if not one.reached
    ]
    reached = f"{len(asked) - len(missed)} of {len(asked)} floors (minimum ratios) reached; "
    say(f"{reached if asked else ''}done in {seconds:,.0f} s")
    for name in missed:
        say(f"  not reached: {name}")


def amount(value: float | None) -> str:
    """A number in at most six characters: 812, 4.21, 12.3 k, 1.24 M."""
    if value is None:
        return ""
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return f"{_three(value / (1e3 if prefix == ' k' else size))}{prefix}"
    return f"{value:,.0f}" if abs(value) >= 1e3 else _three(value)


def _three(value: float) -> str:
    return (
        f"{value:.0f}"
        if abs(value) >= 100
        else f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
    )


def _cells(one: Case) -> tuple[str | Text, ...]:
    low, high = one.spread
    spread = f"±{0.5 * (high - low) / one.rate:.0%}" if one.rate > 0 else ""
    ratio = (
        "" if one.ratio is None else f"{one.ratio:,.0f}" if one.ratio >= 100 else f"{one.ratio:.3g}"
    )
    floor = "" if one.floor is None else f"{one.floor:g}" if one.reached else f"< {one.floor:g}"
    style = "" if one.floor is None else "green" if one.reached else "bold red"
    return (
        amount(one.rate),
        amount(one.limit),
        Text(ratio, style=style),
        Text(floor, style=style),
        spread,
        one.unit,
    )


def _figures(one: Case) -> Iterator[str]:
    for name, value in one.also.items():
        words = name.replace("_", " ")
        yield f"{words} {value:.1%}" if name in _SHARES else f"{words} {rounded(value)}"


def say(text: str) -> None:
    """Print on standard output, in lines of at most 80 columns."""
    Console(width=WIDTH).print(text, markup=False, highlight=False, emoji=False)
