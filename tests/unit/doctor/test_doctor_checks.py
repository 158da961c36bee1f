"""The line of each finding, from facts of machines that are not this one."""

from __future__ import annotations

import dataclasses
import math
import socket
from pathlib import Path
from typing import Any

import pytest
from trial_runs import resolved_trial, trial

from sparring.config.sources import build_config
from sparring.doctor import findings
from sparring.doctor.checks import GIB, MIB
from sparring.doctor.machine import Folder, Machine, Ray, folder, unanswered
from sparring.doctor.needs import Needs, _needs, needs_of
from sparring.dqn.gpus import Gpu, Gpus
from sparring.errors import ConfigurationError
from sparring.games import spec_of
from sparring.runtime import FileLimits
from sparring.training import train

BUILT = Gpus(cuda="12.8", driver="570.1", driver_cuda=12080, nodes=("/dev/nvidia0",))
H200 = Gpu("NVIDIA H200", 139 * GIB, 140 * GIB, "sm_90")
ONE = dataclasses.replace(BUILT, devices=(H200,), architectures=("sm_80", "sm_90"))
CLUSTER = "head:6379"


def lines(machine: Machine, needs: Needs) -> list[str]:
    """Everything that is not ok."""
    return [f"{f.level} {f.topic}: {f.line}" for f in findings(machine, needs) if f.level != "ok"]


def test_a_good_machine_has_no_findings() -> None:
    assert lines(Machine(), Needs(num_workers=1)) == []


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "few open files": (
        {"files": FileLimits(12, 200, 200)},
        {"num_workers": 46},
        "problem open files: the limit of open files is too low for 46 workers: got 200, expected "
        "at least 244; use num_workers=35 or fewer, or raise it: ulimit -n 244",
    ),
    "few open files, where the run may choose a server on the GPU": (
        {"files": FileLimits(12, 200, 200), "gpus": ONE},
        {"num_workers": 40, "may_be_served": True, "device": "auto"},
        "problem open files: the limit of open files is too low for 40 workers: got 200, expected "
        "at least 300; use num_workers=23 or fewer, or raise it: ulimit -n 300",
    ),
    "a limit of the size of files": (
        {"file_size": 100 * MIB},
        {"checkpoint": 226 * MIB},
        "problem open files: the limit of a file's size: got 100 MiB, expected 226 MiB for a "
        "checkpoint; ulimit -f unlimited",
    ),
    "a small /dev/shm matters to Ray": (
        {"shm": Folder("/dev/shm", 64 * MIB), "ray": Ray("2.60.0", token=True)},
        {"shared": 200 * MIB, "weights": MIB, "ray_address": CLUSTER},
        "warning /dev/shm: 64 MiB free, the object store of Ray wants 401 MiB: without, it lies "
        "on the disk, which is slow; docker run --shm-size=1g",
    ),
    "and where there are no anonymous files": (
        {"shm": Folder("/dev/shm", 64 * MIB), "memfd": False},
        {"shared": 200 * MIB},
        "problem /dev/shm: 64 MiB free, workers and learner share 200 MiB there; docker run "
        "--shm-size, or fewer num_workers",
    ),
    "a full disk": (
        {"runs": Folder("runs", 3 * MIB)},
        {"checkpoint": 226 * MIB},
        "problem disk: not enough disk space for checkpoints in runs: got 3 MiB free, expected "
        "678 MiB for 3 of 226 MiB; free some, choose another runs_dir, or lower buffer_size",
    ),
    "a disk that cannot be written": (
        {"runs": Folder("/mnt/runs", 0.0, "Read-only file system")},
        {},
        "problem disk: cannot write in /mnt/runs: Read-only file system; choose another runs_dir",
    ),
    "no folder for temporary files": (
        {"temporary": Folder("/tmp", 0.0, "Permission denied")},
        {},
        "problem disk: /tmp: Permission denied; set TMPDIR to another",
    ),
    "no folder for compiled code": (
        {"cache": Folder("/x", error="no folder for compiled code can be written")},
        {},
        "warning cache: no folder for compiled code can be written: games are compiled anew each "
        "time; set SPARRING_CACHE_DIR to a folder that can be written",
    ),
    "a quota of one and a half": (
        {"quota": 1.5, "cores": 8, "cpus": 1},
        {"backend": "inline"},
        "warning CPUs: the quota of 1.5 CPUs is no whole number: at full load all processes stand "
        "still for a part of each 0.1 s; raise it to 2 (docker run --cpus 2)",
    ),
    "more workers than CPUs": (
        {"cpus": 2},
        {"num_workers": 46},
        "warning CPUs: 2 usable, for 46 workers and 1 learner thread: they take turns; "
        "num_workers=1 plays about as fast here",
    ),
    "one worker on one CPU": (
        {"cpus": 1},
        {"num_workers": 1},
        "warning CPUs: 1 usable, for 1 worker and 1 learner thread: they take turns; with more "
        "CPUs they would work at once",
    ),
    "few processes": (
        {"processes": 50.0},
        {"num_workers": 46},
        "problem processes: the limit of processes and threads: got 50 left, expected 109 for 46 "
        "workers; use fewer num_workers, or raise it: docker run --pids-limit, ulimit -u",
    ),
    "no process can be started": (
        {"start_error": "Operation not permitted"},
        {},
        "problem processes: worker processes cannot be started: got Operation not permitted; lower "
        'num_workers, or use backend="inline"',
    ),
    "too little memory": (
        {"memory": 1.0 * GIB},
        {"memory": {"of replay": (3 * GIB, "lower buffer_size")}},
        "problem memory: not enough memory: got 3.0 GiB of replay, expected at most 1.0 GiB; lower "
        "buffer_size",
    ),
    "too little memory for so many processes": (
        {"memory": 3.0 * GIB},
        {"num_workers": 46, "memory": {"of replay": (GIB, "lower buffer_size")}},
        "warning memory: 3.0 GiB available, the run reserves 1.0 GiB, and its processes take about "
        "5.8 GiB; lower num_workers, or the kernel may kill one",
    ),
    "torch without CUDA": (
        {},
        {"device": "cuda"},
        "problem GPU: device: got cuda, expected cpu on this machine: this torch is built without "
        "CUDA; install torch with CUDA: pytorch.org says how",
    ),
    "a GPU, and torch without CUDA": (
        {"gpus": dataclasses.replace(BUILT, cuda=None)},
        {"device": "auto"},
        "warning GPU: none is used: this torch is built without CUDA; install torch with CUDA: "
        "pytorch.org says how",
    ),
    "no driver": (
        {"gpus": Gpus(cuda="12.8")},
        {"device": "cuda:0"},
        "problem GPU: device: got cuda:0, expected cpu on this machine: no NVIDIA driver is "
        "loaded; install the driver; in a container: --gpus all; with Slurm: --gres=gpu:1",
    ),
    "a driver that is too old": (
        {"gpus": dataclasses.replace(BUILT, cuda="13.0")},
        {"device": "auto"},
        "warning GPU: none is used: driver 570.1 offers CUDA 12.8, this torch needs 13.0; update "
        "the driver, or install torch for an older CUDA",
    ),
    "hidden GPUs": (
        {"gpus": dataclasses.replace(BUILT, visible="")},
        {"device": "auto"},
        "warning GPU: none is used: CUDA_VISIBLE_DEVICES hides every GPU; unset "
        "CUDA_VISIBLE_DEVICES",
    ),
    "no device file": (
        {"gpus": dataclasses.replace(BUILT, nodes=())},
        {"device": "auto"},
        "warning GPU: none is used: driver 570.1 is loaded, but /dev/nvidia0 is not there; in a "
        "container: --gpus all; with Slurm: --gres=gpu:1",
    ),
    "a device file without permission": (
        {"gpus": dataclasses.replace(BUILT, denied=("/dev/nvidia0",))},
        {"device": "auto"},
        "warning GPU: none is used: /dev/nvidia0 may not be used by this user; in a container: "
        "--gpus all; with Slurm: --gres=gpu:1",
    ),
    "no library of the driver": (
        {"gpus": dataclasses.replace(BUILT, driver_cuda=None)},
        {"device": "auto"},
        "warning GPU: none is used: /dev/nvidia0 is there, but libcuda.so.1 is not; in a "
        "container: --gpus all; with Slurm: --gres=gpu:1",
    ),
    "another GPU than there is": (
        {"gpus": ONE},
        {"device": "cuda:1"},
        "problem GPU: device: got cuda:1, expected one of cpu, cuda:0 on this machine; leave it "
        "out to choose by itself",
    ),
    "a GPU without memory": (
        {"gpus": dataclasses.replace(ONE, devices=(dataclasses.replace(H200, free=3 * GIB),))},
        {"device": "auto", "replay": 4 * GIB},
        "problem GPU: cuda:0, NVIDIA H200, driver 570.1, CUDA 12.8: got 3.0 GiB of 140.0 GiB free, "
        "expected 5.0 GiB (4.0 GiB of replay); lower buffer_size, or see with nvidia-smi who uses "
        "it",
    ),
    "a GPU that torch has no code for": (
        {"gpus": dataclasses.replace(ONE, architectures=("sm_75", "sm_100"))},
        {"device": "auto"},
        "problem GPU: cuda:0, NVIDIA H200, driver 570.1, CUDA 12.8: this torch has no code for "
        "sm_90, only for sm_75, sm_100; install a torch for it, or use device=cpu",
    ),
    "a library that is too old": (
        {"versions": {"torch": "2.4.1"}, "required": ("torch>=2.13", "rich>=13.9")},
        {},
        "problem versions: torch: got 2.4.1, expected >=2.13; pip install 'torch>=2.13'",
    ),
    "a clock that stands wrong": (
        {"now": 0.0, "installed_at": 7200.0},
        {},
        "warning clock: it stands 2.0 hours before the date of Sparring's own files; set it: "
        "certificates, tokens and make depend on it",
    ),
    "no Ray": (
        {},
        {"ray_address": CLUSTER},
        "problem Ray: ray is not installed; pip install 'sparring[ray]'",
    ),
    "a head that does not answer": (
        {"ray": Ray("2.60.0", "Connection refused")},
        {"ray_address": CLUSTER},
        "problem Ray: nothing answers at head:6379: Connection refused; on the head node: ray "
        "start --head --port 6379; open the port in firewalls",
    ),
    "a cluster without a token": (
        {"ray": Ray("2.60.0")},
        {"ray_address": CLUSTER},
        "warning Ray: head:6379 answers, and the environment has no token: everybody who reaches "
        "that port can run programs there; ray get-auth-token --generate, then RAY_AUTH_MODE=token "
        "on all nodes",
    ),
}


@pytest.mark.parametrize(("facts", "asked", "line"), CASES.values(), ids=CASES)
def test_the_line_of_each_finding(facts: dict[str, Any], asked: dict[str, Any], line: str) -> None:
    assert lines(Machine(**facts), Needs(**{"num_workers": 1, **asked})) == [line]


@pytest.mark.parametrize(
    ("facts", "asked"),
    [
        ({"shm": Folder("/dev/shm", 64 * MIB)}, {"shared": 200 * MIB}),
        ({"files": FileLimits(12, 10, 10)}, {"backend": "inline"}),
        ({"quota": 2.0, "cores": 8, "cpus": 2}, {}),
        ({"gpus": ONE}, {"device": "auto", "replay": GIB}),
        (
            {"gpus": dataclasses.replace(ONE, architectures=("sm_50", "compute_80"))},
            {"device": "cuda:0"},
        ),
        ({"ray": Ray("2.60.0", token=True)}, {"ray_address": CLUSTER}),
        ({"ray": Ray("2.60.0")}, {"ray_address": "auto"}),
    ],
    ids=["memfd needs no /dev/shm", "inline", "whole quota", "GPU", "newer GPU", "token", "local"],
)
def test_what_is_in_order(facts: dict[str, Any], asked: dict[str, Any]) -> None:
    assert lines(Machine(**facts), Needs(**{"num_workers": 1, **asked})) == []


def test_needs_follow_from_the_settings_of_the_run() -> None:
    small, large = (
        needs_of(build_config(preset="quick-dqn", overrides={"num_workers": workers, **changes}))
        for workers, changes in ((2, {}), (46, {"buffer_size": 2_000_000}))
    )
    assert (small.num_workers, large.num_workers) == (2, 46)
    assert large.checkpoint > 3 * small.checkpoint > 0
    assert large.shared > 5 * small.shared > 0
    assert large.device == "auto", "what was asked for, whatever this machine has"


def test_a_run_that_chooses_by_itself_may_have_a_server_on_a_gpu() -> None:
    large = {"policy_kwargs": {"network": "resnet", "channels": 64, "blocks": 5}}
    many = {"game": "connect_four", "num_workers": 8, "num_envs_per_worker": 256}
    for settings, expected in (
        (large, True),
        ({**large, "inference": "workers"}, False),
        ({**large, "backend": "inline"}, False),
        ({}, False),
        ({"mode": "async"}, True),  # measured when it starts
    ):
        needs = needs_of(build_config(overrides={**many, **settings}))
        assert needs.may_be_served is expected, settings


def test_settings_that_fit_no_machine_are_refused_as_by_train() -> None:
    with pytest.raises(ConfigurationError, match="unknown opponent"):
        needs_of(build_config(overrides={"opponents": {"ludo:greedy": 1.0}}))
    with pytest.raises(ConfigurationError, match="inference=server with backend=ray"):
        needs_of(build_config(overrides={"inference": "server", "backend": "ray"}))


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    found = folder(tmp_path / "runs" / "more")
    assert (found.error, found.path) == ("", str(tmp_path / "runs" / "more"))
    assert 0 < found.free < math.inf
    assert list(tmp_path.iterdir()) == []


def test_a_port_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert unanswered(f"127.0.0.1:{port}") == ""
    assert unanswered(f"127.0.0.1:{port}") == "Connection refused"
    assert unanswered("127.0.0.1:many") == "many is not a port"
    assert unanswered("auto") == ""


@pytest.mark.full
def test_a_checkpoint_is_about_as_large_as_predicted(tmp_path: Path) -> None:
    """A replay that is full; the prediction may be too high by a third, never too low by more than
    a tenth.
    """
    rare = {"eval_interval": 10**9, "learning_steps_per_batch": 1}
    config = trial(tmp_path, name="run", backend="inline", buffer_size=2_000, **rare)
    result = train(config.model_copy(update={"n_episodes": 800}), console=False)
    [*_, newest] = sorted((result.run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    size = sum(path.stat().st_size for path in newest.iterdir())
    keep = ("buffer_size", "policy_kwargs", "prioritized_replay", "max_snapshots")
    settings = {name: getattr(config, name) for name in (*keep, "num_envs_per_worker")}
    decided = resolved_trial(**settings, num_workers=config.num_workers)
    predicted = _needs(decided, spec_of("tic_tac_toe"), device="cpu").checkpoint
    assert 0.9 * size < predicted < 1.4 * size
