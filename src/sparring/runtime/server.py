"""The main process's side of the inference server: its process, and the memory and the bells for
requests to it.

These outlive the process, and the workers': a successor of either finds them as they are. Main
keeps both ends of every bell, so that none ever breaks, and reads from the mailboxes only what
tells a server that hangs: requests that wait while no answer is counted.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from multiprocessing import Pipe, connection
from typing import Any, Final

from sparring.dqn.networks import count_noise
from sparring.errors import WorkerError
from sparring.rollout.rollout import RolloutSettings
from sparring.runtime.base import Notify
from sparring.runtime.handle import describe_status
from sparring.runtime.inference import InferenceSettings, ServerJob, server_main
from sparring.runtime.main_module import WORKER_NAME
from sparring.runtime.requests import MailboxLayout, WorkersEnd, all_mailboxes, make_bell
from sparring.runtime.shared_memory import SharedBlock
from sparring.runtime.watch import MAX_FAILURES, MAX_STEP, PAUSE_FACTOR

MAX_SERVED_WORKERS: Final = 200  # the fork server passes a new process 256 descriptors at most
# Seconds without an answer to a waiting request, after which a server is replaced: before the first
# one, which may have to import a network and prepare a GPU, and when the run is to stop.
_STUCK_AT_START: Final = 300.0
_STUCK: Final = 30.0
_STUCK_IN_A_HURRY: Final = 10.0

Launch = Callable[[Callable[..., None], tuple[Any, ...], str], Any]


def mailbox_layout(
    settings: RolloutSettings, *, num_workers: int, num_snapshots: int
) -> MailboxLayout:
    """Mailboxes for workers with these settings."""
    return MailboxLayout.of(
        settings.policy.network_game,
        num_workers=num_workers,
        num_envs=settings.num_envs,
        num_snapshots=num_snapshots,
        noise=count_noise(settings.policy),
    )


class InferenceServer:
    """The server over all its incarnations; `launch` starts a process."""

    def __init__(
        self,
        inference: InferenceSettings,
        settings: RolloutSettings,
        *,
        num_workers: int,
        weights: SharedBlock,
        size: int,
        num_snapshots: int,
        num_versions: int,
        launch: Launch,
        notify: Notify,
    ) -> None:
        layout = mailbox_layout(settings, num_workers=num_workers, num_snapshots=num_snapshots)
        self._launch, self._notify = launch, notify
        self._block = SharedBlock(layout.bytes_needed)
        self._boxes = all_mailboxes(layout, self._block.memory).values()
        self._bells = [make_bell() for _ in range(num_workers + 1)]  # the last is the server's
        listener, _ = self._bells[-1]
        self._job = ServerJob(
            inference,
            settings.policy,
            settings.bfloat16,
            weights,
            size,
            num_snapshots,
            num_versions,
            layout,
            self._block,
            listener,
            [ringer for _, ringer in self._bells[:-1]],
        )
        self._process: Any = None
        self._pipe: connection.Connection
        self._incarnation = -1
        self._failures = 0
        self._cause = ""
        self._answered = self._answered_at_start = 0
        self._silence = self._longest_pause = self._last_look = 0.0
        self._in_a_hurry = False

    def start(self) -> None:
        """Start the process, or its successor."""
        self._incarnation += 1
        self._silence, self._cause = 0.0, ""
        self._answered = self._answered_at_start = self._count()
        self._pipe, theirs = Pipe()
        name = f"{WORKER_NAME}inference.{self._incarnation}"
        try:
            self._process = self._launch(server_main, (theirs, self._job), name)
        finally:
            theirs.close()

    def end_of(self, worker: int) -> WorkersEnd:
        """Ends of the lines on which a worker sends requests."""
        job = self._job
        bell, (_, server) = self._bells[worker][0], self._bells[-1]
        return WorkersEnd(job.layout, self._block, worker, job.num_versions, server, bell)

    @property
    def sentinel(self) -> Any:
        """Ready when the process has ended."""
        return self._process.sentinel

    def _count(self) -> int:
        return sum(box.answered for box in self._boxes)

    def hurry(self) -> None:
        """Wait for a server that answers nothing for some seconds only."""
        self._in_a_hurry = True

    def watch(self) -> None:
        """Measure the silence since the last look; kill a server that hangs, which has it
        replaced.
        """
        now, answered = time.monotonic(), self._count()
        seconds, self._last_look = min(now - self._last_look, MAX_STEP), now
        if answered != self._answered or not any(box.waits for box in self._boxes):
            if self._answered != self._answered_at_start:
                self._longest_pause = max(self._longest_pause, self._silence)
            self._answered, self._silence = answered, 0.0
            return
        self._silence += seconds
        limit = _STUCK_IN_A_HURRY if self._in_a_hurry else _STUCK
        if answered == self._answered_at_start:
            limit = _STUCK_AT_START
        limit = max(limit, PAUSE_FACTOR * self._longest_pause)
        if self._silence > limit:
            self._cause = f"it answered nothing for {limit:.0f} s"
            self._process.kill()

    def replace(self) -> None:
        """Start a successor of the process, which has ended.

        Raises an error that the successor would meet again, and `WorkerError` for the third
        failure without an answer.
        """
        self._process.join()
        cause = reason = self._cause or describe_status(self._process.exitcode)
        with contextlib.suppress(EOFError, OSError):
            kind, value = self._pipe.recv()
            if kind == "error":
                raise value
            cause, reason = value
        self._pipe.close()
        self._failures = self._failures + 1 if self._count() == self._answered_at_start else 1
        if self._failures >= MAX_FAILURES:
            self._notify(f"the inference server failed: {reason}")
            times = f"failed {self._failures} times without an answer"
            remedy = 'use inference="workers"'
            raise WorkerError(f"the inference server {times}; the last time: {cause}; {remedy}")
        self._notify(f"the inference server failed and is replaced: {reason}")
        self.start()

    def close(self) -> None:
        """End the process, once the workers have ended, and give up pipes and descriptors."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        for bell in self._bells:
            for end in bell:
                end.close()
        self._block.close()
