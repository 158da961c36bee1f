from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_rows import DTYPE, random_rows

from sparring.config.schema import LearningOptions
from sparring.dqn.agent import DQNAgent
from sparring.dqn.agent_file import encode_agent
from sparring.dqn.learner import Learner
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.trainable import Trainable
from sparring.dqn.trajectory import Trajectory, trajectory_transitions
from sparring.errors import ConfigurationError, FileFormatError, InputError, SparringError
from sparring.games import make, spec_of
from sparring.replay import Replay, ReplayBuffer, UniformSampler

NETWORK = NetworkSpec("mlp", {"net_arch": [8], "dueling": True})
SPEC = PolicySpec("tic_tac_toe", NETWORK)
OPTIONS = LearningOptions(
    batch_size=4, learning_rate=0.01, target_update_interval=5, gamma=0.5, n_steps=2
)
EMPTY = np.zeros((2, 3, 3), np.int8)


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


def trained(seed: int = 0, **changes: Any) -> tuple[DQNAgent, Trainable]:
    options = OPTIONS.model_copy(update=changes)
    learner = Learner(SPEC, options, device=torch.device("cpu"), seed=seed)
    training = Trainable(learner, Replay(ReplayBuffer(DTYPE, 50), UniformSampler()))
    return DQNAgent(SPEC, trainable=training), training


def favouring(action: int) -> DQNAgent:
    """An agent that likes this action best everywhere, then the lower numbers."""
    agent = DQNAgent(SPEC)
    weights = {name: np.zeros_like(value) for name, value in agent.get_weights().items()}
    weights["head.advantage.bias"] = -np.arange(9, dtype=np.float32)
    weights["head.advantage.bias"][action] = 1.0
    agent.set_weights(weights)
    return agent


def one_match() -> Trajectory:
    """What seat 0 decided in 0, 3, 1, 4, 2: it wins along the top."""
    game = make("tic_tac_toe", 1)
    game.reset(np.zeros(1, np.int64), np.zeros(1, np.uint64))
    observations, masks, actions = [], [], []
    for action in (0, 3, 1, 4, 2):
        if game.seat[0] == 0:
            observations.append(game.observation[0].copy())
            masks.append(game.mask[0].copy())
            actions.append(action)
        game.step(np.array([action]))
    return Trajectory(
        np.array(observations), np.array(masks), np.array(actions), np.array([0.0, 0.0, 1.0])
    )


def test_repr_names_game_network_size_and_updates() -> None:
    agent, training = trained()
    training.replay.extend(random_rows(20))
    agent.learn(3)
    fields = "game='tic_tac_toe', network='mlp', parameters=242"
    assert repr(agent) == f"DQNAgent({fields}, updates=3)"
    assert repr(DQNAgent(SPEC)) == f"DQNAgent({fields})"


def test_predict_one_position() -> None:
    agent = favouring(4)
    assert agent.predict(EMPTY) == (4, None)
    assert isinstance(agent.predict(EMPTY)[0], int)
    without_4 = np.ones(9, np.bool_)
    without_4[[0, 4]] = False
    assert agent.predict(EMPTY, action_masks=without_4) == (1, None)
    assert agent.predict(EMPTY, action_masks=without_4.astype(np.int8)) == (1, None)


def test_predict_a_batch() -> None:
    agent = favouring(4)
    masks = np.ones((3, 9), np.bool_)
    masks[1, 4], masks[2, :7] = False, False
    actions, state = agent.predict(np.stack([EMPTY] * 3), action_masks=masks)
    assert state is None
    assert isinstance(actions, np.ndarray)
    assert actions.tolist() == [4, 0, 7]
    assert actions.dtype == np.int64
    unmasked = agent.predict(np.stack([EMPTY] * 3))[0]
    assert isinstance(unmasked, np.ndarray)
    assert unmasked.tolist() == [4, 4, 4]


def test_predict_is_the_greedy_action_of_the_network() -> None:
    agent = DQNAgent(SPEC)
    observations = np.random.default_rng(0).integers(0, 2, (20, 2, 3, 3)).astype(np.int8)
    expected = InferencePolicy(SPEC, agent.get_weights()).q_values(observations).argmax(axis=1)
    assert agent.predict(observations)[0].tolist() == expected.tolist()  # type: ignore[union-attr]
    assert [agent.predict(observation)[0] for observation in observations] == expected.tolist()


@pytest.mark.parametrize(
    ("observation", "masks", "message"),
    [
        (np.zeros(18), None, r"observation: got shape \(18,\), expected \(2, 3, 3\) or a batch"),
        (np.zeros((4, 2, 3, 4)), None, r"observation: got shape \(4, 2, 3, 4\)"),
        (EMPTY, np.ones(8, np.bool_), r"action_masks: got shape \(8,\), expected \(9,\)"),
        (
            np.stack([EMPTY] * 2),
            np.ones(9, np.bool_),
            r"action_masks: got shape \(9,\), expected \(2, 9\)",
        ),
        (
            np.stack([EMPTY] * 2),
            np.ones((9, 2), np.bool_),
            r"action_masks: got shape \(9, 2\), expected \(2, 9\)",
        ),
    ],
)
def test_predict_refuses_other_shapes(observation: Any, masks: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        DQNAgent(SPEC).predict(observation, action_masks=masks)


def test_weights_out_and_in() -> None:
    one, other = DQNAgent(SPEC), trained(3)[0]
    assert one.to_bytes() != other.to_bytes()
    one.set_weights(other.get_weights())
    assert one.to_bytes() == other.to_bytes()
    next(iter(other.get_weights().values()))[:] = 0  # copies
    assert one.to_bytes() == other.to_bytes()
    assert {name: v.tolist() for name, v in one.policy().get_weights().items()} == {
        n: v.tolist() for n, v in one.get_weights().items()
    }
    with pytest.raises(ConfigurationError, match="weights of another network"):
        one.set_weights({})


def test_save_and_load_are_exact(tmp_path: Path) -> None:
    agent = trained(5)[0]
    agent.save(tmp_path / "one.safetensors")
    loaded = DQNAgent.load(tmp_path / "one.safetensors", game="tic_tac_toe")
    loaded.save(str(tmp_path / "two.safetensors"))
    data = (tmp_path / "one.safetensors").read_bytes()
    assert (tmp_path / "two.safetensors").read_bytes() == data == agent.to_bytes()
    assert loaded.spec == SPEC
    assert loaded.game == spec_of("tic_tac_toe")
    observations = np.random.default_rng(0).integers(0, 2, (20, 2, 3, 3)).astype(np.int8)
    assert loaded.predict(observations)[0].tolist() == agent.predict(observations)[0].tolist()  # type: ignore[union-attr]


def test_equal_agents_are_equal_bytes_and_others_are_not() -> None:
    assert trained(1)[0].to_bytes() == trained(1)[0].to_bytes()
    assert trained(1)[0].to_bytes() != trained(2)[0].to_bytes()
    assert (
        DQNAgent(SPEC).to_bytes()
        != DQNAgent(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]}))).to_bytes()
    )


def file_of(description: dict[str, Any], tensors: dict[str, Any] | None = None) -> bytes:
    return encode_agent(DQNAgent(SPEC).get_weights() if tensors is None else tensors, description)


DESCRIPTION: dict[str, Any] = {
    "game": "tic_tac_toe",
    "network": {"factory": "mlp", "arguments": {"net_arch": [8], "dueling": True}},
    "encoding": {"shape": [2, 3, 3], "dtype": "int8", "actions": 9},
}


def with_network(**changes: Any) -> bytes:
    return file_of({**DESCRIPTION, "network": {**DESCRIPTION["network"], **changes}})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged"),
        (b"nothing of the kind" * 20, "damaged"),
        (np.random.default_rng(0).bytes(5000), "damaged"),
        (DQNAgent(SPEC).to_bytes()[:-1], "damaged"),
        (file_of({}), "does not describe an agent"),
        (file_of({**DESCRIPTION, "network": "mlp"}), "does not describe an agent"),
        (
            file_of({**DESCRIPTION, "game": "chess"}),
            r"a game that is not available: unknown game: got 'chess', expected one of",
        ),
        (
            file_of({**DESCRIPTION, "game": "chess:Chess"}),
            r"does not come with Sparring: got 'chess:Chess'; pass game='chess:Chess'",
        ),
        (
            file_of({**DESCRIPTION, "game": "chess("}),
            "a game that is not available: invalid game name",
        ),
        (file_of({**DESCRIPTION, "game": ["tic_tac_toe"]}), "does not describe an agent"),
        (file_of({**DESCRIPTION, "encoding": {"shape": [18]}}), "another encoding of tic_tac_toe"),
        (with_network(factory="resnet"), "has a network that cannot be built"),
        (with_network(factory=["mlp"]), "does not describe an agent"),
        (
            with_network(arguments={"net_arch": [8], "layers": 3}),
            "has a network that cannot be built",
        ),
        (with_network(arguments={"net_arch": [-8]}), "has a network that cannot be built"),
        (with_network(arguments={"net_arch": "wide"}), "has a network that cannot be built"),
        (with_network(arguments=None), "has a network that cannot be built"),
        (with_network(arguments={"net_arch": [7]}), "weights of another network"),
        (file_of(DESCRIPTION, {}), "weights of another network"),
        (
            file_of(DESCRIPTION, {n: v * np.nan for n, v in DQNAgent(SPEC).get_weights().items()}),
            "network that cannot be built: got weights of .*: got NaN or infinity",
        ),
    ],
)
def test_a_file_that_is_no_agent_is_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "agent.safetensors"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=message) as error:
        DQNAgent.load(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_an_agent_of_another_game_is_refused(tmp_path: Path) -> None:
    DQNAgent(SPEC).save(tmp_path / "a")
    with pytest.raises(
        FileFormatError,
        match=r"is an agent of another game: got 'tic_tac_toe', expected connect_four",
    ):
        DQNAgent.load(tmp_path / "a", game="connect_four")
    with pytest.raises(FileFormatError, match="cannot be read"):
        DQNAgent.load(tmp_path / "b")


def test_after_load_methods_that_train_say_that_it_was_loaded_for_play(tmp_path: Path) -> None:
    trained()[0].save(tmp_path / "a")
    loaded = DQNAgent.load(tmp_path / "a")
    for call in (lambda: loaded.learn(1), lambda: loaded.add_trajectory_to_buffer(one_match())):
        with pytest.raises(SparringError, match="this agent was loaded for play"):
            call()


def test_a_trajectory_goes_to_the_replay() -> None:
    agent, training = trained()
    agent.add_trajectory_to_buffer(one_match())
    expected = trajectory_transitions(
        one_match(), spec_of("tic_tac_toe"), gamma=0.5, n_steps=2, counts="plies"
    )
    assert expected["R"].tolist() == [0.0, 0.0, 1.0]
    assert expected["discount"].tolist() == [0.25, 0.25, 0.0]
    stored = training.replay.get_state()["buffer"]["rows"]
    for name in DTYPE.names or ():
        np.testing.assert_array_equal(stored[name], expected[name])
    agent.add_trajectory_to_buffer(one_match())
    assert len(training.replay) == 6
    bad = Trajectory(
        np.zeros((1, 2, 3, 3)), np.zeros((1, 9), np.bool_), np.zeros(1, np.int64), np.zeros(1)
    )
    good = (EMPTY, 0, 0.0, EMPTY, False)
    for refused in (bad, [good, (EMPTY, 9, 0.0, EMPTY, False)], None):
        with pytest.raises(InputError):
            agent.add_trajectory_to_buffer(refused)  # type: ignore[arg-type]
        assert len(training.replay) == 6


def test_gamma_counts_own_decisions_with_own_turn_and_plies_with_zero_sum() -> None:
    for bootstrap, discount in (("own_turn", 0.25), ("zero_sum", 0.0625)):
        agent, training = trained(bootstrap=bootstrap, n_steps=2 if bootstrap == "own_turn" else 4)
        agent.add_trajectory_to_buffer(one_match())
        assert training.replay.get_state()["buffer"]["rows"]["discount"][0] == discount


def test_tuples_count_as_the_trajectory_does() -> None:
    match = one_match()
    steps = [
        (match.observations[0], 0, 0.0, match.observations[1], False, match.masks[1]),
        (match.observations[1], 1, 0.0, match.observations[2], False, match.masks[2]),
        (match.observations[2], 2, 1.0, None, True),
    ]
    for bootstrap in ("own_turn", "zero_sum"):
        (agent, training), (other, of_other) = (trained(bootstrap=bootstrap) for _ in range(2))
        agent.add_trajectory_to_buffer(match)
        other.add_trajectory_to_buffer(steps)
        rows, others = (t.replay.get_state()["buffer"]["rows"] for t in (training, of_other))
        for name in ("observation", "action", "R", "next_observation", "next_mask", "discount"):
            np.testing.assert_array_equal(rows[name], others[name])


def test_learning_changes_what_the_agent_plays() -> None:
    """Over and over the same won match: the move that won comes to be worth 1, and is played."""
    agent, training = trained()
    with pytest.raises(SparringError, match="the replay is empty"):
        agent.learn(1)
    match = one_match()
    agent.add_trajectory_to_buffer(match)
    before = agent.to_bytes()
    stats = agent.learn(300)
    assert stats.updates == 300 == training.learner.updates
    assert agent.to_bytes() != before
    np.testing.assert_array_equal(agent._policy.vector(), training.learner.vector())
    assert agent.policy().q_values(match.observations)[2, 2] == pytest.approx(1.0, abs=0.05)
    assert agent.predict(match.observations[2], action_masks=match.masks[2]) == (2, None)


@pytest.mark.parametrize("updates", ["3", 1.5, -1, None, True, np.float64(2), [1]])
def test_a_number_of_updates_that_is_none_is_one_line_and_learns_nothing(updates: Any) -> None:
    agent, training = trained()
    training.replay.extend(random_rows(20))
    before = agent.to_bytes()
    with pytest.raises(
        ConfigurationError, match=r"^updates: got .*, expected a whole number, at least 0$"
    ):
        agent.learn(updates)
    assert agent.to_bytes() == before
    assert training.learner.updates == 0
    assert agent.learn(np.int32(2)).updates == 2  # type: ignore[arg-type]


def test_learning_goes_on_after_a_run_whose_learning_rate_fell_to_nothing() -> None:
    agent, training = trained()
    training.replay.extend(random_rows(20))
    training.learner.set_learning_rate(0.0)
    before = agent.to_bytes()
    agent.learn(1)
    assert agent.to_bytes() != before


def test_set_weights_reaches_the_learner() -> None:
    agent, training = trained()
    zeros = {name: np.zeros_like(value) for name, value in agent.get_weights().items()}
    agent.set_weights(zeros)
    assert not training.learner.vector().any()
    training.replay.extend(random_rows(20))
    agent.learn(1)
    assert (
        np.abs(agent.get_weights()["head.advantage.bias"]).max() <= 0.0101
    )  # one step of Adam away from zero
