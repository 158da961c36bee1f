"""The payoff matrix, scores of all players against one another, as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from sparring.plot import style

_MAX_NUMBERED: Final = 20  # players; cells of a larger matrix have no space for numbers
# Diverging, red to blue, distinct for every kind of colour vision; without the darkest ends, on
# which numbers are hard to read.
_COLOURS: Final = LinearSegmentedColormap.from_list(
    "payoff", colormaps["RdBu"](np.linspace(0.1, 0.9, 256))
)
_DIAGONAL: Final = "#D0D0D0"


@dataclass(frozen=True)
class _Scale:
    """The colours: white at `fair`, red at `low`, blue at `high`."""

    low: float
    fair: float
    high: float
    percent: bool

    @classmethod
    def of(cls, scores: NDArray[np.float64], fair: float | None) -> _Scale:
        if fair is not None:
            return cls(0.0, fair, 1.0, percent=True)
        reach = float(np.nanmax(np.abs(scores), initial=0.0)) or 1.0
        return cls(-reach, 0.0, reach, percent=False)

    def text(self, score: float) -> str:
        """Whole per cent, or a return with two decimals."""
        text = f"{100 * score:.0f}" if self.percent else f"{score:.2f}"
        return text.replace("-", "\N{MINUS SIGN}")

    @property
    def ticks(self) -> list[float]:
        steps = np.linspace(self.low, self.high, 5).tolist()
        return sorted({*steps, self.fair})


def save_payoff(
    path: Path,
    names: Sequence[str],
    scores: NDArray[np.float64],
    ratings: Sequence[float] | None,
    *,
    title: str = "Payoff",
    note: str = "score of the row against the column, %",
    fair: float | None = 0.5,
) -> None:
    """Draw `scores` [K, K] of the row's player against the column's, NaN on the diagonal: scores
    from 0 to 1, of which `fair` is that between equals (1/P in a game of P players), or mean
    returns where `fair` is None.

    `ratings` [K] in Elo, if given, are drawn beside the rows.
    """
    K = len(names)
    if scores.shape != (K, K) or (ratings is not None and len(ratings) != K):
        raise ValueError(
            f"{K} names need scores of shape {(K, K)} and as many ratings: got {scores.shape}"
        )
    cell = 0.62 if K <= _MAX_NUMBERED else max(0.2, 12.4 / K)
    side, longest = K * cell, max(style.text_width(name) for name in names)
    left, bottom = style.MARGIN + longest + 0.1, style.MARGIN + 0.6 * longest + 0.2
    beside = 0.0 if ratings is None else 2.1
    width = max(
        left + side + beside + 1.6,
        style.MARGIN * 2 + style.text_width(title) * 1.4,
        style.MARGIN * 2 + style.text_width(note),
    )
    with style.picture(path, width, bottom + side, title, note) as figure:
        axes = style.inches(figure, left, bottom, side, side)
        scale = _Scale.of(scores, fair)
        image = _draw_cells(axes, scores, scale)
        _name_sides(axes, names)
        if K <= _MAX_NUMBERED:
            _number_cells(axes, image, scores, scale)
        if ratings is not None:
            _draw_ratings(
                style.inches(figure, left + side + 0.15, bottom, beside - 0.15, side), ratings
            )
        _draw_scale(figure, image, (left + side + beside + 0.2, bottom, 0.2, side), scale)


def _draw_cells(axes: Axes, scores: NDArray[np.float64], scale: _Scale) -> AxesImage:
    axes.set_facecolor(_DIAGONAL)
    image = axes.imshow(
        scores,
        cmap=_COLOURS,
        norm=TwoSlopeNorm(scale.fair, vmin=scale.low, vmax=scale.high),
        aspect="auto",
        interpolation="nearest",
    )
    K = len(scores)
    axes.set_xticks(np.arange(K + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(K + 1) - 0.5, minor=True)
    axes.grid(False)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _name_sides(axes: Axes, names: Sequence[str]) -> None:
    axes.set_xticks(
        range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", color="black"
    )
    axes.set_yticks(range(len(names)), names, color="black")


def _number_cells(axes: Axes, image: AxesImage, scores: NDArray[np.float64], scale: _Scale) -> None:
    """Numbers, white on dark cells."""
    for (row, column), score in np.ndenumerate(scores):
        if np.isfinite(score):
            red, green, blue, _ = _COLOURS(image.norm(np.asarray(score)))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5  # luma (ITU-R BT.601)
            axes.text(
                column,
                row,
                scale.text(float(score)),
                ha="center",
                va="center",
                color="white" if dark else "black",
            )


def _draw_ratings(axes: Axes, ratings: Sequence[float]) -> None:
    """A dot and a number for each row."""
    K = len(ratings)
    low, high = min(ratings), max(ratings)
    axes.set_ylim(K - 0.5, -0.5)
    axes.set_xlim(
        low - 0.1 * (high - low) - 1.0, high + 0.9 * (high - low) + 1.0
    )  # room for the numbers
    axes.hlines(range(K), low, ratings, color="#C8C8C8", linewidth=1.5)
    axes.plot(ratings, range(K), "o", color=style.BLUE, markersize=8)
    for row, rating in enumerate(ratings):
        axes.annotate(
            f"{rating:.0f}", (rating, row), xytext=(9, 0), textcoords="offset points", va="center"
        )
    axes.text(0.0, -0.02, "rating (Elo)", fontweight="bold", va="top", transform=axes.transAxes)
    axes.axis("off")


def _draw_scale(
    figure: Figure, image: AxesImage, place: tuple[float, float, float, float], scale: _Scale
) -> None:
    bar = figure.colorbar(image, cax=style.inches(figure, *place), ticks=scale.ticks)
    if scale.percent:
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    bar.ax.tick_params(length=0)
    bar.set_label("score of the row" if scale.percent else "mean return of the row")
    bar.outline.set_visible(False)
