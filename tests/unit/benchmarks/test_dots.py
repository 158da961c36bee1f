"""A dot and its interval for each name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sparring.plot import style

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def save_dots(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from dots import save_dots

    return save_dots


def test_dots_stand_in_order_on_their_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_dots: Any
) -> None:
    figures: list[Figure] = []
    picture = style.picture

    @contextmanager
    def keeping(*arguments: Any) -> Iterator[Figure]:
        with picture(*arguments) as figure:
            figures.append(figure)
            yield figure

    monkeypatch.setattr(style, "picture", keeping)
    path, intervals = tmp_path / "dots.png", [(0.7, 0.9), (0.6, 0.75)]
    save_dots(
        path,
        ["with", "without"],
        [0.8, 0.7],
        intervals,
        xlabel="share",
        title="Parts",
        marked="without",
    )
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    (axes,) = figures[0].axes
    drawn = [
        (to_hex(line.get_color()).upper(), *map(list, line.get_data())) for line in axes.get_lines()
    ]
    assert drawn[:2] == [(style.BLUE, [0.7, 0.9], [0, 0]), (style.BLUE, [0.8], [0])]
    assert drawn[2:] == [
        (style.VERMILION, [0.6, 0.75], [1, 1]),
        (style.VERMILION, [0.7], [1]),
        (style.VERMILION, [0.7, 0.7], [0, 1]),  # through all rows, in shares of the axes
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["with", "without"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first name at the top
    assert [text.get_text() for text in axes.texts] == ["0.800", "0.700"]
    assert axes.get_xlabel() == "share"
    assert "the upright line is where without is" in figures[0].texts[1].get_text()


def test_values_that_do_not_fit_the_names(tmp_path: Path, save_dots: Any) -> None:
    with pytest.raises(
        ValueError, match="2 names need as many values and intervals, and at least one: got 1 and 2"
    ):
        save_dots(tmp_path / "dots.png", ["a", "b"], [0.5], [(0.4, 0.6)] * 2, xlabel="", title="")
    assert not (tmp_path / "dots.png").exists()
