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
    buffer_size=10_000,
)
COSINE = SETTINGS.model_copy(update={"learning_rate_schedule": "cosine"})
ADAPTIVE = SETTINGS.model_copy(update={"learning_steps_per_batch": "adaptive"})


def changed(config: ResolvedConfig, **changes: object) -> ResolvedConfig:
    return config.model_copy(update=changes)


def receive(
    schedule: Schedule, *, episodes: int = 0, transitions: int = 0, share: float = 1.0
) -> None:
    schedule.receive(episodes=episodes, plies=0, transitions=transitions, share=share)


def begun(config: ResolvedConfig = SETTINGS) -> Schedule:
    """A schedule of fixed steps that has received enough to learn."""
    schedule = Schedule(config)
    receive(schedule, transitions=500, share=0.0)
    return schedule


def after(episodes: int, config: ResolvedConfig = SETTINGS) -> Schedule:
    schedule = Schedule(config)
    receive(schedule, episodes=episodes)
    schedule.round_received()
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


def test_epsilon_of_matches_that_are_received_later_by_hand() -> None:
    """0.9 - 0.8 * (100 + 150) / 400 for those that come when 150 more have been received."""
    assert after(100).epsilon(0, 150.0) == pytest.approx(0.4)


def rates(rounds: int, config: ResolvedConfig, *, parts: int = 1) -> list[tuple[float, float]]:
    """(learning rate, beta) of each round of a run, whose last one brings 30 matches too many."""
    schedule = Schedule(config)
    found = []
    for number in range(rounds):
        surplus = 30 * (number == rounds - 1)
        for part in range(parts):
            episodes = config.n_episodes // rounds // parts + surplus * (part == parts - 1)
            receive(schedule, episodes=episodes, share=1.0 / parts)
        schedule.round_received()
        found.append((schedule.learning_rate, schedule.beta))
    return found


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        (1, [0.5]),
        (2, [(2 + math.sqrt(2)) / 4, (2 - math.sqrt(2)) / 4]),
        (4, [0.5 * (1 + math.cos(math.pi * (2 * k + 1) / 8)) for k in range(4)]),
    ],
)
@pytest.mark.parametrize("parts", [1, 5])
def test_cosine_learning_rates_follow_the_middle_of_each_round(
    rounds: int, expected: list[float], parts: int
) -> None:
    """Of one round, of two and of four; whole, or in parts as in `async`. None is 0."""
    found = [rate for rate, _ in rates(rounds, COSINE, parts=parts)]
    assert found == pytest.approx([0.01 * share for share in expected])
    assert rates(rounds, SETTINGS, parts=parts)[0][0] == 0.01


@pytest.mark.parametrize("rounds", [1, 2, 5, 10, 100])
def test_mean_rates_do_not_depend_on_the_size_of_a_round(rounds: int) -> None:
    """Half of the learning rate; beta 0.7, in the middle of 0.4 and 1.0."""
    found = rates(rounds, COSINE)
    assert sum(rate for rate, _ in found) / rounds == pytest.approx(0.005)
    assert sum(beta for _, beta in found) / rounds == pytest.approx(0.7)


def test_beta_by_hand() -> None:
    """Rounds of 250 of 1000 matches, from 0.4 to 1.0; from 0.5 to 0.0."""
    assert [beta for _, beta in rates(4, SETTINGS)] == pytest.approx([0.475, 0.625, 0.775, 0.925])
    falling = changed(SETTINGS, prioritized_replay_beta0=0.5, prioritized_replay_beta1=0.0)
    assert [beta for _, beta in rates(2, falling)] == pytest.approx([0.375, 0.125])


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
        schedule.receive(episodes=k, plies=10 * k, transitions=5)
    assert (schedule.episodes, schedule.plies, schedule.due) == (6, 60, 0)
    assert schedule.transitions == 20
    assert schedule.round == 0, "the pacing says when a round is complete"


def test_steps_of_a_round_are_due_once_the_buffer_holds_enough() -> None:
    schedule = Schedule(SETTINGS)
    receive(schedule, transitions=499)
    assert schedule.due == 0
    receive(schedule, transitions=1)
    assert schedule.due == 8
    schedule.learned(schedule.due)
    # the surplus matches of earlier rounds may fill the quota of one: it is learned all the same
    receive(schedule, transitions=0)
    assert schedule.due == 8


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 10, 46, 49])
@pytest.mark.parametrize("steps", [1, 5, 8, 100])
def test_the_shares_of_a_round_add_up_to_its_steps(workers: int, steps: int) -> None:
    """However fractions are rounded: after each round exactly its steps are due, and after each
    part no more than its share.
    """
    schedule = begun(changed(SETTINGS, learning_steps_per_batch=steps))
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
    schedule = Schedule(changed(ADAPTIVE, learning_starts=0, buffer_size=1))
    receive(schedule, transitions=320, share=0.25)
    assert schedule.due == 9  # 320 * 2 / 64, but for half of the first


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


def test_geometric_epsilon_follows_the_rounds_and_not_the_matches() -> None:
    """A round of 2 workers x 4 matches; a part that is played 2.5 rounds ahead is of round 2."""
    config = changed(
        SETTINGS,
        exploration="geometric",
        exploration_decay=0.5,
        num_workers=2,
        episodes_per_batch=4,
    )
    schedule = Schedule(config)
    assert [schedule.epsilon(0, ahead) for ahead in (0.0, 4.0, 12.0, 20.0, 28.0)] == pytest.approx(
        [0.9, 0.9, 0.45, 0.225, 0.1125]
    )
    assert schedule.epsilon(1, 12.0) == schedule.epsilon(0, 12.0), "one epsilon for all"
    receive(schedule, episodes=900)
    assert schedule.mean_epsilon == 0.9
    schedule.round_received()
    assert schedule.mean_epsilon == pytest.approx(0.45)


def dues(config: ResolvedConfig, rounds: list[int]) -> list[int]:
    """Updates that become due with rounds of so many transitions."""
    schedule = Schedule(config)
    found = []
    for transitions in rounds:
        receive(schedule, transitions=transitions)
        found.append(schedule.due)
        schedule.learned(schedule.due)
    return found


def test_adaptive_steps_at_a_full_buffer_by_hand() -> None:
    """Each round is worth 75 * 2 / 64 = 2.34375 updates; fractions are carried over.

    While the buffer of 1 fills, a transition counts half: 1/2 * 2 / 64 = 0.015625 at the start.
    """
    found = dues(changed(ADAPTIVE, buffer_size=1, learning_starts=0), [1] + [75] * 8)
    # floor of 2.36, 4.70, 7.05, 9.39, 11.73, 14.08, 16.42, 18.77, less those made before
    assert found == [0, 2, 2, 3, 2, 2, 3, 2, 2]


def test_adaptive_steps_follow_the_fill_by_hand() -> None:
    """(2000^2 - 1000^2) / 2 / 4000 = 375 transitions count until the buffer is half full, the next
    (4000^2 - 2000^2) / 2 / 4000 = 1500 until it is full, and then all; each is worth 2 / 50.
    """
    config = changed(ADAPTIVE, buffer_size=4_000, learning_starts=1_000, batch_size=50)
    assert dues(config, [1_000, 1_000, 2_000, 1_000]) == [0, 15, 60, 40]


def test_nothing_is_credited_before_learning_starts() -> None:
    """No burst of updates when it does: 499 transitions before, and the first after it."""
    assert dues(ADAPTIVE, [100, 399, 2]) == [0, 0, 0]


@settings(max_examples=100, deadline=None)
@given(
    rounds=st.lists(st.integers(0, 5_000), max_size=30),
    samples_per_insert=st.sampled_from([0.1, 1.0, 1.5, 8.0]),
    batch_size=st.sampled_from([1, 32, 500]),
)
def test_adaptive_steps_do_not_depend_on_the_size_of_a_round(
    rounds: list[int], samples_per_insert: float, batch_size: int
) -> None:
    """All updates together are what the fill at each transition is worth, added up one by one, less
    a fraction of one update.
    """
    config = changed(ADAPTIVE, samples_per_insert=samples_per_insert, batch_size=batch_size)
    fill = (min(1.0, (t + 0.5) / 10_000) for t in range(500, sum(rounds)))
    worth = sum(fill) * samples_per_insert / batch_size
    assert worth - 1 - 1e-6 < sum(dues(config, rounds)) <= worth + 1e-6


def test_a_run_is_finished_when_all_is_received_and_learned() -> None:
    schedule = begun()
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


def test_a_restored_schedule_continues() -> None:
    first = Schedule(ADAPTIVE)
    receive(first, episodes=120, transitions=7_000)
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
            receive(schedule, episodes=7, transitions=53)
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
        receive(schedule, episodes=10, transitions=200)
        assert schedule.expected_updates == pytest.approx(expected)


@pytest.mark.parametrize(("n_episodes", "expected"), [(20, 0.0), (600, 218.36), (10_000, 6093.4)])
def test_a_run_makes_the_updates_that_are_expected(n_episodes: int, expected: float) -> None:
    """Rounds of 10 matches of 20 transitions; the buffer holds 10,000."""
    config = changed(ADAPTIVE, n_episodes=n_episodes, buffer_size=10_000)
    schedule = Schedule(config)
    while schedule.episodes < n_episodes:
        receive(schedule, episodes=10, transitions=200)
    assert schedule.expected_updates == pytest.approx(expected, rel=1e-4)
    assert schedule.due == math.floor(expected)


def by_the_clock(minutes: float, **changes: object) -> Schedule:
    """After 50 rounds of 10 matches and 1,000 transitions that took so many of 20 minutes."""
    schedule = Schedule(changed(SETTINGS, max_minutes=20.0, **changes))
    for _ in range(50):
        receive(schedule, episodes=10, transitions=1_000)
        schedule.passed(60.0 * minutes / 50)
        schedule.round_received()
    return schedule


@pytest.mark.parametrize(
    ("minutes", "progress"), [(0.0, 0.0), (5.0, 0.25), (20.0, 1.0), (99.0, 1.0)]
)
def test_schedules_follow_the_clock_by_hand(minutes: float, progress: float) -> None:
    """n_episodes, 1,000, plays no part. The last round began after 49 of 50 parts of the time."""
    schedule = by_the_clock(minutes, learning_rate_schedule="cosine")
    assert schedule.progress == pytest.approx(progress)
    assert schedule.minutes == pytest.approx(minutes)
    assert schedule.finished is (minutes >= 20.0), "updates that are due do not count"
    assert schedule.epsilon(0) == pytest.approx(max(0.1, 0.9 - 0.8 * progress / 0.4))
    middle = min(1.0, 0.5 * (minutes * 0.98 / 20 + minutes / 20)) if minutes < 99 else 1.0
    assert schedule.learning_rate == pytest.approx(0.005 * (1 + math.cos(math.pi * middle)))
    assert schedule.beta == pytest.approx(0.4 + 0.6 * middle)


def test_what_comes_later_is_at_the_rate_so_far_by_hand() -> None:
    """500 matches in 5 of 20 minutes: 100 more take a minute, and the whole run has 2,000 in rounds
    of 4 with 8 updates, but for the first 500 of 200,000 transitions.
    """
    schedule = by_the_clock(5.0)
    assert schedule.epsilon(0, 100.0) == pytest.approx(0.9 - 0.8 * (6 / 20) / 0.4)
    assert schedule.expected_updates == pytest.approx(500 * 8 * (1 - 500 / 200_000))
    assert math.isinf(by_the_clock(1.9).expected_updates), "the rate is not known yet"


def test_a_first_round_that_compiles_for_long_does_not_lower_the_expected_updates() -> None:
    """It took half of the 20 minutes; from then on a round of 10 matches takes 0.1 minutes, so 100
    more follow: 1,010 matches in rounds of 4 with 8 updates, less 1/202 before learning starts.
    """
    schedule = Schedule(changed(SETTINGS, max_minutes=20.0))
    for seconds in (600.0, *[6.0] * 20):
        assert math.isinf(schedule.expected_updates)
        receive(schedule, episodes=10, transitions=1_000)
        schedule.passed(seconds)
        schedule.round_received()
    assert schedule.expected_updates == pytest.approx(1_010 / 4 * 8 * (1 - 500 / 101_000))


def test_a_resumed_schedule_goes_on_from_the_minutes_used() -> None:
    schedule = by_the_clock(5.0)
    again = Schedule(changed(SETTINGS, max_minutes=20.0))
    again.set_state(json.loads(json.dumps(schedule.get_state())))
    again.passed(60.0)
    assert again.minutes == pytest.approx(6.0)
