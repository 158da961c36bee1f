from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import user_factories
from random_rows import DTYPE, random_rows

from sparring.config.schema import LearningOptions
from sparring.dqn.learner import Learner
from sparring.dqn.networks import (
    FlatWeights,
    NetworkSpec,
    PolicySpec,
    build_network,
    get_weights,
    set_weights,
)
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.user_networks import build_own
from sparring.errors import ConfigurationError
from sparring.games import spec_of
from sparring.replay import Replay, ReplayBuffer, UniformSampler

TOWER = PolicySpec("tic_tac_toe", NetworkSpec("user_factories:Tower", {"width": 6, "depth": 2}))
BOARDS = np.random.default_rng(0).integers(0, 2, (5, 2, 3, 3)).astype(np.int8)


def own(name: str, **arguments: Any) -> PolicySpec:
    return PolicySpec("tic_tac_toe", NetworkSpec(f"user_factories:{name}", arguments))


def test_a_class_or_function_gets_the_spec_and_its_arguments() -> None:
    network = build_network(TOWER)
    assert isinstance(network, user_factories.Tower)
    assert [tuple(layer.weight.shape) for layer in network.layers] == [(6, 18), (6, 6)]  # type: ignore[arg-type]
    assert isinstance(build_network(own("small")), user_factories.Tower)
    assert isinstance(build_network(own("Games.nested", width=3)), user_factories.Tower)


@pytest.mark.parametrize("spec", [TOWER, own("lazy")])
def test_a_seed_gives_the_same_weights_and_disturbs_nobody(spec: PolicySpec) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (
        FlatWeights(network).vector(network)
        for network in (build_network(spec, seed=seed) for seed in (7, 7, 8))
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_weights_travel() -> None:
    one, other = build_network(TOWER, seed=1), build_network(TOWER, seed=2)
    weights = {name: value + 1 for name, value in get_weights(one).items()}
    set_weights(one, weights)
    flat = FlatWeights(one)
    flat.unpack(flat.vector(one), other)
    assert weights["scale"].shape == ()
    for name, value in flat.named(flat.vector(other)).items():
        np.testing.assert_array_equal(value, weights[name])
        assert value.shape == weights[name].shape


def test_it_learns_and_plays() -> None:
    options = LearningOptions(batch_size=8, learning_rate=0.01, target_update_interval=2)
    learner = Learner(TOWER, options, device=torch.device("cpu"), seed=0, bfloat16=True)
    replay = Replay(ReplayBuffer(DTYPE, 50), UniformSampler())
    replay.extend(random_rows(50))
    before = get_weights(learner.policy)
    learner.update(replay, 3)
    after = get_weights(learner.policy)
    assert [name for name in before if np.array_equal(before[name], after[name])] == ["constant"]
    policy = InferencePolicy(TOWER, after)
    again = Learner(TOWER, options, device=torch.device("cpu"), seed=0, bfloat16=True)
    again.set_state(learner.get_state())
    np.testing.assert_array_equal(policy.vector(), again.vector())
    assert policy.q_values(BOARDS).shape == (5, 9)


def test_q_values_are_float32_whatever_the_network_gives() -> None:
    assert InferencePolicy(own("double_precision_output")).q_values(BOARDS).dtype == np.float32


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_module",
            r"network user_factories:no_module: got a value of dict, expected a torch\.nn\.Module",
        ),
        ("no_parameters", "user_factories:no_parameters has no parameters"),
        (
            "batch_norm",
            r"has buffers, .*: got 1\.running_mean and 2 more, .*; replace BatchNorm by LayerNorm",
        ),
        (
            "constant_buffer",
            "has buffers, which do not travel with the weights: got table, expected",
        ),
        ("dropout", "user_factories:dropout draws random numbers in every call"),
        (
            "double_precision",
            r"parameters of .*: got one\.weight \(float64, cpu\) and 1 more, expected float32 on",
        ),
        (
            "one_action_too_many",
            r"output of .*: got float32 \[2, 10\], expected floating-point numbers \[2, 9\]",
        ),
        ("a_tuple", ": got a value of tuple, expected floating-point numbers"),
        ("whole_numbers", r"output of .*: got int64 \[2, 9\]"),
        ("without_a_cast", r"does not accept observations \[2, 2, 3, 3\] of int8: RuntimeError"),
        (
            "fails",
            r"network user_factories:fails raised ZeroDivisionError "
            r"\(user_factories\.py, line \d+\): .*division",
        ),
        ("NOT_CALLABLE", "user_factories:NOT_CALLABLE is not a network: got a value of int"),
        ("smal", "user_factories has no such network: got 'smal'; did you mean 'small'?"),
        (
            "Tower",
            r"arguments of network user_factories:Tower do not fit: missing a required .*'width'",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        build_network(own(name))
    assert "\n" not in str(caught.value)


def test_arguments_that_it_does_not_take() -> None:
    with pytest.raises(
        ConfigurationError, match="do not fit: got an unexpected keyword argument 'width'"
    ):
        build_network(own("small", width=3))
    with pytest.raises(ConfigurationError, match="do not fit: multiple values for argument 'spec'"):
        build_network(own("small", spec=3))


def test_the_line_names_the_users_own_code_not_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mistaken_network.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, spec):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(3, 9)\n"
        "    def forward(self, observation):\n"
        "        return self.layer(observation.flatten(1).float())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ConfigurationError, match=r"RuntimeError \(mistaken_network\.py, line 7\): mat1 and mat2"
    ):
        build_own("mistaken_network:Net", {}, spec_of("tic_tac_toe"))
    assert "mistaken_network" in sys.modules
