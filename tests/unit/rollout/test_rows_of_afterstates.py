"""Rows of networks that value positions after moves: their targets have the exact values of the
policy that plays the best moves, whatever was explored.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from collected_rows import GAMMA, ITSELF, RANDOM, collected, policy_spec
from layered_games import LayeredAfter, exact_after, graph
from numpy.typing import NDArray
from plain_games import LINES

from sparring.dqn.policy import InferencePolicy
from sparring.games import name_of
from sparring.opponents.players import Plan

MAX_Z = 5.0  # of about 30 pairs a case
EPSILON = 0.4


def best_moves(game: str, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[states] the moves that the network of `collected` prefers."""
    policy = InferencePolicy(policy_spec(game, afterstates=True))
    values = policy.q_values(np.eye(mask.size, dtype=np.int8)).reshape(mask.shape)
    best: NDArray[np.int64] = np.where(mask, values, -np.inf).argmax(axis=1)
    return best


def check(rows: NDArray[Any], exact: NDArray[np.float64]) -> None:
    values = np.nan_to_num(exact).ravel()
    place, bootstraps = rows["observation"].argmax(1), rows["discount"] != 0
    assert (rows["next_mask"].any(1) == bootstraps).all()
    following = values[rows["next_observation"].argmax(1)]
    target = rows["R"] + np.where(bootstraps, rows["discount"] * rows["sign"] * following, 0.0)
    pairs = 0
    for pair in np.unique(place).tolist():
        targets = target[place == pair]
        if len(targets) >= 30:
            limit = MAX_Z * float(targets.std(ddof=1)) / len(targets) ** 0.5
            assert abs(float(targets.mean()) - values[pair]) <= limit + 1e-6, pair
            pairs += 1
    assert pairs > 15


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize(("learn_from", "plan"), [("all", ITSELF), ("agent", RANDOM)])
def test_zero_sum_rows_have_the_exact_values(learn_from: str, plan: Plan, n_steps: int) -> None:
    game, g = name_of(partial(LayeredAfter, seed=1)), graph(1, 2, 4, True)
    rows = collected(
        game,
        "zero_sum",
        n_steps=n_steps,
        learn_from=learn_from,
        plan=plan,
        afterstates=True,
        epsilon=EPSILON,
    )
    check(rows, exact_after(g, best_moves(game, g.mask), GAMMA, EPSILON, own_turn=False))


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("seats", [1, 2, 4])
def test_own_turn_rows_have_the_exact_values(seats: int, n_steps: int) -> None:
    options: dict[str, Any] = {"seed": 2, "seats": seats, "depth": 5, "zero_sum": False}
    game, g = name_of(partial(LayeredAfter, **options)), graph(2, seats, 5, False)
    rows = collected(game, "own_turn", n_steps=n_steps, afterstates=True, epsilon=EPSILON)
    check(rows, exact_after(g, best_moves(game, g.mask), GAMMA, EPSILON, own_turn=True))


@pytest.mark.parametrize("bootstrap", ["own_turn", "zero_sum"])
def test_rows_of_matches_that_are_cut_have_the_exact_values(bootstrap: str) -> None:
    zero_sum, depth = bootstrap == "zero_sum", 5
    options: dict[str, Any] = {"seed": 3, "depth": depth, "zero_sum": zero_sum}
    game = name_of(partial(LayeredAfter, max_plies=2, any_start=True, **options))
    g = graph(3, 2, depth, zero_sum)
    rows = collected(game, bootstrap, afterstates=True, epsilon=EPSILON)
    check(rows, exact_after(g, best_moves(game, g.mask), GAMMA, EPSILON, own_turn=not zero_sum))


@pytest.mark.parametrize("n_steps", [1, 3])
def test_without_chance_positions_before_a_win_have_its_value(n_steps: int) -> None:
    """Of tic-tac-toe, whose wins are known before they are valued; with one step equal positions
    have equal targets.
    """
    rows = collected(
        "tic_tac_toe",
        "zero_sum",
        n_steps=n_steps,
        gamma=1.0,
        matches=600,
        afterstates=True,
        epsilon=EPSILON,
    )
    ended = rows["discount"] == 0
    assert set(rows["R"][ended].tolist()) <= {-1.0, 0.0, 1.0}
    assert not rows["R"][~ended].any()
    targets: dict[bytes, set[tuple[float, bytes]]] = {}
    for row in rows:
        shown = row["next_observation"].tobytes() if row["discount"] else b""
        targets.setdefault(row["observation"].tobytes(), set()).add((float(row["R"]), shown))
    if n_steps == 1:  # else paths of different lengths
        assert max(map(len, targets.values())) == 1
    for shown, target in targets.items():
        if wins_at_once(np.frombuffer(shown, np.int8).reshape(2, 3, 3)):
            assert target == {(1.0, b"")}


def wins_at_once(planes: NDArray[np.int8]) -> bool:
    """The seat that sees these planes can complete a line."""
    mine, theirs = planes.reshape(2, 9)
    return any(
        sum(mine[i] for i in line) == 2 and not any(theirs[i] for i in line) for line in LINES
    )
