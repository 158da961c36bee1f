from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sparring.config.schema import AgentOptions
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.table_learner import TableLearner
from sparring.errors import ConfigurationError, NumericalError
from sparring.replay import Replay
from sparring.replay.build import build_replay
from sparring.replay.transitions import transition_dtype

# one group, the middle row; the board has eight images, which read it twice in each direction
SPEC = PolicySpec(
    "tic_tac_toe",
    NetworkSpec("ntuples", {"tuples": 1, "tuple_size": 9}),
    afterstates=True,
)
IMAGES = 8
RATE = 0.02


def learner(**options: Any) -> TableLearner:
    return TableLearner(SPEC, AgentOptions(batch_size=1, learning_rate=RATE, **options), seed=0)


def replay_of(*rows: NDArray[Any]) -> Replay:
    options = AgentOptions(
        buffer_size=16, batch_size=1, learning_starts=1, symmetry_augmentation=False
    )
    replay = build_replay(SPEC.network_game, options, torch.device("cpu"))
    assert isinstance(replay, Replay)
    for row in rows:
        replay.extend(row)
    return replay


def row(mine: list[int], theirs: list[int], **fields: Any) -> NDArray[Any]:
    """A transition whose position has these cells."""
    rows = np.zeros(1, transition_dtype(SPEC.network_game))
    rows["mask"] = rows["next_mask"] = True
    rows["observation"].reshape(1, 2, 9)[0, 0, mine] = 1
    rows["observation"].reshape(1, 2, 9)[0, 1, theirs] = 1
    for name, value in fields.items():
        rows[name] = value
    return rows


def value(of: TableLearner, position: NDArray[Any]) -> float:
    policy = InferencePolicy(SPEC, of.layout.named(of.vector()))
    return float(policy.q_values(position["observation"])[0, 0])


def test_an_update_is_the_one_by_hand() -> None:
    trained, won = learner(), row([0], [1], R=1.0)
    stats = trained.update(replay_of(won), 1)
    assert (stats.updates, stats.loss, stats.td_error) == (1, 1.0, 1.0)
    # error 1, slope 1, step size exp(0): each of the eight images reads an entry of its own
    first = math.tanh(IMAGES * RATE)
    assert value(trained, won) == pytest.approx(first, rel=1e-5)
    trained.update(replay_of(won), 1)
    # the changes agree, |N| = A, so the step size is still the whole learning rate
    change = (1 - first) * (1 - first**2)
    second = math.tanh(IMAGES * RATE * (1 + change))
    assert value(trained, won) == pytest.approx(second, rel=1e-5)
    lost = row([0], [1], R=-1.0)
    trained.update(replay_of(lost), 1)
    back = (-1 - second) * (1 - second**2)
    third = math.tanh(IMAGES * RATE * (1 + change + back))
    assert value(trained, won) == pytest.approx(third, rel=1e-5)
    trained.update(replay_of(won), 1)
    again = (1 - third) * (1 - third**2)
    agreement = abs(1 + change + back) / (1 + change - back)
    step = math.exp(2.7 * (agreement - 1))
    fourth = math.tanh(IMAGES * RATE * (1 + change + back + step * again))
    assert value(trained, won) == pytest.approx(fourth, rel=1e-5)


def test_a_target_bootstraps_from_the_next_position() -> None:
    trained, known = learner(), row([0], [1], R=1.0)
    trained.update(replay_of(known), 1)
    new = row([0, 4], [1], R=0.25, discount=0.5, sign=-1)
    new["next_observation"] = known["observation"]
    target = 0.25 - 0.5 * value(trained, known)
    trained.update(replay_of(new), 1)
    assert value(trained, new) == pytest.approx(math.tanh(IMAGES * RATE * target), rel=1e-5)


@pytest.mark.parametrize(("clip", "target"), [(True, 1.0), (False, 3.0)])
def test_targets_are_clipped_to_the_range_of_returns(clip: bool, target: float) -> None:
    trained, paid = learner(clip_targets=clip), row([0], [1], R=3.0)
    trained.update(replay_of(paid), 1)
    assert value(trained, paid) == pytest.approx(math.tanh(IMAGES * RATE * target), rel=1e-5)


def test_a_learner_that_is_restored_goes_on_bit_for_bit() -> None:
    rows = [row([i], [8 - i], R=(-1) ** i) for i in range(4)]
    one, other = learner(), learner()
    one.update(replay_of(*rows), 20)
    state = one.get_state()
    state = {**state, "sums": state["sums"].copy()}
    one.update(replay_of(*rows), 20)
    other.set_state(state)
    other.update(replay_of(*rows), 20)
    assert other.updates == 40
    assert (one.vector() == other.vector()).all()


def test_a_target_that_is_not_finite_ends_the_series() -> None:
    with pytest.raises(NumericalError, match="update 1: a target is not finite"):
        learner(clip_targets=False).update(replay_of(row([0], [1], R=np.inf)), 3)


@pytest.mark.parametrize(
    ("name", "setting"),
    [("tau", 0.5), ("weight_averaging", 0.9), ("prioritized_replay", True)],
)
def test_settings_of_gradient_steps_are_refused(name: str, setting: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} does not apply to network ntuples"):
        learner(**{name: setting})
