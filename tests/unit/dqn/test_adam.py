from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sparring.config.schema import LearningOptions
from sparring.dqn.optimizer import Adam, split_like, trainable_parameters

OPTIONS = LearningOptions(learning_rate=0.01)


def make_network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(3, 5), nn.Conv1d(1, 2, 3), nn.Linear(2, 1, bias=False))
    network[0].bias.requires_grad_(False)
    return network


def number(value: float) -> Tensor:
    return torch.tensor(value)


def follow(
    adam: Adam, network: nn.Module, gradients: list[list[Tensor]], scale: float = 1.0
) -> None:
    for gradient in gradients:
        for place, value in zip(
            split_like(adam.gradient, trainable_parameters(network)), gradient, strict=True
        ):
            place.copy_(value)
        adam.step(scale=number(scale), failed=number(0.0))


def random_gradients(network: nn.Module, count: int, seed: int = 0) -> list[list[Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        [torch.randn(p.shape, generator=generator) for p in trainable_parameters(network)]
        for _ in range(count)
    ]


def weights_of(network: nn.Module) -> list[list[float]]:
    return [parameter.detach().flatten().tolist() for parameter in network.parameters()]


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_steps_are_those_of_torch(scale: float) -> None:
    network, reference = make_network(), make_network()
    adam = Adam(network, OPTIONS)
    theirs = torch.optim.Adam(trainable_parameters(reference), lr=0.01, foreach=False)
    gradients = random_gradients(network, 7)
    for step, gradient in enumerate(gradients):
        if step == 4:
            adam.set_learning_rate(0.5)
            theirs.param_groups[0]["lr"] = 0.5
        follow(adam, network, [gradient], scale)
        for parameter, value in zip(trainable_parameters(reference), gradient, strict=True):
            parameter.grad = value / scale
        theirs.step()
        for one, other in zip(network.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert adam.steps == 7


def test_parameters_that_learn_are_views_of_one_vector() -> None:
    network = make_network()
    before = weights_of(network)
    adam = Adam(network, OPTIONS)
    assert weights_of(network) == before
    assert len(adam.weights) == len(adam.gradient) == 3 * 5 + 2 * 3 + 2 + 2
    adam.weights.fill_(7.0)
    expected: list[Callable[[nn.Parameter], bool]] = [
        lambda p: bool((p == 7.0).all()),
        lambda p: not bool((p == 7.0).any()),
    ]
    assert all(
        expected[name == "0.bias"](parameter) for name, parameter in network.named_parameters()
    )
    with torch.no_grad():
        network[2].weight.fill_(3.0)
    assert adam.weights[-2:].tolist() == [3.0, 3.0]


def test_a_step_that_failed_leaves_everything_as_it_is() -> None:
    network = make_network()
    adam = Adam(network, OPTIONS)
    follow(adam, network, random_gradients(network, 2))
    before, state = weights_of(network), adam.get_state()
    adam.gradient.fill_(float("nan"))
    adam.step(scale=number(float("nan")), failed=number(1.0))
    assert weights_of(network) == before
    assert adam.steps == 2
    assert all(
        np.array_equal(value, adam.get_state()["0"][name]) for name, value in state["0"].items()
    )


def test_a_restored_one_goes_on_bit_for_bit() -> None:
    network, other_network = make_network(), make_network()
    first, second = Adam(network, OPTIONS), Adam(other_network, OPTIONS)
    follow(first, network, random_gradients(network, 3))
    state, weights = first.get_state(), first.weights.clone()
    more = random_gradients(network, 4, seed=1)
    follow(first, network, more)
    follow(second, other_network, random_gradients(network, 2, seed=9))
    second.set_state(state)
    second.weights.copy_(weights)
    follow(second, other_network, more)
    assert second.weights.tolist() == first.weights.tolist()
    assert second.steps == 7


def test_a_new_one_has_no_state_and_goes_back_to_it() -> None:
    network = make_network()
    adam = Adam(network, OPTIONS)
    assert adam.get_state() == {}
    follow(adam, network, random_gradients(network, 2))
    adam.set_state({})
    assert adam.get_state() == {}
    assert not any(moment.any() for moment in adam._moments)


def test_steps_are_counted_beyond_what_a_float32_can_count() -> None:
    network = make_network()
    adam = Adam(network, OPTIONS)
    follow(adam, network, random_gradients(network, 1))
    adam.set_state({"0": {**adam.get_state()["0"], "step": np.array(2.0**24)}})
    follow(adam, network, random_gradients(network, 3))
    adam.step(scale=number(1.0), failed=number(1.0))
    assert adam.steps == adam.get_state()["0"]["step"] == 2**24 + 3
