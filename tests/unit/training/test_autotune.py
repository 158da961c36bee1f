"""Splits that can be worked out by hand, and that no other split is faster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trial_runs import resolved_trial

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.games import spec_of
from sparring.training.autotune import Split, best_split, measured_split


def assert_split(
    split: Split, plies_per_s: float, learner_threads: int, learner_cpus: float
) -> None:
    got = (split.plies_per_s, split.learner_threads, split.learner_cpus)
    assert got == pytest.approx((plies_per_s, learner_threads, learner_cpus))


def test_play_binds() -> None:
    """A ply takes 10 ms of a CPU, and 1/4 of an update of 10 ms: 12.5 ms of CPU in all, so that 4
    CPUs make 320 a second.
    """
    split = best_split(cpus=4, plies_per_update=4.0, plies_per_s=100.0, updates_per_s={1: 100.0})
    assert_split(split, 320.0, 1, 0.8)
    assert split.workers(4) == 3


def test_learning_binds() -> None:
    """An update a second, for 50 plies each, which one CPU plays in half that time: the other CPUs
    have nothing to do.
    """
    split = best_split(cpus=8, plies_per_update=50.0, plies_per_s=100.0, updates_per_s={1: 1.0})
    assert_split(split, 50.0, 1, 1.0)
    assert split.workers(8) == 7


def test_one_cpu_for_both() -> None:
    """10 ms of play and 40 ms of learning for a ply, in turns."""
    split = best_split(cpus=1, plies_per_update=1.0, plies_per_s=100.0, updates_per_s={1: 25.0})
    assert_split(split, 20.0, 1, 0.8)
    assert split.workers(1) == 1


def test_a_second_thread_that_is_worth_it() -> None:
    """Learning binds with one thread, at 10 plies a second. Two make 15, and leave two CPUs that
    could play 200.
    """
    split = best_split(
        cpus=4, plies_per_update=1.0, plies_per_s=100.0, updates_per_s={1: 10.0, 2: 15.0}
    )
    assert_split(split, 15.0, 2, 2.0)
    assert split.workers(4) == 2


def test_a_second_thread_that_is_not() -> None:
    """All CPUs are busy with one thread, at 1 / (5 ms + 2.5 ms); what a second would gain is less
    than the CPU that it takes.
    """
    split = best_split(
        cpus=2, plies_per_update=1.0, plies_per_s=100.0, updates_per_s={1: 200.0, 2: 300.0}
    )
    assert_split(split, 2.0 / 0.015, 1, 0.2 / 0.3)
    assert split.workers(2) == 1


def test_more_threads_than_cpus_are_left_out() -> None:
    """However fast they are said to be."""
    split = best_split(
        cpus=2, plies_per_update=1.0, plies_per_s=100.0, updates_per_s={1: 10.0, 2: 15.0, 4: 1e6}
    )
    assert split.learner_threads == 2


@pytest.mark.parametrize(
    ("cpus", "learner_cpus", "workers"),
    [(8, 0.1, 8), (8, 0.4, 8), (8, 0.6, 7), (8, 1.0, 7), (8, 2.0, 6), (2, 2.0, 1), (1, 0.9, 1)],
)
def test_workers_fill_what_the_learner_leaves(cpus: int, learner_cpus: float, workers: int) -> None:
    assert Split(1.0, 1, learner_cpus).workers(cpus) == workers


@given(
    cpus=st.integers(1, 64),
    plies_per_update=st.floats(0.1, 1e4),
    plies_per_s=st.floats(1.0, 1e6),
    updates_per_s=st.dictionaries(st.integers(2, 80), st.floats(0.1, 1e4), max_size=4),
    alone=st.floats(0.1, 1e4),
)
def test_no_cpu_is_used_twice_and_no_number_of_threads_is_faster(
    cpus: int,
    plies_per_update: float,
    plies_per_s: float,
    updates_per_s: dict[int, float],
    alone: float,
) -> None:
    rates = {1: alone, **updates_per_s}
    best = best_split(
        cpus=cpus, plies_per_update=plies_per_update, plies_per_s=plies_per_s, updates_per_s=rates
    )
    for threads, rate in rates.items():
        if threads <= cpus:
            split = best_split(
                cpus=cpus,
                plies_per_update=plies_per_update,
                plies_per_s=plies_per_s,
                updates_per_s={threads: rate},
            )
            assert split.plies_per_s <= best.plies_per_s * (1 + 1e-9)
    assert best.plies_per_s / plies_per_s + best.learner_cpus <= cpus * (1 + 1e-9)
    assert best.plies_per_s <= plies_per_update * rates[best.learner_threads] * (1 + 1e-9)


def test_positions_after_moves_are_measured_as_they_are_seen() -> None:
    game = spec_of("ludo(num_players=4)")
    policy = PolicySpec(game.name, NetworkSpec("mlp", {"net_arch": [4]}), afterstates=True)
    split = measured_split(
        policy,
        resolved_trial(batch_size=8),
        num_envs=2,
        actor_bfloat16=False,
        learner_bfloat16=False,
        plies_per_update=8.0,
        cpus=1,
        threads=1,
    )
    assert split.plies_per_s > 0.0
