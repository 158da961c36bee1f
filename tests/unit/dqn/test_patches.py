"""The network `patches`: what it computes, by its definition, and that nothing but the place of a
stone in its patches counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sparring.dqn.architectures import MAX_LAYERS, Patches, patches
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network, get_weights
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError
from sparring.games import spec_of
from sparring.games.spec import GameSpec

TIC_TAC_TOE = PolicySpec(
    "tic_tac_toe", NetworkSpec("patches", {"patch_size": 2, "patch_arch": [5, 3], "net_arch": [6]})
)
CONNECT_FOUR = PolicySpec(
    "connect_four", NetworkSpec("patches", {"patch_arch": [7], "net_arch": [8, 4], "dueling": True})
)
SQUARED = PolicySpec(
    "connect_four",
    NetworkSpec("patches", {"patch_arch": [7], "net_arch": [8, 4], "activation": "squared_relu"}),
)


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


def boards(count: int, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(0, 2, (count, *shape)).astype(np.int8)


def slow_q_values(
    weights: dict[str, Any], board: NDArray[Any], side: int, power: int
) -> NDArray[Any]:
    """[A] from [C, H, W], one patch after another, row by row; units are `relu(x) ** power`."""

    def perceptron(name: str, x: NDArray[Any]) -> NDArray[Any]:
        for index in range(
            0, 2 * sum(key.startswith(f"{name}.") and key.endswith("weight") for key in weights), 2
        ):
            x = (
                np.maximum(
                    0,
                    weights[f"{name}.{index}.weight"].astype(np.float64) @ x
                    + weights[f"{name}.{index}.bias"],
                )
                ** power
            )
        return x

    _, rows, columns = board.shape
    corners = [
        (row, column) for row in range(rows - side + 1) for column in range(columns - side + 1)
    ]
    said = [
        perceptron("patch", board[:, row : row + side, column : column + side].ravel())
        for row, column in corners
    ]
    hidden = perceptron("body", np.concatenate(said))
    advantage: NDArray[Any] = (
        weights["head.advantage.weight"] @ hidden + weights["head.advantage.bias"]
    )
    if "head.value.weight" not in weights:
        return advantage
    value: NDArray[Any] = weights["head.value.weight"] @ hidden + weights["head.value.bias"]
    return value + advantage - advantage.mean()


@pytest.mark.parametrize(
    ("spec", "side", "power"), [(TIC_TAC_TOE, 2, 1), (CONNECT_FOUR, 4, 1), (SQUARED, 4, 2)]
)
def test_it_computes_what_its_definition_says(spec: PolicySpec, side: int, power: int) -> None:
    network = build_network(spec, seed=3)
    batch = boards(4, spec_of(spec.game).observation_shape)
    expected = [slow_q_values(get_weights(network), board, side, power) for board in batch]
    q = network(torch.from_numpy(batch))
    assert q.dtype == torch.float32
    np.testing.assert_allclose(q.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        InferencePolicy(spec, get_weights(network)).q_values(batch), expected, rtol=1e-4, atol=1e-5
    )


def test_all_patches_are_seen_alike() -> None:
    """A stone in the middle of an empty grid of 8 x 8 lies in all nine places of patches of 3 x 3:
    moved by one, it is said elsewhere.
    """
    spec = GameSpec(
        name="wide",
        num_players=2,
        num_actions=2,
        observation_shape=(1, 8, 8),
        observation_dtype="int8",
        max_plies=64,
    )
    network = patches(spec, patch_size=3, patch_arch=(4,), net_arch=(4,))
    assert isinstance(network, Patches)
    board = torch.zeros(2, 1, 8, 8, dtype=torch.int8)
    board[0, 0, 3, 3] = board[1, 0, 4, 3] = 1
    said = network.patch(network._patches(board)).view(2, 6, 6, 4)
    assert torch.equal(said[0, :-1], said[1, 1:])
    assert not torch.equal(said[0], said[1])


def test_the_gradient_reaches_every_parameter() -> None:
    network = build_network(CONNECT_FOUR, seed=1)
    network(torch.from_numpy(boards(64, (2, 6, 7)))).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_bfloat16_is_near_float32() -> None:
    weights, batch = get_weights(build_network(CONNECT_FOUR, seed=2)), boards(32, (2, 6, 7))
    exact, rough = (
        InferencePolicy(CONNECT_FOUR, weights, bfloat16=bfloat16) for bfloat16 in (False, True)
    )
    assert rough.network.patch[0].weight.dtype == torch.bfloat16
    assert 0 < np.abs(exact.q_values(batch) - rough.q_values(batch)).max() < 0.02


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            {"patch_size": 7},
            "patch_size of network patches: got 7, expected a whole number from 1 to 6",
        ),
        ({"patch_size": 0}, "patch_size of network patches: got 0"),
        (
            {"patch_arch": []},
            rf"patch_arch of network patches: got \[\], expected 1 to {MAX_LAYERS} numbers",
        ),
        (
            {"patch_arch": [8, "x"]},
            "an entry of patch_arch: got 'x', expected a whole number of at least 1",
        ),
        ({"net_arch": 8}, "net_arch of network patches: got 8"),
        (
            {"activation": "tanh"},
            "activation of network patches: got 'tanh', expected one of relu, squared_relu",
        ),
        (
            {"activation": ["relu"]},
            r"activation of network patches: got \['relu'\], expected one of relu",
        ),
    ],
)
def test_arguments_that_make_no_network(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        patches(spec_of("connect_four"), **arguments)


def test_what_is_no_board() -> None:
    spec = GameSpec(
        name="dice",
        num_players=2,
        num_actions=2,
        observation_shape=(6,),
        observation_dtype="int8",
        max_plies=9,
    )
    with pytest.raises(
        ConfigurationError,
        match=r"network patches does not fit dice: .*\[planes, rows, columns\]; choose network mlp",
    ):
        patches(spec)
