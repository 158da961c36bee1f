"""Pictures show the metrics and the results of matches, and are written to disk."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sparring.errors import InputError
from sparring.plot import style
from sparring.plot.compare import save_comparison
from sparring.plot.curves import save_learning, save_opponents
from sparring.plot.metrics import Metrics
from sparring.plot.payoff import save_payoff


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """All figures that are drawn."""
    drawn: list[Figure] = []
    picture = style.picture

    @contextmanager
    def keeping(*arguments: Any, **options: Any) -> Iterator[Figure]:
        with picture(*arguments, **options) as figure:
            drawn.append(figure)
            yield figure

    monkeypatch.setattr(style, "picture", keeping)
    return drawn


def lines(axes: Axes, colour: str) -> list[list[tuple[float, float]]]:
    """The points of every line of that colour, in the order of drawing."""
    return [
        list(zip(*line.get_data(), strict=True))
        for line in axes.get_lines()
        if to_hex(line.get_color()).upper() == colour
    ]


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG file, in pixels."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def test_learning(tmp_path: Path, figures: list[Figure]) -> None:
    reports = [
        {
            "plies": 1000 * k,
            "train/loss": 0.5 / k,
            "train/q_mean": 0.1 * k - 0.2,
            "train/td_error": 10.0 ** (2 - k),
            "train/grad_norm": 0.0,
            "rollout/episodes": k,
        }
        for k in (1, 2, 3)
    ]
    save_learning(tmp_path / "learning.png", "my-run", Metrics(reports))
    assert size(tmp_path / "learning.png") == (2100, 775)
    assert (tmp_path / "learning.png").stat().st_size > 30_000
    panels = {axes.get_title(loc="left"): axes for axes in figures[0].axes}
    assert list(panels) == ["Loss", "Mean Q-value", "TD error"], "the others have no values"
    expected = [(1000, 0.5), (2000, 0.25), (3000, 0.5 / 3)]
    assert lines(panels["Loss"], style.BLUE) == [
        expected,
        expected,
    ]  # of three reports the smoothed line is the raw one
    assert lines(panels["Mean Q-value"], style.BLUE)[0] == [
        (1000, -0.1),
        (2000, 0.0),
        (3000, pytest.approx(0.1)),
    ]
    assert (panels["Loss"].get_yscale(), panels["TD error"].get_yscale()) == ("linear", "log")
    assert panels["Loss"].get_ylim()[0] == 0.0
    assert [text.get_text() for text in figures[0].texts] == ["my-run: learning", "3 matches"]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["each report"]


def test_opponents(tmp_path: Path, figures: list[Figure]) -> None:
    reports = [
        {
            "plies": 100,
            "rollout/win_rate/random": 0.5,
            "eval/win_rate/random": 0.6,
            "eval/draw_rate/random": 0.1,
            "rollout/win_rate/self": 0.4,
        },
        {"plies": 200, "rollout/win_rate/random": 0.7},
        {
            "plies": 300,
            "rollout/win_rate/random": 0.9,
            "eval/win_rate/random": 0.8,
            "eval/draw_rate/random": 0.0,
        },
    ]
    save_opponents(tmp_path / "opponents.png", "my-run", Metrics(reports))
    random, self_play = figures[0].axes
    assert (random.get_title(loc="left"), random.get_title(loc="right")) == ("random", "80 %")
    assert (self_play.get_title(loc="left"), self_play.get_title(loc="right")) == ("self", "")
    assert lines(random, style.BLUE) == [[(100, 0.6), (300, 0.8)]]
    assert lines(random, style.ORANGE) == [[(100, 0.1), (300, 0.0)]]
    assert lines(random, style.SKY)[0] == [(100, 0.5), (200, 0.7), (300, 0.9)]
    assert (lines(self_play, style.BLUE), lines(self_play, style.SKY)[0]) == ([[]], [(100, 0.4)])
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == [
        "wins, evaluation (greedy)",
        "draws, evaluation",
        "wins, training (exploring)",
    ]


def test_the_header_leaves_room_for_the_name_of_a_run(
    tmp_path: Path, figures: list[Figure]
) -> None:
    """Title, note and keys are in rows of their own, above all panels."""
    report = {
        "plies": 100,
        "rollout/win_rate/random": 0.5,
        "eval/win_rate/random": 0.6,
        "eval/draw_rate/random": 0.1,
        "train/loss": 1.0,
    }
    save_opponents(
        tmp_path / "opponents.png", "connect_four-a-name-that-is-rather-long", Metrics([report])
    )
    save_learning(
        tmp_path / "learning.png", "connect_four-a-name-that-is-rather-long", Metrics([report])
    )
    for figure in figures:
        figure.canvas.draw()
        boxes = [artist.get_window_extent() for artist in (*figure.texts, figure.legends[0])]
        boxes.append(figure.axes[0].get_tightbbox())
        assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_of_many_opponents_some_are_left_out_and_draws_are_shown_only_if_there_are_any(
    tmp_path: Path, figures: list[Figure]
) -> None:
    rates = {
        f"{kind}/snapshot:{number}": 0.0
        for number in range(20)
        for kind in ("rollout/win_rate", "eval/draw_rate")
    }
    save_opponents(tmp_path / "opponents.png", "my-run", Metrics([{"plies": 1, **rates}]))
    assert [axes.get_title(loc="left") for axes in figures[0].axes] == [
        f"snapshot:{number}" for number in range(19, 7, -1)
    ]
    assert "8 more opponents are not shown" in figures[0].texts[1].get_text()
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == [
        "wins, evaluation (greedy)",
        "wins, training (exploring)",
    ]


def test_payoff(tmp_path: Path, figures: list[Figure]) -> None:
    scores = np.array([[np.nan, 0.246, 0.0], [0.754, np.nan, 0.5], [1.0, 0.5, np.nan]])
    save_payoff(tmp_path / "payoff.png", ["random", "one_ply", "last"], scores, [0.0, 210.4, 300.0])
    cells, ratings, _scale = figures[0].axes
    np.testing.assert_array_equal(np.ma.filled(cells.images[0].get_array(), np.nan), scores)
    written = {text.get_position(): text.get_text() for text in cells.texts}
    assert written == {
        (1, 0): "25",
        (2, 0): "0",
        (0, 1): "75",
        (2, 1): "50",
        (0, 2): "100",
        (1, 2): "50",
    }  # (column, row)
    assert [label.get_text() for label in cells.get_yticklabels()] == ["random", "one_ply", "last"]
    assert (
        cells.get_ylim() == ratings.get_ylim() == (2.5, -0.5)
    )  # a rating stands at the height of its row
    assert [text.get_text() for text in ratings.texts] == ["0", "210", "300", "rating (Elo)"]


def test_equals_are_white_whatever_the_number_of_players(
    tmp_path: Path, figures: list[Figure]
) -> None:
    for fair in (0.5, 0.25):
        save_payoff(
            tmp_path / "payoff.png",
            ["a", "b"],
            np.array([[np.nan, fair], [fair, np.nan]]),
            None,
            fair=fair,
        )
        image = figures[-1].axes[0].images[0]
        assert min(image.to_rgba(np.array([[fair]]))[0, 0, :3]) > 0.96


def test_many_players_have_no_numbers(tmp_path: Path, figures: list[Figure]) -> None:
    save_payoff(tmp_path / "payoff.png", [str(k) for k in range(30)], np.full((30, 30), 0.5), None)
    assert len(figures[0].axes[0].texts) == 0


def test_scores_that_do_not_fit_the_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"2 names need scores of shape \(2, 2\)"):
        save_payoff(tmp_path / "payoff.png", ["a", "b"], np.full((3, 3), 0.5), None)


def test_equal_data_equal_bytes_and_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    metrics = Metrics([{"plies": 1, "train/loss": 1.0}])
    for name in ("one.png", "two.png"):
        save_learning(tmp_path / name, "my-run", metrics)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with pytest.raises(
        InputError,
        match=r"one\.png/learning\.png cannot be written: .*; choose another folder with --out",
    ):
        save_learning(tmp_path / "one.png" / "learning.png", "my-run", metrics)


def test_a_comparison_has_a_colour_a_run_and_no_empty_panels(
    tmp_path: Path, figures: list[Figure]
) -> None:
    won = {"eval/win_rate/random": 0.5, "eval/score": 0.5, "train/loss": 0.1}
    runs = {
        "first": Metrics([{"plies": 100, **won}, {"plies": 300, **won, "eval/score": 0.75}]),
        "second": Metrics([{"plies": 200, "eval/return/random": 2.0, "train/loss": 0.2}]),
    }
    save_comparison(tmp_path / "both.png", runs, "pig")
    [figure] = figures
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["Score", "Wins against random", "Return, random", "Loss"]
    assert [[100, 0.5], [300, 0.75]] in [
        [list(point) for point in line] for line in lines(panels["Score"], style.BLUE)
    ]
    assert lines(panels["Return, random"], style.VERMILION) == [[(200.0, 2.0)]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["first", "second"]
