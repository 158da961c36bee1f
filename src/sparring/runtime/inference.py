"""The inference server: a process that has the networks of the agent and of all snapshots, on a GPU
or the CPU, and answers the workers' requests (`requests.py`).

A server has no state of its own: weights are in the weight store, requests in the mailboxes. So
whenever it dies or hangs, another one takes its place, and the workers go on with the requests that
they wait for.

Batches: on its own, a request is answered as soon as it has arrived, with one pass for each network
that it names. Then an answer does not depend on when the others ask, and neither does a run. With
`joined`, requests that have arrived, or do so within a fraction of a millisecond, share their
passes. That is faster on a GPU and with few envs a worker; but a row of a matrix product may be
rounded differently in another company, and no two runs need be alike.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any, Final, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.dqn.heads import fill_noise
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError, InputError
from sparring.runtime.requests import (
    AGAIN,
    Listener,
    MailboxLayout,
    Ringer,
    all_mailboxes,
    named,
)
from sparring.runtime.shared_memory import SharedBlock
from sparring.runtime.weights import WeightStore
from sparring.runtime.worker import PermanentError, begin_process, end_with_message

FILL: Final = 0.0003  # seconds that a joined batch is waited for at most
_NAP: Final = 0.00005  # between two looks at what has arrived meanwhile


@dataclass(frozen=True)
class InferenceSettings:
    """The server of a run; `joined` as above."""

    device: str
    joined: bool


@dataclass(frozen=True)
class ServerJob:
    """Arguments of the process."""

    settings: InferenceSettings
    policy: PolicySpec
    bfloat16: bool
    weights: SharedBlock
    size: int
    num_snapshots: int
    num_versions: int
    layout: MailboxLayout
    block: SharedBlock
    bell: Listener
    workers: Sequence[Ringer]


class Models:
    """Networks by their places in the weight store, loaded when they are first asked."""

    def __init__(
        self, store: WeightStore, make: Callable[[], InferencePolicy], num_versions: int
    ) -> None:
        self._store, self._make, self._num_versions = store, make, num_versions
        self._policies: dict[int, InferencePolicy] = {}
        self._tags: dict[int, int] = {}

    def at(self, place: int, tag: int) -> InferencePolicy:
        """The network of a version, or of a snapshot by its player's id."""
        if place not in self._policies:
            self._policies[place] = self._make()
        policy = self._policies[place]
        if self._tags.get(place) != tag:
            of_agent = place < self._num_versions
            policy.load_vector(
                self._store.published(tag)
                if of_agent
                else self._store.snapshot(place - self._num_versions)
            )
            self._tags[place] = tag
        return policy


def _as_on_a_cpu(*, deterministic: bool) -> None:
    """Let a GPU compute in full float32; and the same each time, if need be."""
    torch.backends.cudnn.allow_tf32 = False
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


@dataclass
class _Batch:
    """Positions for one pass of a network."""

    observations: list[NDArray[Any]] = field(default_factory=list)
    values: list[NDArray[np.float32]] = field(default_factory=list)

    def fill(self, policy: InferencePolicy) -> None:
        """Fill `values`."""
        several = len(self.observations) > 1
        outputs = policy.q_values(
            np.concatenate(self.observations) if several else self.observations[0]
        )
        begin = 0
        for values in self.values:
            values[:] = outputs[begin : begin + len(values)]
            begin += len(values)


class Server:
    """Answers requests, without the process around it."""

    def __init__(self, job: ServerJob) -> None:
        self._job, self._joined = job, job.settings.joined
        device = torch.device(job.settings.device)
        if device.type == "cuda":
            _as_on_a_cpu(deterministic=not self._joined)
        store = WeightStore(job.weights.memory, job.size, job.num_snapshots, job.num_versions)
        self._models = Models(
            store,
            lambda: InferencePolicy(job.policy, bfloat16=job.bfloat16, device=device),
            job.num_versions,
        )
        self._boxes = all_mailboxes(job.layout, job.block.memory)

    def begin(self) -> None:
        """Have the workers repeat what a predecessor has not answered."""
        for ringer in self._job.workers:
            ringer.ring(bytes([AGAIN]))

    def serve(self, seconds: float | None = None) -> int:
        """Wait for requests, at most so many seconds, and answer them; return their number."""
        asked = named(self._job.bell.wait(seconds))
        if self._joined:
            self._wait_for_others(asked)
        waiting = [key for key in sorted(asked) if self._boxes[key].waits]
        for keys in [waiting] if self._joined else [[key] for key in waiting]:
            self._answer(keys)
        return len(waiting)

    def _wait_for_others(self, asked: set[tuple[int, int]]) -> None:
        """Add what arrives soon, until each worker may be waiting for one of its groups."""
        deadline = time.perf_counter() + FILL
        while len(asked) < self._job.layout.num_workers and time.perf_counter() < deadline:
            time.sleep(_NAP)
            asked |= named(self._job.bell.take())

    def _answer(self, keys: Sequence[tuple[int, int]]) -> None:
        """Answer the requests in these mailboxes together."""
        noisy = self._job.layout.noise > 0
        batches: dict[tuple[int, int, Any], _Batch] = {}
        for key in keys:
            for place, tag, observation, values in self._boxes[key].segments():
                # the noise of each worker's agent is another one
                apart = key if noisy and place < self._job.num_versions else None
                batch = batches.setdefault((place, tag, apart), _Batch())
                batch.observations.append(observation)
                batch.values.append(values)
        for (place, tag, apart), batch in batches.items():
            policy = self._models.at(place, tag)
            if apart is not None:
                fill_noise(policy.network, torch.from_numpy(self._boxes[apart].noise))
            batch.fill(policy)
        for worker, group in keys:
            self._boxes[worker, group].answer()
            self._job.workers[worker].ring(bytes([group]))


def server_main(pipe: connection.Connection, job: ServerJob) -> None:
    """The body of the process. Its last message is one of those of a worker (`worker.py`)."""
    begin_process()
    try:
        _serve(job)
    except BaseException as error:
        end_with_message(pipe, error)


def _serve(job: ServerJob) -> NoReturn:
    try:
        server = Server(job)
        server.begin()
        while True:
            server.serve()
    except (ImportError, InputError) as error:
        what = (
            f"the inference server cannot make the network: {error}; define it in a file that a "
            'new process can import, or use inference="workers"'
        )
        raise PermanentError(ConfigurationError(what)) from error
