"""`policy_kwargs`: networks, and the settings that each of them takes."""

from __future__ import annotations

import json
import tomllib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring.config.network import PolicyKwargs
from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config, to_toml
from sparring.errors import ConfigurationError


def policy(**kwargs: Any) -> PolicyKwargs:
    return build_config(overrides={"policy_kwargs": kwargs}).policy_kwargs


def complaint(**kwargs: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        policy(**kwargs)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("kwargs", "arguments"),
    [
        (
            {},
            {
                "net_arch": [256, 256],
                "activation": "relu",
                "dueling": False,
                "atoms": 1,
                "noisy": False,
            },
        ),
        (
            {"net_arch": [8], "dueling": True},
            {"net_arch": [8], "activation": "relu", "dueling": True, "atoms": 1, "noisy": False},
        ),
        (
            {"network": "resnet", "blocks": 3, "atoms": 51, "noisy": True},
            {"channels": 32, "blocks": 3, "dueling": False, "atoms": 51, "noisy": True},
        ),
        (
            {"network": "patches", "patch_arch": [16]},
            {
                "patch_size": 4,
                "patch_arch": [16],
                "net_arch": [256, 256],
                "activation": "relu",
                "dueling": False,
                "atoms": 1,
                "noisy": False,
            },
        ),
        ({"network": "my.nets:Net"}, {}),
        (
            {"network": "my.nets:Net", "arguments": {"width": 8, "deep": True}},
            {"width": 8, "deep": True},
        ),
    ],
)
def test_a_network_gets_what_it_takes(kwargs: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert policy(**kwargs).network_arguments() == arguments


def test_plain_values_of_every_kind_pass_and_stay_what_they_are() -> None:
    given = {
        "b": True,
        "i": 3,
        "f": 0.5,
        "s": "relu",
        "l": [1, 2.0, [False, "x"]],
        "t": (1, (2,)),
        "big": 2**70,
        "none": [],
    }
    arguments = policy(network="m:f", arguments=given).network_arguments()
    assert arguments == {**given, "t": [1, [2]]}
    assert type(arguments["b"]) is bool
    assert json.loads(json.dumps(arguments)) == arguments


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": 1},
        float("nan"),
        [1, [float("inf")]],
        b"bytes",
        np.float64(1),
        np.zeros((9, 9)),
        1j,
        len,
    ],
)
def test_other_values_are_refused(value: Any) -> None:
    assert complaint(network="m:f", arguments={"x": value}).startswith(
        "a value in policy_kwargs.arguments: got "
    )


def test_a_factory_may_be_passed_itself() -> None:
    assert policy(network=OrderedDict).network == "collections:OrderedDict"
    assert policy(network=json.dumps).network == "json:dumps"
    assert "this network cannot be named: got " in complaint(network=lambda spec: None)
    assert "this network cannot be named: got a value of int" in complaint(network=3)


@pytest.mark.parametrize("name", ["resnt", "", "m:", "m:f()", "a b:c", "mlp:"])
def test_invalid_names_of_networks(name: str) -> None:
    assert complaint(network=name).startswith(
        f"policy_kwargs.network: got {name!r}, expected one of mlp, patches, resnet, ntuples, "
        "or module:factory"
    )
    assert complaint(network="resnt").endswith("did you mean 'resnet'?")


@pytest.mark.parametrize(
    ("kwargs", "line"),
    [
        (
            {"channels": 64},
            "policy_kwargs.channels does not apply to network mlp: got 64, expected only "
            "net_arch, activation, dueling, atoms, noisy; "
            "remove it or choose another policy_kwargs.network",
        ),
        (
            {"network": "resnet", "net_arch": [8]},
            "policy_kwargs.net_arch does not apply to network resnet: got (8,), expected only "
            "channels, blocks,",
        ),
        (
            {"network": "resnet", "arguments": {"a": 1}},
            "policy_kwargs.arguments does not apply to network resnet: got {'a': 1}",
        ),
        (
            {"network": "m:f", "dueling": True},
            "policy_kwargs.dueling does not apply to network m:f: got True, "
            "expected only arguments",
        ),
        (
            {"network": "resnet", "channels": 0},
            "policy_kwargs.channels: got 0, expected at least 1",
        ),
        (
            {"network": "resnet", "blocks": 1.5},
            "policy_kwargs.blocks: got 1.5, expected a whole number",
        ),
        (
            {"network": "m:f", "arguments": 3},
            "policy_kwargs.arguments: got 3, expected a table of names and values",
        ),
        (
            {"chanels": 3},
            "unknown setting: got 'policy_kwargs.chanels', expected one that "
            "`sparring train --help-all` lists; did you mean 'cha",
        ),
    ],
)
def test_settings_that_do_not_apply_are_refused_in_one_line(
    kwargs: dict[str, Any], line: str
) -> None:
    assert complaint(**kwargs).startswith(line)


def test_settings_at_their_defaults_are_accepted_with_every_network() -> None:
    assert policy(**PolicyKwargs().model_dump()) == PolicyKwargs()
    assert policy(**{**PolicyKwargs().model_dump(), "network": "resnet"}).network == "resnet"


def test_another_network_does_not_inherit_the_settings_of_the_preset(tmp_path: Path) -> None:
    """The widths of a preset's perceptron do not apply to another network."""
    game = {"game": "tic_tac_toe"}
    assert (
        build_config(preset="quick", overrides=game).policy_kwargs.net_arch
        != PolicyKwargs().net_arch
    )
    config = build_config(
        preset="quick", overrides={**game, "policy_kwargs": {"network": "resnet", "blocks": 4}}
    )
    assert config.policy_kwargs == PolicyKwargs(network="resnet", blocks=4)
    file = tmp_path / "run.toml"
    file.write_text('[policy_kwargs]\nnetwork = "resnet"\nchannels = 16\n')
    config = build_config(
        preset="quick",
        config_file=file,
        overrides={**game, "policy_kwargs": {"network": "resnet", "blocks": 4}},
    )
    assert config.policy_kwargs == PolicyKwargs(network="resnet", channels=16, blocks=4)
    assert (
        build_config(
            config_file=file, overrides={"policy_kwargs": {"network": "mlp"}}
        ).policy_kwargs
        == PolicyKwargs()
    )


@pytest.mark.parametrize(
    "kwargs",
    [
        {"network": "resnet", "channels": 16},
        {"network": "m:f", "arguments": {"b": True, "l": [1, [2.5, "x"]], "f": 1.0}},
        {"network": "m:f", "arguments": {}},
    ],
)
def test_round_trip_through_toml(kwargs: dict[str, Any]) -> None:
    config = build_config(overrides={"policy_kwargs": kwargs})
    assert build_config(overrides=tomllib.loads(to_toml(config))) == config


def test_a_file_holds_only_settings_that_have_an_effect() -> None:
    assert tomllib.loads(to_toml(TrainConfig()))["policy_kwargs"] == {
        "network": "mlp",
        "net_arch": [256, 256],
        "activation": "relu",
        "dueling": False,
        "atoms": 1,
        "noisy": False,
    }
