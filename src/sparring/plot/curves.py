"""Pictures of lines: learning, opponents, rating; and runs compared with one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from sparring.plot import style
from sparring.plot.metrics import EVAL_DRAWS, EVAL_WINS, ROLLOUT_WINS, Metrics, Series

LEARNING: Final[Mapping[str, str]] = {
    "Loss": "train/loss",
    "Mean Q-value": "train/q_mean",
    "TD error": "train/td_error",
    "Gradient norm": "train/grad_norm",
    "Learning rate": "train/learning_rate",
    "Exploration (epsilon)": "rollout/exploration_rate",
}
_SET_BY_US: Final = (
    "train/learning_rate",
    "rollout/exploration_rate",
)  # schedules have no noise to smooth
_SIGNED: Final = "train/q_mean"
_MOST_PANELS: Final = 12
_MOST_MARKS: Final = 20  # on a line
_WIDE_RANGE: Final = (
    30.0  # between the 2 % and 98 % quantiles: beyond it a logarithmic axis shows more
)


def save_learning(path: Path, run: str, metrics: Metrics) -> None:
    """Picture of learning: loss, mean Q-value, TD error, gradient norm, learning rate and
    exploration over plies.
    """
    done = (("matches", "rollout/episodes"), ("updates", "train/n_updates"))
    note = ", ".join(
        f"{count:,.0f} {what}" for what, tag in done if (count := metrics.last(tag)) is not None
    )
    keys = [
        _key("smoothed", style.BLUE),
        _key("each report", style.BLUE, alpha=style.FAINT, linewidth=1.2),
    ]
    with style.picture(path, 14.0, 7.4, f"{run}: learning", note, keys) as figure:
        for tag, axes in zip(
            LEARNING.values(), style.panels(figure, list(LEARNING), 3, metrics.plies), strict=True
        ):
            series = metrics.series(tag)
            if tag in _SET_BY_US:
                _line(axes, series, style.BLUE)
            else:
                _noisy(axes, series, style.BLUE)
            if tag == _SIGNED:
                axes.axhline(0.0, color=style.GREY, linewidth=0.8)
            elif _is_wide(series) and tag not in _SET_BY_US:
                axes.set_yscale("log")
            else:
                axes.set_ylim(bottom=0.0)
            if not len(series):
                axes.text(
                    0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color=style.GREY
                )


def save_opponents(path: Path, run: str, metrics: Metrics) -> None:
    """Picture of win rates over plies, one panel for each opponent: greedy in evaluation, and
    exploring in training.
    """
    names = metrics.opponents()
    shown = names[:_MOST_PANELS]
    columns = 2 if len(shown) in (2, 4) else min(3, len(shown))
    draws = {
        name: series for name in shown if (series := metrics.series(EVAL_DRAWS + name)).values.any()
    }
    rows = -(-len(shown) // columns)
    note = "at the right of a name: the share won when the agent was last evaluated"
    note += (
        f"; {len(names) - len(shown)} more opponents are not shown"
        if len(names) > len(shown)
        else ""
    )
    drawn = [_key("drawn, greedy", style.ORANGE, linestyle="--", marker="s")] if draws else []
    keys = [_key("won, greedy", style.BLUE, marker="o"), *drawn, _key("won, exploring", style.SKY)]
    with style.picture(
        path, 2.0 + 4.0 * max(2, columns), 0.6 + 3.3 * rows, f"{run}: matches won", note, keys
    ) as figure:
        for name, axes in zip(
            shown, style.panels(figure, shown, columns, metrics.plies, share_y=True), strict=True
        ):
            _noisy(axes, metrics.series(ROLLOUT_WINS + name), style.SKY)
            if name in draws:
                _line(
                    axes,
                    draws[name],
                    style.ORANGE,
                    linestyle="--",
                    marker="s",
                    markersize=4.5,
                    linewidth=1.6,
                )
            _line(axes, metrics.series(EVAL_WINS + name), style.BLUE, marker="o", markersize=6)
            _say_last(axes, metrics.last(EVAL_WINS + name), style.BLUE)
        first = figure.axes[0]
        first.set_ylim(-0.02, 1.02)
        first.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def _noisy(axes: Axes, series: Series, colour: str) -> None:
    """A smoothed line over its faint raw values."""
    _line(axes, series, colour, alpha=style.FAINT, linewidth=1.2)
    _line(axes, series.smoothed(), colour)


def _line(axes: Axes, series: Series, colour: str, **look: Any) -> None:
    if len(series) == 1:  # a line of one point is not to be seen
        look.setdefault("marker", "o")
    look.setdefault("markevery", max(1, len(series) // _MOST_MARKS))
    axes.plot(series.plies, series.values, color=colour, **look)


def _is_wide(series: Series) -> bool:
    """Return whether the values are positive and range over more than a linear axis shows well."""
    if not len(series) or series.values.min() <= 0.0:
        return False
    low, high = np.quantile(series.values, (0.02, 0.98))
    return bool(high > _WIDE_RANGE * low)


def _say_last(axes: Axes, share: float | None, colour: str) -> None:
    """The newest share, at the right end of the panel's title."""
    if share is not None:
        axes.set_title(f"{100 * share:.0f} %", loc="right", color=colour)


def _key(label: str, colour: str, **look: Any) -> Line2D:
    return Line2D([], [], color=colour, label=label, **look)
