"""The main process's side of one Ray worker: actors, calls in flight, and what they need."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from sparring.replay.transitions import join_rows
from sparring.rollout.round import RoundCommand, RoundReport
from sparring.runtime.ray_actor import Key
from sparring.runtime.watch import MAX_FAILURES, WorkerRecord, raise_again

_MAX_LOSSES: Final = 10  # actors of a worker in a row, without a finished round in between
MOVE: Final = "move"  # to the actor that has a CPU of its own now


@dataclass(frozen=True)
class Snapshot:
    """Weights of a snapshot in the object store, and the slot that they are for."""

    slot: int
    id: int
    ref: Any


@dataclass(frozen=True)
class Order:
    """Something for a worker to do, with all that a new actor needs for it."""

    number: int
    what: RoundCommand | str | tuple[str, Any]
    vector: Any = None  # reference to the weights of a part
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(frozen=True)
class Call:
    """A call in flight, whose answer will be in `ref`."""

    key: Key
    ref: Any


@dataclass(eq=False)
class Actor:
    """An actor and the snapshots that it was sent, by slot."""

    ray: Any
    shares: str = ""  # the node on which it takes no CPU of its own
    pulse: Any = None  # reference to the answer that is waited for
    node: str = ""  # on which it runs, once it has answered
    snapshots: dict[int, Snapshot] | None = None

    def new_ones(self, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
        """Those that it was not sent yet; from now on it was."""
        known = self.snapshots = self.snapshots or {}
        new = [s for s in snapshots if s.slot not in known or known[s.slot].id != s.id]
        known.update({snapshot.slot: snapshot for snapshot in new})
        return new

    def beat(self, ended: int) -> None:
        """Ask for a sign of life, and let rounds before `ended` end early."""
        self.pulse = self.ray.pulse.options(concurrency_group="pulse").remote(ended)


@dataclass(frozen=True)
class FinishedPart:
    """One worker's finished part of a round, with rows of its own."""

    report: RoundReport
    rows: NDArray[Any]

    def blocks(self) -> list[NDArray[Any]]:
        return [self.rows] if len(self.rows) else []

    def release(self) -> None:
        pass


class RayHandle(WorkerRecord):
    """One worker over all its incarnations.

    `actor` does what it is told now. `asked` has asked for a CPU, and has not got one yet; `left`
    is the actor from which the worker is moving away.
    """

    def __init__(self, worker: int) -> None:
        super().__init__(worker)
        self.unfinished: deque[Order] = deque()
        self.calls: deque[Call] = deque()  # for the first of the unfinished orders, in order
        self.actor: Actor | None = None
        self.asked: Actor | None = None
        self.left: Actor | None = None
        self.failed_on: list[str] = []  # nodes of failures in a row; "": it was not running yet
        self.since = 0.0  # when a CPU was asked for
        self._ticks = 0
        self._orders = 0

    @property
    def ticks(self) -> int:
        return self._ticks

    @property
    def actors(self) -> list[Actor]:
        """All that there are."""
        return [actor for actor in (self.actor, self.asked, self.left) if actor is not None]

    @property
    def working(self) -> Actor | None:
        """The actor that works on the first of the calls."""
        return self.left or self.actor

    @property
    def waits_for_cpu(self) -> bool:
        """Return whether its actor is not running yet, and may be waiting for a CPU."""
        return self.actor is not None and not self.actor.shares and not self.actor.node

    def begin(self, actor: Actor) -> None:
        """A new incarnation, which is repeated the unfinished orders."""
        self.begin_incarnation()
        self._begin(actor)

    def begin_again(self, actor: Actor) -> None:
        """The same incarnation, on another actor: the one before has not been placed."""
        self._begin(actor)

    def _begin(self, actor: Actor) -> None:
        self.actor, self.left = actor, None
        self._ticks = 0
        self.calls.clear()  # answers of the predecessor are never looked at
        self.unfinished = deque(order for order in self.unfinished if order.what != MOVE)
        for order in self.unfinished:
            self._call(order)

    def give(self, what: Any, vector: Any = None, snapshots: Sequence[Snapshot] = ()) -> None:
        """Give the worker something to do after all that it was given before."""
        self.unfinished.append(Order(self._orders, what, vector, tuple(snapshots)))
        self._orders += 1
        self._call(self.unfinished[-1])

    def move(self, snapshots: Mapping[int, Snapshot]) -> None:
        """Go on in the actor that has got a CPU, from the state after what is in flight."""
        assert self.actor is not None
        assert self.asked is not None
        self.actor, self.asked, self.left = self.asked, None, self.actor
        kept = (self.left.snapshots or {}).values()
        in_place = [s for s in kept if s.slot in snapshots and snapshots[s.slot].id == s.id]
        state = self.left.ray.get_state.remote(self._key(self._orders))
        self.give(MOVE, state, in_place)

    def _call(self, order: Order) -> None:
        assert self.actor is not None
        ray, key = self.actor.ray, self._key(order.number)
        new = self.actor.new_ones(order.snapshots)
        slots, refs = [snapshot.slot for snapshot in new], [snapshot.ref for snapshot in new]
        if isinstance(order.what, RoundCommand):
            ref = ray.play.remote(key, order.what, order.vector, slots, *refs)
        elif order.what == "get_state":
            ref = ray.get_state.remote(key)
        else:
            state = order.vector if order.what == MOVE else order.what[1]
            ref = ray.take_state.remote(key, state, slots, *refs)
        self.calls.append(Call(key, ref))

    def _key(self, number: int) -> Key:
        return self.worker, self.incarnation, number

    def handle(self, kind: str, value: Any) -> bool:
        """Handle the answer to the first call; return false where the worker has failed. Raises an
        error that a successor would meet again.
        """
        self.silence = 0.0
        if kind == "error":
            raise_again(value)
        if kind == "failed":
            self.cause, self.traceback = value
            return False
        self.calls.popleft()
        self.unfinished.popleft()
        if kind == "report":
            report, rows = value
            # a copy, so that the store of objects has room again
            self.finished.append(FinishedPart(report, join_rows([rows])))
            self.failed_on.clear()
        elif kind == "state":
            self.state = value
        return True

    def answered(self, actor: Actor, ticks: int, node: str) -> None:
        """Note a sign of life."""
        actor.pulse, actor.node = None, node
        if actor is self.working:
            self._ticks = ticks

    def count_failures(self, nodes: Collection[str]) -> None:
        """Count the failures in a row so far, where these are the nodes that are there.

        What ended with its node, or before it ran, is not the worker's fault; but many of these
        are.
        """
        own = sum(node in nodes for node in self.failed_on)
        self.failures = max(own, len(self.failed_on) + MAX_FAILURES - _MAX_LOSSES)
        self.failed_on.append(self.working.node if self.working else "")

    def end_early(self, round: int) -> None:
        """Let parts of rounds up to `round` end at the next tick, those of a successor too."""
        if round < self.ended:
            return
        self.ended = round + 1
        for actor in self.actors:
            actor.beat(self.ended)
