"""Changes that a resume makes: what it says of each, and where rates continue."""

from __future__ import annotations

import pytest
from trial_runs import resolved_trial

from sparring.training.changes import (
    before_changes,
    carried_over,
    changed_settings,
    plain_settings,
    remarks,
)
from sparring.training.schedule import Schedule

ALONE = "the run is no longer a function of its seed and first configuration alone"
STEADY = {"exploration_final_eps": 0.3, "exploration_initial_eps": 0.3}
PER_WORKER = {"exploration": "per_worker"}

# settings before, those of the resume, and the lines
LINES = [
    ({}, {}, []),
    (
        STEADY,
        {"learning_rate": 0.0005},
        [f"learning_rate is now 0.0005, no longer 0.001: {ALONE}"],
    ),
    (
        {**STEADY, "opponents": {"self": 1.0}},
        {"opponents": {"self": 0.5, "random": 2.0}},
        [f"opponents is now self=0.5 random=2, no longer self=1: {ALONE}"],
    ),
    (
        STEADY,
        {"device": "cuda:1", "tensorboard": False},
        [
            "tensorboard is now False, no longer True: what is learned stays the same",
            "device is now cuda:1, no longer auto: "
            "the weights will differ from those of a run that stayed",
        ],
    ),
    (
        STEADY,
        {"eval_matches": 2_000},
        [
            "eval_matches is now 2,000, no longer 200: what is learned stays the same, "
            "another agent may become the best one"
        ],
    ),
    (
        STEADY,
        {"n_episodes": 2_000},
        [
            "n_episodes is now 2,000, no longer 1,000: "
            "the weights are those of a run that had this length from the start"
        ],
    ),
    (
        {"exploration_fraction": 1.0, "exploration_final_eps": 0.0},
        {"n_episodes": 2_000},
        [
            f"n_episodes is now 2,000, no longer 1,000: {ALONE}",
            "epsilon continues at 0.8, no longer at 0.6",
        ],
    ),
    (
        {**STEADY, "prioritized_replay": True},
        {"n_episodes": 2_000},
        [
            f"n_episodes is now 2,000, no longer 1,000: {ALONE}",
            "beta continues at 0.46, no longer at 0.52",
        ],
    ),
    (
        STEADY,
        {"learning_rate_schedule": "cosine"},
        [
            f"learning_rate_schedule is now cosine, no longer constant: {ALONE}",
            "learning rate continues at 0.000905, no longer at 0.001",
        ],
    ),
    (
        {"exploration_fraction": 1.0, "exploration_final_eps": 0.0},
        {"exploration": "geometric"},
        [f"exploration is now geometric, no longer linear: {ALONE}"],
    ),
]


@pytest.mark.parametrize(("settings", "changes", "lines"), LINES)
def test_each_change_is_one_line_with_what_it_voids(
    settings: dict[str, object], changes: dict[str, object], lines: list[str]
) -> None:
    """After one round of 400 of 1,000 matches: rates of updates follow its middle, 200."""
    config = resolved_trial(**{"n_episodes": 1_000, **settings, **changes})
    first = resolved_trial(**{"n_episodes": 1_000, **settings})
    before = before_changes(config, plain_settings(first))
    assert before == first
    assert set(changed_settings(config, before)) == set(changes)
    schedule = Schedule(first)
    schedule.receive(episodes=400, plies=0, transitions=0)
    state = schedule.get_state()
    assert remarks(config, before, state, carried_over(config, before, state)) == lines


def geometric(**settings: object) -> Schedule:
    """A schedule of 0.5 from 0.8 on after two rounds of one match, resumed with other settings."""
    first = {"exploration": "geometric", "exploration_decay": 0.5, "exploration_initial_eps": 0.8}
    one = {"n_episodes": 100, "episodes_per_batch": 1, "exploration_final_eps": 0.0}
    before = resolved_trial(**{**one, **first})
    config = resolved_trial(**{**one, **first, **settings})
    schedule = Schedule(before)
    for _ in range(2):
        schedule.receive(episodes=1, plies=0, transitions=0)
        schedule.round_received()
    resumed = Schedule(config)
    resumed.set_state(carried_over(config, before, schedule.get_state()))
    return resumed


@pytest.mark.parametrize(
    ("settings", "epsilons"),
    [
        ({}, [0.2, 0.1, 0.05]),
        ({"n_episodes": 1_000}, [0.2, 0.1, 0.05]),
        ({"exploration_decay": 0.9}, [0.2, 0.18, 0.162]),
        ({"exploration_initial_eps": 0.6}, [0.6, 0.3, 0.15]),
        ({"exploration_final_eps": 0.15}, [0.2, 0.15, 0.15]),
        ({"exploration": "linear", "exploration_fraction": 1.0}, [0.784, 0.776, 0.768]),
    ],
)
def test_epsilon_decays_on_from_where_it_was_or_from_a_new_initial_one(
    settings: dict[str, object], epsilons: list[float]
) -> None:
    resumed = geometric(**settings)
    assert [resumed.epsilon(0, ahead) for ahead in (0, 1, 2)] == pytest.approx(epsilons)
    resumed.receive(episodes=1, plies=0, transitions=0)
    resumed.round_received()
    again = Schedule(resumed._config)
    again.set_state(resumed.get_state())
    assert again.mean_epsilon == pytest.approx(epsilons[1])


def test_linear_epsilon_turns_geometric_where_it_is() -> None:
    before = resolved_trial(n_episodes=100, exploration_fraction=1.0, exploration_final_eps=0.0)
    config = before.model_copy(update={"exploration": "geometric", "exploration_decay": 0.5})
    schedule = Schedule(before)
    schedule.receive(episodes=60, plies=0, transitions=0)
    schedule.round_received()
    resumed = Schedule(config)
    resumed.set_state(carried_over(config, before, schedule.get_state()))
    assert resumed.mean_epsilon == pytest.approx(0.4)
    resumed.round_received()
    assert resumed.mean_epsilon == pytest.approx(0.2)
