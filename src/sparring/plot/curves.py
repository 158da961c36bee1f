"""Learning curves, and win rates by opponent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from sparring.plot import style
from sparring.plot.metrics import EVAL_DRAWS, EVAL_RETURNS, EVAL_WINS, ROLLOUT_WINS, Metrics, Series

LEARNING: Final[Mapping[str, str]] = {
    "Loss": "train/loss",
    "Mean Q-value": "train/q_mean",
    "TD error": "train/td_error",
    "Gradient norm": "train/grad_norm",
    "Learning rate": "train/learning_rate",
    "Exploration (epsilon)": "rollout/exploration_rate",
}
_SCHEDULES: Final = ("train/learning_rate", "rollout/exploration_rate")  # no noise to smooth
_SIGNED: Final = "train/q_mean"
_MAX_PANELS: Final = 12
_MAX_MARKS: Final = 20  # on a line
_WIDE_RANGE: Final = 30.0  # ratio of the 98 % to the 2 % quantile that needs a logarithmic axis
_DRAWS_LOOK: Final[Mapping[str, Any]] = {
    "linestyle": "--",
    "marker": "s",
    "markersize": 4.5,
    "linewidth": 1.6,
}


def save_learning(path: Path, run: str, metrics: Metrics) -> None:
    """Draw loss, mean Q-value, TD error, gradient norm, learning rate and epsilon over plies, as
    far as they have values: lookup tables have no gradient.
    """
    drawn = {
        name: series
        for name, tag in LEARNING.items()
        if (series := metrics.series(tag)).values.any()
    }
    done = (("matches", "rollout/episodes"), ("updates", "train/n_updates"))
    note = ", ".join(
        f"{count:,.0f} {what}" for what, tag in done if (count := metrics.last(tag)) is not None
    )
    keys = [_key("each report", style.BLUE)]
    if any(series.is_smoothed for series in drawn.values()):
        keys = [
            _key("smoothed", style.BLUE),
            _key("each report", style.BLUE, alpha=style.FAINT, linewidth=1.2),
        ]
    columns = _columns(len(drawn))
    size = 14.0, 0.6 + 3.4 * -(-len(drawn) // columns)
    with style.picture(path, *size, f"{run}: learning", note, keys) as figure:
        panels = style.panels(figure, list(drawn), columns, metrics.plies)
        for (name, series), axes in zip(drawn.items(), panels, strict=True):
            _draw_metric(axes, LEARNING[name], series)


def _draw_metric(axes: Axes, tag: str, series: Series) -> None:
    if tag in _SCHEDULES:
        _line(axes, series, style.BLUE)
    else:
        _noisy(axes, series, style.BLUE)
    if tag == _SIGNED:
        axes.axhline(0.0, color=style.GREY, linewidth=0.8)
    elif _is_wide(series) and tag not in _SCHEDULES:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0.0)


def _columns(panels: int) -> int:
    """Columns of a grid of panels, with as few empty places as possible."""
    return 2 if panels == 4 else max(1, min(3, panels))


def save_opponents(path: Path, run: str, metrics: Metrics) -> None:
    """Draw win rates over plies, a panel per opponent: of evaluation (greedy) and of training."""
    names = metrics.opponents()
    shown = names[:_MAX_PANELS]
    columns = _columns(len(shown))
    draws = {
        name: series for name in shown if (series := metrics.series(EVAL_DRAWS + name)).values.any()
    }
    rows = -(-len(shown) // columns)
    note = "top right of a panel: win rate at the last evaluation"
    if len(names) > len(shown):
        note += f"; {len(names) - len(shown)} more opponents are not shown"
    drawn = [_key("draws, evaluation", style.ORANGE, **_DRAWS_LOOK)] if draws else []
    keys = [
        _key("wins, evaluation (greedy)", style.BLUE, marker="o"),
        *drawn,
        _key("wins, training (exploring)", style.SKY),
    ]
    size = 2.0 + 4.0 * max(2, columns), 0.6 + 3.3 * rows
    with style.picture(path, *size, f"{run}: win rates", note, keys) as figure:
        panels = style.panels(figure, shown, columns, metrics.plies, share_y=True)
        for name, axes in zip(shown, panels, strict=True):
            _noisy(axes, metrics.series(ROLLOUT_WINS + name), style.SKY)
            if name in draws:
                _line(axes, draws[name], style.ORANGE, **_DRAWS_LOOK)
            _line(axes, metrics.series(EVAL_WINS + name), style.BLUE, marker="o", markersize=6)
            _label_last(axes, metrics.last(EVAL_WINS + name), style.BLUE)
        first = figure.axes[0]
        first.set_ylim(-0.02, 1.02)
        first.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def save_returns(path: Path, run: str, metrics: Metrics) -> None:
    """Draw the mean returns of evaluations over plies, a panel per opponent (in a game for one
    player: per player).
    """
    shown = metrics.with_returns()[:_MAX_PANELS]
    columns = _columns(len(shown))
    size = 2.0 + 4.0 * max(2, columns), 0.6 + 3.3 * -(-len(shown) // columns)
    note = "mean of what a match pays, greedy; top right of a panel: at the last evaluation"
    with style.picture(path, *size, f"{run}: mean returns", note) as figure:
        panels = style.panels(figure, shown, columns, metrics.plies, share_y=True)
        for name, axes in zip(shown, panels, strict=True):
            series = metrics.series(EVAL_RETURNS + name)
            axes.axhline(0.0, color=style.GREY, linewidth=0.8)
            _line(axes, series, style.BLUE, marker="o", markersize=6)
            axes.set_title(f"{series.values[-1]:.3g}", loc="right", color=style.BLUE)


def _noisy(axes: Axes, series: Series, colour: str) -> None:
    """A smoothed line over its faint raw values."""
    _line(axes, series, colour, alpha=style.FAINT, linewidth=1.2)
    _line(axes, series.smoothed(), colour)


def _line(axes: Axes, series: Series, colour: str, **look: Any) -> None:
    if len(series) == 1:  # a line of one point would be invisible
        look.setdefault("marker", "o")
    look.setdefault("markevery", max(1, len(series) // _MAX_MARKS))
    axes.plot(series.plies, series.values, color=colour, **look)


def _is_wide(series: Series) -> bool:
    """Return whether the values are positive and need a logarithmic axis."""
    if not len(series) or series.values.min() <= 0.0:
        return False
    low, high = np.quantile(series.values, (0.02, 0.98))
    return bool(high > _WIDE_RANGE * low)


def _label_last(axes: Axes, share: float | None, colour: str) -> None:
    """Write the newest share at the right end of the panel's title."""
    if share is not None:
        axes.set_title(f"{100 * share:.0f} %", loc="right", color=colour)


def _key(label: str, colour: str, **look: Any) -> Line2D:
    return Line2D([], [], color=colour, label=label, **look)
