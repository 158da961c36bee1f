"""Commands to workers and the order of rounds, with workers that finish parts in any order."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from fake_workers import Choice, FakeWorkers, earliest, pool, vector
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_runs import resolved_trial

from sparring.config.schema import ResolvedConfig
from sparring.runtime import Batch
from sparring.training.rounds import FreeRunning, Rounds
from sparring.training.schedule import Schedule

SETTINGS = resolved_trial(
    n_episodes=1000,
    learning_steps_per_batch=4,
    batch_size=1,
    learning_starts=0,
    exploration_initial_eps=1.0,
    exploration_final_eps=0.0,
    exploration_fraction=1.0,
)


def changed(**changes: object) -> ResolvedConfig:
    return SETTINGS.model_copy(update=changes)


def receive_match(schedule: Schedule) -> None:
    schedule.receive(episodes=1, plies=1, transitions=0)


def free_running(
    num_workers: int,
    *,
    lag: int = 4,
    choose: Choice | None = None,
    schedule: Schedule | None = None,
) -> tuple[FreeRunning, FakeWorkers, Schedule]:
    """With version 0 published; without `choose` all workers are equally fast."""
    workers = FakeWorkers(num_workers, lag + 1, choose or (lambda busy: busy[0]))
    if choose is None:
        workers.choose = earliest(workers)
    schedule = schedule or Schedule(SETTINGS)
    pacing = FreeRunning(workers, pool(workers), schedule, num_workers=num_workers, episodes=7)
    pacing.begin(vector(0))
    return pacing, workers, schedule


def play_round(pacing: FreeRunning | Rounds) -> list[int]:
    """Receive all batches of a round; return their numbers."""
    numbers = []
    for batch in pacing.batches():
        numbers.append(batch.round)
        batch.release()
    return numbers


@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_each_worker_has_two_parts_in_flight(num_workers: int) -> None:
    """All but the one whose part has just arrived; it gets another before the next is received."""
    pacing, workers, schedule = free_running(num_workers, choose=random.Random(1).choice)
    for k in range(20):
        assert schedule.round == k
        for number, batch in enumerate(pacing.batches()):
            [worker] = batch.in_use
            assert [len(commands) for commands in workers.in_flight] == [
                2 - (w == worker) for w in range(num_workers)
            ]
            assert len(workers.started) == 2 * num_workers + k * num_workers + number
            batch.release()
        assert number == num_workers - 1, "as many parts as workers make a round"
    assert [command.round for _, command in workers.started] == list(range(len(workers.started))), (
        "every part has a number of its own"
    )
    assert {command.episodes for _, command in workers.started} == {7}


def test_a_fast_worker_plays_more_of_a_round() -> None:
    pacing, workers, schedule = free_running(3, choose=lambda busy: 1)
    assert play_round(pacing) == [1, 4, 6]
    assert play_round(pacing) == [7, 8, 9]
    assert schedule.round == 2
    assert [command.round for command in workers.in_flight[0]] == [0, 3]


def test_commands_name_the_newest_weights() -> None:
    """Versions by hand: two parts of each worker start with the first; from then on, a part starts
    with the newest when another has arrived.
    """
    pacing, workers, _ = free_running(2)
    for k in range(4):
        play_round(pacing)
        pacing.publish(vector(k + 1))
        assert pacing.version == k + 1
    versions = [command.weights_version for _, command in workers.started]
    assert versions == [0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3]


def test_epsilon_of_a_part_is_that_of_the_middle_of_its_matches() -> None:
    """Parts of 7 of 700 matches: part k brings those from 7 k to 7 k + 7, so 1 - (7 k + 3.5) / 700.

    The same for two workers that run freely and for rounds of two workers, of 14 matches.
    """
    schedule = Schedule(changed(n_episodes=700))
    pacing, workers, _ = free_running(2, schedule=schedule)
    for _ in range(4):
        for batch in pacing.batches():
            schedule.receive(episodes=7, plies=1, transitions=0)
            batch.release()
    assert [command.epsilon for _, command in workers.started] == pytest.approx(
        [1.0 - (7 * k + 3.5) / 700 for k in range(len(workers.started))]
    )
    for overlap in (False, True):
        stepwise, others, counts = rounds(overlap, n_episodes=700, episodes=7)
        for _ in range(4):
            for batch in stepwise.batches():
                counts.receive(episodes=14, plies=1, transitions=0)
                batch.release()
        assert [command.epsilon for _, command in others.started] == pytest.approx(
            [1.0 - (14 * command.round + 7) / 700 for _, command in others.started]
        )


def test_each_worker_has_its_own_epsilon() -> None:
    pacing, workers, _ = free_running(
        3,
        choose=random.Random(2).choice,
        schedule=Schedule(
            changed(
                exploration="per_worker",
                exploration_per_worker_eps=0.5,
                exploration_per_worker_alpha=2.0,
                num_workers=3,
            )
        ),
    )
    for _ in range(5):
        play_round(pacing)
    assert {(worker, command.epsilon) for worker, command in workers.started} == {
        (0, 0.5),
        (1, 0.25),
        (2, 0.125),
    }


@pytest.mark.parametrize("lag", [1, 2, 4])
def test_a_worker_that_does_not_finish_ends_early_when_it_is_as_far_behind_as_it_may_be(
    lag: int,
) -> None:
    """Worker 0 never finishes by itself: its parts hold version 0, which the round after version
    `lag` must not leave further behind.
    """
    pacing, workers, _ = free_running(2, lag=lag, choose=lambda busy: busy[-1])
    for k in range(1, lag + 1):
        play_round(pacing)
        pacing.publish(vector(k))
        assert pacing.version == k
        assert workers.ended == {}
    others = len(play_round(pacing)) - 2
    assert others == 4, "the other worker goes on for two parts, then the slow one ends its two"
    assert set(workers.ended) == {0}
    pacing.publish(vector(50))
    assert pacing.version == lag + 1
    assert min(command.weights_version for command in workers.parts()) >= 1


@pytest.mark.parametrize(
    ("num_workers", "slowness"), [(8, 4), (8, 10), (46, 10), (46, 10**9)], ids=str
)
def test_no_part_is_more_rounds_of_learning_behind_than_it_may_be(
    num_workers: int, slowness: float
) -> None:
    """One worker is slower than the others, or never finishes. All parts in flight, its own too,
    have weights of the last four rounds, and versions count rounds.
    """
    pacing, workers, _ = free_running(num_workers, lag=4)
    seconds = [slowness] + [1.0] * (num_workers - 1)  # for a part
    ready = [0.0] * num_workers

    def next_to_finish(busy: Sequence[int]) -> int:
        worker = min(busy, key=lambda w: ready[w] + seconds[w])
        ready[worker] = max(ready) if worker in workers.ended else ready[worker] + seconds[worker]
        return worker

    workers.choose = next_to_finish
    behind = []
    for k in range(1, 301):
        play_round(pacing)
        pacing.publish(vector(k))
        assert pacing.version == k, "as many versions as rounds of learning"
        behind.append(k - min(command.weights_version for command in workers.parts()))
    assert max(behind) <= 4
    if slowness > 4:
        assert max(behind) == 4


def test_equal_workers_are_never_late() -> None:
    """Their parts in flight are at most two versions behind, so none is late."""
    pacing, _, _ = free_running(4, lag=2)
    for k in range(1, 30):
        assert len(play_round(pacing)) == 4
        pacing.publish(vector(k))
        assert pacing.version == k


def test_the_last_finished_round_when_parts_arrive_out_of_order() -> None:
    """Worker 0 has parts 0 and 2, worker 1 has 1 and 3; then 4 and more in the order of arrival."""
    order = iter([1, 1, 0, 0, 1, 1])
    pacing, _, _ = free_running(2, choose=lambda busy: next(order))
    got = []
    for _ in range(3):
        for batch in pacing.batches():
            got.append((batch.round, pacing.finished_round(batch)))
            batch.release()
    assert got == [
        (1, -1),  # in flight: 0, 2, 3
        (3, -1),  # 0, 2, 4
        (0, 1),  # 2, 4, 5
        (2, 3),  # 4, 5, 6
        (4, 4),  # 5, 6, 7
        (5, 5),  # 6, 7, 8
    ]


def test_settling_finishes_everything_and_starts_nothing() -> None:
    pacing, workers, schedule = free_running(3, choose=random.Random(3).choice)
    for _ in range(4):
        play_round(pacing)
    told = len(workers.started)
    finished = []
    for batch in pacing.settle():
        finished.append(pacing.finished_round(batch))
        batch.release()
    assert len(finished) == 5, "two of each worker, but one of the worker whose part arrived last"
    assert workers.parts() == []
    assert len(workers.started) == told
    assert finished[-1] == told - 1, "no part is left that could read weights"
    assert schedule.round == 4
    assert list(pacing.settle()) == []


def test_a_restored_pacing_continues() -> None:
    """With the next number and the same version."""
    pacing, workers, schedule = free_running(2)
    for k in range(3):
        play_round(pacing)
        pacing.publish(vector(k + 1))
    for batch in pacing.settle():
        batch.release()
    state = pacing.get_state()
    other, others, _ = free_running(2, schedule=schedule)
    other.set_state(state)
    assert other.version == 3
    assert (others.weights.published(3) == 3).all()
    told = len(workers.started)
    for each in (pacing, other):
        assert play_round(each) == [told, told + 1]
        each.publish(vector(9))
        assert each.version == 4
    assert [c for _, c in others.started] == [c for _, c in workers.started[told:]]
    assert {command.weights_version for _, command in others.started} == {3}


class Simulation:
    """A run as the training loop drives it, with workers of any speed: weights that a part in
    flight may read never change.
    """

    def __init__(self, rng: random.Random) -> None:
        self.num_workers, self.lag = rng.randint(1, 4), rng.randint(1, 3)
        self.rng = rng
        self.options = {
            "max_snapshots": rng.randint(1, 3),
            "max_opponents_per_worker": rng.randint(1, 3),
            "seed": rng.randint(0, 9),
        }
        self.num_slots = self.options["max_snapshots"] + rng.randint(0, 3)
        self.schedule = Schedule(SETTINGS)
        self.contents: dict[int, int] = {}  # by snapshot, what every number of its weights is
        self.slot_of: dict[int, int] = {}
        self.published: dict[int, int] = {}
        self.taken = self.learned = self.extended = 0
        self.open()
        self.published[0] = 0
        self.pacing.begin(vector(0))

    def open(self) -> None:
        speeds = [self.rng.choice([0.05, 1.0, 1.0, 20.0]) for _ in range(self.num_workers)]
        self.workers = FakeWorkers(
            self.num_workers,
            self.lag + 1,
            lambda busy: self.rng.choices(busy, [speeds[worker] for worker in busy])[0],
            self.num_slots,
        )
        self.workers.keep = lambda ids: frozenset(i for i in ids if self.rng.random() < 0.5)
        self.opponents = pool(self.workers, **self.options)
        self.pacing = FreeRunning(
            self.workers, self.opponents, self.schedule, num_workers=self.num_workers, episodes=1
        )

    def receive(self, batch: Batch) -> None:
        receive_match(self.schedule)
        self.check()
        self.opponents.record(self.pacing.finished_round(batch), batch.results, batch.in_use)
        batch.release()

    def round(self) -> None:
        received = 0
        for batch in self.pacing.batches():
            self.receive(batch)
            received += 1
        assert received >= self.num_workers
        self.extended += received > self.num_workers
        self.learned += 1
        self.pacing.publish(vector(self.learned))
        assert self.pacing.version == self.learned, "every round gives a version"
        self.published[self.learned] = self.learned
        name = self.opponents.maybe_snapshot(self.schedule.episodes, vector(self.learned))
        if name is not None:
            self.taken += 1
            self.contents[1000 + int(name.removeprefix("snapshot:"))] = self.learned
        self.check()

    def check(self) -> None:
        newest = max(self.published)
        self.slot_of |= {
            o.id: o.slot
            for _, command in self.workers.started
            for o in command.plan.opponents
            if o.slot is not None
        }
        for command in self.workers.parts():
            assert newest - command.weights_version <= self.lag
            assert (
                self.workers.weights.published(command.weights_version)
                == self.published[command.weights_version]
            ).all()
            for opponent in command.plan.opponents:
                if opponent.slot is not None:
                    self.check_snapshot(opponent.id)
        for snapshot in frozenset().union(*self.workers.playing):
            self.check_snapshot(snapshot)

    def check_snapshot(self, snapshot: int) -> None:
        assert (
            self.workers.weights.snapshot(self.slot_of[snapshot]) == self.contents[snapshot]
        ).all()

    def save_and_resume(self) -> None:
        """Continue in another process, with empty memory and workers of other speeds."""
        for batch in self.pacing.settle():
            self.receive(batch)
        state = self.opponents.get_state(), self.pacing.get_state(), self.workers.playing
        self.open()
        self.opponents.set_state(state[0])
        self.pacing.set_state(state[1])
        self.workers.playing = state[2]
        self.check()


@settings(max_examples=100, deadline=None)
@given(rng=st.randoms(use_true_random=True))
def test_weights_that_may_be_read_never_change(rng: random.Random) -> None:
    run = Simulation(rng)
    for _ in range(60):
        run.round()
        if rng.random() < 0.05:
            run.save_and_resume()
    assert run.taken > 0


def test_the_simulation_exercises_what_it_should() -> None:
    """Guards the test above: rounds receive late parts, and snapshots leave the pool while they are
    still players.
    """
    extended = stale = 0
    for seed in range(30):
        run = Simulation(random.Random(seed))
        for _ in range(60):
            run.round()
            stale += len(
                frozenset().union(*run.workers.playing)
                - {1000 + snapshot.number for snapshot in run.opponents._pool}
            )
        extended += run.extended
    assert extended > 50
    assert stale > 50


def rounds(
    overlap: bool, *, n_episodes: int = 10, episodes: int = 3
) -> tuple[Rounds, FakeWorkers, Schedule]:
    workers = FakeWorkers(2, 2, lambda busy: busy[0])
    schedule = Schedule(changed(n_episodes=n_episodes))
    pacing = Rounds(
        workers, pool(workers), schedule, num_workers=2, episodes=episodes, overlap=overlap
    )
    pacing.begin(vector(0))
    return pacing, workers, schedule


@pytest.mark.parametrize(("overlap", "versions"), [(False, [0, 1, 2, 3]), (True, [0, 0, 1, 2, 3])])
def test_weights_of_each_round(overlap: bool, versions: list[int]) -> None:
    """`overlap` starts a round before the previous one is learned."""
    pacing, workers, schedule = rounds(overlap)
    for k in range(4):
        assert play_round(pacing) == [k]
        assert schedule.round == k + 1
        receive_match(schedule)
        pacing.publish(vector(k + 1))
        assert (pacing.version, workers.weights.published(k + 1)[0]) == (k + 1, k + 1)
    assert [(worker, c.round, c.weights_version) for worker, c in workers.started] == [
        (worker, k, version) for k, version in enumerate(versions) for worker in (0, 1)
    ]


def test_a_finished_round_is_kept_until_it_is_learned() -> None:
    """A checkpoint in `overlap` finishes the round in flight, which is learned after the resume; in
    `sync` there is none.
    """
    for overlap, in_flight in ((True, 1), (False, 0)):
        pacing, workers, schedule = rounds(overlap)
        for k in range(2):
            play_round(pacing)
            pacing.publish(vector(k + 1))
        assert len(workers.in_flight[0]) == in_flight
        assert list(pacing.settle()) == []
        assert workers.parts() == []
        state = pacing.get_state()
        assert (state["pending"] is not None) == overlap
        other, others, _ = rounds(overlap)
        other._schedule.set_state(schedule.get_state())
        other.set_state(state)
        for each, its in ((pacing, workers), (other, others)):
            before = len(its.started)
            assert play_round(each) == [2]
            assert [c.round for _, c in its.started[before:]] == ([3, 3] if overlap else [2, 2])
