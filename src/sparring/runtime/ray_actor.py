"""A worker as a Ray actor: the same body as a worker process has, with calls in place of messages.

    play, get_state, take_state     in order, in a thread of their own; each answers with the key
                                    of the call and a message as in `worker.py`: ("report", (report,
                                    rows)), ("state", tree), ("restored", None), ("error",
                                    exception) or ("failed", (cause, traceback))
    pulse                           beside them: takes the rounds to be ended early, answers with
                                    the number of ticks so far and the node

Arrays arrive read-only, because all actors of a node see the same memory: weights are copied into
slots of the actor's own, states are copied whole.
"""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.games import GameSpec
from sparring.replay.transitions import join_rows, transition_dtype
from sparring.rollout.rollout import RolloutSettings
from sparring.rollout.round import RoundCommand
from sparring.runtime.ray_cluster import load_ray
from sparring.runtime.weights import WeightStore
from sparring.runtime.worker import Body, last_words, make_body, restore, take_long_slices

Key = tuple[int, int, int]
"""Worker, incarnation, and number of the call."""
Answer = tuple[Key, tuple[str, Any]]


@dataclass(frozen=True)
class ActorJob:
    """Arguments that all actors of a run share; travel pickled, once for each node."""

    settings: RolloutSettings
    spec: GameSpec  # as the main process has it
    size: int
    num_snapshots: int
    body: Callable[..., Body]  # by its name in a module


class WorkerActor:
    """One incarnation of a worker. Nothing is made before the first call, so that an error of the
    game is an answer, not the end of the actor. `path` is where the main process looks for modules,
    `job` a pickled `ActorJob`.
    """

    def __init__(
        self, path: Sequence[str], job: NDArray[np.uint8], worker: int, incarnation: int
    ) -> None:
        self._path = path
        self._job = job
        self._place = worker, incarnation
        self._body: Body | None = None
        self._ticks = 0
        self._ended = 0  # rounds before this one are to end early

    def pulse(self, ended: int) -> tuple[int, str]:
        """Let rounds before `ended` end at their next tick; return the number of ticks so far and
        the node's name.
        """
        self._ended = max(self._ended, ended)
        return self._ticks, load_ray().get_runtime_context().get_node_id()

    def play(
        self,
        key: Key,
        command: RoundCommand,
        vector: NDArray[np.float32],
        slots: Sequence[int],
        *snapshots: NDArray[np.float32],
    ) -> Answer:
        """Play a part of a round with `vector` as its weights; `snapshots` are new in `slots`."""

        def part(body: Body) -> tuple[str, Any]:
            self._store.publish(command.weights_version, vector)
            self._keep(slots, snapshots)
            blocks = [np.empty(0, self._dtype)]
            report = body.play_round(
                command,
                lambda rows: blocks.append(join_rows([rows])),
                partial(self._tick, command.round),
            )
            return "report", (report, join_rows(blocks))

        return self._answer(key, part)

    def get_state(self, key: Key) -> Answer:
        """The state of the body."""
        return self._answer(key, lambda body: ("state", body.get_state()))

    def take_state(
        self, key: Key, state: Any, slots: Sequence[int], *snapshots: NDArray[np.float32]
    ) -> Answer:
        """Continue from a state, or from another actor's answer to `get_state`."""

        def taken(body: Body) -> tuple[str, Any]:
            tree = state
            if isinstance(state, tuple):
                _, (kind, tree) = state
                if kind != "state":  # the other one has failed
                    return kind, tree
            self._keep(slots, snapshots)
            restore(body, copy.deepcopy(tree))
            return "restored", None

        return self._answer(key, taken)

    def _answer(self, key: Key, call: Callable[[Body], tuple[str, Any]]) -> Answer:
        try:
            if self._body is None:
                self._body = self._begin()
            return key, call(self._body)
        except BaseException as error:
            return key, last_words(error)

    def _begin(self) -> Body:
        take_long_slices()
        torch.set_num_threads(1)
        sys.path += [place for place in self._path if place not in sys.path]
        job: ActorJob = pickle.loads(self._job.tobytes())
        self._store = WeightStore.private(job.size, job.num_snapshots, num_versions=1)
        self._dtype = transition_dtype(job.settings.policy.network_game)
        worker, incarnation = self._place
        return make_body(
            job.body,
            job.settings,
            job.spec,
            self._store,
            worker=worker,
            incarnation=incarnation,
        )

    def _keep(self, slots: Sequence[int], snapshots: Sequence[NDArray[np.float32]]) -> None:
        for slot, snapshot in zip(slots, snapshots, strict=True):
            self._store.snapshots[slot] = snapshot

    def _tick(self, round: int) -> bool:
        self._ticks += 1
        return round < self._ended
