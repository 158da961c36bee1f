"""The look of all pictures (sizes, colours, titles, labels) and their files.

Text is large enough to be read when a picture is shown at half its size. The colours are those of
Okabe and Ito ("Color Universal Design", 2008), distinct for any kind of colour vision. Without
pyplot no window system is needed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from sparring.errors import InputError
from sparring.storage.atomic import write_file

BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
ORANGE: Final = "#E69F00"
VERMILION: Final = "#D55E00"
GREY: Final = "#5A5A5A"
FAINT: Final = 0.28  # opacity of raw values behind a smoothed line
TEXT: Final = 13.0  # points
HEADER: Final = 0.85  # inches above the axes, for title and note
_KEYS: Final = 0.32  # inches for a row of keys
_KEYS_PER_ROW: Final = 4
MARGIN: Final = 0.25  # inches
_DPI: Final = 150
_LOOK: Final[dict[Any, Any]] = {
    "font.size": TEXT,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": TEXT,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "lines.linewidth": 2.2,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
}


@contextmanager
def picture(
    path: Path, width: float, height: float, title: str, note: str, keys: Sequence[Line2D] = ()
) -> Iterator[Figure]:
    """A figure of `width` x `height` inches under a header with title, note and `keys` to the
    lines below one another; the keys in rows of four.

    Axes of a grid are placed automatically below the header. The file is written to `path` when the
    block ends, whole or not at all; raises InputError if that fails.
    """
    header = HEADER + _KEYS * -(-len(keys) // _KEYS_PER_ROW)
    total = height + header
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=(width, total))
        FigureCanvasAgg(figure)
        figure.text(
            MARGIN / width, 1 - 0.16 / total, title, fontsize=18, fontweight="bold", va="top"
        )
        figure.text(MARGIN / width, 1 - 0.50 / total, note, fontsize=TEXT, color=GREY, va="top")
        if keys:
            place = MARGIN / width, 1 - HEADER / total
            figure.legend(
                handles=list(keys),
                loc="upper left",
                ncols=min(len(keys), _KEYS_PER_ROW),
                bbox_to_anchor=place,
                borderpad=0.0,
                borderaxespad=0.0,
            )
        yield figure
        if any(axes.get_subplotspec() for axes in figure.axes):
            figure.set_layout_engine(
                "constrained",
                rect=(0.01, 0.01, 0.98, 1 - header / total - 0.01),
                wspace=0.04,
                hspace=0.05,
            )
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    try:
        write_file(path, data.getvalue())
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} cannot be written: {reason}", remedy="choose another folder with --out"
        ) from None


def panels(
    figure: Figure, names: Sequence[str], columns: int, plies: float, *, share_y: bool = False
) -> list[Axes]:
    """A titled panel for each name over the first `plies` plies, row by row, `columns` per row."""
    rows = -(-len(names) // columns)
    grid = figure.add_gridspec(rows, columns)
    made: list[Axes] = []
    for place, name in enumerate(names):
        first = made[0] if made else None
        axes = figure.add_subplot(
            grid[divmod(place, columns)], sharex=first, sharey=first if share_y else None
        )
        axes.set_title(name)
        over_plies(axes, plies, label=place + columns >= len(names))
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}"))
        )
        axes.tick_params(labelleft=not share_y or place % columns == 0)
        made.append(axes)
    return made


def over_plies(axes: Axes, plies: float, *, label: bool = True) -> None:
    """Let the x-axis count plies from the start of the run: 500k, 2M."""
    axes.set_xlim(0.0, 1.02 * max(1.0, plies))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    if label:
        axes.set_xlabel("plies")


def inches(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the lower left corner."""
    whole_width, whole_height = figure.get_size_inches()
    return figure.add_axes(
        (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    )


def text_width(text: str) -> float:
    """An upper bound of the width of a line of text, in inches."""
    return 0.66 * TEXT * len(text) / 72
