"""`sparring doctor` as people call it: on machines that are made small for the test."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from child_processes import HANG
from trial_runs import COMMAND

import sparring.doctor
from sparring.cli import main
from sparring.config.schema import TrainConfig
from sparring.doctor.findings import Finding, ok, problem, warning
from sparring.errors import ConfigurationError
from sparring.runtime import FILES_A_SERVED_WORKER, FILES_A_WORKER, allow_open_files

IN_NAMESPACE = ("unshare", "--map-root-user", "--mount")
# /dev/shm of 64 MiB as in a container, a full disk, a quota of 1.5 CPUs, few open files
SMALL = """
set -e
mount -t tmpfs -o size=64m shm /dev/shm
mount -t tmpfs -o size=3m disk "$1"
mount -t tmpfs cgroup /sys/fs/cgroup
echo "150000 100000" > /sys/fs/cgroup/cpu.max
ulimit -n 200
cd "$1"
shift
exec "$@"
"""
FOUND = """
warning  CPUs: the quota of 1.5 CPUs is no whole number: at full load all processes stand still for a part of each 0.1 s; raise it to 2 (docker run --cpus 2)
warning  CPUs: a quota of 1.5 of 2 CPUs: 1 usable, for 46 workers and 1 learner thread: they take turns; num_workers=1 plays about as fast here
problem  open files: the limit of open files is too low for 46 workers: got 200, expected at least 240; use num_workers=36 or fewer, or raise it: ulimit -n 240
ok       /dev/shm: 64 MiB free; the workers' memory is not there
problem  disk: not enough disk space for checkpoints in runs: got 3 MiB free, expected 340 MiB for 3 of 113 MiB; free some, choose another runs_dir, or lower buffer_size
2 problems, 2 warnings, see above.
"""  # noqa: E501


def test_a_small_machine(tmp_path: Path) -> None:
    if subprocess.run([*IN_NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows no mount namespaces")
    words = ["--num-workers", "46", "--learner-threads", "1", "tic_tac_toe", "--preset", "none"]
    done = subprocess.run(
        [*IN_NAMESPACE, "bash", "-c", SMALL, "_", str(tmp_path), *COMMAND, "doctor", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    got = without_numbers(done.stdout)
    for line in without_numbers(FOUND.strip()).splitlines():
        assert line in got, done.stdout


def without_numbers(text: str) -> str:
    return re.sub(r"\d+", "N", text)


@pytest.mark.parametrize(
    ("inference", "files"), [("workers", FILES_A_WORKER), ("server", FILES_A_SERVED_WORKER)]
)
def test_train_refuses_with_the_same_line(
    monkeypatch: pytest.MonkeyPatch, inference: str, files: int
) -> None:
    """Both call the same check."""
    import resource

    real = resource.getrlimit
    few = {resource.RLIMIT_NOFILE: (128, 128)}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: few.get(kind) or real(kind))
    with pytest.raises(ConfigurationError, match="too low for 46 workers: got 128") as caught:
        allow_open_files(46, files)
    settings = {"game": "tic_tac_toe", "num_workers": 46, "inference": inference}
    found = sparring.doctor.examine(TrainConfig(**settings))
    [ours] = [finding.line for finding in found if finding.topic == "open files"]
    assert without_numbers(ours) == without_numbers(str(caught.value))
    needed = [int(re.findall(r"at least (\d+)", line)[0]) for line in (ours, str(caught.value))]
    assert abs(needed[0] - needed[1]) < 46, "a file of each worker more or less"


def pretend(monkeypatch: pytest.MonkeyPatch, *found: Finding) -> None:
    monkeypatch.setattr(sparring.doctor, "examine", lambda config: list(found))


def test_warnings_do_not_stand_in_the_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, ok("disk", "large"), warning("CPUs", "few", "buy more"))
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok       disk: large",
        "warning  CPUs: few; buy more",
        "1 warning, nothing stands in the way of this run.",
    ]


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pretend(monkeypatch, problem("disk", "full", "free some"))
    assert main(["doctor", "connect_four", "--num-workers", "3", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "passed": False,
        "findings": [{"level": "problem", "topic": "disk", "text": "full", "remedy": "free some"}],
    }


def test_options_are_those_of_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = list[TrainConfig]()
    monkeypatch.setattr(sparring.doctor, "examine", lambda config: asked.append(config) or [])
    words = "doctor ludo --preset strong --num-workers 46 --ray-address head:6379"
    assert main(words.split()) == 0
    [config] = asked
    assert (config.game, config.num_workers, config.ray_address) == ("ludo", 46, "head:6379")
    assert main(["doctor", "--num-wrokers", "3"]) == 2
    assert "did you mean '--num-workers'?" in capsys.readouterr().err
