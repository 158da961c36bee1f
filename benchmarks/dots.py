"""A picture of one figure for each of many names, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from sparring.plot import style

_ROW: Final = 0.36  # inches
_WIDE: Final = 7.2  # inches of the axes


def save_dots(
    path: Path,
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    *,
    xlabel: str,
    title: str,
    marked: str | None = None,
) -> None:
    """Draw a dot for each of K `values` on a line from end to end of its interval; the first name
    stands at the top.

    The row called `marked`, if there is one, has another colour, and its value goes through all
    rows as a line.
    """
    K = len(names)
    if not K or len(values) != K or len(intervals) != K:
        raise ValueError(
            f"{K} names need as many values and intervals, and at least one: got {len(values)} and"
            f" {len(intervals)}"
        )
    left, bottom = style.MARGIN + max(style.text_width(name) for name in names), 0.8
    right, high = 0.9, _ROW * (K + 0.4)
    note = "with 95 % intervals" + (
        f"; the upright line is where {marked} is" if marked in names else ""
    )
    with style.picture(path, left + _WIDE + right, bottom + high, title, note) as figure:
        axes = style.inches(figure, left, bottom, _WIDE, high)
        for row, (name, value, (low, highest)) in enumerate(
            zip(names, values, intervals, strict=True)
        ):
            colour = style.VERMILION if name == marked else style.BLUE
            axes.plot([low, highest], [row, row], color=colour, linewidth=2.6, alpha=0.45, zorder=3)
            axes.plot([value], [row], "o", color=colour, markersize=9, zorder=4)
            axes.text(
                1.015,
                row,
                f"{value:.3f}",
                color=colour,
                va="center",
                transform=axes.get_yaxis_transform(),
            )
            if name == marked:
                axes.axvline(value, color=colour, linewidth=1.0, alpha=0.6, zorder=1)
        axes.set_ylim(K - 0.3, -0.7)
        axes.set_yticks(np.arange(K), names, color="black")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.04)
        axes.set_xlabel(xlabel)
