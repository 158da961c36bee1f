"""An agent file is played where only torch, NumPy and safetensors are installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec

# What torch itself requires stays, too.
SCRIPT = """
import json, sys
from importlib.machinery import PathFinder

import numpy, safetensors.numpy, torch

KNOWN = {name.partition(".")[0] for name in sys.modules} | set(sys.stdlib_module_names) | {
    "sparring", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "filelock", "fsspec"}

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        top = name.partition(".")[0]
        return PathFinder.find_spec(name, path, target) if top in KNOWN or top[0] == "_" else None

sys.meta_path[:] = [Installed if finder is PathFinder else finder for finder in sys.meta_path]
for name in ("numba", "pydantic", "gymnasium", "rich"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} is there")

from sparring import DQNAgent

agent = DQNAgent.load(sys.argv[1])
seen = agent.spec.network_game
board = numpy.zeros(seen.observation_shape, seen.observation_dtype)
if agent.spec.afterstates:
    print(json.dumps([agent.values(board[None]).tolist(), 0]))
else:
    print(json.dumps([agent.q_values(board).tolist(), agent.predict(board)[0]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "arguments"),
    [("resnet", {"channels": 4, "blocks": 1, "atoms": 5, "dueling": True}), ("ntuples", {})],
)
def test_an_agent_loads_and_plays_with_torch_numpy_and_safetensors_alone(
    network: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    spec = PolicySpec(
        "tic_tac_toe", NetworkSpec(network, arguments), afterstates=network == "ntuples"
    )
    agent = DQNAgent(spec)
    random = np.random.default_rng(0)
    agent.set_weights(
        {name: random.normal(0, 0.1, w.shape) for name, w in agent.get_weights().items()}
    )
    agent.save(tmp_path / "agent.safetensors")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "agent.safetensors")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    values, action = json.loads(done.stdout)
    board = np.zeros(spec.network_game.observation_shape, np.int8)
    if spec.afterstates:
        assert values == pytest.approx(agent.values(board[None]).tolist())
    else:
        assert values == pytest.approx(agent.q_values(board).tolist())
        assert action == agent.predict(board)[0]
