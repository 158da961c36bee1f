"""SIGTERM ends every command, also where no training handles it, and where the system would not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from child_processes import HANG
from trial_runs import COMMAND

from sparring.cli import commands, main

# process 1, as in a container: the system's default handlers do not end it
CONTAINER = ("unshare", "--map-root-user", "--fork", "--pid", "--kill-child")
WHILE_IMPORTED = """
import signal
signal.raise_signal(signal.SIGTERM)
raise AssertionError("the import goes on")
"""
WHILE_TRIED = """
import signal
class Game:
    def __init__(self, *arguments):
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the game goes on")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_ends_with_the_status_of_the_signal(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(argv: Sequence[str]) -> int:
        signal.raise_signal(number)
        raise AssertionError("the command goes on")

    outside = signal.signal(number, signal.SIG_DFL)  # below nohup it is ignored
    if number == signal.SIGINT:
        signal.signal(number, signal.default_int_handler)
    before = signal.getsignal(number)
    try:
        monkeypatch.setattr(commands, "run", answer)
        assert main(["games"]) == 128 + number
        assert capsys.readouterr().err == "sparring: interrupted\n"
        assert signal.getsignal(number) is before
    finally:
        signal.signal(number, outside)


def test_what_is_ignored_as_below_nohup_stays_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(argv: Sequence[str]) -> int:
        signal.raise_signal(signal.SIGHUP)
        return 0

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr(commands, "run", answer)
        assert main(["games"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("text", [WHILE_IMPORTED, WHILE_TRIED], ids=["import", "constructor"])
def test_process_1_of_a_container_ends_while_a_training_starts(text: str, tmp_path: Path) -> None:
    """While a module is imported an exception could abort a library in C++."""
    if subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows no process namespaces")
    (tmp_path / "stopped.py").write_text(text)
    done = subprocess.run(
        [*CONTAINER, *COMMAND, "train", "stopped:Game"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert (done.returncode, done.stderr) == (143, "sparring: interrupted\n")
    assert not (tmp_path / "runs").exists()


ENDS_TWICE = """
import signal, sys
from sparring.cli import main, train
from sparring.training import TrainResult
report = train._print
def signalled(result, *, as_json):
    signal.raise_signal(signal.SIGTERM)
    report(result, as_json=as_json)
    signal.raise_signal(signal.SIGTERM)
train._print = signalled
from sparring.training.metrics import RunMetrics
first = RunMetrics.report
def stopped(*arguments, **options):
    signal.raise_signal(signal.SIGTERM)
    return first(*arguments, **options)
RunMetrics.report = stopped
sys.exit(main())
"""


def test_signals_after_the_run_is_saved_change_nothing(tmp_path: Path) -> None:
    words = "train tic_tac_toe --preset none --backend inline --num-workers 1 --no-tensorboard"
    done = subprocess.run(
        [sys.executable, "-c", ENDS_TWICE, *words.split(), "--log-interval", "0.001"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 143, done.stderr
    assert done.stderr.splitlines()[-1].startswith("sparring: interrupted; saved. Continue with: ")
