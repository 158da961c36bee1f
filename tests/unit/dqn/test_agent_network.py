"""Agent files and their networks: which load by themselves, which only when the caller says so, and
what is refused.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import user_factories

from sparring.dqn.agent import DQNAgent
from sparring.dqn.agent_file import encode_agent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError, FileFormatError

RESNET = NetworkSpec("resnet", {"channels": 3, "blocks": 1, "dueling": True})
TOWER = NetworkSpec("user_factories:Tower", {"width": 4})
BOARDS = np.random.default_rng(0).integers(0, 2, (5, 2, 3, 3)).astype(np.int8)


def saved(folder: Path, network: NetworkSpec) -> Path:
    DQNAgent(PolicySpec("tic_tac_toe", network)).save(folder / "agent")
    return folder / "agent"


def with_network(folder: Path, factory: object, arguments: object, tensors: Any = None) -> Path:
    """An agent file that names this network, whatever it is; made without it."""
    encoding = {"shape": [2, 3, 3], "dtype": "int8", "actions": 9}
    description = {
        "game": "tic_tac_toe",
        "network": {"factory": factory, "arguments": arguments},
        "encoding": encoding,
    }
    (folder / "agent").write_bytes(
        encode_agent(tensors or {"weight": np.zeros(3, np.float32)}, description)
    )
    return folder / "agent"


@pytest.mark.parametrize("given", [None, "resnet"])
def test_a_resnet_loads_by_itself(tmp_path: Path, given: str | None) -> None:
    path = saved(tmp_path, RESNET)
    loaded = DQNAgent.load(path, network=given)
    assert loaded.to_bytes() == path.read_bytes()
    assert loaded.spec.network == RESNET


@pytest.mark.parametrize("given", ["user_factories:Tower", user_factories.Tower])
def test_a_network_of_ones_own_loads_when_it_is_passed(
    tmp_path: Path, given: str | Callable[..., Any]
) -> None:
    path = saved(tmp_path, TOWER)
    loaded = DQNAgent.load(path, network=given)
    assert loaded.to_bytes() == path.read_bytes()
    assert (
        loaded.predict(BOARDS)[0].tolist()
        == DQNAgent.load(path, network=given).predict(BOARDS)[0].tolist()
    )  # type: ignore[union-attr]


def test_it_may_have_moved_since(tmp_path: Path) -> None:
    """The name in the file is a label: `__main__:Tower` of a script is `user_factories:Tower`
    elsewhere.
    """
    tensors = DQNAgent(PolicySpec("tic_tac_toe", TOWER)).get_weights()
    path = with_network(tmp_path, "__main__:Tower", {"width": 4}, tensors)
    assert DQNAgent.load(path, network=user_factories.Tower).spec.network == TOWER


@pytest.mark.parametrize(
    "factory", ["antigravity:fly", "os:system", "user_factories:Tower", "cnn", 3]
)
def test_otherwise_nothing_is_imported(
    tmp_path: Path, factory: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_network(tmp_path, factory, {})
    monkeypatch.setattr(
        importlib, "import_module", lambda name: pytest.fail(f"{name} was imported")
    )
    with pytest.raises(
        FileFormatError,
        match=r"network that does not come with Sparring: got .*; pass network=\.\.\.",
    ) as caught:
        DQNAgent.load(path)
    assert "\n" not in str(caught.value)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("network", "given", "message"),
    [
        (RESNET, "mlp", "is an agent with another network: got 'resnet', expected mlp"),
        (
            RESNET,
            user_factories.Tower,
            "another network: got 'resnet', expected user_factories:Tower",
        ),
        (TOWER, "mlp", "another network: got 'user_factories:Tower', expected mlp"),
        (
            TOWER,
            user_factories.small,
            "cannot be built: got the arguments of network user_factories:small do not fit",
        ),
        (
            TOWER,
            "user_factories:one_action_too_many",
            "cannot be built: got the arguments of network",
        ),
        (
            TOWER,
            "user_factories:nothing",
            "cannot be built: got user_factories has no such network",
        ),
    ],
)
def test_another_network_is_refused(
    tmp_path: Path, network: NetworkSpec, given: Any, message: str
) -> None:
    with pytest.raises(FileFormatError, match=message):
        DQNAgent.load(saved(tmp_path, network), network=given)


def test_a_factory_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"this network cannot be named: got .*<lambda>"):
        DQNAgent.load(saved(tmp_path, TOWER), network=lambda spec: user_factories.small(spec))


@pytest.mark.parametrize(
    ("factory", "arguments"),
    [
        ("mlp", {"net_arch": [2**40, 2**20]}),
        ("mlp", {"net_arch": [2**62, 2**62]}),
        ("mlp", {"net_arch": [10**30]}),
        ("mlp", {"net_arch": [1] * 100_000}),
        ("resnet", {"channels": 2**40, "blocks": 1}),
        ("resnet", {"channels": 1, "blocks": 10**15}),
        ("resnet", {"channels": "many"}),
    ],
)
def test_a_file_that_asks_for_a_huge_network_is_refused_at_once(
    tmp_path: Path, factory: str, arguments: dict[str, Any]
) -> None:
    """Building these would take all memory or for ever; the test would not end."""
    with pytest.raises(FileFormatError, match="has a network that cannot be built") as caught:
        DQNAgent.load(with_network(tmp_path, factory, arguments))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
