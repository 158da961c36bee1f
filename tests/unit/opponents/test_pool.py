from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, build_network
from sparring.errors import ConfigurationError
from sparring.opponents.matchmaking import index_to_evict
from sparring.opponents.players import AGENT, Plan
from sparring.opponents.pool import OpponentManager, check_shares
from sparring.opponents.records import RecentRecord, Record, result_dtype

NETWORK = build_network(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [2]})))
LAYOUT = FlatWeights(NETWORK)
SHARES = {"self": 6.0, "snapshots": 2.0, "random": 1.0, "one_ply": 1.0}
NO_RESULTS = np.zeros(0, result_dtype(2))


def pool(
    shares: dict[str, float] | None = None, *, num_slots: int = 6, **changes: Any
) -> OpponentManager:
    options: dict[str, Any] = {
        "snapshot_interval": 10,
        "max_snapshots": 3,
        "max_opponents_per_worker": 4,
        "seed": 0,
        **changes,
    }
    slots = np.zeros((num_slots, LAYOUT.size), np.float32)
    return OpponentManager(
        SHARES if shares is None else shares,
        game="tic_tac_toe",
        slots=slots,
        layout=LAYOUT,
        **options,
    )


def weights(number: int) -> NDArray[np.float32]:
    return np.full(LAYOUT.size, number, np.float32)


def fill(manager: OpponentManager, count: int) -> None:
    for number in range(1, count + 1):
        manager.maybe_snapshot(10 * number, weights(number))


def by_name(plan: Plan) -> dict[str, float]:
    return {
        opponent.name: probability
        for opponent, probability in zip(plan.opponents, plan.probabilities, strict=True)
    }


def test_shares_become_probabilities() -> None:
    manager = pool()
    assert by_name(manager.plan(0, 0)) == pytest.approx(
        {"self": 0.8, "random": 0.1, "one_ply": 0.1}
    )  # no snapshot yet: to self
    fill(manager, 1)
    assert by_name(manager.plan(1, 0)) == pytest.approx(
        {"self": 0.6, "random": 0.1, "one_ply": 0.1, "snapshot:1": 0.2}
    )
    fill(manager, 3)
    probabilities = by_name(manager.plan(2, 0))
    snapshots = {name: p for name, p in probabilities.items() if name.startswith("snapshot:")}
    assert list(snapshots.values()) == pytest.approx(
        [0.1, 0.1]
    )  # two of three have room beside two scripted players
    assert sum(probabilities.values()) == pytest.approx(1.0)


def test_players_in_a_plan_are_who_they_are() -> None:
    manager = pool({"snapshots": 1.0, "one_ply": 1.0, "random": 0.0})
    fill(manager, 1)
    plan = manager.plan(0, 0)
    assert [(o.id, o.name, o.slot) for o in plan.opponents] == [
        (AGENT, "self", None),
        (1, "one_ply", None),
        (1001, "snapshot:1", 0),
    ]
    assert plan.probabilities == pytest.approx((0.0, 0.5, 0.5))


def test_a_plan_holds_no_more_than_a_worker_can() -> None:
    manager = pool(
        {"self": 1.0, "snapshots": 1.0, "random": 1.0},
        max_snapshots=6,
        max_opponents_per_worker=3,
        num_slots=12,
    )
    fill(manager, 6)
    for worker in range(20):
        plan = manager.plan(0, worker)
        assert len(plan.opponents) == 1 + 3  # the agent itself is always there
        assert len({opponent.id for opponent in plan.opponents}) == 4


def test_over_rounds_and_workers_every_snapshot_is_met_equally_often() -> None:
    manager = pool({"snapshots": 1.0}, max_snapshots=5, max_opponents_per_worker=2, num_slots=10)
    fill(manager, 5)
    met = Counter(
        o.name
        for k in range(300)
        for worker in range(2)
        for o in manager.plan(k, worker).opponents[1:]
    )
    assert set(met) == {f"snapshot:{number}" for number in range(1, 6)}
    assert all(
        abs(count - 240) < 50 for count in met.values()
    )  # 600 plans of two of five; four standard errors are 48


def test_a_plan_is_a_function_of_seed_round_worker_and_pool() -> None:
    options: dict[str, Any] = {"max_snapshots": 5, "max_opponents_per_worker": 3, "num_slots": 10}
    managers = [pool(**options), pool(**options), pool(**options, seed=1)]
    for manager in managers:
        fill(manager, 5)
    plans = [
        [manager.plan(k, worker) for k in range(8) for worker in range(2)] for manager in managers
    ]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]
    assert managers[0].plan(3, 1) == plans[0][7]  # asked again, in another order
    assert len(set(plans[0])) > 3


@pytest.mark.parametrize("batch", [1, 3, 7, 10, 25])
def test_snapshots_are_taken_when_another_interval_is_over(batch: int) -> None:
    """Number floor(episodes / interval), once: a round that spans several intervals gives one."""
    manager = pool(max_snapshots=100, num_slots=200)
    taken = [manager.maybe_snapshot(episodes, weights(0)) for episodes in range(0, 200, batch)]
    before = [max(0, episodes - batch) // 10 for episodes in range(0, 200, batch)]
    expected = [
        f"snapshot:{episodes // 10}" if episodes // 10 > last else None
        for episodes, last in zip(range(0, 200, batch), before, strict=True)
    ]
    assert taken == expected
    assert manager.pool_size == sum(name is not None for name in taken)


def test_one_leaves_a_full_pool_so_that_ages_stay_spread() -> None:
    """Numbers worked out in test_eviction.py: first the oldest, then one between."""
    manager = pool(max_snapshots=3, num_slots=8)
    held = []
    for number in range(1, 7):
        assert manager.maybe_snapshot(10 * number, weights(number)) == f"snapshot:{number}"
        held.append([int(name.removeprefix("snapshot:")) for name in manager.snapshots])
    assert held == [[1], [1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [3, 5, 6]]
    for number in (3, 5, 6):
        assert all(
            (value == number).all() for value in manager.weights(f"snapshot:{number}").values()
        )
        assert (manager.vector(f"snapshot:{number}") == number).all()
    with pytest.raises(
        ConfigurationError,
        match=r"got snapshot:2, expected one of snapshot:3, snapshot:5, snapshot:6",
    ):
        manager.weights("snapshot:2")


def test_the_gate_lets_the_first_pass_and_then_decides() -> None:
    """It sees the newest of the pool; whom it refuses nobody has to leave for, and the next is
    asked after another interval.
    """
    manager, seen = pool(max_snapshots=2, num_slots=4), []

    def gate(name: str, vector: NDArray[np.float32]) -> bool:
        seen.append((name, float(vector[0])))
        return len(seen) in (2, 4)

    assert manager.maybe_snapshot(10, weights(1), gate) == "snapshot:1"
    assert seen == []
    assert [manager.maybe_snapshot(episodes, weights(2), gate) for episodes in (20, 25, 29)] == [
        None,
        None,
        None,
    ]
    assert seen == [("snapshot:1", 1.0)]
    assert manager.maybe_snapshot(30, weights(3), gate) == "snapshot:3"
    assert manager.maybe_snapshot(40, weights(4), gate) is None
    assert seen[1:] == [("snapshot:1", 1.0), ("snapshot:3", 3.0)]
    assert manager.snapshots == ["snapshot:1", "snapshot:3"]
    restored = pool(max_snapshots=2, num_slots=4)
    restored.set_state(manager.get_state())
    assert restored.maybe_snapshot(49, weights(4), gate) is None  # asked for 40 already
    assert len(seen) == 3
    assert manager.maybe_snapshot(50, weights(5), gate) == "snapshot:5"


def test_matchmaking_goes_by_the_records() -> None:
    """Hard PFSP after 8 wins against snapshot 1, 8 losses to 2, nothing against 3: p = 9/10, 1/10
    and 1/2, weights 1 : 81 : 25.
    """
    manager = pool({"self": 1.0, "snapshots": 1.0}, matchmaking="pfsp")
    fill(manager, 3)
    rows = np.zeros(16, result_dtype(2))
    rows["players"] = [(0, 1001)] * 8 + [(1002, 0)] * 8
    rows["returns"] = (1, -1)
    manager.record(0, rows, {0: frozenset()})
    met = by_name(manager.plan(1, 0))
    expected = {
        f"snapshot:{i}": 0.5 * (0.9 * weight / 107 + 0.1 / 3)
        for i, weight in ((1, 1), (2, 81), (3, 25))
    }
    assert met == pytest.approx({"self": 0.5, **expected})
    assert by_name(manager.plan(1, 1)) == pytest.approx(met)


def test_only_the_newest_is_met_where_that_is_asked_for() -> None:
    manager = pool({"snapshots": 1.0}, matchmaking="self")
    fill(manager, 3)
    assert by_name(manager.plan(0, 0)) == {"self": 0.0, "snapshot:3": 1.0}


def test_a_snapshot_is_born_with_the_rating_of_the_agent() -> None:
    manager = pool()
    born = manager.rating
    rows = np.zeros(16, result_dtype(2))
    rows["players"], rows["returns"] = (0, 2), (1, -1)
    manager.record(0, rows, {0: frozenset()})
    assert manager.rating[0] > born[0]
    fill(manager, 1)
    ratings = manager.get_state()["ratings"]["ratings"]
    assert ratings["snapshot:1"] == list(manager.rating)
    assert ratings["random"][0] < born[0]


def test_without_snapshots_none_is_taken() -> None:
    manager = pool(max_snapshots=0, num_slots=0)
    assert manager.maybe_snapshot(1000, weights(1)) is None
    assert by_name(manager.plan(0, 0)) == pytest.approx(
        {"self": 0.8, "random": 0.1, "one_ply": 0.1}
    )
    with pytest.raises(ConfigurationError, match=r"\(none yet\)"):
        manager.weights("snapshot:0")


def test_a_snapshot_is_postponed_until_a_slot_is_free() -> None:
    """Two slots, a pool of one. Snapshot 1 leaves the pool while a match goes on against it, so
    there is no place for a third.
    """
    manager = pool({"snapshots": 1.0}, max_snapshots=1, num_slots=2)
    assert manager.maybe_snapshot(10, weights(1)) == "snapshot:1"
    manager.plan(0, 0)
    assert manager.maybe_snapshot(20, weights(2)) == "snapshot:2"
    assert manager.maybe_snapshot(30, weights(3)) is None  # round 0 is not over
    manager.record(0, NO_RESULTS, {0: frozenset({1001})})
    assert manager.maybe_snapshot(34, weights(3)) is None  # a match goes on
    assert manager.pool_size == 1  # and nobody left for a newcomer that did not come
    manager.record(1, NO_RESULTS, {0: frozenset()})
    assert manager.maybe_snapshot(37, weights(3)) == "snapshot:3"
    assert [o.slot for o in manager.plan(2, 0).opponents[1:]] == [0]
    assert manager.maybe_snapshot(39, weights(4)) is None  # the next one is due at 40


def test_a_slot_is_free_as_soon_as_the_last_round_of_its_snapshot_is_over() -> None:
    manager = pool({"snapshots": 1.0}, max_snapshots=1, num_slots=2)
    fill(manager, 1)
    manager.plan(0, 0)
    fill(manager, 2)
    manager.plan(1, 0)
    manager.record(
        0, NO_RESULTS, {0: frozenset()}
    )  # round 1, in flight, knows nothing of snapshot 1
    assert manager.maybe_snapshot(30, weights(3)) == "snapshot:3"


def test_what_the_last_part_of_each_worker_left_in_progress_counts() -> None:
    """As parts come in one by one: what one worker tells does not let go of what another keeps."""
    manager = pool({"snapshots": 1.0}, max_snapshots=1, num_slots=2)
    fill(manager, 1)
    for part, worker in enumerate((0, 1, 0)):
        manager.plan(part, worker)
    fill(manager, 2)
    manager.record(0, NO_RESULTS, {0: frozenset({1001})})
    manager.record(1, NO_RESULTS, {1: frozenset({1001})})
    manager.record(2, NO_RESULTS, {0: frozenset()})
    assert (
        manager.maybe_snapshot(30, weights(3)) is None
    )  # worker 1 still has a match against snapshot 1
    restored = pool({"snapshots": 1.0}, max_snapshots=1, num_slots=2)
    restored.set_state(manager.get_state())
    assert restored.maybe_snapshot(30, weights(3)) is None
    for each in (manager, restored):
        each.record(4, NO_RESULTS, {1: frozenset()})
        assert each.maybe_snapshot(31, weights(3)) == "snapshot:3"


def test_a_slot_is_kept_while_a_part_of_an_earlier_round_is_out() -> None:
    """Parts of later rounds may come in before it: only what is finished everywhere counts."""
    manager = pool({"snapshots": 1.0}, max_snapshots=1, num_slots=2)
    fill(manager, 1)
    for part, worker in enumerate((0, 1, 1)):
        manager.plan(part, worker)
    fill(manager, 2)
    for finished in (-1, -1):  # those of worker 1
        manager.record(finished, NO_RESULTS, {1: frozenset()})
    assert manager.maybe_snapshot(30, weights(3)) is None
    manager.record(2, NO_RESULTS, {0: frozenset()})
    assert manager.maybe_snapshot(30, weights(3)) == "snapshot:3"


def test_the_weights_of_a_snapshot_are_copies_by_name() -> None:
    manager = pool()
    vector = np.arange(LAYOUT.size, dtype=np.float32)
    name = manager.maybe_snapshot(10, vector)
    assert name is not None
    expected = LAYOUT.named(vector)
    vector[:] = 0  # the caller's is its own
    got = manager.weights(name)
    assert {key: value.tolist() for key, value in got.items()} == {
        key: value.tolist() for key, value in expected.items()
    }
    assert {key: value.shape for key, value in got.items()} == {
        key: tuple(p.shape) for key, p in NETWORK.named_parameters()
    }
    next(iter(got.values()))[:] = -1
    assert manager.weights(name)["body.0.weight"].tolist() == expected["body.0.weight"].tolist()


def test_records_by_opponent() -> None:
    manager = pool()
    rows = np.zeros(3, result_dtype(2))
    rows["players"] = [(0, 2), (1, 0), (0, 1004)]  # in the order of their names: one_ply, random
    rows["returns"] = [(1, -1), (1, -1), (0, 0)]
    fresh = manager.record(0, rows, {0: frozenset()})
    assert fresh == {
        "random": Record(1, 0, 0),
        "one_ply": Record(0, 0, 1),
        "snapshot:4": Record(0, 1, 0),
    }
    assert manager.record(1, rows[:1], {0: frozenset()}) == {"random": Record(1, 0, 0)}
    assert set(manager.recent) == {"random", "one_ply", "snapshot:4"}
    assert manager.recent["random"].wins == pytest.approx(1.0 + 0.5 ** (1 / 200))
    assert fresh["random"] == Record(1, 0, 0)  # a round's own figures stay the round's


def test_older_results_count_less() -> None:
    manager = pool(record_half_life=4)
    rows = np.zeros(4, result_dtype(2))
    rows["players"], rows["returns"] = (0, 2), (1, -1)
    manager.record(0, rows, {0: frozenset()})
    rows["returns"] = (-1, 1)
    manager.record(1, rows, {0: frozenset()})
    assert manager.recent == {"random": RecentRecord(2.0, 0.0, 4.0)}


def test_scripted_players_are_numbered_by_their_names() -> None:
    shares = {"self": 1.0, "one_ply": 1.0, "random": 2.0, "snapshots": 0.0}
    for order in (shares, dict(reversed(shares.items()))):
        assert [(o.id, o.name) for o in pool(order).plan(0, 0).opponents] == [
            (0, "self"),
            (1, "one_ply"),
            (2, "random"),
        ]


@pytest.mark.parametrize(
    ("shares", "most", "message"),
    [
        (
            {"self": 1.0, "snapshot": 1.0},
            4,
            r"unknown opponent: got snapshot, expected one of self.*did you mean 'snapshots'",
        ),
        (
            {"self": 1.0, "ludo:greedy": 1.0},
            4,
            r"unknown opponent: got ludo:greedy, expected one of self, snapshots, random, one_ply",
        ),
        (
            {"random": 1.0, "one_ply": 1.0, "snapshots": 1.0},
            2,
            r"max_opponents_per_worker: got 2, expected at least 3",
        ),
        ({"self": 0.0, "random": 0.0}, 4, r"shares"),
        ({}, 4, r"shares"),
    ],
)
def test_shares_that_cannot_be(shares: dict[str, float], most: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pool(shares, max_opponents_per_worker=most)


def test_shares_that_can_be() -> None:
    check_shares({"self": 1.0, "random": 1.0, "one_ply": 1.0, "snapshots": 1.0}, "connect_four", 3)
    check_shares({"random": 1.0, "one_ply": 0.0, "snapshots": 0.0}, "connect_four", 1)
    check_shares({"self": 1.0, "ludo:greedy": 1.0, "ludo:racer": 1.0}, "ludo(num_players=4)", 2)
    check_shares({"minimax:4": 1.0, "mcts:50": 1.0, "snapshots": 1.0}, "connect_four", 3)
    with pytest.raises(ConfigurationError, match="minimax:4"):
        check_shares({"self": 1.0, "minimax:4": 1.0}, "ludo", 4)


def test_players_that_search_are_numbered_like_others() -> None:
    manager = pool({"random": 1.0, "minimax:4": 1.0, "mcts:50": 1.0})
    assert [(o.id, o.name) for o in manager.plan(0, 0).opponents] == [
        (0, "self"),
        (1, "mcts:50"),
        (2, "minimax:4"),
        (3, "random"),
    ]
    rows = np.zeros(1, result_dtype(2))
    rows["players"], rows["returns"] = [(0, 2)], [(1, -1)]
    assert manager.record(0, rows, {0: frozenset()}) == {"minimax:4": Record(1, 0, 0)}


class PoolMachine(RuleBasedStateMachine):
    """A run of two workers, as the training loop drives it: whoever may still read a slot finds
    there what was put in.

    At most two rounds are in flight. A worker's matches in progress after a round have players that
    had been in progress before it, or were in its plan. The snapshots of all plans of unfinished
    rounds and all matches in progress are *named*.
    """

    @initialize(
        max_snapshots=st.sampled_from([0, 1, 1, 2, 3]),
        spare=st.sampled_from([0, 1, 1, 2]),
        most=st.integers(1, 3),
        interval=st.integers(1, 3),
        seed=st.integers(0, 3),
    )
    def begin(self, max_snapshots: int, spare: int, most: int, interval: int, seed: int) -> None:
        self.options: dict[str, Any] = {
            "snapshot_interval": interval,
            "max_snapshots": max_snapshots,
            "max_opponents_per_worker": most,
            "seed": seed,
        }
        self.num_slots = max_snapshots + spare
        self.make()
        self.started = self.finished = self.episodes = self.taken = 0
        self.plans: dict[int, list[Plan]] = {}
        self.playing: list[frozenset[int]] = [frozenset(), frozenset()]
        self.contents: dict[int, float] = {}  # by snapshot id, what every number of its weights is
        self.pool: list[int] = []  # numbers of the snapshots that can be met
        self.slot_of: dict[int, int] = {}

    def make(self) -> None:
        self.slots = np.full((self.num_slots, LAYOUT.size), -1.0, np.float32)
        self.manager = OpponentManager(
            {"self": 1.0, "snapshots": 1.0},
            game="ludo",
            slots=self.slots,
            layout=LAYOUT,
            **self.options,
        )

    @precondition(lambda self: self.started < self.finished + 2)
    @rule()
    def start_round(self) -> None:
        plans = [self.manager.plan(self.started, worker) for worker in range(2)]
        for opponent in [o for plan in plans for o in plan.opponents if o.slot is not None]:
            assert opponent.id - 1000 in self.pool
            assert opponent.slot is not None
            self.slot_of[opponent.id] = opponent.slot
        self.plans[self.started] = plans
        self.started += 1

    @precondition(lambda self: self.finished < self.started)
    @rule(data=st.data(), episodes=st.integers(0, 6))
    def finish_round(self, data: st.DataObject, episodes: int) -> None:
        plans = self.plans.pop(self.finished)
        for worker, plan in enumerate(plans):
            may_play = self.playing[worker] | {o.id for o in plan.opponents if o.slot is not None}
            self.playing[worker] = (
                frozenset(data.draw(st.sets(st.sampled_from(sorted(may_play)))))
                if may_play
                else frozenset()
            )
        self.manager.record(self.finished, NO_RESULTS, dict(enumerate(self.playing)))
        self.finished += 1
        self.episodes += episodes
        if data.draw(st.booleans()):
            self.save_and_restore()
        self.maybe_snapshot()

    def maybe_snapshot(self) -> None:
        free = self.num_slots - len({1000 + number for number in self.pool} | self.named())
        due = (
            self.episodes // self.options["snapshot_interval"] > self.taken
            and self.options["max_snapshots"] > 0
        )
        name = self.manager.maybe_snapshot(self.episodes, weights(self.episodes))
        assert (name is not None) == (due and free > 0)
        if name is not None:
            self.taken = int(name.removeprefix("snapshot:"))
            assert self.taken == self.episodes // self.options["snapshot_interval"]
            self.contents[1000 + self.taken] = float(self.episodes)
            self.pool.append(self.taken)
            if len(self.pool) > self.options["max_snapshots"]:
                del self.pool[index_to_evict(self.pool)]

    @rule()
    def save_and_restore(self) -> None:
        """Into a pool of another process, whose slots are blank."""
        state = self.manager.get_state()
        self.make()
        self.manager.set_state(state)

    def named(self) -> set[int]:
        planned = {
            o.id
            for plans in self.plans.values()
            for plan in plans
            for o in plan.opponents
            if o.slot is not None
        }
        return planned.union(*self.playing)

    @invariant()
    def whoever_may_read_finds_it(self) -> None:
        if hasattr(self, "manager"):
            assert self.manager.pool_size == len(self.pool)
            for snapshot_id in self.named():
                assert (self.slots[self.slot_of[snapshot_id]] == self.contents[snapshot_id]).all()
            for number in self.pool:
                assert (
                    self.manager.weights(f"snapshot:{number}")["head.advantage.bias"].tolist()
                    == [self.contents[1000 + number]] * 9
                )


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_restored_pool_goes_on_as_the_other_one_does() -> None:
    """Same plans, same snapshots at the same moments, same records and ratings."""
    manager = pool(max_snapshots=2, num_slots=4, matchmaking="pfsp")
    rows = np.zeros(20, result_dtype(2))
    rows["players"], rows["returns"] = (0, 2), (1, -1)
    rows["players"][::2] = (1001, 0)
    for k in range(4):
        manager.plan(k, 0)
        manager.record(k, rows, {0: frozenset({1000 + k})})
        manager.maybe_snapshot(10 * k, weights(k))
    restored = pool(max_snapshots=2, num_slots=4, matchmaking="pfsp")
    restored.set_state(manager.get_state())
    assert restored.recent == manager.recent
    assert set(restored.recent) == {"random", "snapshot:1"}
    for k in range(4, 12):
        assert restored.plan(k, 0) == manager.plan(k, 0)
        assert restored.record(k, rows, {0: frozenset()}) == manager.record(
            k, rows, {0: frozenset()}
        )
        assert restored.maybe_snapshot(7 * k, weights(k)) == manager.maybe_snapshot(
            7 * k, weights(k)
        )
        assert restored.rating == manager.rating
    assert restored.recent == manager.recent
    assert restored.get_state()["ratings"] == manager.get_state()["ratings"]


def test_a_pool_says_what_it_is() -> None:
    manager = pool({"self": 3.0, "random": 1.0, "snapshots": 0.0}, max_snapshots=2)
    expected = "OpponentManager(self 75%, random 25%; 0 of 2 snapshots; matchmaking uniform)"
    assert repr(manager) == expected
