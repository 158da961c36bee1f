"""Answers of the schedule, worked out by hand from its counts."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_runs import resolved_trial

from sparring.config.schema import ResolvedConfig
from sparring.training.schedule import Schedule

SETTINGS = resolved_trial(
    n_episodes=1000,
    learning_steps_per_batch=8,
    samples_per_insert=2.0,
    batch_size=64,
    learning_starts=500,
    exploration_initial_eps=0.9,
    exploration_final_eps=0.1,
    exploration_fraction=0.4,
    learning_rate=0.01,
)


def changed(config: ResolvedConfig, **changes: object) -> ResolvedConfig:
    return config.model_copy(update=changes)


def receive(
    schedule: Schedule,
    *,
    episodes: int = 0,
    transitions: int = 0,
    stored: int = 10_000,
    capacity: int = 10_000,
    share: float = 1.0,
) -> None:
    schedule.receive(
        episodes=episodes,
        plies=0,
        transitions=transitions,
        stored=stored,
        capacity=capacity,
        share=share,
    )


def after(episodes: int, config: ResolvedConfig = SETTINGS) -> Schedule:
    schedule = Schedule(config)
    receive(schedule, episodes=episodes)
    return schedule


@pytest.mark.parametrize(
    ("episodes", "expected"),
    [
        (0, 0.9),
        (100, 0.7),
        (200, 0.5),
        (300, 0.3),
        (400, 0.1),
        (401, 0.1),
        (1000, 0.1),
        (1003, 0.1),
    ],
)
def test_epsilon_by_hand(episodes: int, expected: float) -> None:
    """0.9 - 0.8 * episodes / 400, down to 0.1."""
    assert after(episodes).epsilon(0) == after(episodes).mean_epsilon == pytest.approx(expected)


@pytest.mark.parametrize(
    ("episodes", "expected"), [(0, 0.4), (250, 0.55), (500, 0.7), (1000, 1.0), (1010, 1.0)]
)
def test_beta_by_hand(episodes: int, expected: float) -> None:
    """0.4 + 0.6 * episodes / 1000, up to 1."""
    assert after(episodes).beta == pytest.approx(expected)
    falling = changed(SETTINGS, prioritized_replay_beta0=0.5, prioritized_replay_beta1=0.0)
    assert after(episodes, falling).beta == pytest.approx(0.5 * (1.0 - expected) / 0.6)


@pytest.mark.parametrize(
    ("episodes", "cosine"),
    [
        (0, 0.01),
        (250, 0.005 * (1 + math.sqrt(0.5))),
        (500, 0.005),
        (750, 0.005 * (1 - math.sqrt(0.5))),
        (1000, 0.0),
        (1200, 0.0),
    ],
)
def test_the_learning_rate_by_hand(episodes: int, cosine: float) -> None:
    assert after(episodes).learning_rate == 0.01
    assert after(
        episodes, changed(SETTINGS, learning_rate_schedule="cosine")
    ).learning_rate == pytest.approx(cosine, abs=1e-12)


def test_epsilon_follows_the_matches_of_many_rounds() -> None:
    """A schedule that stood still would give the value of its start in every round."""
    schedule = Schedule(SETTINGS)
    epsilons = []
    for k in range(11):
        assert schedule.progress == pytest.approx(k / 10)
        epsilons.append(schedule.epsilon(k % 3))
        receive(schedule, episodes=100)
    assert epsilons == pytest.approx([0.9, 0.7, 0.5, 0.3] + [0.1] * 7)
    assert schedule.episodes == 1100


def test_counts_add_up() -> None:
    schedule = Schedule(SETTINGS)
    for k in range(4):
        schedule.receive(episodes=k, plies=10 * k, transitions=5, stored=0, capacity=10)
    assert (schedule.episodes, schedule.plies, schedule.due) == (6, 60, 0)
    assert schedule.round == 0, "the pacing says when a round is complete"


def test_steps_of_a_round_are_due_once_the_buffer_holds_enough() -> None:
    schedule = Schedule(SETTINGS)
    receive(schedule, transitions=400, stored=499)
    assert schedule.due == 0
    receive(schedule, transitions=1, stored=500)
    assert schedule.due == 8
    schedule.learned(schedule.due)
    # the surplus matches of earlier rounds may fill the quota of one: it is learned all the same
    receive(schedule, transitions=0, stored=500)
    assert schedule.due == 8


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 10, 46, 49])
@pytest.mark.parametrize("steps", [1, 5, 8, 100])
def test_the_shares_of_a_round_add_up_to_its_steps(workers: int, steps: int) -> None:
    """However fractions are rounded: after each round exactly its steps are due, and after each
    part no more than its share.
    """
    schedule = Schedule(changed(SETTINGS, learning_steps_per_batch=steps))
    for k in range(50):
        for part in range(workers):
            receive(schedule, share=1.0 / workers)
            assert (
                k * steps + (part + 1) * steps / workers - 1.0
                < schedule.due
                <= k * steps + (part + 1) * steps / workers + 1e-6
            )
        assert schedule.due == (k + 1) * steps


def test_adaptive_steps_of_a_part_follow_its_own_transitions() -> None:
    """They are counted already, so the part's share of the round does not count as well."""
    schedule = Schedule(changed(SETTINGS, learning_steps_per_batch="adaptive"))
    receive(schedule, transitions=320, share=0.25)
    assert schedule.due == 10  # 320 * 2 / 64


PER_WORKER = changed(
    SETTINGS,
    exploration="per_worker",
    exploration_per_worker_eps=0.4,
    exploration_per_worker_alpha=7.0,
    num_workers=8,
)


def test_per_worker_epsilons_by_hand() -> None:
    """0.4 for the first of eight, the power 1 + 7 * i / 7 = 1 + i of it for worker i."""
    schedule = Schedule(PER_WORKER)
    wanted = [0.4, 0.16, 0.064, 0.0256, 0.01024, 0.004096, 0.0016384, 0.00065536]
    assert [schedule.epsilon(worker) for worker in range(8)] == pytest.approx(wanted)
    assert schedule.mean_epsilon == pytest.approx(sum(wanted) / 8)


@pytest.mark.parametrize("episodes", [0, 100, 400, 1000])
def test_per_worker_epsilons_stay_where_they_are(episodes: int) -> None:
    first, later = Schedule(PER_WORKER), after(episodes, PER_WORKER)
    assert [later.epsilon(worker) for worker in range(8)] == [
        first.epsilon(worker) for worker in range(8)
    ]
    assert later.mean_epsilon == first.mean_epsilon


def test_per_worker_epsilons_of_one_worker() -> None:
    one = changed(PER_WORKER, num_workers=1, exploration_per_worker_eps=0.3)
    schedule = Schedule(one)
    assert schedule.epsilon(0) == schedule.mean_epsilon == pytest.approx(0.3)


ADAPTIVE = changed(SETTINGS, learning_steps_per_batch="adaptive")


def test_adaptive_steps_by_hand() -> None:
    """Each round is worth 100 * 2 * 0.75 / 64 = 2.34375 updates; fractions are carried over."""
    schedule = Schedule(ADAPTIVE)
    due = []
    for _ in range(8):
        receive(schedule, transitions=100, stored=7_500)
        due.append(schedule.due)
        schedule.learned(schedule.due)
    # floor of 2.34, 4.69, 7.03, 9.38, 11.72, 14.06, 16.41, 18.75, less those made before
    assert due == [2, 2, 3, 2, 2, 3, 2, 2]
    assert sum(due) == math.floor(8 * 2.34375)


def test_adaptive_steps_are_proportional_to_the_fill() -> None:
    for stored, expected in ((1_000, 10), (5_000, 50), (10_000, 100)):
        schedule = Schedule(ADAPTIVE)
        receive(schedule, transitions=3_200, stored=stored)
        assert schedule.due == expected


def test_nothing_is_credited_before_learning_starts() -> None:
    """No burst of updates when it does."""
    schedule = Schedule(ADAPTIVE)
    for stored in range(0, 500, 50):
        receive(schedule, transitions=10_000, stored=stored)
        assert schedule.due == 0
    receive(schedule, transitions=32, stored=5_000)
    assert schedule.due == 0  # half an update
    receive(schedule, transitions=32, stored=5_000)
    assert schedule.due == 1


@settings(max_examples=100, deadline=None)
@given(
    rounds=st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 10_000)), max_size=30),
    samples_per_insert=st.sampled_from([0.1, 1.0, 1.5, 8.0]),
    batch_size=st.sampled_from([1, 32, 500]),
)
def test_adaptive_steps_over_a_run(
    rounds: list[tuple[int, int]], samples_per_insert: float, batch_size: int
) -> None:
    """All updates together are what all rounds are worth, less a fraction of one update; no round
    has more than it is worth and one that was carried over.
    """
    schedule = Schedule(
        changed(ADAPTIVE, samples_per_insert=samples_per_insert, batch_size=batch_size)
    )
    total = worth = 0.0
    for transitions, stored in rounds:
        receive(schedule, transitions=transitions, stored=stored)
        now = (
            transitions * samples_per_insert * stored / 10_000 / batch_size
            if stored >= 500
            else 0.0
        )
        worth += now
        total += schedule.due
        assert schedule.due <= now + 1
        assert worth - 1 - 1e-6 < total <= worth + 1e-6
        schedule.learned(schedule.due)


def test_a_run_is_finished_when_all_is_received_and_learned() -> None:
    schedule = Schedule(SETTINGS)
    assert not schedule.finished
    receive(schedule, episodes=999)
    schedule.learned(schedule.due)
    assert not schedule.finished
    receive(schedule, episodes=3)
    assert schedule.due == 8
    assert not schedule.finished
    schedule.learned(schedule.due)
    assert schedule.finished
    assert schedule.progress == 1.0


def test_a_restored_schedule_goes_on() -> None:
    first = Schedule(ADAPTIVE)
    receive(first, episodes=120, transitions=111, stored=7_000)
    for _ in range(17):
        first.round_received()
    state = json.loads(json.dumps(first.get_state()))  # plain values, as a checkpoint holds them
    second = Schedule(ADAPTIVE)
    second.set_state(state)
    for _ in range(5):
        assert (second.epsilon(0), second.beta, second.due, second.round) == (
            first.epsilon(0),
            first.beta,
            first.due,
            17,
        )
        for schedule in (first, second):
            schedule.learned(schedule.due)
            receive(schedule, episodes=7, transitions=53, stored=7_100)
    assert second.get_state() == first.get_state()


def test_expected_updates_by_hand() -> None:
    """1000 matches of 20 transitions, of which the first 500 are not learned from.

    8 a round of one worker's 4 matches, in 250 rounds: 2000, less 1/40. Adaptive: 2 / 64 for each
    transition at a full buffer of 10,000. While it fills they count as (10^8 - 500^2) / (2 * 10^4)
    = 4987.5, and then as 10,000.
    """
    fixed = changed(SETTINGS, episodes_per_batch=4, buffer_size=10_000)
    for config, expected in (
        (fixed, 2_000 * 39 / 40),
        (changed(fixed, learning_steps_per_batch="adaptive"), 14_987.5 * 2 / 64),
    ):
        schedule = Schedule(config)
        assert schedule.expected_updates == math.inf
        receive(schedule, episodes=10, transitions=200, stored=200)
        assert schedule.expected_updates == pytest.approx(expected)


@pytest.mark.parametrize(("n_episodes", "expected"), [(20, 0.0), (600, 218.36), (10_000, 6093.4)])
def test_a_run_makes_the_updates_that_are_expected(n_episodes: int, expected: float) -> None:
    """Rounds of 10 matches of 20 transitions; the buffer holds 10,000."""
    config = changed(ADAPTIVE, n_episodes=n_episodes, buffer_size=10_000)
    schedule = Schedule(config)
    stored = 0
    while schedule.episodes < n_episodes:
        stored = min(10_000, stored + 200)
        receive(schedule, episodes=10, transitions=200, stored=stored)
    assert schedule.expected_updates == pytest.approx(expected, rel=1e-4)
    assert schedule.due == pytest.approx(schedule.expected_updates, rel=0.05, abs=1.0)
