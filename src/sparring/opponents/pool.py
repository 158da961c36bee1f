"""The pool: scripted players and snapshots of the agent, who meets whom, and how it went.

The main process owns the pool. Snapshots live in numbered slots of shared memory, which workers
read; a slot is written again only when its snapshot has left the pool, every worker has finished
every round whose plan named it, and no match in progress has it as a player.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import FlatWeights, Weights
from sparring.errors import ConfigurationError, nearest
from sparring.games.rng import stream_key
from sparring.opponents.players import AGENT, AGENT_NAME, Opponent, Plan
from sparring.opponents.ratings import Rating, Ratings
from sparring.opponents.records import RecentRecord, Record, pairwise_records
from sparring.opponents.scripted import is_scripted, scripted_names, scripted_player, search_forms

SNAPSHOTS = "snapshots"
_FIRST_SNAPSHOT_ID = 1_000

Gate = Callable[[str, NDArray[np.float32]], bool]
"""Whether a candidate may join; called with the name and the weights of the pool's newest snapshot."""


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
    """Takes snapshots, makes plans, keeps records and ratings.

    `shares` gives the weight of `self`, `snapshots` and scripted players among the seats that the
    agent does not hold by rotation. While there is no snapshot, their share goes to `self`; else
    `matchmaking` divides it among them (see `matchmaking.py`). `slots` [num_slots, size] is where
    snapshots are kept as flat vectors; more than `max_snapshots` of them, for those that left the
    pool while matches still have them. Decayed records count a result half after `record_half_life`
    matches against that opponent.
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
        scripted = sorted(
            name
            for name, share in self._shares.items()
            if share > 0.0 and name not in (AGENT_NAME, SNAPSHOTS)
        )
        self._scripted = {
            name: Opponent(number, name) for number, name in enumerate(scripted, AGENT + 1)
        }
        self._slots = slots
        self._layout = layout
        self._snapshot_interval = snapshot_interval
        self._max_snapshots = max_snapshots
        self._snapshots_per_plan = max_opponents_per_worker - len(self._scripted)
        self._seed = seed
        self._matchmaking = matchmaking
        self._pfsp_weighting = pfsp_weighting
        self._half_life = record_half_life
        self._taken = (
            0  # the number of the last snapshot, and of the last candidate that was refused
        )
        self._pool: list[_Snapshot] = []
        self._retired: list[_Snapshot] = []
        self._finished_round = -1
        self._in_use: dict[int, frozenset[int]] = {}  # by worker
        self._records: dict[str, Record] = {}
        self._recent: dict[str, RecentRecord] = {}
        self._greedy: dict[str, RecentRecord] = {}
        self._ratings = Ratings()

    @property
    def pool_size(self) -> int:
        """Number of snapshots that new matches can meet."""
        return len(self._pool)

    @property
    def records(self) -> Mapping[str, Record]:
        """Results of exploring matches by opponent, since the start."""
        return self._records

    @property
    def recent(self) -> Mapping[str, RecentRecord]:
        """The same, older ones counting less: what `pfsp` goes by."""
        return self._recent

    @property
    def greedy(self) -> Mapping[str, RecentRecord]:
        """Results of greedy matches by opponent, older ones counting less."""
        return self._greedy

    @property
    def rating(self) -> Rating:
        """(mu, sigma) of the agent."""
        return self._ratings.of(AGENT_NAME)

    @property
    def snapshots(self) -> list[str]:
        """The names of those that new matches can meet, the oldest first."""
        return [snapshot.name for snapshot in self._pool]

    def plan(self, round_number: int, worker: int) -> Plan:
        """Whom one worker's new matches of one round may meet: a function of the seed, the
        arguments and the pool.

        Remembers which snapshots it named, so that their slots are kept.
        """
        share = self._shares.get(SNAPSHOTS, 0.0)
        met = (
            self._met(np.random.default_rng(stream_key(self._seed, round_number, worker)))
            if share > 0.0 and self._pool
            else []
        )
        opponents = [Opponent(AGENT, AGENT_NAME), *self._scripted.values()]
        probabilities = [self._shares.get(AGENT_NAME, 0.0) + (0.0 if met else share)]
        probabilities += [self._shares[name] for name in self._scripted]
        for snapshot, part in met:
            snapshot.last_planned = round_number
            opponents.append(Opponent(snapshot.id, snapshot.name, snapshot.slot))
            probabilities.append(share * part)
        return Plan(tuple(opponents), tuple(probabilities))

    def _met(self, generator: np.random.Generator) -> list[tuple[_Snapshot, float]]:
        """The snapshots of one plan, with their parts of the snapshots' share."""
        unmet = RecentRecord()
        scores = np.array(
            [self._recent.get(snapshot.name, unmet).estimate for snapshot in self._pool]
        )
        shares = snapshot_shares(self._matchmaking, scores, self._pfsp_weighting)
        parts = named_shares(shares, self._snapshots_per_plan, generator)
        return [
            (snapshot, part)
            for snapshot, part in zip(self._pool, parts.tolist(), strict=True)
            if part > 0.0
        ]

    def record(
        self, finished_round: int, results: NDArray[Any], in_use: Mapping[int, frozenset[int]]
    ) -> dict[str, Record]:
        """Take in results, the last round that is finished everywhere, and by worker the snapshots
        that matches in progress keep.

        Returns the results by opponent.
        """
        self._finished_round = finished_round
        self._in_use.update(in_use)
        fresh = {
            self._name(opponent_id): record
            for opponent_id, record in pairwise_records(results).items()
        }
        for name, record in fresh.items():
            self._records.setdefault(name, Record()).add(record)
            self._recent.setdefault(name, RecentRecord()).add(record, self._half_life)
        self._ratings.take_in(results, self._name)
        return fresh

    def record_greedy(self, name: str, record: Record) -> None:
        """Take in the results of greedy matches against one opponent."""
        self._greedy.setdefault(name, RecentRecord()).add(record, self._half_life)

    def maybe_snapshot(
        self, episodes: int, vector: NDArray[np.float32], gate: Gate | None = None
    ) -> str | None:
        """Put the agent's weights into the pool when another `snapshot_interval` matches are over;
        the snapshot's name.

        With a `gate` only if that lets them pass; the first always joins, and who is refused is
        asked again after another interval. One leaves a full pool (see `eviction.py`). When matches
        in progress still hold every slot, the snapshot is taken at a later round.
        """
        if self._max_snapshots == 0 or episodes < (self._taken + 1) * self._snapshot_interval:
            return None
        taken_slots = {snapshot.slot for snapshot in [*self._pool, *self._drop_unused()]}
        free = [slot for slot in range(len(self._slots)) if slot not in taken_slots]
        if not free:
            return None
        self._taken = episodes // self._snapshot_interval
        if (
            gate is not None
            and self._pool
            and not gate(self._pool[-1].name, self._slots[self._pool[-1].slot])
        ):
            return None
        snapshot = _Snapshot(self._taken, free[0])
        self._slots[snapshot.slot] = vector
        self._pool.append(snapshot)
        self._ratings.born(snapshot.name)
        if len(self._pool) > self._max_snapshots:
            self._retired.append(self._pool.pop(leaver([each.number for each in self._pool])))
        return snapshot.name

    def vector(self, name: str) -> NDArray[np.float32]:
        """The flat weights of a snapshot of the pool, where they lie."""
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
        """The weights of a snapshot of the pool, by parameter name."""
        return self._layout.named(self.vector(name))

    def _drop_unused(self) -> list[_Snapshot]:
        """Forget the retired snapshots whose slots nobody reads any more; those that remain."""
        in_use = frozenset().union(*self._in_use.values())
        self._retired = [
            s for s in self._retired if s.last_planned > self._finished_round or s.id in in_use
        ]
        return self._retired

    def _name(self, opponent_id: int) -> str:
        if opponent_id < _FIRST_SNAPSHOT_ID:
            return [*self._scripted][opponent_id - AGENT - 1]
        return f"snapshot:{opponent_id - _FIRST_SNAPSHOT_ID}"

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
            "recent": {name: asdict(record) for name, record in self._recent.items()},
            "greedy": {name: asdict(record) for name, record in self._greedy.items()},
            "ratings": self._ratings.get_state(),
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
        self._recent = {name: RecentRecord(**record) for name, record in state["recent"].items()}
        self._greedy = {name: RecentRecord(**record) for name, record in state["greedy"].items()}
        self._ratings.set_state(state["ratings"])
        for slot, vector in state["weights"].items():
            self._slots[int(slot)] = vector


def stored_snapshots(state: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The snapshots of the pool whose `get_state` gave this: flat weights by name, the oldest
    first.
    """
    pool = [_Snapshot(**snapshot) for snapshot in state["pool"]]
    return {snapshot.name: state["weights"][str(snapshot.slot)] for snapshot in pool}


def check_shares(shares: Mapping[str, float], game: str, max_opponents_per_worker: int) -> None:
    """Raise `ConfigurationError` unless all can play `game`, there is something to share, and a
    worker can hold them and a snapshot.
    """
    known = (AGENT_NAME, SNAPSHOTS, *scripted_names(game))
    for name in shares:
        if is_scripted(name, game):
            scripted_player(name, game)  # raises for a search that this game does not allow
        elif name not in known:
            expected = f"one of {', '.join((*known, *search_forms(game)))}"
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


# How the share of the snapshots is divided among them, and who of them is named in a plan that has
# not room for all.
#
# Prioritised fictitious self-play (PFSP): Vinyals et al., "Grandmaster level in StarCraft II using
# multi-agent reinforcement learning", Nature 575, 2019, section "Multi-agent learning" of the
# methods: an opponent that the agent beats with probability p is met with a probability
# proportional to f_hard(p) = (1 - p)^power, which seeks out whom it loses to, or f_var(p) = p (1 -
# p), which seeks out equals.
#
# Departures: draws count half a win; p is estimated from decayed records and drawn towards 1/2
# while they are short (`RecentRecord.estimate`); and a tenth of the share is spread evenly, because
# f_hard alone would never meet again whom it once beat always, and so never notice that the agent
# has forgotten how.


Matchmaking = Literal["self", "uniform", "recent", "pfsp"]
PfspWeighting = Literal["hard", "variance"]

POWER: Final = 2.0  # of f_hard, as in the paper
EVENLY: Final = 0.1  # part of the share that PFSP spreads evenly
HALVING: Final = 3.0  # snapshots; `recent` meets one that is so much older half as often


def snapshot_shares(
    kind: Matchmaking, scores: NDArray[np.float64], weighting: PfspWeighting
) -> NDArray[np.float64]:
    """[n] parts of the snapshots' share, which sum to 1; `scores` [n] are the agent's against each,
    the oldest first.

    `self`: all to the newest. `uniform`: equal parts. `recent`: falling by half with every
    `HALVING` snapshots of age. `pfsp`: see above.
    """
    n = len(scores)
    if kind == "self":
        weights = np.zeros(n)
        weights[-1] = 1.0
    elif kind == "uniform":
        weights = np.ones(n)
    elif kind == "recent":
        weights = 0.5 ** (np.arange(n)[::-1] / HALVING)
    else:
        weights = (1.0 - scores) ** POWER if weighting == "hard" else scores * (1.0 - scores)
    shares: NDArray[np.float64] = weights / weights.sum()
    return (1.0 - EVENLY) * shares + EVENLY / n if kind == "pfsp" else shares


def named_shares(
    shares: NDArray[np.float64], most: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """[n] the parts in one plan that names `most` of n snapshots at most; zero for those that it
    does not name.

    Where all fit, `shares` as they are. Else systematic sampling (Madow 1949) in random order:
    `most` points at equal distances on the cumulated shares, one part of 1 / `most` for each hit.
    So the mean over many plans is `shares` exactly, whatever `most` is; to draw by weight and then
    to weigh again would count the weights twice.
    """
    if np.count_nonzero(shares) <= most:
        return shares
    order = generator.permutation(len(shares))
    edges = np.cumsum(shares[order])
    points = np.minimum((generator.random() + np.arange(most)) / most, np.nextafter(1.0, 0.0))
    hits = order[np.searchsorted(edges / edges[-1], points, side="right")]
    return np.bincount(hits, minlength=len(shares)) / most


# Who leaves a full pool.


def leaver(numbers: Sequence[int]) -> int:
    """The index of the snapshot that leaves, so that ages stay spread evenly on a logarithmic
    scale: many recent ones, few old ones.

    `numbers` are those of the snapshots, ascending, the newest included, which never leaves.
    Snapshot k was taken after k intervals; its age is counted in intervals up to the next one, so
    the newest has age 1, and the untrained agent, number 0, closes the scale.

    On log(age) a pool cuts the line between the newest and the untrained agent into gaps, whose sum
    is given. They are most even where the sum of their squares is least; to take one snapshot out
    makes one gap of the two beside it, a and b, and adds (a + b)^2 - a^2 - b^2 = 2 a b. So the one
    with the smallest product of the gaps beside it leaves, the older of equals.
    """
    following = numbers[-1] + 1
    places = [math.log(following - number) for number in (0, *numbers)]
    products = [
        (places[i - 1] - places[i]) * (places[i] - places[i + 1]) for i in range(1, len(numbers))
    ]
    least = min(products)
    return next(
        i for i, product in enumerate(products) if product <= least * (1.0 + 1e-9)
    )  # equals differ by rounding
