from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from collected_rows import ITSELF, Weights
from numpy.typing import NDArray

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.replay.transitions import join_rows
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand

MLP = NetworkSpec("mlp", {"net_arch": [4]})


def played(
    rounds: int = 1, resumed: bool = False, afterstates: bool = False, **changes: Any
) -> NDArray[Any]:
    """Rows of greedy play from the empty board or from random starts."""
    spec = PolicySpec("connect_four", MLP, afterstates=afterstates)
    settings = RolloutSettings(
        spec, 16, 5, "zero_sum", 1, 1.0, "all", 0.0, random_start_plies=6, **changes
    )
    weights = Weights(InferencePolicy(spec).vector())
    rollout = Rollout(settings, weights, worker=0, incarnation=0)
    blocks: list[NDArray[Any]] = []
    for number in range(rounds):
        if resumed and number:
            state = rollout.get_state()
            rollout = Rollout(settings, weights, worker=0, incarnation=0)
            rollout.set_state(state)
        rollout.play_round(
            RoundCommand(number, 0, 0.0, ITSELF, 60),
            lambda block: blocks.append(join_rows([block])),
        )
    return join_rows(blocks)


def stones(rows: NDArray[Any]) -> NDArray[np.int64]:
    count: NDArray[np.int64] = np.int64(rows["observation"].sum(axis=(1, 2, 3), dtype=np.int64))
    return count


@pytest.mark.parametrize("afterstates", [False, True])
def test_nothing_is_learned_from_the_random_moves(afterstates: bool) -> None:
    rows = played(random_start_share=1.0, afterstates=afterstates)
    first = stones(rows) - afterstates  # positions after moves have one more
    assert first.min() == 1
    begun = np.bincount(first, minlength=8)[:8]
    assert begun[0] == 0
    # starts of 1 to 6 moves are equally likely, and each match goes on from there
    assert (np.diff(begun[1:7]) > 0).all()


def test_that_share_of_the_matches_begins_with_random_moves() -> None:
    rows = played(random_start_share=0.5)
    whole, all_with_two = (stones(rows) == 0).sum(), (stones(rows) >= 6).sum()
    assert whole > 10
    assert len({row.tobytes() for row in rows["observation"][stones(rows) == 6]}) > 10
    assert all_with_two > whole
    alike = played(random_start_share=0.0)
    assert len({row.tobytes() for row in alike["observation"][stones(alike) == 6]}) == 1


@pytest.mark.parametrize("afterstates", [False, True])
def test_a_resumed_worker_goes_on_with_the_same_starts(afterstates: bool) -> None:
    changes = {"random_start_share": 0.7, "afterstates": afterstates}
    assert played(3, **changes).tobytes() == played(3, resumed=True, **changes).tobytes()
