"""A game that raises in a run: one line, one file, the match played again, and the run resumed once
the game is fixed.

All through the command line, with the game in a module on PYTHONPATH; in processes of their own
where it matters that none of them prints anything else.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import in_process
import pytest
from child_processes import HANG
from trial_runs import start, trial

from sparring.config.schema import TrainConfig
from sparring.config.sources import to_toml

pytestmark = pytest.mark.slow

SOUND = '''
import numpy as np
from multiprocessing import parent_process
from sparring.games import GameSpec


class Count:
    """Say 1 or 2 in turns; who reaches a number from 8 to 11 wins."""

    spec = GameSpec(
        num_players=2, num_actions=2, observation_shape=(12,), observation_dtype="float32",
        max_plies=12, zero_sum=True, chance=True,
    )

    def reset(self, rng):
        self.said, self.seat, self.goal = 0, 0, int(rng.integers(8, 12))
        self.cursed = rng.random() < 0.01
        if self.cursed:
            pass  # in reset

    def mask(self):
        return [True, True]

    def observe(self, seat):
        seen = np.zeros(12, np.float32)
        seen[self.said] = 1.0
        if self.cursed and self.said >= 4:
            pass  # in observe
        return seen

    def step(self, action):
        self.said += 1 + action
        if self.cursed and self.said >= 4:
            pass  # in step
        mover, self.seat = self.seat, 1 - self.seat
        if self.said < self.goal:
            return None, False
        return (1.0, -1.0) if mover == 0 else (-1.0, 1.0), True

    def action_text(self, action):
        return "say one" if action == 0 else "say two"

    def __str__(self):
        return f"said {self.said} of {self.goal}"
'''
RAISE = "raise LookupError('the count is lost')"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the game, which the processes of this test import as `counting`."""
    (tmp_path / "games").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "games"))
    monkeypatch.syspath_prepend(tmp_path / "games")
    return tmp_path / "games" / "counting.py"


def write(module: Path, text: str) -> None:
    """Each time as of another second: of two versions within one, Python would take the first."""
    before = module.stat().st_mtime if module.exists() else 0.0
    module.write_text(text)
    os.utime(module, (before + 1, before + 1))


def break_in(module: Path, place: str, how: str = RAISE) -> None:
    write(module, SOUND.replace(f"pass  # in {place}", f"{how}  # in {place}"))


def fix(module: Path) -> None:
    write(module, SOUND)


def configuration(folder: Path, **changes: Any) -> TrainConfig:
    return trial(
        folder, **{"game": "counting:Count", "name": "run", "checkpoint_interval": 12, **changes}
    )


def run_alone(folder: Path) -> tuple[int, list[str]]:
    """Exit status and lines of `sparring train` as a process; waits for all processes of the run,
    as they share its output.
    """
    with start(configuration(folder)) as process:
        said, _ = process.communicate(timeout=HANG)
    return process.returncode, said.splitlines()


def run(folder: Path, *flags: str, **changes: Any) -> tuple[int, list[str]]:
    """Exit status and lines of `sparring train`."""
    config = configuration(folder, **changes)
    path = folder / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    words = ["train", config.game, "--preset", "none", "--config", str(path), *flags]
    status, said = sparring(folder, *words)
    return status, said.splitlines()


def sparring(folder: Path, *words: str) -> tuple[int, str]:
    """Exit status and everything that a command says."""
    answer = in_process.sparring(*words, folder=folder)
    sys.modules.pop("counting", None)  # the next command imports it anew, as its file is then
    return answer.status, answer.said


def replay_of(line: str) -> list[str]:
    """The arguments of the command that the line of a fault ends with."""
    [words] = re.findall(r"; the match is saved: sparring (replay .*)$", line)
    return shlex.split(words)


def fault(folder: Path, number: int = 1) -> dict[str, Any]:
    return dict(json.loads((folder / "run" / "faults" / f"{number}.json").read_text()))


@pytest.mark.parametrize(
    ("place", "how", "during", "said"),
    [
        (
            "reset",
            RAISE,
            "reset",
            "raised LookupError in reset (counting.py, line 19): the count is lost",
        ),
        (
            "step",
            RAISE,
            "step",
            "raised LookupError in step (counting.py, line 34): the count is lost",
        ),
        (
            "observe",
            "seen[0] = np.nan",
            "observe",
            "breaks the contract of games in observe (counting.py, line 24): got NaN or infinity",
        ),
    ],
)
def test_one_line_one_file_and_the_match_again(
    place: str, how: str, during: str, said: str, module: Path, tmp_path: Path
) -> None:
    break_in(module, place, how)
    status, lines = run_alone(tmp_path)
    assert status == 1, lines
    assert lines[-1].startswith(f"sparring: game counting:Count {said}")
    assert not [line for line in lines if "Traceback" in line or "failed" in line], (
        "no successor would fare better"
    )
    assert [path.name for path in (tmp_path / "run" / "faults").iterdir()] == ["1.json"]
    kept = fault(tmp_path)
    assert (kept["game"], kept["during"]) == ("counting:Count", during)
    again = replay_of(lines[-1])
    assert again == [
        "replay",
        str(tmp_path / "run" / "faults" / "1.json"),
        "--game",
        "counting:Count",
    ]
    status, shown = sparring(tmp_path, *again)
    assert status == 1, shown
    assert shown.count("say one") + shown.count("say two") == len(kept["actions"])
    assert f"The game fails again: game counting:Count {said}" in shown
    if how == RAISE:
        assert "LookupError: the count is lost" in shown
        assert f'File "{module}"' in shown, "the traceback as it is now"
    fix(module)
    status, shown = sparring(tmp_path, *again, "--json")
    assert status == 0, shown
    assert "The match now plays to its end" in shown
    assert json.loads(shown.splitlines()[-1])["again"] is False


def test_inline_and_processes_meet_the_same_fault(module: Path, tmp_path: Path) -> None:
    write(module, SOUND.replace("0.01", "0.03").replace("pass  # in step", RAISE))
    records, endings = [], []
    for backend in ("inline", "processes"):
        folder = tmp_path / backend
        folder.mkdir()
        status, lines = run(folder, backend=backend, num_workers=1, mode="sync")
        assert status == 1, lines
        kept = fault(folder)
        records.append((kept["key"], kept["actions"], kept["cause"]))
        endings.append(lines[-1].replace(str(folder), ""))
    assert records[0] == records[1]
    assert endings[0] == endings[1]


def test_a_fault_in_an_evaluation(module: Path, tmp_path: Path) -> None:
    """The main process plays nothing else."""
    raising = f"if parent_process() is None: {RAISE}\n        mover, self.seat"
    write(module, SOUND.replace("mover, self.seat", raising))
    status, lines = run(tmp_path, eval_interval=30)
    assert status == 1, lines
    assert "raised LookupError in step" in lines[-1]
    assert replay_of(lines[-1])
    assert fault(tmp_path)["during"] == "step"
    assert (tmp_path / "run" / "checkpoints" / "12").is_dir(), (
        "the run had been going on for a while"
    )


@pytest.fixture
def never_broken(module: Path, tmp_path: Path) -> dict[str, Any]:
    """What the run of a game that was sound from the start answers."""
    fix(module)
    (tmp_path / "sound").mkdir()
    status, lines = run(tmp_path / "sound", "--json", backend="inline")
    assert status == 0, lines
    return dict(json.loads(lines[-1]))


def test_the_run_goes_on_once_the_game_is_fixed(
    module: Path, tmp_path: Path, never_broken: dict[str, Any]
) -> None:
    """It is as if the game had never been broken: the same weights."""
    break_in(module, "step")
    status, lines = run(tmp_path)
    assert status == 1, lines
    status, shown = sparring(tmp_path, "resume", str(tmp_path / "run"))
    assert status == 1, shown
    assert replay_of(shown.splitlines()[-1])[1] == str(tmp_path / "run" / "faults" / "2.json"), (
        "not fixed: it fails again"
    )
    first, second = fault(tmp_path, 1), fault(tmp_path, 2)
    assert [first[part] for part in ("key", "actions", "cause")] == [
        second[part] for part in ("key", "actions", "cause")
    ]
    fix(module)
    status, shown = sparring(tmp_path, "resume", str(tmp_path / "run"), "--json")
    assert status == 0, shown
    answer = json.loads(shown.splitlines()[-1])
    assert answer["sha256"] == never_broken["sha256"]
    assert answer["episodes"] == never_broken["episodes"]


def test_a_game_that_never_ends_by_itself(module: Path, tmp_path: Path) -> None:
    endless = "self.said = (self.said + 1 + action) % 8"
    write(module, SOUND.replace("self.said += 1 + action", endless))
    status, lines = run(tmp_path)
    assert status == 0, lines
    assert not (tmp_path / "run" / "faults").exists()
    reports = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    lengths = [
        report["rollout/ep_len_mean"] for report in reports if "rollout/ep_len_mean" in report
    ]
    assert lengths
    assert set(lengths) == {12.0}, "every match is cut at the limit"
