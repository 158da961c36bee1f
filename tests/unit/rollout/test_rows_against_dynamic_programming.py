"""The transitions of a rollout against exact values: for each state and action the mean target is
the exact one, within its standard error. No learning.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from collected_rows import GAMMA, ITSELF, RANDOM, Weights, collected
from layered_games import Layered, exact_q, graph
from numpy.typing import NDArray

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.games import name_of
from sparring.opponents.players import Plan
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand

MAX_Z = 5.0  # of about 30 pairs a case


def check(rows: NDArray[Any], q: NDArray[np.float64]) -> None:
    state, action = rows["observation"].argmax(1), rows["action"]
    bootstraps = rows["next_mask"].any(1)
    assert ((rows["discount"] != 0) == bootstraps).all()
    values = np.nanmax(q, axis=1)[rows["next_observation"].argmax(1)]
    target = rows["R"] + np.where(bootstraps, rows["discount"] * rows["sign"] * values, 0.0)
    pairs = 0
    for s, a in np.argwhere(~np.isnan(q)).tolist():
        targets = target[(state == s) & (action == a)]
        if len(targets) >= 30:
            error = abs(float(targets.mean()) - q[s, a])
            limit = MAX_Z * float(targets.std(ddof=1)) / len(targets) ** 0.5
            assert error <= limit + 1e-6, (s, a, targets.mean(), q[s, a], len(targets))
            pairs += 1
    assert pairs > 15


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize(("learn_from", "plan"), [("all", ITSELF), ("agent", RANDOM)])
def test_zero_sum_rows_have_the_exact_values(learn_from: str, plan: Plan, n_steps: int) -> None:
    game = name_of(partial(Layered, seed=1))
    rows = collected(game, "zero_sum", n_steps=n_steps, learn_from=learn_from, plan=plan)
    check(rows, exact_q(graph(1, 2, 4, True), GAMMA, n_steps, own_turn=False))


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("seats", [1, 2, 4])
def test_own_turn_rows_have_the_exact_values(seats: int, n_steps: int) -> None:
    game = name_of(partial(Layered, seed=2, seats=seats, depth=5, zero_sum=False))
    rows = collected(game, "own_turn", n_steps=n_steps)
    check(rows, exact_q(graph(2, seats, 5, False), GAMMA, n_steps, own_turn=True))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("seats", [1, 2, 3])
def test_own_turn_rows_of_matches_that_are_cut_have_the_exact_values(seats: int, seed: int) -> None:
    """Rows of the seats that were not to move at the cut were dropped, which biased the others."""
    args: dict[str, Any] = {"max_plies": 2, "any_start": True}
    game = name_of(partial(Layered, seed=seed, seats=seats, depth=5, zero_sum=False, **args))
    rows = collected(game, "own_turn")
    check(rows, exact_q(graph(seed, seats, 5, False), GAMMA, 1, own_turn=True))


def test_zero_sum_rows_of_matches_that_are_cut_have_the_exact_values() -> None:
    game = name_of(partial(Layered, seed=3, max_plies=2, any_start=True))
    check(collected(game, "zero_sum"), exact_q(graph(3, 2, 4, True), GAMMA, 1, own_turn=False))


def test_a_cut_match_is_reported_as_it_was_at_the_limit() -> None:
    game = name_of(partial(Layered, seed=2, depth=5, zero_sum=False, max_plies=2))
    spec = PolicySpec(game, NetworkSpec("mlp", {"net_arch": [4]}))
    results = []
    for bootstrap in ("own_turn", "zero_sum"):  # which ends a match at the limit at once
        settings = RolloutSettings(spec, 1, 11, bootstrap, 1, GAMMA, "all", 1.0)  # type: ignore[arg-type]
        rollout = Rollout(
            settings, Weights(InferencePolicy(spec).vector()), worker=0, incarnation=0
        )
        report = rollout.play_round(RoundCommand(0, 0, 1.0, ITSELF, 200), lambda block: None)
        results.append(report.results)
    one, other = results
    for name in ("returns", "plies", "truncated"):
        np.testing.assert_array_equal(one[name], other[name])
    assert one["truncated"].any()
