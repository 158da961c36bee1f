from __future__ import annotations

import numpy as np
import pytest
import torch

from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, build_network, get_weights, set_weights
from sparring.errors import ConfigurationError

TIC_TAC_TOE = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [3, 2]}))
DUELING = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [3, 2], "dueling": True}))


def test_a_plain_network_by_hand() -> None:
    """Q = W2 relu(W1 relu(W0 x + b0) + b1) + b2, with x the flattened planes."""
    network = build_network(TIC_TAC_TOE, seed=1)
    w = get_weights(network)
    observation = np.random.default_rng(0).integers(0, 2, (5, 2, 3, 3)).astype(np.int8)
    hidden = np.maximum(0, observation.reshape(5, 18) @ w["body.0.weight"].T + w["body.0.bias"])
    hidden = np.maximum(0, hidden @ w["body.2.weight"].T + w["body.2.bias"])
    expected = hidden @ w["advantage.weight"].T + w["advantage.bias"]
    q = network(torch.from_numpy(observation))
    assert q.dtype == torch.float32
    np.testing.assert_allclose(q.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_dueling_by_hand() -> None:
    """With the body switched off, hidden units are 0 and Q = V + A - mean(A) comes from the last biases alone."""
    network = build_network(DUELING)
    blank = {name: np.zeros_like(value) for name, value in get_weights(network).items()}
    set_weights(network, blank | {"advantage.bias": np.arange(9, dtype=np.float32) ** 2, "value.bias": np.array([10.0], np.float32)})
    q = network(torch.zeros(1, 2, 3, 3, dtype=torch.int8))
    mean = (0 + 1 + 4 + 9 + 16 + 25 + 36 + 49 + 64) / 9
    np.testing.assert_allclose(q.detach().numpy()[0], [10 + a * a - mean for a in range(9)], rtol=1e-6)


def test_dueling_differs_between_rows_as_the_value_does() -> None:
    """The mean runs over the actions of a row, not over the minibatch."""
    network = build_network(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [16], "dueling": True})), seed=3)
    observation = torch.from_numpy(np.random.default_rng(1).integers(0, 2, (6, 2, 3, 3)).astype(np.int8))
    alone = torch.cat([network(row.unsqueeze(0)) for row in observation])
    torch.testing.assert_close(network(observation), alone)
    value = network.value(network.body(observation.flatten(1).to(torch.float32)))  # type: ignore[operator]
    torch.testing.assert_close(network(observation).mean(dim=1, keepdim=True), value)


def test_a_seed_gives_the_same_weights_and_disturbs_nobody() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    weights = [get_weights(build_network(TIC_TAC_TOE, seed=seed)) for seed in (7, 7, 8)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert all(not np.array_equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_weights_by_name_are_copies() -> None:
    network = build_network(TIC_TAC_TOE)
    weights = get_weights(network)
    assert list(weights) == ["body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias", "advantage.weight", "advantage.bias"]
    assert weights["body.0.weight"].shape == (3, 18)
    weights["advantage.bias"][:] = 99
    assert not (get_weights(network)["advantage.bias"] == 99).any()
    set_weights(network, weights)
    weights["advantage.bias"][:] = 1
    assert (get_weights(network)["advantage.bias"] == 99).all()


def test_weights_of_another_network_are_refused_and_change_nothing() -> None:
    network = build_network(TIC_TAC_TOE)
    before = get_weights(network)
    other = {name: np.zeros_like(value) for name, value in before.items()}
    missing = {name: value for name, value in other.items() if name != "advantage.bias"}
    with pytest.raises(ConfigurationError, match=r"not of this network: got differing parameters advantage\.bias"):
        set_weights(network, missing)
    with pytest.raises(ConfigurationError, match=r"differing parameters extra"):
        set_weights(network, other | {"extra": np.zeros(1)})
    with pytest.raises(ConfigurationError, match=r"weights of 'advantage\.bias': got shape \(8,\), expected \(9,\)"):
        set_weights(network, other | {"advantage.bias": np.zeros(8)})
    assert all(np.array_equal(before[name], value) for name, value in get_weights(network).items())


@pytest.mark.parametrize("spec", [TIC_TAC_TOE, DUELING, PolicySpec("connect_four")])
def test_flat_weights_there_and_back(spec: PolicySpec) -> None:
    one, other = build_network(spec, seed=1), build_network(spec, seed=2)
    flat = FlatWeights(one)
    vector = flat.vector(one)
    assert vector.dtype == np.float32
    assert vector.shape == (flat.size,) == (sum(p.numel() for p in one.parameters()),)
    flat.unpack(vector, other)
    named = flat.named(vector)
    for name, value in get_weights(one).items():
        np.testing.assert_array_equal(get_weights(other)[name], value)
        np.testing.assert_array_equal(named[name], value)
    vector[:] = 0
    assert get_weights(other)["advantage.bias"].any()
    assert named["advantage.bias"].any()


def test_an_unknown_network_is_one_line() -> None:
    with pytest.raises(ConfigurationError, match="unknown network: got cnn, expected one of mlp"):
        build_network(PolicySpec("tic_tac_toe", NetworkSpec("cnn")))
