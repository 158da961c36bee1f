from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from sparring.monitor import Monitor
from sparring.monitor.plain import report_lines
from sparring.monitor.state import ConsoleState

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")

HUGE = {
    "rollout/episodes": 98_765_432_100.0, "rollout/exploration_rate": 0.123456, "replay/fill": 1.0, "perf/plies_per_s": 123_456_789.0,
    "perf/episodes_per_min": 98_765_432.1, "perf/updates_per_s": 123_456.7, "train/n_updates": 9_876_543_210.0, "train/loss": 1.2345678e-17,
    "train/q_mean": -123_456.789, "train/grad_norm": 1.23456e20, "train/learning_rate": 1.234567e-7, "perf/worker_wait_frac": 0.999,
    "perf/learner_wait_frac": 0.001, "eval/win_rate/random": 1.0, "eval/draw_rate/random": 1.0, "eval/win_rate/one_ply": 0.5,
    **{f"rollout/win_rate/snapshot:{n}": n / 20 for n in range(20)}, "rollout/win_rate/" + "a" * 200: 0.5,
}  # fmt: skip
ORDINARY = {
    "rollout/episodes": 54_012.0, "rollout/exploration_rate": 0.52, "replay/fill": 0.62, "perf/plies_per_s": 12_345.0,
    "perf/episodes_per_min": 1_234.0, "perf/updates_per_s": 212.0, "train/n_updates": 31_020.0, "train/loss": 0.0123, "train/q_mean": 0.341,
    "perf/worker_wait_frac": 0.12, "perf/learner_wait_frac": 0.03, "rollout/win_rate/self": 0.51, "eval/win_rate/random": 0.98,
    "eval/draw_rate/random": 0.01,
}  # fmt: skip


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
    """What a console of 80 columns is sent."""
    out = io.StringIO()
    console = Console(file=out, width=80, height=40, force_terminal=terminal, color_system=None)
    paths = Paths(folder / "metrics.jsonl", folder / "tensorboard", name)
    with Monitor(paths, total_episodes=total, tensorboard=False, console=console) as monitor:
        monitor.note(
            "[bold]worker 0[/bold] was replaced\nTraceback :smile: of its last words "
            + "and more " * 20
        )
        for values in reports:
            monitor.report(values, plies=1)
    return out.getvalue()


def columns(text: str) -> int:
    return max(cell_len(line) for line in CONTROL.sub("", text).replace("\r", "\n").splitlines())


@pytest.mark.parametrize("values", [{}, ORDINARY, HUGE])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_line_is_longer_than_80_columns(
    tmp_path: Path, values: dict[str, float], terminal: bool
) -> None:
    assert columns(shown(tmp_path, values, terminal=terminal)) <= 80
    assert columns(shown(tmp_path, values, terminal=terminal, total=10**15, name="n" * 200)) <= 80


def test_the_live_panel_shows_the_figures(tmp_path: Path) -> None:
    text = CONTROL.sub("", shown(tmp_path, ORDINARY, terminal=True))
    for words in (
        "connect_four-3", "54 %", "54,012 / 100,000 matches", "plies/s +12,345", "matches/min +1,234", "updates/s +212", "loss +0.0123",
        "epsilon +0.52", "buffer +62 %", "workers wait +12 %", "learner waits +3 %", "self .* 51 %", "random .* 98 % +1 % drawn",
    ):  # fmt: skip
        assert re.search(words, text), words
    assert "[bold]worker 0[/bold]" in text


def test_the_rating_is_shown_once_there_is_one(tmp_path: Path) -> None:
    rated = {
        **ORDINARY,
        "selfplay/pool_size": 7.0,
        "selfplay/rating_mu": 31.27,
        "selfplay/rating_sigma": 0.914,
    }
    text = CONTROL.sub("", shown(tmp_path, rated, terminal=True))
    assert re.search("snapshots +7 +rating +31.3 +its deviation +0.914", text)
    assert columns(text) <= 80
    assert "epsilon 0.52  rating 31.3" in shown(tmp_path, rated, terminal=False)
    assert "rating" not in shown(tmp_path, ORDINARY, terminal=True)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [80, 200])
def test_a_warning_is_a_paragraph_of_80_columns(tmp_path: Path, terminal: bool, width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, height=40, force_terminal=terminal, color_system=None)
    paths = Paths(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", "run")
    with Monitor(paths, total_episodes=1, tensorboard=False, console=console) as monitor:
        monitor.warn(
            "the agent forgets: it scores [0.31] in 200 matches against snapshot:3, an old snapshot of itself"
        )
    text = CONTROL.sub("", out.getvalue())
    assert columns(text) <= 80
    lines = [line.rstrip() for line in text.splitlines()]
    assert (
        "warning: the agent forgets: it scores [0.31] in 200 matches against snapshot:3," in lines
    )
    assert "         an old snapshot of itself" in lines


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
    progress = ConsoleState("run", 100_000, lambda: 0.0)
    progress.update(ORDINARY)
    assert report_lines(progress) == [
        " 54 %  54,012 matches  left -  12,345 plies/s  1,234/min  212 updates/s",
        "       loss 0.0123  Q 0.341  epsilon 0.52  buffer 62 %  workers wait 12 %",
        "       learner waits 3 %  beats random 98 %  beats self 51 %*",
    ]


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
