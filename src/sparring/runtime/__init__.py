"""Ways to run a worker's body: inside the main process, as processes of this machine, or on a
Ray cluster.
"""

from sparring.runtime.base import Batch, Workers
from sparring.runtime.inference import InferenceSettings
from sparring.runtime.inline import InlineWorkers, torch_threads
from sparring.runtime.limits import (
    FILES_A_SERVED_WORKER,
    FILES_A_WORKER,
    FileLimits,
    allow_open_files,
    cannot_start,
    file_limits,
    process_start_error,
)
from sparring.runtime.main_module import (
    check_guard,
    check_importable,
    check_main_module,
    name_for_others,
)
from sparring.runtime.processes import ProcessWorkers, default_start_method, shared_bytes
from sparring.runtime.rank_group import RankGroup, torchrun_rank, torchrun_size
from sparring.runtime.rank_processes import local_ranks, serve_torchrun, torchrun_ranks
from sparring.runtime.ray_cluster import load_ray
from sparring.runtime.ray_workers import RayWorkers
from sparring.runtime.server import MAX_SERVED_WORKERS

__all__ = [
    "FILES_A_SERVED_WORKER",
    "FILES_A_WORKER",
    "MAX_SERVED_WORKERS",
    "Batch",
    "FileLimits",
    "InferenceSettings",
    "InlineWorkers",
    "ProcessWorkers",
    "RankGroup",
    "RayWorkers",
    "Workers",
    "allow_open_files",
    "cannot_start",
    "check_guard",
    "check_importable",
    "check_main_module",
    "default_start_method",
    "file_limits",
    "load_ray",
    "local_ranks",
    "name_for_others",
    "process_start_error",
    "serve_torchrun",
    "shared_bytes",
    "torch_threads",
    "torchrun_rank",
    "torchrun_ranks",
    "torchrun_size",
]
