"""One member of a population: a run of `sparring train` in a process of its own, and its reports.

The process is a session of its own, so that Ctrl-C reaches the supervisor alone. It is told to stop
when the supervisor ends, however that happens.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from sparring.config.schema import TrainConfig
from sparring.storage.atomic import recover
from sparring.storage.reports import Reports
from sparring.storage.run_directory import RunDirectory, newest_checkpoint

SCORE: Final = "eval/score"
EPISODES: Final = "rollout/episodes"
# Saves and ends when the process that started it ends (Linux).
_LAUNCH: Final = """\
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
if hasattr(libc, "prctl"):
    libc.prctl(1, signal.SIGTERM)
if os.getppid() != {parent}:
    sys.exit("the population has ended")
from sparring.cli import main
sys.exit(main())
"""


class Process(Protocol):
    """The part of `subprocess.Popen` that a member needs."""

    def poll(self) -> int | None: ...
    def send_signal(self, number: int) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...


Launch = Callable[[Sequence[str], Path], Process]
"""Starts `sparring` with these arguments; what it prints is added to the file."""


def launch(arguments: Sequence[str], log: Path) -> Process:
    """Start `sparring` in a session of its own."""
    code = _LAUNCH.format(parent=os.getpid())
    # modules of the user are found there as they are here: -P leaves the order to this path
    path = os.pathsep.join(folder for folder in sys.path if folder)
    with open(log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", code, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )


class Member:
    """The settings, the process and the newest figures of one member.

    `tuned`: settings that population-based training changes, as they are now.
    """

    def __init__(
        self, config: TrainConfig, tuned: Mapping[str, float], launch: Launch = launch
    ) -> None:
        assert config.name is not None
        self.name: str = config.name
        self.config = config
        self.tuned = dict(tuned)
        self.folder = Path(config.runs_dir)
        self.run = self.folder / self.name
        self.log = self.folder / f"{self.name}.log"
        self.settings_file = self.folder / f"{self.name}.toml"
        self.figures: dict[str, float] = {}
        self.scores: list[float] = []  # of all evaluations
        self.began = self.last = 0.0  # times of the first and the last report
        self.started = math.inf  # time at which the process was started
        self.restarts = 0
        self.decided = 0  # evaluations at the last decision of population-based training
        self.state = "waiting"
        self._launch = launch
        self._process: Process | None = None
        self._reports = Reports(self.run / "metrics.jsonl")

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def score(self) -> float | None:
        """Score of the newest evaluation."""
        return self.scores[-1] if self.scores else None

    @property
    def has_reported(self) -> bool:
        """True once the process has sent a report."""
        return self.last > self.started

    @property
    def has_checkpoint(self) -> bool:
        """True if there is a complete checkpoint."""
        return newest_checkpoint(self.run) is not None

    @property
    def matches(self) -> int:
        return int(self.figures.get(EPISODES, 0.0))

    @property
    def share(self) -> float:
        """Share of the run that is done, 0 to 1; by the times of the reports if its length is in
        minutes.
        """
        minutes = self.config.max_minutes
        if minutes is not None:
            return min(1.0, (self.last - self.began) / (60.0 * minutes))
        return min(1.0, self.matches / self.config.n_episodes)

    def start(
        self, overrides: Mapping[str, Any] | None = None, learner_from: Path | None = None
    ) -> None:
        """Continue from the newest checkpoint, with changed settings; without one begin anew.

        InputError if another process has the run.
        """
        if not self._begun():
            file = str(self.settings_file)
            arguments = ["train", self.config.game, "--preset", "none", "--config", file, "--json"]
        else:
            arguments = ["resume", str(self.run.absolute()), "--json", *as_flags(overrides or {})]
            if learner_from is not None:
                arguments += ["--learner-from", str(learner_from.absolute())]
        self._reports = Reports(self.run / "metrics.jsonl")
        self.started = time.time()
        self._process = self._launch(arguments, self.log)
        self.state = "running"

    def _begun(self) -> bool:
        """Clean up what a kill has left; a run without a checkpoint is removed."""
        if not self.run.is_dir():
            return False
        with RunDirectory(self.run) as run:
            if run.checkpoints_path.is_dir():
                recover(run.checkpoints_path)
                if any(run.checkpoints_path.iterdir()):
                    return True
            shutil.rmtree(self.run)
        return False

    def look(self) -> int | None:
        """Read new reports; return the exit status of the process once it has ended."""
        status = None if self._process is None else self._process.poll()
        self._read()
        if status is not None:
            self._process = None
        return status

    def _read(self) -> None:
        anew, reports = self._reports.new()
        if anew:
            self.scores.clear()
        for report in reports:
            self.figures.update(report)
            if SCORE in report:
                self.scores.append(report[SCORE])
            self.last = report["wall_time"]
            self.began = self.began or self.last

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it is running."""
        if self._process is not None:
            self._process.send_signal(number)

    def end(self, patience: float) -> None:
        """End the process: SIGTERM, which saves, and after so many seconds SIGKILL."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def last_words(self) -> str:
        """Return the last line that the process has printed."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        return next((line for line in reversed(lines) if line.strip()), "").strip()


def as_flags(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield settings as a command line has them."""
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
            continue
        yield f"--{flag}"
        if isinstance(value, Mapping):
            yield from (f"{key}={share}" for key, share in value.items())
        else:
            yield "auto" if value is None else str(value)
