"""An agent as an ONNX graph, compared with torch on positions of its own play.

Agents that value actions: `observation` [n, *observation_shape] and `action_mask` [n, A] of bool
give `q_values` [n, A], -inf where the mask is false. Agents that value positions after moves: the
`observation` [n, ...] of such a position gives `value` [n, 1]. n is free, the dtype is the game's.
Noisy layers have the means of their weights; C51 distributions become their means.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparring import __version__
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import TABLES, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.errors import InputError, SparringError
from sparring.games import make
from sparring.rollout.taught import Lessons

try:
    import onnxruntime
    import onnxscript as _onnxscript  # noqa: F401
except ModuleNotFoundError:
    raise InputError(
        "--onnx needs onnx, onnxscript and onnxruntime: pip install 'sparring[onnx]'"
    ) from None

POSITIONS: Final = 1000
_MATCHES: Final = 50  # that are played side by side for them
_TOLERANCE: Final = 1e-4  # of the largest value, and of 1
_BATCH: Final = 3  # of the example
# Of whom the value of a position after a move is, and what a move is worth (`games.afterstates`).
_POINTS_OF_VIEW: Final = {
    "next": "of the seat that comes next; a move is worth what it pays - value to its mover",
    "mover": "of the seat that has moved; a move is worth what it pays + value to it",
    "own": "of the seat that has moved; a move is worth what it pays + value to it",
}

Inputs = dict[str, NDArray[Any]]


class Graph(NamedTuple):
    """An ONNX model, and how far its values are from those of torch."""

    content: bytes
    positions: int
    max_difference: float


class _Masked(nn.Module):
    """Q-values [n, A], -inf for illegal actions."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, observation: Tensor, action_mask: Tensor) -> Tensor:
        return torch.where(action_mask, self.network(observation), -torch.inf)


def onnx_graph(agent: DQNAgent, *, seed: int = 0) -> Graph:
    """The ONNX graph of an agent.

    Raises `InputError` for n-tuple tables and for a network that torch cannot export;
    `SparringError` if onnxruntime gives other values than torch.
    """
    spec, policy = agent.spec, agent.policy()
    if spec.network.factory == TABLES:
        raise InputError(
            f"network {TABLES} is tables, not layers, which ONNX cannot hold",
            remedy="fit a network to it, and export that: sparring distill AGENT "
            "--network patches --out FILE",
        )
    inputs = own_positions(policy, POSITIONS, seed=seed)
    content = _exported(policy, {name: rows[:_BATCH] for name, rows in inputs.items()})
    return Graph(content, len(inputs["observation"]), max_difference(content, policy, inputs))


def own_positions(policy: InferencePolicy, count: int, *, seed: int) -> Inputs:
    """Inputs of the graph: `count` positions of matches that the agent plays against itself, with a
    share of random moves.
    """
    lessons = Lessons(policy, make(policy.spec.game, _MATCHES), afterstates=False, key=seed)
    found: list[Inputs] = []
    for _ in range(count):  # plies; there are fewer positions where each move ends the match
        if sum(len(inputs["observation"]) for inputs in found) >= count:
            break
        taught = lessons.play()
        if taught.after is None:
            found.append({"observation": taught.observation, "action_mask": taught.mask})
        else:
            found.append({"observation": taught.after.observation})
    return {name: np.concatenate([inputs[name] for inputs in found])[:count] for name in found[0]}


def max_difference(content: bytes, policy: InferencePolicy, inputs: Inputs) -> float:
    """The largest difference between the values of onnxruntime and of torch for `inputs`, in one
    batch and one position alone. Raises `SparringError` if it is not rounding.
    """
    expected = policy.q_values(inputs["observation"])
    mask = inputs.get("action_mask", np.ones(expected.shape, np.bool_))
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        [values] = session.run(None, inputs)
        [first] = session.run(None, {name: rows[:1] for name, rows in inputs.items()})
    except Exception as error:  # its errors have no class of their own
        raise SparringError(
            f"onnxruntime cannot run the graph: {type(error).__name__}: "
            f"{' '.join(str(error).split()):.200}; nothing was written"
        ) from error
    pairs = ((values[mask], expected[mask]), (first[mask[:1]], expected[:1][mask[:1]]))
    difference = max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)
    limit = _TOLERANCE * max(1.0, float(np.abs(expected[mask]).max()))
    if not (difference <= limit and np.isneginf(values[~mask]).all()):
        raise SparringError(
            f"the values of onnxruntime differ from those of torch by up to {difference:.3g}, "
            f"expected at most {limit:.3g}; nothing was written"
        )
    return difference


def _exported(policy: InferencePolicy, example: Inputs) -> bytes:
    """The ONNX model of the network, with facts of the agent in its metadata."""
    spec = policy.spec
    network = policy.network if spec.afterstates else _Masked(policy.network).eval()
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                network,
                tuple(torch.from_numpy(rows.copy()) for rows in example.values()),
                # by name: with torch.export.Dim the size came out fixed, in silence, for `patches`
                dynamic_shapes=tuple({0: "n"} for _ in example),
                input_names=list(example),
                output_names=["value" if spec.afterstates else "q_values"],
                dynamo=True,
                verbose=False,
            )
            for node in program.model.graph.all_nodes():
                node.metadata_props.clear()  # they name files of this machine
            program.model.producer_name, program.model.producer_version = "sparring", __version__
            program.model.metadata_props.update(_metadata(spec))
            content: bytes = program.model_proto.SerializeToString()
    except Exception as error:  # of torch, ONNX or the code of a user's network
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split())
        raise InputError(
            f"network {spec.network.factory} cannot be exported by torch: "
            f"{type(cause).__name__}: {reason:.200}"
        ) from error
    return content


def _metadata(spec: PolicySpec) -> Mapping[str, str]:
    game, seen = spec.game_spec, spec.network_game
    facts = {
        "game": spec.game,
        "network": spec.network.factory,
        "observation_shape": json.dumps(seen.observation_shape),
        "observation_dtype": seen.observation_dtype,
        "num_actions": str(game.num_actions),
        "values": "positions after moves" if spec.afterstates else "actions of the seat to move",
    }
    if spec.afterstates:
        facts["point_of_view"] = f"{game.afterstates}: {_POINTS_OF_VIEW[game.afterstates]}"
    return facts


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of exporters about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
