"""The opponent pool: fixed players and snapshots of the agent, plans of who plays whom, results.

The main process owns the pool. Snapshots live in numbered slots of shared memory, which workers
read; a slot is reused only when its snapshot has left the pool, every worker has finished every
round whose plan named it, and no match in progress has it as a player. Snapshots of other runs, if
the run shares its pool (`shared_pool.py`), lie in slots as the agent's own do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import FlatWeights, PolicySpec, Weights
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError, FileFormatError, nearest
from sparring.games.rng import stream_key
from sparring.opponents.lookahead import check_opponent
from sparring.opponents.matchmaking import (
    Matchmaking,
    PfspWeighting,
    index_to_evict,
    plan_shares,
    snapshot_shares,
)
from sparring.opponents.names import LOOKAHEAD_FORM, OTHER_FORMS, lookahead_of
from sparring.opponents.players import AGENT, AGENT_NAME, NetworkPlayer, Opponent, Plan
from sparring.opponents.ratings import Rating, Ratings
from sparring.opponents.records import RecentRecord, Record, pairwise_records
from sparring.opponents.scripted import is_scripted, scripted_names, scripted_player, search_forms
from sparring.opponents.user_players import is_from_outside

SNAPSHOTS = "snapshots"
SHARED = "shared:"  # begins the names of snapshots of other runs
_FIRST_SNAPSHOT_ID = 1_000
_FIRST_SHARED_ID = 1_000_000_000

Gate = Callable[[str, NDArray[np.float32]], bool]
"""Decides if a candidate may join; called with name and weights of the pool's newest snapshot."""


@dataclass
class _Snapshot:
    number: int
    slot: int
    last_planned: int = -1  # the last round whose plan names it
    shared: str = ""  # its name, if it is one of another run

    @property
    def id(self) -> int:
        return (_FIRST_SHARED_ID if self.shared else _FIRST_SNAPSHOT_ID) + self.number

    @property
    def name(self) -> str:
        return self.shared or f"snapshot:{self.number}"


class OpponentManager:
    """Takes snapshots, makes plans, keeps records and ratings.

    `shares` gives the weight of `self`, `snapshots` and fixed players among the seats that the
    agent does not hold by rotation. While there is no snapshot, their share goes to `self`; later
    `matchmaking` divides it among them (see `matchmaking.py`). `slots` [num_slots, size] stores the
    snapshots as flat vectors; it has more than `max_snapshots` rows, for snapshots that left the
    pool but still play. The weight of a result in the decayed records halves every
    `record_half_life` matches against that opponent.
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
        matchmaking: Matchmaking = "uniform",
        pfsp_weighting: PfspWeighting = "hard",
        record_half_life: int = 200,
    ) -> None:
        check_shares(shares, game, max_opponents_per_worker)
        total = sum(shares.values())
        self._shares = {name: share / total for name, share in shares.items()}
        fixed = sorted(
            name
            for name, share in self._shares.items()
            if share > 0.0 and name not in (AGENT_NAME, SNAPSHOTS)
        )
        self._numbered: list[str] = []  # other players, also former ones, by id - AGENT - 1
        self._fixed = self._known(fixed)
        self._slots = slots
        self._layout = layout
        self._snapshot_interval = snapshot_interval
        self._max_snapshots = max_snapshots
        self._snapshots_per_plan = max_opponents_per_worker - len(self._fixed)
        self._seed = seed
        self._matchmaking = matchmaking
        self._pfsp_weighting = pfsp_weighting
        self._half_life = record_half_life
        self._last_taken = 0  # number of the last candidate, refused ones included
        self._shared: list[str] = []  # snapshots of other runs, also former ones, by number
        self._pool: list[_Snapshot] = []
        self._retired: list[_Snapshot] = []
        self._finished_round = -1
        self._in_use: dict[int, frozenset[int]] = {}  # by worker
        self._recent: dict[str, RecentRecord] = {}
        self._ratings = Ratings()

    def _known(self, names: Iterable[str]) -> dict[str, Opponent]:
        """Return players other than snapshots, with new ids for new names."""
        self._numbered += [name for name in names if name not in self._numbered]
        return {name: Opponent(AGENT + 1 + self._numbered.index(name), name) for name in names}

    def __repr__(self) -> str:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self._shares.items() if share)
        snapshots = f"{len(self._own)} of {self._max_snapshots} snapshots"
        return f"OpponentManager({shares}; {snapshots}; matchmaking {self._matchmaking})"

    @property
    def pool_size(self) -> int:
        """Number of snapshots that new matches can draw."""
        return len(self._pool)

    @property
    def recent(self) -> Mapping[str, RecentRecord]:
        """Decayed results of training matches (the agent explores) by opponent; used by `pfsp`."""
        return self._recent

    @property
    def rating(self) -> Rating:
        """(mu, sigma) of the agent."""
        return self._ratings.of(AGENT_NAME)

    @property
    def snapshots(self) -> list[str]:
        """Names of the agent's snapshots that new matches can draw, oldest first."""
        return [snapshot.name for snapshot in self._own]

    @property
    def _own(self) -> list[_Snapshot]:
        return [snapshot for snapshot in self._pool if not snapshot.shared]

    def plan(self, round_number: int, worker: int) -> Plan:
        """Return the players for one worker's new matches of one round.

        A function of the seed, the arguments and the pool. Remembers which snapshots the plan
        names, so that their slots are kept.
        """
        share = self._shares.get(SNAPSHOTS, 0.0)
        drawn: list[tuple[_Snapshot, float]] = []
        if share > 0.0 and self._pool:
            drawn = self._draw(np.random.default_rng(stream_key(self._seed, round_number, worker)))
        opponents = [Opponent(AGENT, AGENT_NAME), *self._fixed.values()]
        probabilities = [self._shares.get(AGENT_NAME, 0.0) + (0.0 if drawn else share)]
        probabilities += [self._shares[name] for name in self._fixed]
        for snapshot, part in drawn:
            snapshot.last_planned = round_number
            opponents.append(Opponent(snapshot.id, snapshot.name, snapshot.slot))
            probabilities.append(share * part)
        return Plan(tuple(opponents), tuple(probabilities))

    def _draw(self, generator: np.random.Generator) -> list[tuple[_Snapshot, float]]:
        """Snapshots of one plan, with their parts of the snapshots' share."""
        unplayed = RecentRecord()
        scores = np.array([self._recent.get(each.name, unplayed).estimate for each in self._pool])
        shares = snapshot_shares(self._matchmaking, scores, self._pfsp_weighting)
        parts = plan_shares(shares, self._snapshots_per_plan, generator).tolist()
        return [pair for pair in zip(self._pool, parts, strict=True) if pair[1] > 0.0]

    def record(
        self, finished_round: int, results: NDArray[Any], in_use: Mapping[int, frozenset[int]]
    ) -> dict[str, Record]:
        """Add results of training matches; return them by opponent.

        `finished_round` is the last round that every worker has finished; `in_use` has, by worker,
        the ids of the snapshots in its matches in progress.
        """
        self._finished_round = finished_round
        self._in_use.update(in_use)
        fresh = {
            self._name(opponent_id): record
            for opponent_id, record in pairwise_records(results).items()
        }
        for name, record in fresh.items():
            self._recent.setdefault(name, RecentRecord()).add(record, self._half_life)
        self._ratings.update(results, self._name)
        return fresh

    def maybe_snapshot(
        self, episodes: int, vector: NDArray[np.float32], gate: Gate | None = None
    ) -> str | None:
        """Add the agent's weights to the pool when a `snapshot_interval` is over; return the name.

        Returns None when no snapshot is due or `gate` refuses it; the first one always joins, and
        after a refusal the next interval tries again. A full pool evicts one (`index_to_evict`).
        When matches in progress still use every slot, the snapshot is taken at a later round.
        """
        if self._max_snapshots == 0 or episodes < (self._last_taken + 1) * self._snapshot_interval:
            return None
        slot, own = self._free_slot(), self._own
        if slot is None:
            return None
        self._last_taken = episodes // self._snapshot_interval
        if gate is not None and own:
            newest = own[-1]
            if not gate(newest.name, self._slots[newest.slot]):
                return None
        snapshot = _Snapshot(self._last_taken, slot)
        self._join(snapshot, vector)
        if len(own) == self._max_snapshots:
            own.append(snapshot)
            self._retire(own[index_to_evict([each.number for each in own])])
        return snapshot.name

    def take_shared(
        self, wanted: Sequence[str], read: Callable[[str], NDArray[np.float32] | None]
    ) -> None:
        """Replace the snapshots of other runs in the pool by those of the names `wanted`.

        `read` returns the weights of a new one, or None if they cannot be used. Where matches in
        progress use every slot, the rest of them waits for a later call.
        """
        for snapshot in [each for each in self._pool if each.shared and each.shared not in wanted]:
            self._retire(snapshot)
        present = {snapshot.shared for snapshot in self._pool}
        for name in [name for name in wanted if name not in present]:
            slot = self._free_slot()
            if slot is None:
                return
            vector = read(name)
            if vector is not None:
                self._shared.append(name)
                self._join(_Snapshot(len(self._shared) - 1, slot, shared=name), vector)

    def _free_slot(self) -> int | None:
        used = {snapshot.slot for snapshot in [*self._pool, *self._drop_unused()]}
        return next((slot for slot in range(len(self._slots)) if slot not in used), None)

    def _join(self, snapshot: _Snapshot, vector: NDArray[np.float32]) -> None:
        self._slots[snapshot.slot] = vector
        self._pool.append(snapshot)
        self._ratings.add_snapshot(snapshot.name)

    def _retire(self, snapshot: _Snapshot) -> None:
        self._pool.remove(snapshot)
        self._retired.append(snapshot)

    def vector(self, name: str) -> NDArray[np.float32]:
        """Return the flat weights of a snapshot of the pool: a view, not a copy."""
        for snapshot in self._pool:
            if snapshot.name == name:
                found: NDArray[np.float32] = self._slots[snapshot.slot]
                return found
        raise ConfigurationError(
            "unknown snapshot",
            got=name,
            expected=f"one of {', '.join(self.snapshots) or '(none yet)'}",
        )

    def weights(self, name: str) -> Weights:
        """Return the weights of a snapshot of the pool: copies by parameter name."""
        return self._layout.named(self.vector(name))

    def _drop_unused(self) -> list[_Snapshot]:
        """Forget retired snapshots whose slots are free; return the others."""
        in_use = frozenset().union(*self._in_use.values())
        self._retired = [
            s for s in self._retired if s.last_planned > self._finished_round or s.id in in_use
        ]
        return self._retired

    def _name(self, opponent_id: int) -> str:
        if opponent_id < _FIRST_SNAPSHOT_ID:
            return self._numbered[opponent_id - AGENT - 1]
        if opponent_id >= _FIRST_SHARED_ID:
            return self._shared[opponent_id - _FIRST_SHARED_ID]
        return f"snapshot:{opponent_id - _FIRST_SNAPSHOT_ID}"

    def get_state(self) -> dict[str, Any]:
        """Return the pool, the weights of every slot in use, records and ratings."""
        occupied = [*self._pool, *self._drop_unused()]
        return {
            "numbered": self._numbered,
            "taken": self._last_taken,
            "shared": self._shared,
            "pool": [asdict(s) for s in self._pool],
            "retired": [asdict(s) for s in self._retired],
            "finished_round": self._finished_round,
            "in_use": {str(worker): sorted(ids) for worker, ids in self._in_use.items()},
            "recent": {name: asdict(record) for name, record in self._recent.items()},
            "ratings": self._ratings.get_state(),
            "weights": {str(s.slot): self._slots[s.slot].copy() for s in occupied},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned; writes the slots.

        The opponents may be others now: ids stay what they were, for matches in progress.
        """
        self._numbered = list(state["numbered"])
        self._fixed = self._known(self._fixed)
        self._last_taken = state["taken"]
        self._shared = list(state["shared"])
        self._pool = [_Snapshot(**s) for s in state["pool"]]
        self._retired = [_Snapshot(**s) for s in state["retired"]]
        self._finished_round = state["finished_round"]
        self._in_use = {int(worker): frozenset(ids) for worker, ids in state["in_use"].items()}
        self._recent = {name: RecentRecord(**record) for name, record in state["recent"].items()}
        self._ratings.set_state(state["ratings"])
        for slot, vector in state["weights"].items():
            self._slots[int(slot)] = vector


def stored_snapshots(state: Mapping[str, Any] | None) -> dict[str, NDArray[np.float32]]:
    """Return the agent's snapshots in a `get_state`: flat weights by name, oldest first.

    Empty for None (a run without a checkpoint).
    """
    pool = [] if state is None else [_Snapshot(**snapshot) for snapshot in state["pool"]]
    own = [snapshot for snapshot in pool if not snapshot.shared]
    return {each.name: state["weights"][str(each.slot)] for each in own} if state else {}


def snapshot_player(
    name: str, vector: NDArray[np.float32], spec: PolicySpec, run: Path | None
) -> NetworkPlayer:
    """Return a greedy player with the weights of a snapshot of `run`.

    Raises `FileFormatError` if they do not fit the network of `spec`.
    """
    policy = InferencePolicy(spec)
    if vector.shape != policy.vector().shape:
        got, expected = f"{vector.size} weights", f"{policy.vector().size}"
        raise FileFormatError(
            f"{name} of {run} has another network than its agent", got=got, expected=expected
        )
    policy.load_vector(vector)
    return NetworkPlayer(name, policy)


def check_shares(shares: Mapping[str, float], game: str, max_opponents_per_worker: int) -> None:
    """Raise `ConfigurationError` for unknown opponents, a total of zero, or too many of them.

    A worker must be able to hold all with a positive share, and one snapshot if those have one.
    """
    known = (AGENT_NAME, SNAPSHOTS, *scripted_names(game))
    for name in shares:
        if is_scripted(name, game):
            scripted_player(name, game)  # raises for a search that this game does not allow
        elif lookahead_of(name):
            check_opponent(name, game)
        elif name not in known and not is_from_outside(name):
            others = (*search_forms(game), LOOKAHEAD_FORM, *OTHER_FORMS)
            expected = f"one of {', '.join((*known, *others))}"
            raise ConfigurationError(
                "unknown opponent", got=name, expected=expected, remedy=nearest(name, known)
            )
    if not sum(shares.values()) > 0.0:
        raise ConfigurationError(
            "the shares of opponents", got=dict(shares), expected="a positive total"
        )
    needed = sum(share > 0.0 for name, share in shares.items() if name != AGENT_NAME)
    if needed > max_opponents_per_worker:
        raise ConfigurationError(
            "max_opponents_per_worker",
            got=max_opponents_per_worker,
            expected=f"at least {needed} for these opponents",
        )
