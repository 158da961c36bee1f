from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sparring.config.network import NETWORK_OPTIONS, PolicyKwargs
from sparring.dqn.architectures import SquaredReLU
from sparring.dqn.networks import (
    FACTORIES,
    FlatWeights,
    NetworkSpec,
    PolicySpec,
    build_network,
    check_fit,
    get_weights,
    set_weights,
)
from sparring.errors import ConfigurationError

TIC_TAC_TOE = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [3, 2]}))
DUELING = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [3, 2], "dueling": True}))


@pytest.mark.parametrize(("activation", "power"), [("relu", 1), ("squared_relu", 2)])
def test_a_plain_network_by_hand(activation: str, power: int) -> None:
    """Q = W2 f(W1 f(W0 x + b0) + b1) + b2; x: the flattened planes, f(x) = relu(x) ** power."""
    spec = PolicySpec(
        "tic_tac_toe", NetworkSpec("mlp", {"net_arch": [3, 2], "activation": activation})
    )
    network = build_network(spec, seed=1)
    w = get_weights(network)
    observation = np.random.default_rng(0).integers(0, 2, (5, 2, 3, 3)).astype(np.int8)
    hidden = (
        np.maximum(0, observation.reshape(5, 18) @ w["body.0.weight"].T + w["body.0.bias"]) ** power
    )
    hidden = np.maximum(0, hidden @ w["body.2.weight"].T + w["body.2.bias"]) ** power
    expected = hidden @ w["head.advantage.weight"].T + w["head.advantage.bias"]
    q = network(torch.from_numpy(observation))
    assert q.dtype == torch.float32
    np.testing.assert_allclose(q.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_dueling_by_hand() -> None:
    """With the body switched off, hidden units are 0 and Q = V + A - mean(A) comes from the last
    biases alone.
    """
    network = build_network(DUELING)
    blank = {name: np.zeros_like(value) for name, value in get_weights(network).items()}
    biases = {
        "head.advantage.bias": np.arange(9, dtype=np.float32) ** 2,
        "head.value.bias": np.array([10.0], np.float32),
    }
    set_weights(network, blank | biases)
    q = network(torch.zeros(1, 2, 3, 3, dtype=torch.int8))
    mean = (0 + 1 + 4 + 9 + 16 + 25 + 36 + 49 + 64) / 9
    np.testing.assert_allclose(
        q.detach().numpy()[0], [10 + a * a - mean for a in range(9)], rtol=1e-6
    )


def test_dueling_differs_between_rows_as_the_value_does() -> None:
    """The mean runs over the actions of a row, not over the minibatch."""
    network = build_network(
        PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [16], "dueling": True})), seed=3
    )
    observation = torch.from_numpy(
        np.random.default_rng(1).integers(0, 2, (6, 2, 3, 3)).astype(np.int8)
    )
    alone = torch.cat([network(row.unsqueeze(0)) for row in observation])
    torch.testing.assert_close(network(observation), alone)
    value = network.head.value(network.body(observation.flatten(1).to(torch.float32)))  # type: ignore[operator]
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
    assert list(weights) == [
        "body.0.weight",
        "body.0.bias",
        "body.2.weight",
        "body.2.bias",
        "head.advantage.weight",
        "head.advantage.bias",
    ]
    assert weights["body.0.weight"].shape == (3, 18)
    weights["head.advantage.bias"][:] = 99
    assert not (get_weights(network)["head.advantage.bias"] == 99).any()
    set_weights(network, weights)
    weights["head.advantage.bias"][:] = 1
    assert (get_weights(network)["head.advantage.bias"] == 99).all()


def test_weights_of_another_network_are_refused_and_change_nothing() -> None:
    network = build_network(TIC_TAC_TOE)
    before = get_weights(network)
    other = {name: np.zeros_like(value) for name, value in before.items()}
    missing = {name: value for name, value in other.items() if name != "head.advantage.bias"}
    with pytest.raises(
        ConfigurationError,
        match=r"weights of another network: got differing parameters head\.advantage\.bias",
    ):
        set_weights(network, missing)
    with pytest.raises(ConfigurationError, match=r"differing parameters extra"):
        set_weights(network, other | {"extra": np.zeros(1)})
    with pytest.raises(
        ConfigurationError,
        match=r"weights of 'head\.advantage\.bias': got shape \(8,\), expected \(9,\)",
    ):
        set_weights(network, other | {"head.advantage.bias": np.zeros(8)})
    assert all(np.array_equal(before[name], value) for name, value in get_weights(network).items())


@pytest.mark.parametrize(
    "spec",
    [
        TIC_TAC_TOE,
        DUELING,
        PolicySpec("connect_four"),
        *(PolicySpec("connect_four", NetworkSpec(name)) for name in ("patches", "resnet")),
    ],
)
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
    assert get_weights(other)["head.advantage.bias"].any()
    assert named["head.advantage.bias"].any()


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)])
def test_weights_of_any_shape_are_set(shape: tuple[int, ...]) -> None:
    network = nn.Module()
    network.weight = nn.Parameter(torch.zeros(shape))
    values = np.random.default_rng(0).normal(size=shape[::-1]).T
    set_weights(network, {"weight": values})
    np.testing.assert_allclose(get_weights(network)["weight"], values, rtol=1e-6)
    assert get_weights(network)["weight"].shape == shape


def shapes_of(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in get_weights(build_network(spec)).items()}


def test_whether_weights_fit_is_found_out_without_building_the_network() -> None:
    """2^40 x 2^40 numbers would be 4 TiB of memory, a million times over."""
    resnet = PolicySpec("connect_four", NetworkSpec("resnet"))
    check_fit(DUELING, shapes_of(DUELING))
    check_fit(resnet, shapes_of(resnet))
    for huge in (
        NetworkSpec("mlp", {"net_arch": [2**40, 2**20, 2]}),
        NetworkSpec("resnet", {"channels": 2**28, "blocks": 1}),
    ):
        with pytest.raises(ConfigurationError, match=r"weights of another network|got shape"):
            check_fit(PolicySpec("tic_tac_toe", huge), shapes_of(TIC_TAC_TOE))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"net_arch": []},
            r"net_arch of network mlp: got \[\], expected 1 to 100 numbers of units",
        ),
        ({"net_arch": [1] * 101}, "expected 1 to 100 numbers"),
        ({"net_arch": "wide"}, "net_arch of network mlp: got 'wide'"),
        ({"net_arch": 3}, "net_arch of network mlp: got 3"),
        (
            {"net_arch": [8, 0]},
            "an entry of net_arch: got 0, expected a whole number of at least 1",
        ),
        ({"net_arch": [True]}, "an entry of net_arch: got True"),
        ({"net_arch": [8.0]}, r"an entry of net_arch: got 8\.0"),
    ],
)
def test_layers_that_make_no_network(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build_network(PolicySpec("tic_tac_toe", NetworkSpec("mlp", arguments)))


def test_the_configuration_offers_what_the_factories_take() -> None:
    taken = {
        name: tuple(inspect.signature(factory).parameters)[1:]
        for name, factory in FACTORIES.items()
    }
    assert taken == NETWORK_OPTIONS
    for name, factory in FACTORIES.items():
        defaults = {
            key: parameter.default
            for key, parameter in inspect.signature(factory).parameters.items()
            if key != "spec"
        }
        assert {
            key: tuple(v) if isinstance(v, list) else v
            for key, v in PolicyKwargs(network=name).network_arguments().items()
        } == defaults


def test_an_unknown_network_is_one_line() -> None:
    with pytest.raises(
        ConfigurationError,
        match="unknown network: got resnt, expected one of mlp, patches, resnet, ntuples, "
        "or module:factory; did you mean 'resnet'",
    ):
        build_network(PolicySpec("tic_tac_toe", NetworkSpec("resnt")))


def test_the_gradient_of_squared_relu_is_that_of_its_definition() -> None:
    x = torch.tensor([-2.0, -0.5, 0.0, 0.25, 3.0], requires_grad=True)
    seen = torch.tensor([1.0, -1.0, 2.0, -4.0, 0.5])
    y = SquaredReLU()(x)
    assert y.tolist() == [0.0, 0.0, 0.0, 0.0625, 9.0]
    (gradient,) = torch.autograd.grad(y, x, seen)
    assert gradient.tolist() == [0.0, 0.0, 0.0, -2.0, 3.0]
    assert x.tolist() == [-2.0, -0.5, 0.0, 0.25, 3.0]
