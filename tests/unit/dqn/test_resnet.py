from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_rows import DTYPE, random_rows

from sparring.config.schema import LearningOptions
from sparring.dqn.architectures import MAX_LAYERS, ResidualBlock, ResNet, resnet
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
from sparring.errors import ConfigurationError
from sparring.games import spec_of
from sparring.games.spec import GameSpec
from sparring.replay import Replay, ReplayBuffer, UniformSampler

SMALL = {"channels": 3, "blocks": 2, "dueling": True}
TIC_TAC_TOE = PolicySpec("tic_tac_toe", NetworkSpec("resnet", SMALL))
CONNECT_FOUR = PolicySpec("connect_four", NetworkSpec("resnet", SMALL))


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


def boards(count: int, shape: tuple[int, ...] = (2, 3, 3), seed: int = 0) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(0, 2, (count, *shape)).astype(np.int8)


def awake(spec: PolicySpec, seed: int = 0) -> ResNet:
    """A network with random weights everywhere: at the start the last convolution of each block is
    zero.
    """
    network = build_network(spec, seed=seed)
    assert isinstance(network, ResNet)
    rng = np.random.default_rng(seed)
    set_weights(
        network,
        {
            name: rng.normal(0, 0.3, value.shape).astype(np.float32)
            for name, value in get_weights(network).items()
        },
    )
    return network


def convolved(board: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """[C, H, W] -> [C', H, W] by the definition: each cell sums over the window around it, with
    zeros beyond the edge.
    """
    out_channels, _, side, _ = weight.shape
    _, rows, columns = board.shape
    padded = np.pad(board, ((0, 0), (side // 2, side // 2), (side // 2, side // 2)))
    out = np.empty((out_channels, rows, columns))
    for channel in range(out_channels):
        for row in range(rows):
            for column in range(columns):
                out[channel, row, column] = (
                    bias[channel]
                    + (weight[channel] * padded[:, row : row + side, column : column + side]).sum()
                )
    return out


def slow_q_values(weights: dict[str, Any], board: NDArray[Any]) -> NDArray[Any]:
    def layer(name: str, x: NDArray[Any]) -> NDArray[Any]:
        weight, bias = weights[f"{name}.weight"].astype(np.float64), weights[f"{name}.bias"]
        return convolved(x, weight, bias) if weight.ndim == 4 else weight @ x + bias

    x = np.maximum(0, layer("stem", board.astype(np.float64)))
    for block in range(2):
        change = layer(f"blocks.{block}.last", np.maximum(0, layer(f"blocks.{block}.first", x)))
        x = np.maximum(0, x + change)
    hidden = np.maximum(0, layer("planes", x)).ravel()
    advantage = layer("head.advantage", hidden)
    value: NDArray[Any] = layer("head.value", hidden) + advantage - advantage.mean()
    return value


@pytest.mark.parametrize("spec", [TIC_TAC_TOE, CONNECT_FOUR])
def test_it_computes_what_its_definition_says(spec: PolicySpec) -> None:
    network = awake(spec)
    batch = boards(4, spec_of(spec.game).observation_shape)
    q = network(torch.from_numpy(batch))
    assert q.dtype == torch.float32
    expected = [slow_q_values(get_weights(network), board) for board in batch]
    np.testing.assert_allclose(q.detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_without_dueling_q_is_the_advantage() -> None:
    dueling, plain = (
        awake(TIC_TAC_TOE),
        build_network(
            PolicySpec("tic_tac_toe", NetworkSpec("resnet", {**SMALL, "dueling": False}))
        ),
    )
    weights = get_weights(dueling)
    set_weights(
        plain, {name: value for name, value in weights.items() if not name.startswith("head.value")}
    )
    batch = torch.from_numpy(boards(6))
    q, advantage = dueling(batch), plain(batch)
    torch.testing.assert_close(
        q - q.mean(dim=1, keepdim=True), advantage - advantage.mean(dim=1, keepdim=True)
    )
    assert not torch.allclose(q, advantage)


@pytest.mark.parametrize("blocks", [1, 4])
def test_every_block_is_the_identity_at_the_start(blocks: int) -> None:
    network = resnet(spec_of("tic_tac_toe"), channels=5, blocks=blocks)
    assert isinstance(network, ResNet)
    board = torch.rand(7, 5, 3, 3)
    assert len(network.blocks) == blocks
    assert torch.equal(network.blocks(board), board)
    assert not torch.equal(network(torch.from_numpy(boards(1))), network(torch.zeros(1, 2, 3, 3)))


def test_the_first_convolutions_are_scaled_by_the_number_of_blocks() -> None:
    """He et al.: variance 2 / fan_in; Fixup: times blocks^-1."""
    network = resnet(spec_of("connect_four"), channels=64, blocks=4)
    assert isinstance(network, ResNet)
    for block in network.blocks:
        assert isinstance(block, ResidualBlock)
        assert block.first.weight.var().item() == pytest.approx(2 / (64 * 9) / 4, rel=0.05)
        assert not block.first.bias.any()
        assert not block.last.weight.any()
    assert network.stem.weight.var().item() == pytest.approx(2 / (2 * 9), rel=0.2)


def test_the_gradient_reaches_every_parameter() -> None:
    network = awake(CONNECT_FOUR)
    network(torch.from_numpy(boards(16, (2, 6, 7)))).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_after_two_updates_every_block_has_begun_to_learn() -> None:
    """The zeros of the last convolutions hold the first ones back for one update, not for good."""
    options = LearningOptions(batch_size=32, learning_rate=0.01, target_update_interval=2)
    learner = Learner(TIC_TAC_TOE, options, device=torch.device("cpu"), seed=1, bfloat16=True)
    replay = Replay(ReplayBuffer(DTYPE, 200), UniformSampler())
    replay.extend(random_rows(200))
    before = get_weights(learner.policy)
    learner.update(replay, 2)
    after = get_weights(learner.policy)
    for name, value in after.items():
        assert np.isfinite(value).all(), name
        assert not np.array_equal(value, before[name]), name


@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.float32, torch.float64])
def test_boards_of_any_type_and_memory(dtype: torch.dtype) -> None:
    network = awake(TIC_TAC_TOE)
    batch = torch.from_numpy(boards(6))
    expected = network(batch)
    torch.testing.assert_close(network(batch.to(dtype)), expected)
    torch.testing.assert_close(network(batch.to(dtype)[::2]), expected[::2])
    torch.testing.assert_close(
        network(batch.to(dtype).transpose(2, 3).contiguous().transpose(2, 3)), expected
    )


def test_a_policy_plays_with_it() -> None:
    policy = InferencePolicy(CONNECT_FOUR, get_weights(awake(CONNECT_FOUR, seed=2)))
    batch = boards(5, (2, 6, 7))
    np.testing.assert_allclose(
        policy.q_values(batch[[4, 1]]), policy.q_values(batch)[[4, 1]], rtol=1e-4, atol=1e-5
    )
    assert policy.act(batch[:0], np.ones((0, 7), np.bool_), np.zeros((0, 2)), 0.0).shape == (0,)


def test_weights_travel() -> None:
    one, other = awake(CONNECT_FOUR, seed=1), awake(CONNECT_FOUR, seed=2)
    flat = FlatWeights(one)
    flat.unpack(flat.vector(one), other)
    batch = torch.from_numpy(boards(3, (2, 6, 7)))
    assert torch.equal(one(batch), other(batch))
    assert not list(one.buffers())


@pytest.mark.parametrize("shape", [(84,), (6, 7), (2, 3, 4, 5)])
def test_what_is_no_board_is_refused(shape: tuple[int, ...]) -> None:
    spec = GameSpec(
        name="dice",
        num_players=2,
        num_actions=3,
        observation_shape=shape,
        observation_dtype="int8",
        max_plies=9,
    )
    with pytest.raises(
        ConfigurationError,
        match=r"network resnet does not fit dice: .*\[planes, rows, columns\]; choose network mlp",
    ) as caught:
        resnet(spec)
    assert f"shape {shape}" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"channels": 0},
            "channels of network resnet: got 0, expected a whole number of at least 1",
        ),
        ({"channels": True}, "channels of network resnet: got True"),
        ({"channels": "wide"}, "channels of network resnet: got 'wide'"),
        (
            {"blocks": 0},
            f"blocks of network resnet: got 0, expected a whole number from 1 to {MAX_LAYERS}",
        ),
        ({"blocks": 10**12}, "blocks of network resnet: got 1000000000000"),
        ({"blocks": 2.0}, "blocks of network resnet: got 2.0"),
    ],
)
def test_sizes_that_make_no_network(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resnet(spec_of("connect_four"), **arguments)
