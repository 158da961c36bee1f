"""Ways to run a worker's body: inside the main process, or as processes of this machine."""

from sparring.runtime.base import Batch, Workers
from sparring.runtime.inline import InlineWorkers, torch_threads
from sparring.runtime.processes import ProcessWorkers, default_start_method, shared_bytes

__all__ = ["Batch", "InlineWorkers", "ProcessWorkers", "Workers", "default_start_method", "shared_bytes", "torch_threads"]
