"""DQNAgent(game): an agent that is trained by a loop of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError, FileFormatError, SparringError
from sparring.games import GameSpec

SMALL = {"policy_kwargs": {"net_arch": [16]}, "batch_size": 16, "learning_starts": 0}


class Corridor:
    """One player on cells 0 to 4: action 1 goes right, 0 left; 1 is paid on arrival at cell 4."""

    spec = GameSpec(
        num_players=1,
        num_actions=2,
        observation_shape=(5,),
        observation_dtype="int8",
        max_plies=50,
        returns=(0.0, 1.0),
    )
    seat = 0

    def reset(self, rng: np.random.Generator) -> None:
        self.cell = 0

    def mask(self) -> list[bool]:
        return [self.cell > 0, True]

    def observe(self, seat: int) -> Any:
        return np.eye(5, dtype=np.int8)[self.cell]

    def step(self, action: int) -> tuple[list[float], bool]:
        self.cell += 1 if action else -1
        return [float(self.cell == 4)], self.cell == 4


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


def learned(seed: int, matches: int = 60) -> DQNAgent:
    """Random play in the corridor, as tuples, and ten updates after each match."""
    agent = DQNAgent(
        Corridor, learning_rate=0.01, gamma=0.5, target_update_interval=20, seed=seed, **SMALL
    )
    game, rng = Corridor(), np.random.default_rng(seed)
    for _ in range(matches):
        game.reset(rng)
        steps: list[Any] = []
        done = False
        while not done and len(steps) < 50:
            state, legal = game.observe(0), np.flatnonzero(game.mask())
            action = int(rng.choice(legal))
            rewards, done = game.step(action)
            steps.append((state, action, rewards[0], game.observe(0), done, game.mask()))
        agent.add_trajectory_to_buffer(steps)
        agent.learn(10)
    return agent


def test_a_loop_of_ones_own_learns_the_values_of_a_corridor() -> None:
    """From cell c the best return is 0.5 ** (3 - c); going left first costs two more steps."""
    agent = learned(seed=0)
    q = agent.policy().q_values(np.eye(5, dtype=np.int8)[:4])
    np.testing.assert_allclose(q[:, 1], [0.125, 0.25, 0.5, 1.0], atol=0.05)
    np.testing.assert_allclose(q[1:, 0], [0.0625, 0.125, 0.25], atol=0.05)
    assert agent.predict(np.eye(5, dtype=np.int8)[2])[0] == 1
    assert repr(agent).endswith("updates=600)")


def test_the_seed_decides_weights_and_minibatches() -> None:
    assert learned(3, matches=3).to_bytes() == learned(3, matches=3).to_bytes()
    first, other = DQNAgent("tic_tac_toe", **SMALL), DQNAgent("tic_tac_toe", seed=1, **SMALL)
    assert first.to_bytes() != other.to_bytes()
    assert first.to_bytes() == DQNAgent("tic_tac_toe", seed=np.int64(0), **SMALL).to_bytes()


def test_settings_reach_network_learner_and_replay() -> None:
    agent = DQNAgent(
        "connect_four(num_players=2)",
        policy_kwargs={"network": "patches", "net_arch": [8], "patch_arch": [4]},
        learning_rate=0.5,
        buffer_size=400,
        batch_size=32,
        learning_starts=100,
        prioritized_replay=True,
        prioritized_replay_beta1=0.25,
        gamma=0.9,
    )
    trainable = agent._trainable
    assert trainable is not None
    assert agent.spec.game == agent.game.name == "connect_four"
    assert agent.spec.network.factory == "patches"
    assert (trainable.learning_starts, trainable.beta, trainable.replay.capacity) == (
        100,
        0.25,
        400,
    )
    options = trainable.learner.options
    assert (options.learning_rate, options.batch_size, options.gamma) == (0.5, 32, 0.9)
    assert options.bootstrap == "own_turn"  # what the tuples of one seat are


def test_learning_starts_when_there_are_enough_transitions() -> None:
    agent = DQNAgent("tic_tac_toe", **{**SMALL, "learning_starts": 20})
    step = (np.zeros((2, 3, 3)), 0, 1.0, None, True)
    before = agent.to_bytes()
    assert agent.learn().updates == 0
    agent.add_trajectory_to_buffer([step] * 19)
    assert agent.learn(5).updates == 0
    assert agent.to_bytes() == before
    agent.add_trajectory_to_buffer([step])
    assert agent.learn(5).updates == 5
    assert agent.to_bytes() != before
    with pytest.raises(SparringError, match="the replay is empty"):
        DQNAgent("tic_tac_toe", **SMALL).learn()


def test_start_weights_come_from_a_file_or_as_arrays(tmp_path: Path) -> None:
    first = DQNAgent("tic_tac_toe", seed=5, **SMALL)
    first.save(tmp_path / "first.safetensors")
    given = DQNAgent("tic_tac_toe", weights=first.get_weights(), **SMALL)
    from_file = DQNAgent("tic_tac_toe", init_from=tmp_path / "first.safetensors", **SMALL)
    for agent in (given, from_file):
        assert agent.to_bytes() == first.to_bytes()
        assert agent._trainable is not None
        target = agent._trainable.learner.get_state()["target"]
        for name, value in first.get_weights().items():
            np.testing.assert_array_equal(target[name], value)
    again = DQNAgent.load(tmp_path / "first.safetensors")
    assert again.predict(np.zeros((2, 3, 3))) == first.predict(np.zeros((2, 3, 3)))


@pytest.mark.parametrize(
    ("game", "options", "message"),
    [
        ("tic_tac_to", {}, "unknown game: got 'tic_tac_to', .* did you mean 'tic_tac_toe'"),
        (None, {}, "game: got None, expected a name, or a class"),
        (3, {}, "game: got 3, expected a name, or a class"),
        (lambda: None, {}, "this game cannot be named: got <lambda>"),
        (
            "tic_tac_toe",
            {"learning_rat": 1},
            "unknown setting: got 'learning_rat', .* did you mean",
        ),
        ("tic_tac_toe", {"lr": 0.1}, "unknown setting: got 'lr', .* did you mean 'learning_rate'"),
        ("tic_tac_toe", {"learning_rate": 0}, "learning_rate: got 0, expected more than 0"),
        ("tic_tac_toe", {"batch_size": "64"}, "batch_size: got '64', expected a whole number"),
        ("tic_tac_toe", {"buffer_size": 100}, "batch_size is larger than buffer_size: got 256"),
        ("tic_tac_toe", {"buffer_size": 10**13}, "not enough memory: got .* GiB of replay"),
        (
            "tic_tac_toe",
            {"num_workers": 4},
            "num_workers has no effect without a run: got 4; leave",
        ),
        ("tic_tac_toe", {"preset": "quick"}, "unknown setting: got 'preset'"),
        (
            "tic_tac_toe",
            {"learning_rate_schedule": "cosine"},
            "learning_rate_schedule has no effect without a run: got 'cosine'",
        ),
        ("tic_tac_toe", {"seed": None}, "seed: got None, expected a whole number, 0 to "),
        ("tic_tac_toe", {"seed": -1}, "seed: got -1, expected a whole number, 0 to "),
        ("tic_tac_toe", {"device": 3}, "device: got 3, expected auto, cpu, cuda or cuda:0"),
        ("tic_tac_toe", {"device": "gpu"}, "device: got 'gpu', expected auto, cpu, cuda"),
        ("tic_tac_toe", {"device": "cuda:99"}, "device: got cuda:99, expected "),
        (Corridor, {"bootstrap": "zero_sum"}, "bootstrap: got zero_sum, expected own_turn"),
        ("tic_tac_toe", {"bootstrap": "self"}, "bootstrap: got 'self', expected 'own_turn' or"),
        ("tic_tac_toe", {"policy_kwargs": 3}, "policy_kwargs: got 3, expected a table of"),
        (
            "tic_tac_toe",
            {"policy_kwargs": {"net_arc": [8]}},
            "unknown setting: got 'policy_kwargs.net_arc', .* did you mean 'net_arch'",
        ),
        ("tic_tac_toe", {"weights": {"wrong": np.zeros(3)}}, "weights of another network"),
        ("tic_tac_toe", {"weights": [1]}, "weights: got a value of list"),
        (
            PolicySpec("tic_tac_toe", NetworkSpec()),
            {"learning_rate": 0.1},
            "learning_rate has no effect with a PolicySpec: got 0.1",
        ),
    ],
)
def test_arguments_that_cannot_be_are_one_line(
    game: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        DQNAgent(game, **options)
    assert "\n" not in str(error.value)


def test_start_weights_that_are_missing_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"init_from: .*no\.safetensors cannot be read"):
        DQNAgent("tic_tac_toe", init_from=tmp_path / "no.safetensors", **SMALL)


def test_help_lists_the_settings_with_their_defaults() -> None:
    text = DQNAgent.__doc__ or ""
    for line in ("learning_rate = 0.001", "buffer_size = 200000", "net_arch = (256, 256)"):
        assert line in text
    assert "num_workers" not in text
