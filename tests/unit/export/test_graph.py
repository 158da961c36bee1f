"""Agents as ONNX graphs: the same values as torch, whatever the network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from sparring.cli import main
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.games.spec import GameSpec

SMALL = {"net_arch": [8]}


def agent_of(factory: str, arguments: dict[str, Any], *, afterstates: bool = False) -> DQNAgent:
    return DQNAgent(
        PolicySpec("tic_tac_toe", NetworkSpec(factory, arguments), afterstates=afterstates)
    )


class Branching(nn.Module):
    """A network that torch cannot trace."""

    def __init__(self, spec: GameSpec) -> None:
        super().__init__()
        self.layer = nn.Linear(spec.observation_size, spec.num_actions)

    def forward(self, observation: Tensor) -> Tensor:
        q: Tensor = self.layer(observation.flatten(1).float())
        return q if q.sum() > 0 else -q


class FixedBatch(Branching):
    """A network in which torch takes the number of positions of the example for a constant."""

    def forward(self, observation: Tensor) -> Tensor:
        count = int(str(len(observation)))
        q: Tensor = self.layer(observation.reshape(count, -1).float())
        return q


def exported(agent: DQNAgent) -> tuple[Any, Any, Any]:
    """The graph, a session of onnxruntime, and the inputs that were compared."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    from sparring.export.graph import onnx_graph, own_positions

    graph = onnx_graph(agent)
    inputs = own_positions(agent.policy(), 200, seed=1)
    return graph, runtime.InferenceSession(graph.content), inputs


@pytest.mark.parametrize(
    ("factory", "arguments"),
    [
        ("mlp", {**SMALL, "dueling": True, "noisy": True}),
        ("patches", {**SMALL, "patch_size": 2, "patch_arch": [4], "activation": "squared_relu"}),
        ("resnet", {"channels": 4, "blocks": 1, "dueling": True, "atoms": 5}),
        ("user_network:Convolved", {"channels": 2}),
    ],
)
def test_a_graph_values_actions_as_the_agent_does(factory: str, arguments: dict[str, Any]) -> None:
    agent = agent_of(factory, arguments)
    graph, session, inputs = exported(agent)
    assert (graph.positions, graph.max_difference < 1e-5) == (1000, True)
    mask = inputs["action_mask"]
    assert not mask.all()
    [values] = session.run(["q_values"], inputs)
    expected = agent.q_values(inputs["observation"])
    np.testing.assert_allclose(values, np.where(mask, expected, -np.inf), atol=1e-5)
    facts = session.get_modelmeta().custom_metadata_map
    assert facts == {
        "game": "tic_tac_toe",
        "network": factory,
        "num_actions": "9",
        "observation_dtype": "int8",
        "observation_shape": "[2, 3, 3]",
        "values": "actions of the seat to move",
    }
    assert str(Path(__file__).parents[3]).encode() not in graph.content, "a path of this machine"


def test_a_graph_of_positions_after_moves_has_their_value_and_says_whose_it_is() -> None:
    agent = agent_of("mlp", {**SMALL}, afterstates=True)
    graph, session, inputs = exported(agent)
    assert [each.name for each in session.get_inputs()] == ["observation"]
    [values] = session.run(["value"], inputs)
    np.testing.assert_allclose(values[:, 0], agent.values(inputs["observation"]), atol=1e-5)
    facts = session.get_modelmeta().custom_metadata_map
    assert (facts["values"], facts["point_of_view"]) == (
        "positions after moves",
        "next: of the seat that comes next; a move is worth what it pays - value to its mover",
    )
    assert graph.positions == 1000


@pytest.mark.parametrize(
    ("game", "words"),
    [
        ("tic_tac_toe", "differ from those of torch by up to"),
        ("connect_four", "onnxruntime cannot run the graph: InvalidArgument: "),
    ],
)
def test_a_graph_that_differs_from_the_agent_is_not_written(
    game: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other, *_ = exported(DQNAgent(PolicySpec(game, NetworkSpec("mlp", {"net_arch": [4]}))))
    agent = agent_of("mlp", {**SMALL})
    agent.save(tmp_path / "agent.safetensors")
    monkeypatch.setattr("sparring.export.graph._exported", lambda *_: other.content)
    before = sorted(tmp_path.iterdir())
    assert main(["export", str(tmp_path / "agent.safetensors"), "--onnx"]) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert (said.err.count("\n"), sorted(tmp_path.iterdir())) == (1, before)


@pytest.mark.parametrize(
    ("factory", "arguments", "afterstates", "words"),
    [
        ("ntuples", {}, True, "sparring distill AGENT --network patches"),
        (f"{__name__}:Branching", {}, False, "Branching cannot be exported by torch: "),
        (f"{__name__}:FixedBatch", {}, False, "FixedBatch cannot be exported by torch: "),
    ],
)
def test_networks_that_cannot_be_exported_are_one_line(
    factory: str, arguments: dict[str, Any], afterstates: bool, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as error:
        exported(agent_of(factory, arguments, afterstates=afterstates))
    assert "\n" not in str(error.value)


def test_without_the_libraries_one_line_names_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent_of("mlp", {**SMALL}).save(tmp_path / "agent.safetensors")
    monkeypatch.delitem(sys.modules, "sparring.export.graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["export", str(tmp_path / "agent.safetensors"), "--onnx"]) == 2
    assert capsys.readouterr().err == (
        "sparring: --onnx needs onnx, onnxscript and onnxruntime: pip install 'sparring[onnx]'\n"
    )
