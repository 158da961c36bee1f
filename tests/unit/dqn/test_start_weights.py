"""Weights that a run starts with: files that fit, and one line for each that does not."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sparring.config.schema import LearningOptions
from sparring.dqn.agent import DQNAgent
from sparring.dqn.learner import Learner
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network
from sparring.dqn.start_weights import read_start_weights, start_with
from sparring.errors import InputError

SMALL = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]}))
TOWER = PolicySpec("tic_tac_toe", NetworkSpec("user_factories:Tower", {"width": 6}))
CPU = torch.device("cpu")


def learner(spec: PolicySpec = SMALL, **options: Any) -> Learner:
    return Learner(spec, LearningOptions(**options), device=CPU, seed=0)


def save_agent(path: Path, spec: PolicySpec = SMALL) -> None:
    DQNAgent(spec, weights=weights_of(spec)).save(path)


def weights_of(spec: PolicySpec) -> dict[str, Any]:
    return {name: value.numpy() for name, value in state_of(spec).items()}


def state_of(spec: PolicySpec) -> dict[str, Tensor]:
    """Weights that bfloat16 holds exactly."""
    network = build_network(spec, seed=5)
    return {name: value.bfloat16().float() for name, value in network.state_dict().items()}


SAVED: dict[str, Callable[[Path, PolicySpec], Any]] = {
    "agent.safetensors": save_agent,
    "plain.safetensors": lambda path, spec: save_file(
        {name: value.bfloat16() for name, value in state_of(spec).items()}, path
    ),
    "torch.pt": lambda path, spec: torch.save(state_of(spec), path),
    "doubles.pth": lambda path, spec: torch.save(
        {name: value.double() for name, value in state_of(spec).items()}, path
    ),
}


@pytest.mark.parametrize("spec", [SMALL, TOWER], ids=["mlp", "own"])
@pytest.mark.parametrize("name", SAVED)
def test_policy_and_target_network_start_with_the_weights_of_a_file(
    name: str, spec: PolicySpec, tmp_path: Path
) -> None:
    SAVED[name](tmp_path / name, spec)
    new, fresh = learner(spec, weight_averaging=0.9), learner(spec, weight_averaging=0.9)
    start_with(new, read_start_weights(tmp_path / name), spec)
    state, before = new.get_state(), fresh.get_state()
    for part in ("policy", "target"):
        for key, wanted in weights_of(spec).items():
            assert np.array_equal(state[part][key], wanted), (part, key)
    assert np.array_equal(new.evaluated_vector(), new.vector())
    assert not np.array_equal(new.vector(), fresh.vector())
    for key, value in before["optimizer"].items():
        assert np.array_equal(state["optimizer"][key], value), "the optimizer starts anew"


def with_one_more(spec: PolicySpec = SMALL, **more: Any) -> dict[str, Any]:
    return {**state_of(spec), **more}


def torch_file(content: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path)


def other_agent(**arguments: Any) -> Callable[[Path], None]:
    return lambda path: save_agent(path, PolicySpec("tic_tac_toe", NetworkSpec("mlp", arguments)))


def bytes_file(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def first_damaged(value: float) -> Mapping[str, Any]:
    state = state_of(SMALL)
    next(iter(state.values()))[0] = value
    return state


NOISE = random.Random(0).randbytes(5_000)
FIRST, *_, LAST = state_of(SMALL)
LARGE = torch.full((9,), 1e300, dtype=torch.float64)

# name of the file, its content, words of the error
BAD: list[tuple[str, Callable[[Path], None], str]] = [
    ("absent.pt", lambda path: None, "cannot be read: No such file"),
    ("folder.pt", lambda path: path.mkdir(), "cannot be read: Is a directory"),
    ("model.onnx", bytes_file(NOISE), "ends in .safetensors, .pt or .pth"),
    ("noise.safetensors", bytes_file(NOISE), "damaged or not a safetensors file"),
    ("noise.pt", bytes_file(NOISE), "damaged, or holds more than weights | a state dict"),
    ("empty.pth", bytes_file(b""), "damaged, or holds more than weights"),
    ("module.pt", torch_file(nn.Linear(2, 2)), "holds more than weights | network.state_dict()"),
    ("list.pt", torch_file([1, 2]), "got a value of list | one tensor for each name"),
    ("nothing.pt", torch_file({}), "holds no weights"),
    (
        "whole.pt",
        torch_file({"epoch": 3, "model": state_of(SMALL), "optimizer": {"lr": 0.1}}),
        "got a table of epoch, model, optimizer | ['model'], FILE) writes one",
    ),
    ("whole.pth", torch_file({"optimizer": {"lr": 0.1}}), "got a table of optimizer | state_dict"),
    ("nan.pt", torch_file(first_damaged(float("nan"))), f"{FIRST} in | NaN or infinity"),
    (
        "large.pt",
        torch_file(with_one_more(**{LAST: LARGE})),
        "infinity",
    ),
    ("int.pt", torch_file(with_one_more(**{LAST: torch.ones(9).long()})), "got int64 | floating"),
    (
        "wider.safetensors",
        other_agent(net_arch=[16]),
        f"does not fit network mlp: {FIRST}: got shape [16, 18], expected shape [8, 18]; "
        "the file has network mlp with net_arch = [16]",
    ),
    ("deeper.safetensors", other_agent(net_arch=[8, 8]), "does not fit | net_arch = [8, 8]"),
    (
        "missing.pt",
        torch_file({name: value for name, value in state_of(SMALL).items() if name != LAST}),
        f"{LAST}: got no such weights, expected shape [9]",
    ),
    (
        "more.pt",
        torch_file(with_one_more(running_mean=torch.ones(3))),
        "running_mean: got shape [3], expected no such weights",
    ),
]


@pytest.mark.parametrize(("name", "write", "words"), BAD, ids=[case[0] for case in BAD])
def test_a_file_that_cannot_be_used_is_named_in_one_line(
    name: str, write: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    new = learner()
    before = new.vector()
    with pytest.raises(InputError) as caught:
        start_with(new, read_start_weights(tmp_path / name), SMALL)
    line = str(caught.value)
    assert line.startswith("init_from")
    assert "\n" not in line
    assert name in line
    for word in words.split(" | "):
        assert word in line, line
    assert np.array_equal(new.vector(), before)


def test_the_folder_of_a_run_gets_the_name_of_its_best_agent(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    save_agent(tmp_path / "run" / "best.safetensors")
    with pytest.raises(InputError, match=r"run/best\.safetensors is the best agent of that run"):
        read_start_weights(tmp_path / "run")


MOVES = PolicySpec("ludo", SMALL.network)
POSITIONS = PolicySpec("ludo", SMALL.network, afterstates=True)


@pytest.mark.parametrize("write", SAVED.values(), ids=SAVED)
@pytest.mark.parametrize(
    ("saved", "wanted", "remedy"),
    [(MOVES, POSITIONS, "moves: set afterstates = off"), (POSITIONS, MOVES, "afterstates = on")],
    ids=["moves", "positions"],
)
def test_values_of_moves_and_of_positions_after_them_are_told_apart(
    write: Callable[[Path, PolicySpec], Any],
    saved: PolicySpec,
    wanted: PolicySpec,
    remedy: str,
    tmp_path: Path,
) -> None:
    """A state dict does not say which it is; its last layer has a row for each move."""
    name = next(name for name, other in SAVED.items() if other is write)
    write(tmp_path / name, saved)
    start = read_start_weights(tmp_path / name)
    with pytest.raises(InputError, match="does not fit network mlp") as caught:
        start_with(learner(wanted), start, wanted)
    if saved is MOVES or start.description:
        assert remedy in str(caught.value)
