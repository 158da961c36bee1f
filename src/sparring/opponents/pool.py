"""The pool: scripted players and snapshots of the agent, who meets whom, and how it went.

The main process owns the pool. Snapshots live in numbered slots of shared memory, which workers read; a slot is written again only when
its snapshot has left the pool, every worker has finished every round whose plan named it, and no match in progress has it as a player.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import FlatWeights, Weights
from sparring.errors import ConfigurationError, nearest
from sparring.games.random import stream_key
from sparring.opponents.plan import AGENT, AGENT_NAME, Opponent, Plan
from sparring.opponents.records import Record, pairwise_records
from sparring.opponents.scripted import SCRIPTED, scripted_names

SNAPSHOTS = "snapshots"
_FIRST_SNAPSHOT_ID = 1_000


@dataclass
class _Snapshot:
    number: int
    slot: int
    last_planned: int = -1  # the last round whose plan named it

    @property
    def id(self) -> int:
        return _FIRST_SNAPSHOT_ID + self.number

    @property
    def name(self) -> str:
        return f"snapshot:{self.number}"


class OpponentManager:
    """Takes snapshots, makes plans, keeps records.

    `shares` gives the weight of `self`, `snapshots` and scripted players among the seats that the agent does not hold by rotation.
    While there is no snapshot, their share goes to `self`. `slots` [num_slots, size] is where snapshots are kept as flat vectors; more
    than `max_snapshots` of them, for those that left the pool while matches still have them.
    """

    def __init__(
        self,
        shares: Mapping[str, float],
        *,
        game: str,
        slots: NDArray[np.float32],
        layout: FlatWeights,
        snapshot_interval: int,
        max_snapshots: int,
        max_opponents_per_worker: int,
        seed: int,
    ) -> None:
        check_shares(shares, game, max_opponents_per_worker)
        total = sum(shares.values())
        self._shares = {name: share / total for name, share in shares.items()}
        self._scripted = {name: Opponent(1 + SCRIPTED.index(name), name) for name in SCRIPTED if self._shares.get(name, 0.0) > 0.0}
        self._slots = slots
        self._layout = layout
        self._snapshot_interval = snapshot_interval
        self._max_snapshots = max_snapshots
        self._snapshots_per_plan = max_opponents_per_worker - len(self._scripted)
        self._seed = seed
        self._taken = 0
        self._pool: list[_Snapshot] = []
        self._retired: list[_Snapshot] = []
        self._finished_round = -1
        self._in_use: dict[int, frozenset[int]] = {}  # by worker
        self._records: dict[str, Record] = {}

    @property
    def pool_size(self) -> int:
        """Number of snapshots that new matches can meet."""
        return len(self._pool)

    @property
    def records(self) -> Mapping[str, Record]:
        """Results of exploring matches by opponent, since the start."""
        return self._records

    def plan(self, round_number: int, worker: int) -> Plan:
        """Whom one worker's new matches of one round may meet: a function of the seed, the arguments and the pool.

        Remembers which snapshots it named, so that their slots are kept.
        """
        generator = np.random.default_rng(stream_key(self._seed, round_number, worker))
        share = self._shares.get(SNAPSHOTS, 0.0)
        met: list[_Snapshot] = []
        if share > 0.0 and self._pool:
            count = min(len(self._pool), self._snapshots_per_plan)
            met = [self._pool[i] for i in generator.choice(len(self._pool), count, replace=False)]
        opponents = [Opponent(AGENT, AGENT_NAME), *self._scripted.values()]
        probabilities = [self._shares.get(AGENT_NAME, 0.0) + (0.0 if met else share)]
        probabilities += [self._shares[name] for name in self._scripted]
        for snapshot in met:
            snapshot.last_planned = round_number
            opponents.append(Opponent(snapshot.id, snapshot.name, snapshot.slot))
            probabilities.append(share / len(met))
        return Plan(tuple(opponents), tuple(probabilities))

    def record(self, finished_round: int, results: NDArray[Any], in_use: Mapping[int, frozenset[int]]) -> dict[str, Record]:
        """Take in results, the last round that is finished everywhere, and by worker the snapshots that matches in progress keep.

        Returns the results by opponent.
        """
        self._finished_round = finished_round
        self._in_use.update(in_use)
        fresh = {self._name(opponent_id): record for opponent_id, record in pairwise_records(results).items()}
        for name, record in fresh.items():
            self._records.setdefault(name, Record()).add(record)
        return fresh

    def maybe_snapshot(self, episodes: int, vector: NDArray[np.float32]) -> str | None:
        """Put the agent's weights into the pool when another `snapshot_interval` matches are over; the snapshot's name.

        The oldest leaves a full pool. When matches in progress still hold every slot, the snapshot is taken at a later round.
        """
        if self._max_snapshots == 0 or episodes < (self._taken + 1) * self._snapshot_interval:
            return None
        taken_slots = {snapshot.slot for snapshot in [*self._pool, *self._drop_unused()]}
        free = [slot for slot in range(len(self._slots)) if slot not in taken_slots]
        if not free:
            return None
        if len(self._pool) == self._max_snapshots:
            self._retired.append(self._pool.pop(0))
        snapshot = _Snapshot(episodes // self._snapshot_interval, free[0])
        self._slots[snapshot.slot] = vector
        self._taken = snapshot.number
        self._pool.append(snapshot)
        return snapshot.name

    def weights(self, name: str) -> Weights:
        """The weights of a snapshot of the pool, by parameter name."""
        for snapshot in self._pool:
            if snapshot.name == name:
                return self._layout.named(self._slots[snapshot.slot])
        names = [snapshot.name for snapshot in self._pool]
        raise ConfigurationError("unknown snapshot", got=name, expected=f"one of {', '.join(names) or '(none yet)'}")

    def _drop_unused(self) -> list[_Snapshot]:
        """Forget the retired snapshots whose slots nobody reads any more; those that remain."""
        in_use = frozenset().union(*self._in_use.values())
        self._retired = [s for s in self._retired if s.last_planned > self._finished_round or s.id in in_use]
        return self._retired

    def _name(self, opponent_id: int) -> str:
        return SCRIPTED[opponent_id - 1] if opponent_id < _FIRST_SNAPSHOT_ID else f"snapshot:{opponent_id - _FIRST_SNAPSHOT_ID}"

    def get_state(self) -> dict[str, Any]:
        """The pool with the weights of every slot that is in use, and all records."""
        occupied = [*self._pool, *self._drop_unused()]
        return {
            "taken": self._taken,
            "pool": [asdict(s) for s in self._pool],
            "retired": [asdict(s) for s in self._retired],
            "finished_round": self._finished_round,
            "in_use": {str(worker): sorted(ids) for worker, ids in self._in_use.items()},
            "records": {name: asdict(record) for name, record in self._records.items()},
            "weights": {str(s.slot): self._slots[s.slot].copy() for s in occupied},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned; writes the slots."""
        self._taken = state["taken"]
        self._pool = [_Snapshot(**s) for s in state["pool"]]
        self._retired = [_Snapshot(**s) for s in state["retired"]]
        self._finished_round = state["finished_round"]
        self._in_use = {int(worker): frozenset(ids) for worker, ids in state["in_use"].items()}
        self._records = {name: Record(**record) for name, record in state["records"].items()}
        for slot, vector in state["weights"].items():
            self._slots[int(slot)] = vector


def stored_snapshots(state: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The snapshots of the pool whose `get_state` gave this: flat weights by name, the oldest first."""
    pool = [_Snapshot(**snapshot) for snapshot in state["pool"]]
    return {snapshot.name: state["weights"][str(snapshot.slot)] for snapshot in pool}


def check_shares(shares: Mapping[str, float], game: str, max_opponents_per_worker: int) -> None:
    """Raise `ConfigurationError` unless all can play `game`, there is something to share, and a worker can hold them and a snapshot."""
    known = (AGENT_NAME, SNAPSHOTS, *scripted_names(game))
    for name in shares:
        if name not in known:
            raise ConfigurationError("unknown opponent", got=name, expected=f"one of {', '.join(known)}", remedy=nearest(name, known))
    if not sum(shares.values()) > 0.0:
        raise ConfigurationError("the shares of opponents", got=dict(shares), expected="a positive total")
    needed = sum(share > 0.0 for name, share in shares.items() if name != AGENT_NAME)
    if needed > max_opponents_per_worker:
        raise ConfigurationError(
            "max_opponents_per_worker", got=max_opponents_per_worker, expected=f"at least {needed} for these opponents"
        )
