"""Training with networks other than the perceptron: worker processes, snapshots, evaluation, agent
file, and resume.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import user_network
from trial_runs import trial

from sparring.config.schema import TrainConfig
from sparring.dqn.agent import DQNAgent
from sparring.errors import FileFormatError
from sparring.training import TrainResult, resume, train

NETWORKS: dict[str, dict[str, Any]] = {
    "patches": {
        "network": "patches",
        "patch_size": 2,
        "patch_arch": [4],
        "net_arch": [8],
        "atoms": 5,
    },
    "resnet": {"network": "resnet", "channels": 4, "blocks": 1, "dueling": True},
    "own": {"network": user_network.Convolved, "arguments": {"channels": 4}},
}


def configuration(folder: Path, network: str, **changes: Any) -> TrainConfig:
    return trial(
        folder,
        n_episodes=160,
        policy_kwargs=NETWORKS[network],
        learner_precision="bfloat16",
        **changes,
    )


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_processes_give_the_agent_that_inline_gives(network: str, tmp_path: Path) -> None:
    results: list[TrainResult] = []
    for way in (
        {"backend": "inline"},
        {"backend": "processes", "start_method": "forkserver"},
        {"backend": "inline", "seed": 4},
    ):
        result = train(configuration(tmp_path, network, **way), console=False)
        assert result.workers_replaced == 0
        results.append(result)
    inline, processes, other_seed = results
    assert processes.agent.read_bytes() == inline.agent.read_bytes()
    assert other_seed.sha256 != inline.sha256
    assert inline.updates >= 50


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_a_run_in_two_parts_ends_with_the_same_agent(network: str, tmp_path: Path) -> None:
    """A run whose settings do not depend on its length can be lengthened: the weights are equal."""
    steady = {
        "backend": "inline",
        "exploration_initial_eps": 0.2,
        "exploration_final_eps": 0.2,
        "prioritized_replay": False,
    }
    whole = train(configuration(tmp_path, network, **steady), console=False)
    half = train(
        configuration(tmp_path, network, **steady).model_copy(update={"n_episodes": 80}),
        console=False,
    )
    assert 0 < half.updates < whole.updates
    parts = resume(
        half.run.name, runs_dir=str(tmp_path), overrides={"n_episodes": 160}, console=False
    )
    assert parts.agent.read_bytes() == whole.agent.read_bytes()


def test_the_agent_is_loaded_with_its_network(tmp_path: Path) -> None:
    result = train(configuration(tmp_path, "own", backend="inline"), console=False)
    with pytest.raises(
        FileFormatError,
        match=r"network that does not come with Sparring: got 'user_network:Convolved'; "
        r"pass network=\.\.\.",
    ):
        DQNAgent.load(result.agent)
    assert (
        DQNAgent.load(result.agent, network=user_network.Convolved).to_bytes()
        == result.agent.read_bytes()
    )
    assert 'network = "user_network:Convolved"' in (result.run / "config.toml").read_text()
