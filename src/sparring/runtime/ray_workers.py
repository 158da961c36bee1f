"""Workers as actors of a Ray cluster; the learner stays where the command runs.

    main process                                                      actor, on any node
    ------------                                                      ------------------
    publish()     --ray.put, one object a version, one fetch a node-> slots of its own
    start()       ---------->  play(command): at most two in flight -> Rollout
    finish_*()    <----------  answers, in order of the calls       <- rows, report, error
    end_early()   ---------->  pulse(rounds to end)                 -> read at each tick
    Watch.look()  <----------  pulse: ticks so far                  <-

A worker is a number with random streams of its own for each incarnation; an actor is the process in
which it plays at the moment. Ray neither restarts an actor nor repeats a call: a round would be
played twice, or go on from an old state. Instead:

    an actor dies, its node leaves, its answer is lost, or it makes no ply for a stated time
        -> it is killed; a successor, with a new incarnation, is given the unfinished orders again.
           Answers of the old one are never looked at, so that each transition is received once.
    no CPU is free for an actor
        -> its worker shares a CPU: an actor that takes none is started on the node with the fewest
           of these. The first one goes on asking; once it has a CPU (a node has joined), the worker
           moves there with its state.

So the set of workers, with it the order of rows and the agent, depends on no node, as long as no
worker fails. Actors in one thread play and in another answer pulses, because Ray never notices an
actor that is stopped.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from sparring.errors import counted
from sparring.opponents.players import Opponent
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand
from sparring.runtime.base import Notify
from sparring.runtime.ray_actor import ActorJob, WorkerActor
from sparring.runtime.ray_cluster import RayCluster
from sparring.runtime.ray_handle import MOVE, Actor, RayHandle, Snapshot
from sparring.runtime.remote import RemoteWorkers
from sparring.runtime.weights import WeightStore
from sparring.runtime.worker import Body

PULSE_INTERVAL: Final = 2.0  # seconds between two signs of life
PLACE_INTERVAL: Final = 1.0  # seconds between two looks at the CPUs of the cluster
# seconds that an actor waits for a CPU that other programs of the cluster may use
PLACE_WAIT: Final = 60.0
_READ_WITHIN: Final = 10.0  # seconds for an answer that is there already


_CAUSES: Final = {
    "ActorDiedError": "its process ended",
    "ActorUnavailableError": "its process cannot be reached",
    "ActorUnschedulableError": "its node has left",
    "ObjectLostError": "its answer was lost with its node",
}


class RayWorkers(RemoteWorkers[RayHandle]):
    """Owns the connection and the actors: from `__enter__` to `__exit__`."""

    poll_interval = 0.02

    def __init__(
        self,
        settings: RolloutSettings,
        *,
        num_workers: int,
        size: int,
        num_snapshots: int,
        num_versions: int,
        address: str,
        insecure: bool,
        notify: Notify,
        body: Callable[..., Body] = Rollout,
    ) -> None:
        super().__init__([RayHandle(worker) for worker in range(num_workers)], notify)
        self.weights = WeightStore.private(size, num_snapshots, num_versions)
        self._job = ActorJob(settings, settings.policy.game_spec, size, num_snapshots, body)
        self._cluster = RayCluster(address, insecure=insecure)
        self._versions: dict[int, Any] = {}  # references to published weights
        self._snapshots: dict[int, Snapshot] = {}  # by slot
        self._last_pulse = self._last_place = 0.0
        self._told_of_no_cpu = False

    @staticmethod
    def memory_here(size: int, num_snapshots: int, num_versions: int) -> int:
        """Bytes of the weights that the main process keeps; rows take none of its own."""
        return WeightStore.bytes_needed(size, num_snapshots, num_versions)

    def __enter__(self) -> Self:
        self._cluster.open()
        try:
            self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _begin(self) -> None:
        ray = self._cluster.ray
        self._actor_class = ray.remote(concurrency_groups={"pulse": 1})(WorkerActor)
        self._job_ref = ray.put(np.frombuffer(pickle.dumps(self._job), np.uint8))
        cpus, workers = self._cluster.cpus(), len(self._handles)
        self._notify(
            f"Ray cluster at {self._cluster.address}: {counted(cpus, 'CPU')} for "
            f"{counted(workers, 'worker')}"
            + (", which share what there is until nodes join" if cpus < workers else "")
        )
        for handle in self._handles:
            handle.begin(self._ask(handle, handle.incarnation + 1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            self._kill(handle.actors)
        self._cluster.close()

    def start(self, worker: int, command: RoundCommand) -> None:
        snapshots = self._in_store(command.plan.opponents)
        self._handles[worker].give(command, self._vector(command.weights_version), snapshots)

    def _vector(self, version: int) -> Any:
        """Reference to published weights, which are put into the store once."""
        if version not in self._versions:
            put = self._cluster.ray.put
            self._versions[version] = put(self.weights.published(version).copy())
            for old in [v for v in self._versions if v <= version - self.weights.num_versions]:
                del self._versions[old]
        return self._versions[version]

    def _in_store(self, opponents: Iterable[Opponent]) -> list[Snapshot]:
        """The snapshots among these players, each put into the store once."""
        found = []
        for opponent in opponents:
            if opponent.slot is None:
                continue
            known = self._snapshots.get(opponent.slot)
            if known is None or known.id != opponent.id:
                ref = self._cluster.ray.put(self.weights.snapshot(opponent.slot).copy())
                known = Snapshot(opponent.slot, opponent.id, ref)
                self._snapshots[opponent.slot] = known
            found.append(known)
        return found

    def get_state(self) -> dict[str, Any]:
        self._wait_until_idle()  # workers may be on the move
        return super().get_state()

    def _give_state(self, handle: RayHandle, body: dict[str, Any]) -> None:
        playing = [Opponent(**known) for known in body["opponents"]]
        handle.give(("set_state", body), None, self._in_store(playing))

    def _serve(self, timeout: float) -> None:
        """Handle all answers that have arrived; replace, place and move workers."""
        ready = self._ready(timeout)
        for handle in self._handles:
            for actor in handle.actors:
                if actor.pulse in ready:
                    self._receive_pulse(handle, actor)
            if handle.calls and handle.calls[0].ref in ready:
                self._receive(handle)
        now = time.monotonic()
        if now - self._last_pulse >= PULSE_INTERVAL:
            self._last_pulse = now
            for handle in self._handles:
                for actor in handle.actors:
                    if actor.pulse is None:
                        actor.beat(handle.ended)
        if now - self._last_place >= PLACE_INTERVAL:
            self._last_place = now
            self._share_cpus(now)
        running = [handle for handle in self._handles if not handle.waits_for_cpu]
        self._watch.look(running, self._hangs)

    def _ready(self, timeout: float) -> set[Any]:
        """Those of the next answers that have arrived; wait for one of them."""
        refs = [handle.calls[0].ref for handle in self._handles if handle.calls]
        pulses = (actor.pulse for handle in self._handles for actor in handle.actors)
        refs += [pulse for pulse in pulses if pulse is not None]
        if not refs:
            time.sleep(timeout)
            return set()
        wait = self._cluster.ray.wait
        if timeout:
            wait(refs, num_returns=1, timeout=timeout)
        ready, _ = wait(refs, num_returns=len(refs), timeout=0.0)
        return set(ready)

    def _receive_pulse(self, handle: RayHandle, actor: Actor) -> None:
        if actor not in handle.actors:
            return  # it was replaced a moment ago
        errors = self._cluster.ray.exceptions
        try:
            ticks, node = self._cluster.ray.get(actor.pulse, timeout=_READ_WITHIN)
        except errors.GetTimeoutError:
            return
        except errors.RayError as error:
            actor.pulse = None
            if actor is handle.asked:
                self._kill([actor])
                handle.asked = self._ask(handle, handle.incarnation)
            elif not handle.calls:  # else the answer to a call says so too, or is still there
                self._replace(handle, _cause(error))
            return
        handle.answered(actor, ticks, node)
        if actor is handle.asked:
            handle.move(self._snapshots)

    def _receive(self, handle: RayHandle) -> None:
        call = handle.calls[0]
        errors = self._cluster.ray.exceptions
        try:
            key, (kind, value) = self._cluster.ray.get(call.ref, timeout=_READ_WITHIN)
        except errors.GetTimeoutError:
            return
        except errors.RayError as error:
            self._replace(handle, _cause(error))
            return
        assert key[:2] == call.key[:2]
        if not handle.handle(kind, value):
            self._replace(handle, "")
        elif handle.left is not None and not any(o.what == MOVE for o in handle.unfinished):
            self._kill([handle.left])
            handle.left = None

    def _hangs(self, handle: RayHandle) -> None:
        self._replace(handle, handle.cause)

    def _replace(self, handle: RayHandle, cause: str) -> None:
        handle.count_failures(self._cluster.nodes())
        handle.failed(cause, self._notify)
        self.replaced += 1
        self._begin_anew(handle)

    def _begin_anew(self, handle: RayHandle) -> None:
        self._kill(handle.actors)
        handle.asked = handle.left = None
        handle.begin(self._ask(handle, handle.incarnation + 1))

    def _kill(self, actors: Iterable[Actor]) -> None:
        for actor in actors:
            self._cluster.ray.kill(actor.ray, no_restart=True)

    def _ask(self, handle: RayHandle, incarnation: int) -> Actor:
        """An actor that gets a CPU of its own, when there is one."""
        handle.since = time.monotonic()
        return self._make(handle, incarnation, num_cpus=1, scheduling_strategy="SPREAD")

    def _make(self, handle: RayHandle, incarnation: int, shares: str = "", **options: Any) -> Actor:
        options |= {"max_restarts": 0, "max_task_retries": 0}
        make = self._actor_class.options(**options).remote
        actor = Actor(make(list(sys.path), self._job_ref, handle.worker, incarnation), shares)
        actor.beat(handle.ended)
        return actor

    def _share_cpus(self, now: float) -> None:
        """Let workers for whose actors there is no CPU share those of others."""
        waiting = [handle for handle in self._handles if handle.waits_for_cpu]
        if not waiting:
            return
        cpus = self._cluster.cpus()
        own = sum(not a.shares and a.node != "" for h in self._handles for a in h.actors)
        late = [h for h in waiting if own >= cpus or now - h.since > PLACE_WAIT]
        if not late:
            return
        nodes = self._cluster.nodes()
        if not nodes:
            if not self._told_of_no_cpu:
                self._notify("no node of the Ray cluster has a CPU: waiting for one to join")
            self._told_of_no_cpu = True
            return
        self._told_of_no_cpu = False
        for handle in late:
            self._share(handle, nodes)
        who = f"worker{'' if len(late) == 1 else 's'} {', '.join(str(h.worker) for h in late)}"
        self._notify(f"no CPU is free for {who}: sharing those of others until one is")

    def _share(self, handle: RayHandle, nodes: Mapping[str, float]) -> None:
        """Start a worker on the node with the fewest of these a CPU; its actor goes on asking."""
        shared = Counter(a.shares for h in self._handles for a in h.actors if a.shares)
        node = min(nodes, key=lambda name: (shared[name] / nodes[name], name))
        there = self._cluster.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            node, soft=False
        )
        # The one that asks has been given orders, which it must not play later.
        self._kill(handle.actors)
        handle.begin_again(
            self._make(handle, handle.incarnation, node, num_cpus=0, scheduling_strategy=there)
        )
        handle.asked = self._ask(handle, handle.incarnation)


def _cause(error: Exception) -> str:
    """One line on an error of Ray, which may hold the traceback of another one."""
    lines = [line.strip() for line in str(error).splitlines()]
    named = [line for line in lines if line.partition(": ")[0].endswith("Error")]
    known = _CAUSES.get(type(error).__name__, type(error).__name__)
    return f"{known}: {named[0]:.200}" if named else known
