from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from sparring.dqn.exploration import epsilon_greedy
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network, get_weights
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError

SPEC = PolicySpec("connect_four", NetworkSpec("mlp", {"net_arch": [8]}))
OBSERVATION = np.random.default_rng(0).integers(0, 2, (6, 2, 6, 7)).astype(np.int8)


def test_it_has_the_weights_it_was_given() -> None:
    weights = get_weights(build_network(SPEC, seed=4))
    policy = InferencePolicy(SPEC, weights)
    assert {name: value.tolist() for name, value in policy.get_weights().items()} == {
        n: v.tolist() for n, v in weights.items()
    }
    other = InferencePolicy(SPEC)
    assert (
        other.get_weights()["head.advantage.bias"].tolist()
        != weights["head.advantage.bias"].tolist()
    )
    other.load_vector(policy.vector())
    assert other.vector().tolist() == policy.vector().tolist()
    np.testing.assert_array_equal(other.q_values(OBSERVATION), policy.q_values(OBSERVATION))


def test_values_and_actions_fit_together() -> None:
    policy = InferencePolicy(SPEC)
    q = policy.q_values(OBSERVATION)
    assert q.dtype == np.float32
    assert q.shape == (6, 7)
    mask = np.random.default_rng(1).random((6, 7)) < 0.5
    mask[:, 3] = True
    actions = policy.act(OBSERVATION, mask, np.zeros((6, 2)), epsilon=0.0)
    assert actions.tolist() == np.where(mask, q, -np.inf).argmax(axis=1).tolist()
    explored = policy.act(OBSERVATION, mask, np.full((6, 2), 0.2), epsilon=0.5)
    assert explored.tolist() == [int(np.flatnonzero(row)[int(0.2 * row.sum())]) for row in mask]


def test_the_network_is_asked_only_where_it_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for random actions, the only legal one, or positions without any."""
    policy = InferencePolicy(SPEC)
    asked: list[list[int]] = []
    rows = {row.tobytes(): number for number, row in enumerate(OBSERVATION)}
    infer = policy.infer

    def noted(observation: torch.Tensor) -> torch.Tensor:
        asked.append([rows[row.numpy().tobytes()] for row in observation])
        return infer(observation)

    monkeypatch.setattr(policy, "infer", noted)
    mask = np.ones((6, 7), np.bool_)
    mask[1] = np.arange(7) == 5  # one legal action
    mask[2] = False  # none
    uniforms = np.full((6, 2), 0.5)
    uniforms[3, 0] = 0.1  # explores
    expected = np.full(6, -1, np.int64)
    epsilon_greedy(policy.q_values(OBSERVATION), mask, uniforms, 0.2, expected)
    asked.clear()
    assert policy.act(OBSERVATION, mask, uniforms, epsilon=0.2).tolist() == expected.tolist()
    assert asked == [[0, 4, 5]]
    asked.clear()
    assert policy.act(OBSERVATION, mask, uniforms, epsilon=1.0).tolist() == [3, 5, -1, 3, 3, 3]
    assert asked == []


def test_it_reads_a_part_of_a_batch_as_it_reads_all() -> None:
    """Rows picked out of the views of a game, and non-contiguous ones, are read right."""
    policy = InferencePolicy(SPEC)
    np.testing.assert_allclose(
        policy.q_values(OBSERVATION[[4, 1]]),
        policy.q_values(OBSERVATION)[[4, 1]],
        rtol=1e-5,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        policy.q_values(OBSERVATION[::2]), policy.q_values(OBSERVATION)[::2], rtol=1e-5, atol=1e-6
    )
    assert policy.act(OBSERVATION[:0], np.ones((0, 7), np.bool_), np.zeros((0, 2)), 0.0).shape == (
        0,
    )


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="weights of another network"):
        InferencePolicy(SPEC, {"a": np.zeros(2)})
    wider = InferencePolicy(
        PolicySpec("connect_four", NetworkSpec("mlp", {"net_arch": [9]}))
    ).get_weights()
    with pytest.raises(ConfigurationError, match=r"got shape \(9, 84\), expected \(8, 84\)"):
        InferencePolicy(SPEC).set_weights(wider)


@pytest.mark.parametrize(
    "network",
    [
        NetworkSpec("mlp", {"net_arch": [64, 64], "dueling": True}),
        NetworkSpec("patches"),
        NetworkSpec("resnet", {"channels": 8}),
    ],
)
def test_in_bfloat16_values_are_near_but_told_apart_as_finely_as_in_float32(
    network: NetworkSpec,
) -> None:
    spec = PolicySpec("connect_four", network)
    weights = get_weights(build_network(spec, seed=3))
    for name, value in weights.items():
        if name.endswith("last.weight"):  # where a residual block starts as the identity
            value += np.random.default_rng(0).normal(0.0, 0.1, value.shape).astype(np.float32)
    exact, coarse = InferencePolicy(spec, weights), InferencePolicy(spec, weights, bfloat16=True)
    one, other = exact.q_values(OBSERVATION), coarse.q_values(OBSERVATION)
    assert other.dtype == np.float32
    assert 0 < np.abs(one - other).max() < 0.05 * np.abs(one).max()
    cut = other.view(np.uint32) & np.uint32(0xFFFF0000)  # what a bfloat16 could hold
    assert (cut.view(np.float32) != other).any()
    assert coarse.vector().dtype == np.float32


def test_users_networks_work_in_float32() -> None:
    """In bfloat16 a twelfth of their decisions were ties."""
    spec = PolicySpec(
        "connect_four", NetworkSpec("user_factories:Tower", {"width": 16, "depth": 2})
    )
    weights = get_weights(build_network(spec, seed=3))
    exact, coarse = InferencePolicy(spec, weights), InferencePolicy(spec, weights, bfloat16=True)
    np.testing.assert_array_equal(coarse.q_values(OBSERVATION), exact.q_values(OBSERVATION))
    np.testing.assert_array_equal(coarse.vector(), exact.vector())


def test_a_read_only_observation_is_no_warning_of_torch() -> None:
    frozen = OBSERVATION.copy()
    frozen.flags.writeable = False
    policy = InferencePolicy(SPEC)
    np.testing.assert_array_equal(policy.q_values(frozen), policy.q_values(OBSERVATION))


def test_repr_names_game_network_and_size() -> None:
    expected = r"InferencePolicy\(game='connect_four', network='mlp', parameters=[\d_]+\)"
    assert re.fullmatch(expected, repr(InferencePolicy(SPEC)))


@pytest.mark.parametrize("dueling", [False, True])
def test_inference_gives_what_the_network_gives(dueling: bool) -> None:
    """Fused calls of one library against torch's modules, for layers of odd widths and batches of
    any size.
    """
    spec = PolicySpec(
        "connect_four", NetworkSpec("mlp", {"net_arch": [33, 70, 5], "dueling": dueling})
    )
    network = build_network(spec, seed=5)
    policy = InferencePolicy(spec, get_weights(network))
    for size in (1, 2, 7, 256):
        batch = np.random.default_rng(size).integers(0, 2, (size, 2, 6, 7)).astype(np.int8)
        with torch.no_grad():
            wanted = network(torch.from_numpy(batch)).numpy()
        np.testing.assert_allclose(policy.q_values(batch), wanted, rtol=1e-4, atol=1e-5)
