"""Lambda-returns of the assembler against their definition, by the values that the agent had."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from collected_rows import ITSELF, RANDOM, collected, policy_spec
from layered_games import LayeredAfter
from numpy.typing import NDArray

from sparring.dqn.policy import InferencePolicy
from sparring.games import name_of
from sparring.opponents.players import Plan

LAMBDA = 0.7


def returns(steps: NDArray[Any], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[rows] the lambda-return of each one-step row: `values` are those of its next position.

    The next row continues it where its position is the next one, the best move's.
    """
    result = np.zeros(len(steps))
    for t in reversed(range(len(steps))):
        value = values[t]
        continued = (
            t + 1 < len(steps)
            and (steps["next_observation"][t] == steps["observation"][t + 1]).all()
        )
        if continued and steps["discount"][t]:
            value = (1 - LAMBDA) * value + LAMBDA * result[t + 1]
        result[t] = steps["R"][t] + steps["discount"][t] * steps["sign"][t] * value
    return result


@pytest.mark.parametrize("epsilon", [0.0, 0.4])
@pytest.mark.parametrize(
    ("bootstrap", "learn_from", "plan", "seats"),
    [
        ("zero_sum", "all", ITSELF, 2),
        ("own_turn", "agent", RANDOM, 2),
        ("own_turn", "all", ITSELF, 1),
    ],
)
def test_targets_are_lambda_returns_cut_at_moves_that_are_not_the_best(
    bootstrap: str, learn_from: str, plan: Plan, seats: int, epsilon: float
) -> None:
    zero_sum = bootstrap == "zero_sum"
    options: dict[str, Any] = {"seed": 4, "seats": seats, "depth": 6, "zero_sum": zero_sum}
    game = name_of(partial(LayeredAfter, **options))
    make = partial(
        collected,
        game,
        bootstrap,
        learn_from=learn_from,
        plan=plan,
        matches=300,
        afterstates=True,
        epsilon=epsilon,
        num_envs=1,  # so that rows follow each other as the decisions of one seat or of all
    )
    policy = InferencePolicy(policy_spec(game, afterstates=True))
    steps, rows = make(n_steps=1), make(n_steps=20, td_lambda=LAMBDA)
    n = min(len(steps), len(rows)) - 20  # matches in progress have fewer rows of one kind
    assert n > 300
    assert (steps["observation"][:n] == rows["observation"][:n]).all()
    expected = returns(steps, policy.q_values(steps["next_observation"])[:, 0].astype(float))
    np.testing.assert_allclose(rows["R"][:n], expected[:n], atol=1e-5)


def test_rows_with_lambda_returns_bootstrap_from_nothing() -> None:
    game = name_of(partial(LayeredAfter, seed=4, depth=6))
    rows = collected(
        game, "zero_sum", n_steps=3, td_lambda=LAMBDA, matches=300, afterstates=True, epsilon=0.4
    )
    assert not rows["discount"].any()
