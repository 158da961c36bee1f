"""The checks: pure functions of what a machine is and what a run needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from packaging.requirements import Requirement

from sparring.config.system import check_memory
from sparring.doctor.findings import Finding, checked, ok, problem, refusal, warning
from sparring.doctor.machine import Folder, Machine
from sparring.doctor.needs import Needs
from sparring.dqn.gpus import Gpus, device_error, why_none
from sparring.errors import counted
from sparring.runtime import FILES_A_SERVED_WORKER, cannot_start
from sparring.storage.run_directory import KEPT_CHECKPOINTS
from sparring.training.needs import check_disk

GIB: Final = 2**30
MIB: Final = 2**20
# measured: about 125 MiB beside what a worker shares, most of it torch and compiled code
BYTES_OF_PROCESS: Final = 130 * MIB
_TASKS_OF_WORKER: Final = 2  # the process, and the thread that watches the main process
_TASKS_BESIDE: Final = 16  # fork server, resource tracker, threads of libraries
_TEMPORARY: Final = 16 * MIB
_GPU_BESIDE: Final = 1 * GIB  # about: CUDA itself, recorded graphs, one minibatch

Check = Callable[[Machine, Needs], Iterator[Finding]]


def check_versions(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """Versions of Python and the libraries against the requirements of the package."""
    shown = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if version)
    wrong = 0
    for requirement in map(Requirement, machine.required):
        version = machine.versions.get(requirement.name)
        if version is not None and not requirement.specifier.contains(version, prereleases=True):
            wrong += 1
            got = version or "nothing"
            yield problem(
                "versions",
                f"{requirement.name}: got {got}, expected {requirement.specifier}",
                f"pip install '{requirement}'",
            )
    if not wrong:
        yield ok("versions", shown)


def check_cpus(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """The CPUs of this process, a quota, and how many processes and threads share them."""
    quota, text = machine.quota, f"{machine.cpus} usable"
    if quota < machine.cores:
        whole = math.floor(quota)
        text = f"a quota of {quota:g} of {machine.cores} CPUs: {machine.cpus} usable"
        if quota > whole:
            yield warning(
                "CPUs",
                f"the quota of {quota:g} CPUs is no whole number: at full load all processes "
                "stand still for a part of each 0.1 s",
                f"raise it to {whole + 1} (docker run --cpus {whole + 1})",
            )
    workers = needs.num_workers if needs.starts_processes else 0
    wanted = workers + (needs.learner_threads if needs.device == "cpu" else 1)
    if workers and wanted > machine.cpus:
        enough = max(1, machine.cpus - 1)
        fewer = f"num_workers={enough} plays about as fast here"
        yield warning(
            "CPUs",
            f"{text}, for {counted(needs.num_workers, 'worker')} and "
            f"{counted(needs.learner_threads, 'learner thread')}: they take turns",
            fewer if workers > enough else "with more CPUs they would work at once",
        )
    else:
        yield ok("CPUs", text)


def check_threads(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """Environment variables that set numbers of threads change nothing here."""
    given = ", ".join(f"{name}={value}" for name, value in machine.threads.items())
    rest = "one for each worker, and " + counted(needs.learner_threads, "learner thread")
    yield ok("threads", f"{rest}; {given} changes neither" if given else rest)


def check_files(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """The limit of open files."""
    if needs.starts_processes:
        served = needs.may_be_served and needs.device != "cpu" and machine.gpus.devices
        each = FILES_A_SERVED_WORKER if served else needs.files_a_worker
        files, asked = machine.files, (needs.num_workers, each)
        limit = "no limit" if math.isinf(files.hard) else f"a limit of {files.hard:,.0f}"
        who = counted(needs.num_workers, "worker")
        text = f"{limit}, {files.needed(*asked):,} needed for {who}"
        error = files.error(*asked)
        yield refusal("open files", error) if error else ok("open files", text)
    if machine.file_size < needs.checkpoint:
        yield problem(
            "open files",
            f"the limit of a file's size: got {machine.file_size / MIB:,.0f} MiB, expected "
            f"{needs.checkpoint / MIB:,.0f} MiB for a checkpoint",
            "ulimit -f unlimited",
        )


def check_processes(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """The limit of processes, and whether one can be started as workers are."""
    if not needs.starts_processes:
        return
    needed = _TASKS_OF_WORKER * needs.num_workers + needs.learner_threads + _TASKS_BESIDE
    if machine.start_error:
        yield refusal("processes", cannot_start(machine.start_error))
    elif machine.processes < needed:
        yield problem(
            "processes",
            f"the limit of processes and threads: got {machine.processes:,.0f} left, expected "
            f"{needed:,} for {counted(needs.num_workers, 'worker')}",
            "use fewer num_workers, or raise it: docker run --pids-limit, ulimit -u",
        )
    else:
        yield ok("processes", f"a worker starts; the run needs {needed:,} processes and threads")


def check_memory_left(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """Memory: what `sparring train` checks, and what worker processes take beside."""
    reserved = sum(size for size, _ in needs.memory.values())
    processes = BYTES_OF_PROCESS * (needs.num_workers if needs.starts_processes else 1)
    text = (
        f"{_gib(machine.memory)} available, the run reserves {_gib(reserved)}, and its processes "
        f"take about {_gib(processes)}"
    )
    found = checked("memory", text, lambda: check_memory(needs.memory, machine.memory))
    if found.level == "ok" and reserved + processes > machine.memory:
        found = warning("memory", text, "lower num_workers, or the kernel may kill one")
    yield found


def check_shared_memory(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """/dev/shm: nothing of ours lies there where the system has anonymous files. Ray's object store
    does.
    """
    shm, here = machine.shm, _free(machine.shm)
    if needs.ray_address is not None:
        needed = 2 * needs.shared + needs.weights
        if shm.error or shm.free < needed:
            yield warning(
                "/dev/shm",
                f"{here}, the object store of Ray wants {_mib(needed)}: without, it lies on the "
                "disk, which is slow",
                f"docker run --shm-size={max(1, math.ceil(needed / GIB))}g",
            )
            return
    elif needs.starts_processes and not machine.memfd and shm.free < needs.shared:
        yield problem(
            "/dev/shm",
            f"{here}, workers and learner share {_mib(needs.shared)} there",
            "docker run --shm-size, or fewer num_workers",
        )
        return
    unused = "" if needs.ray_address or not machine.memfd else "; the workers' memory is not there"
    yield ok("/dev/shm", f"{here}{unused}")


def check_folders(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """Disk space, and write access to the folders of runs, compiled code and temporary files."""
    runs = machine.runs
    if runs.error:
        yield problem(
            "disk", f"cannot write in {runs.path}: {runs.error}", "choose another runs_dir"
        )
    else:
        text = (
            f"{_gib(runs.free)} free in {runs.path}, for {KEPT_CHECKPOINTS + 1} checkpoints of up "
            f"to {_mib(needs.checkpoint)}"
        )
        yield checked("disk", text, lambda: check_disk(str(runs.path), needs.checkpoint, runs.free))
    if machine.temporary.error or machine.temporary.free < _TEMPORARY:
        yield problem(
            "disk", f"{machine.temporary.path}: {_free(machine.temporary)}", "set TMPDIR to another"
        )
    cache = machine.cache
    if cache.error:
        remedy = "set SPARRING_CACHE_DIR to a folder that can be written"
        yield warning("cache", f"{cache.error}: games are compiled anew each time", remedy)
    else:
        yield ok("cache", f"compiled games are kept in {cache.path}")


def check_gpu(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """The device of the learner: software, driver, memory."""
    gpus, device = machine.gpus, needs.device
    if device == "cpu":
        yield ok("GPU", "not used: device=cpu")
    elif device != "auto" and (error := device_error(device, gpus)):
        yield refusal("GPU", error)
    elif gpus.devices:
        yield _device(int(device.partition(":")[2] or 0), gpus, needs)
    else:
        cause, remedy = why_none(gpus)
        if gpus.driver or gpus.nodes:
            yield warning("GPU", f"none is used: {cause}", remedy)
        else:
            yield ok("GPU", f"none, the learner uses the CPU: {cause}")


def _device(index: int, gpus: Gpus, needs: Needs) -> Finding:
    gpu, needed = gpus.devices[index], needs.replay + 5 * needs.weights + _GPU_BESIDE
    text = f"cuda:{index}, {gpu.name}, driver {gpus.driver}, CUDA {gpus.cuda}"
    if gpus.architectures and not _runs(gpu.architecture, gpus.architectures):
        return problem(
            "GPU",
            f"{text}: this torch has no code for {gpu.architecture}, only for "
            f"{', '.join(gpus.architectures)}",
            "install a torch for it, or use device=cpu",
        )
    if gpu.free < needed:
        return problem(
            "GPU",
            f"{text}: got {_gib(gpu.free)} of {_gib(gpu.total)} free, expected {_gib(needed)} "
            f"({_gib(needs.replay)} of replay)",
            "lower buffer_size, or see with nvidia-smi who uses it",
        )
    return ok("GPU", f"{text}: {_gib(gpu.free)} free, the run needs {_gib(needed)}")


def _runs(architecture: str, compiled: tuple[str, ...]) -> bool:
    """Code runs on GPUs of the same major version and a minor version that is not lower; code of a
    virtual architecture (compute_90) on all later ones.
    """
    major, minor = int(architecture[3:-1]), int(architecture[-1])
    for name in compiled:
        kind, _, number = name.partition("_")
        digits = "".join(filter(str.isdigit, number))
        own = int(digits[:-1]), int(digits[-1])
        if own <= (major, minor) and (kind == "compute" or own[0] == major):
            return True
    return False


def check_clock(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """A clock that stands before the date of the package's own files is wrong."""
    if machine.now < machine.installed_at:
        hours = (machine.installed_at - machine.now) / 3600
        text = f"it stands {hours:,.1f} hours before the date of Sparring's own files"
        yield warning("clock", text, "set it: certificates, tokens and make depend on it")


def check_ray(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """Ray: installed, the address answers, and the cluster asks for a token."""
    address, ray = needs.ray_address, machine.ray
    if address is None:
        return
    if not ray.installed:
        yield problem("Ray", "ray is not installed", "pip install 'sparring[ray]'")
    elif ray.answer:
        yield problem(
            "Ray",
            f"nothing answers at {address}: {ray.answer}",
            "on the head node: ray start --head --port 6379; open the port in firewalls",
        )
    elif address not in ("auto", "local") and not ray.token:
        yield warning(
            "Ray",
            f"{address} answers, and the environment has no token: everybody who reaches that port "
            "can run programs there",
            "ray get-auth-token --generate, then RAY_AUTH_MODE=token on all nodes",
        )
    else:
        yield ok("Ray", f"ray {ray.installed}, address {address}")


CHECKS: Final[tuple[Check, ...]] = (
    check_versions,
    check_cpus,
    check_threads,
    check_files,
    check_processes,
    check_memory_left,
    check_shared_memory,
    check_folders,
    check_gpu,
    check_clock,
    check_ray,
)


def _gib(size: float) -> str:
    return "unlimited" if math.isinf(size) else f"{size / GIB:,.1f} GiB"


def _mib(size: float) -> str:
    return f"{size / MIB:,.0f} MiB"


def _free(folder: Folder) -> str:
    return folder.error or f"{_mib(folder.free)} free"
