"""Members of a population whose processes are played by the test."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from sparring.config.schema import TrainConfig
from sparring.population.member import Member


class FakeProcess:
    """A process that does what the test says; `signals` are those that it was sent."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self.arguments = list(arguments)
        self.log = log
        self.status: int | None = None
        self.signals: list[int] = []

    def poll(self) -> int | None:
        return self.status

    def send_signal(self, number: int) -> None:
        self.signals.append(number)

    def wait(self, timeout: float | None = None) -> int:
        return 0

    def kill(self) -> None:
        self.signals.append(9)


class FakeMember(Member):
    """A member without a process; `processes` are those that it has started, newest last."""

    def __init__(self, folder: Path, number: int, **tuned: float) -> None:
        self.processes: list[FakeProcess] = []
        config = TrainConfig(
            game="tic_tac_toe", n_episodes=1_000, name=f"member-{number}", runs_dir=str(folder)
        )
        super().__init__(config, tuned, self._begin)

    def _begin(self, arguments: Sequence[str], log: Path) -> FakeProcess:
        self.processes.append(FakeProcess(arguments, log))
        return self.processes[-1]

    @property
    def process(self) -> FakeProcess:
        return self.processes[-1]

    def report(self, **figures: float) -> None:
        """Write a report, as a run does: `score` is that of an evaluation."""
        tags = {"matches": "rollout/episodes", "score": "eval/score"}
        report = {"plies": 0, "wall_time": time.time() + 1.0}
        report |= {tags.get(name, name): value for name, value in figures.items()}
        self.run.mkdir(parents=True, exist_ok=True)
        with open(self.run / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(report) + "\n")

    def save(self, updates: int = 1) -> None:
        """Leave a complete checkpoint."""
        folder = self.run / "checkpoints" / str(updates)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text('{"files": {}}')
