"""Curves of several runs in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from matplotlib.lines import Line2D

from sparring.plot import style
from sparring.plot.metrics import EVAL_RETURNS, EVAL_WINS, Metrics

# Okabe and Ito's colours, those that are farthest apart first; yellow is too faint for a line
_COLOURS: Final = (
    style.BLUE,
    style.VERMILION,
    "#009E73",
    style.ORANGE,
    "#CC79A7",
    style.SKY,
    "#000000",
    "#8C6D1F",
)
_OTHERS: Final[Mapping[str, str]] = {"Loss": "train/loss", "Mean Q-value": "train/q_mean"}
_MOST_OPPONENTS: Final = 6
_COLUMNS: Final = 3
_MOST_MARKS: Final = 20  # on a line


def save_comparison(path: Path, runs: Mapping[str, Metrics], game: str) -> None:
    """Draw the curves of at most eight runs by name over plies: a panel for the score of
    evaluations, for each baseline opponent, for loss and mean Q-value, as far as a run has them.
    """
    tags = {
        title: tag
        for title, tag in _candidates(runs).items()
        if any(len(metrics.series(tag)) for metrics in runs.values())
    }
    looks = dict(zip(runs, _COLOURS, strict=False))
    keys = [Line2D([], [], color=colour, label=name) for name, colour in looks.items()]
    columns = min(_COLUMNS, max(1, len(tags)))
    size = 2.0 + 4.0 * max(2, columns), 0.6 + 3.3 * -(-max(1, len(tags)) // columns)
    note = "lines of evaluations have marks, those of training are smoothed"
    title = f"{game}: {len(runs)} runs"
    with style.picture(path, *size, title, note, keys) as figure:
        longest = max(metrics.plies for metrics in runs.values())
        panels = style.panels(figure, list(tags), columns, longest)
        for tag, axes in zip(tags.values(), panels, strict=True):
            for name, metrics in runs.items():
                series = metrics.series(tag)
                if tag in _OTHERS.values() and len(series) > 1:
                    series, marker = series.smoothed(), ""
                else:
                    marker = "o"
                axes.plot(
                    series.plies,
                    series.values,
                    color=looks[name],
                    marker=marker,
                    markersize=4,
                    markevery=max(1, len(series) // _MOST_MARKS),
                    label=name,
                )


def _candidates(runs: Mapping[str, Metrics]) -> dict[str, str]:
    """Tags by title, those that the first runs have first."""
    greedy = {name: f"Wins against {name}" for run in runs.values() for name in run.opponents()}
    returns = {name: f"Return, {name}" for run in runs.values() for name in run.with_returns()}
    shown = [(title, EVAL_WINS + name) for name, title in greedy.items()]
    shown += [(title, EVAL_RETURNS + name) for name, title in returns.items()]
    evaluated = [
        (title, tag) for title, tag in shown if any(len(run.series(tag)) for run in runs.values())
    ]
    return {"Score": "eval/score", **dict(evaluated[:_MOST_OPPONENTS]), **_OTHERS}
