from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.cells import cell_len
from terminal import Terminal

from sparring.monitor import Monitor, screen
from sparring.monitor.plain import report_line
from sparring.monitor.screen import SerialConsole
from sparring.monitor.state import ConsoleState

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")

HUGE = {
    "rollout/episodes": 98_765_432_100.0,
    "rollout/exploration_rate": 0.123456,
    "replay/fill": 1.0,
    "perf/plies_per_s": 123_456_789.0,
    "perf/episodes_per_min": 98_765_432.1,
    "perf/updates_per_s": 123_456.7,
    "train/n_updates": 9_876_543_210.0,
    "train/loss": 1.2345678e-17,
    "train/q_mean": -123_456.789,
    "train/grad_norm": 1.23456e20,
    "train/learning_rate": 1.234567e-7,
    "perf/worker_wait_frac": 0.999,
    "perf/learner_wait_frac": 0.001,
    "eval/win_rate/random": 1.0,
    "eval/draw_rate/random": 1.0,
    "eval/win_rate/one_ply": 0.5,
    **{f"rollout/win_rate/snapshot:{n}": n / 20 for n in range(20)},
    "rollout/win_rate/" + "a" * 200: 0.5,
}
ORDINARY = {
    "rollout/episodes": 54_012.0,
    "rollout/exploration_rate": 0.52,
    "replay/fill": 0.62,
    "perf/plies_per_s": 12_345.0,
    "perf/episodes_per_min": 1_234.0,
    "perf/updates_per_s": 212.0,
    "train/n_updates": 31_020.0,
    "train/loss": 0.0123,
    "train/q_mean": 0.341,
    "perf/worker_wait_frac": 0.12,
    "perf/learner_wait_frac": 0.03,
    "rollout/win_rate/self": 0.51,
    "eval/win_rate/random": 0.98,
    "eval/draw_rate/random": 0.01,
}


@dataclass(frozen=True)
class Paths:
    metrics_path: Path
    tensorboard_path: Path
    name: str


def shown(
    folder: Path,
    *reports: dict[str, float],
    terminal: bool,
    total: int = 100_000,
    name: str = "connect_four-3",
) -> str:
    """Everything that is sent to a console of 80 columns."""
    out = io.StringIO()
    console = SerialConsole(
        file=out, width=80, height=40, force_terminal=terminal, color_system=None
    )
    paths = Paths(folder / "metrics.jsonl", folder / "tensorboard", name)
    with Monitor(paths, total_episodes=total, tensorboard=False, console=console) as monitor:
        monitor.note(
            "[bold]worker 0[/bold] was replaced\nTraceback :smile: of its last words "
            + "and more " * 20
        )
        for values in reports:
            episodes = int(values.get("rollout/episodes", 0))
            monitor.advance(episodes, episodes / total)
            monitor.report(values, plies=1)
    return out.getvalue()


def columns(text: str) -> int:
    return max(cell_len(line) for line in CONTROL.sub("", text).replace("\r", "\n").splitlines())


@pytest.mark.parametrize("values", [{}, ORDINARY, HUGE])
def test_no_line_of_the_panel_is_longer_than_80_columns(
    tmp_path: Path, values: dict[str, float]
) -> None:
    assert columns(shown(tmp_path, values, terminal=True)) <= 80
    long = tmp_path / ("n" * 200)
    long.mkdir()
    assert columns(shown(long, values, terminal=True, total=10**15)) <= 80


@pytest.mark.parametrize("values", [{}, ORDINARY, HUGE])
def test_without_a_terminal_a_report_is_one_line(tmp_path: Path, values: dict[str, float]) -> None:
    note, said, *reports = shown(tmp_path, values, values, terminal=False).splitlines()
    assert note == "[bold]worker 0[/bold] was replaced"
    assert said.startswith("Traceback")
    assert len(reports) == 2
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", report) for report in reports)


def test_the_live_panel_shows_the_figures(tmp_path: Path) -> None:
    text = CONTROL.sub("", shown(tmp_path, ORDINARY, terminal=True))
    for words in (
        "  0:00 ",
        "54 %",
        "54,012 / 100,000 matches",
        "plies/s +12,345",
        "matches/min +1,234",
        "updates/s +212",
        "loss +0.0123",
        "epsilon +0.52",
        "buffer +62 %",
        "workers idle +12 %",
        "learner idle +3 %",
        "self .* 51 %",
        "random .* 98 % +1 % drawn",
    ):
        assert re.search(words, text), words
    assert "[bold]worker 0[/bold]" in text


def test_skill_is_for_files_only(tmp_path: Path) -> None:
    """It is of exploring play, and falls while the agent improves."""
    rated = {**ORDINARY, "selfplay/rating_mu": 31.27, "selfplay/rating_sigma": 0.914}
    for terminal in (True, False):
        assert "rating" not in shown(tmp_path, rated, terminal=terminal)


def test_before_the_first_report_the_panel_says_what_takes_time(tmp_path: Path) -> None:
    assert "starting: compiling the game" in CONTROL.sub("", shown(tmp_path, terminal=True))


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [80, 200])
def test_a_warning_is_a_paragraph_of_80_columns_on_a_terminal_and_a_line_elsewhere(
    tmp_path: Path, terminal: bool, width: int
) -> None:
    out = io.StringIO()
    console = SerialConsole(
        file=out, width=width, height=40, force_terminal=terminal, color_system=None
    )
    paths = Paths(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", "run")
    with Monitor(paths, total_episodes=1, tensorboard=False, console=console) as monitor:
        monitor.warn(
            "the agent forgets: it scores [0.31] in 200 matches against snapshot:3, "
            "an old snapshot of itself"
        )
    text = CONTROL.sub("", out.getvalue())
    lines = [line.rstrip() for line in text.splitlines()]
    first = "warning: the agent forgets: it scores [0.31] in 200 matches against snapshot:3,"
    if terminal:
        assert columns(text) <= 80
        assert first in lines
        assert "         an old snapshot of itself" in lines
    else:
        assert lines == [f"{first} an old snapshot of itself"]


def test_many_opponents_are_cut(tmp_path: Path) -> None:
    text = CONTROL.sub("", shown(tmp_path, HUGE, terminal=True))
    assert "and 15 more" in text
    assert "snapshot:19" in text
    assert "snapshot:0 " not in text


def test_plain_lines_have_no_control_codes(tmp_path: Path) -> None:
    text = shown(tmp_path, ORDINARY, terminal=False)
    assert "\x1b" not in text
    assert "\r" not in text
    assert ":smile:" in text


def test_plain_report() -> None:
    progress = ConsoleState("runs/run", 100_000, lambda: 0.0)
    progress.advance(54_012, 0.54012)
    progress.update(ORDINARY)
    assert report_line(progress)[len("2026-11-30 12:00:00") :] == (
        "   54 %  54,012 matches  ETA -  12,345 plies/s  1,234/min  212 updates/s"
        "  loss 0.0123  Q 0.341  epsilon 0.52  buffer 62 %  workers idle 12 %"
        "  learner idle 3 %  vs random 98 %  vs self 51 % (training)"
    )


def test_the_panel_is_redrawn_in_place_whatever_its_height_and_whoever_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notes come between redraws while the panel grows with the number of opponents."""
    monkeypatch.setattr(screen, "_REDRAW_INTERVAL", 0.0)
    terminal = Terminal(height=40)
    console = SerialConsole(
        file=terminal, width=80, height=40, force_terminal=True, color_system=None
    )
    paths = Paths(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", "run")
    with Monitor(paths, total_episodes=100, tensorboard=False, console=console) as monitor:
        for number in range(200):
            monitor.note(f"note {number}")
            monitor.report({f"rollout/win_rate/{number}": 0.5}, plies=number)
    text = "\n".join(terminal.lines)
    assert [line for line in terminal.lines if "note" in line] == [f"note {n}" for n in range(200)]
    assert (text.count("╭"), text.count("╰")) == (1, 1)


class Broken(io.StringIO):
    """A pipe without a reader, a terminal that is gone, a disk that is full."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def flush(self) -> None:
        raise self._error


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "EIO"), OSError(28, "ENOSPC")])
def test_a_console_that_cannot_be_written_falls_silent(
    error: OSError, terminal: bool, tmp_path: Path
) -> None:
    console = SerialConsole(file=Broken(error), width=80, force_terminal=terminal)
    paths = Paths(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", "run")
    with Monitor(paths, total_episodes=100, tensorboard=False, console=console) as monitor:
        for plies in (1, 2, 3):
            monitor.note("a note")
            monitor.report(ORDINARY, plies=plies)
    assert len(paths.metrics_path.read_text().splitlines()) == 3


def test_no_console_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = Paths(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", "run")
    with Monitor(paths, total_episodes=1, tensorboard=False, console=False) as monitor:
        monitor.note("hello")
        monitor.report(ORDINARY, plies=1)
    assert capsys.readouterr() == ("", "")


def test_the_console_follows_a_redirected_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = Paths(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", "run")
    with Monitor(paths, total_episodes=1, tensorboard=False) as monitor:
        monitor.note("hello")
    assert capsys.readouterr().out == "hello\n"
