"""The options of a population, and the settings of its members that follow from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from sparring.config import system
from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config, to_toml
from sparring.errors import ConfigurationError
from sparring.population.options import (
    PopulationOptions,
    check_options,
    cpus_of,
    devices_of,
    member_configs,
)


def members(agents: int = 3, cpus: int = 12, **settings: Any) -> list[TrainConfig]:
    own = {key: settings.pop(key) for key in ("shared_pool", "pbt", "devices") if key in settings}
    config = build_config(overrides={"game": "tic_tac_toe", **settings})
    return member_configs(config, PopulationOptions(agents, **own), Path("runs/six"))


@pytest.fixture(autouse=True)
def _cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "available_cpus", lambda: 48)


def test_cpus_are_divided_evenly() -> None:
    assert cpus_of(6) == [8] * 6
    assert cpus_of(5) == [10, 10, 10, 9, 9]
    assert cpus_of(100) == [1] * 100


def test_six_agents_on_48_cpus_have_seven_workers_and_a_learner_each() -> None:
    assert [(m.num_workers, m.learner_threads) for m in members(6)] == [(7, 1)] * 6


def test_settings_that_are_given_are_those_of_each_agent() -> None:
    assert [(m.num_workers, m.learner_threads) for m in members(6, num_workers=3)] == [(3, 5)] * 6


def test_each_member_is_a_run_of_its_own_seed_in_one_directory() -> None:
    found = members(seed=10)
    assert [m.seed for m in found] == [10, 11, 12]
    assert [(m.runs_dir, m.name) for m in found] == [
        ("runs/six", f"member-{number}") for number in range(3)
    ]
    assert {m.pool_dir for m in found} == {""}


def test_a_shared_pool_is_one_absolute_directory() -> None:
    assert {m.pool_dir for m in members(shared_pool=True)} == {os.path.abspath("runs/six/shared")}


def test_settings_of_members_can_be_written_and_read(tmp_path: Path) -> None:
    for number, member in enumerate(members(pbt=("learning_rate",), shared_pool=True)):
        (tmp_path / f"{number}.toml").write_text(to_toml(member))
        assert build_config(config_file=tmp_path / f"{number}.toml") == member


def test_agents_as_opponents_are_found_from_the_members(tmp_path: Path) -> None:
    file = tmp_path / "agent.safetensors"
    file.touch()
    shares = {
        "self": 1.0, "agent:old": 1.0, "agent:old/snapshot:3": 1.0, f"agent:{file}": 1.0,
        "agent:elsewhere/old": 1.0, "agent:2": 1.0,
    }  # fmt: skip
    found = members(opponents=shares, runs_dir="runs")[0].opponents
    assert list(found or {}) == [
        "self", "agent:runs/old", "agent:runs/old/snapshot:3", f"agent:{file}",
        "agent:elsewhere/old", "agent:2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "agents", "devices"),
    [
        ("cpu", 3, ["cpu"] * 3),
        ("cuda:0,cuda:1,cpu", 3, ["cuda:0", "cuda:1", "cpu"]),
        ("cuda:1", 2, ["cuda:1", "cuda:1"]),
    ],
)
def test_devices_are_one_for_all_or_one_each(text: str, agents: int, devices: list[str]) -> None:
    assert devices_of(text, agents) == devices


@pytest.mark.parametrize(
    ("gpus", "devices"),
    [
        (0, ["cpu"] * 4),
        (1, ["cuda:0"] * 4),
        (3, ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]),
        (8, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
    ],
)
def test_gpus_are_taken_in_turn(
    gpus: int, devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert devices_of("auto", 4) == devices


def test_tables_are_learned_on_the_cpu_beside_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    tables = {"network": "ntuples"}
    assert {member.device for member in members(2, policy_kwargs=tables)} == {"cpu"}
    assert [member.device for member in members(2)] == ["cuda:0", "cuda:1"]


def test_with_pbt_all_but_the_first_start_with_other_values() -> None:
    found = members(8, pbt=("learning_rate",), learning_rate=1e-3, seed=5)
    rates = [member.learning_rate for member in found]
    assert rates[0] == 1e-3
    assert len(set(rates)) == 8
    assert all(5e-4 <= rate <= 2e-3 for rate in rates)
    assert rates == [m.learning_rate for m in members(8, pbt=("learning_rate",), seed=5)]


BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"agents": 0}, {}, "agents: got 0, expected 1 to 1,000"),
    ({"agents": 2, "pbt": ("learning_rat",)}, {}, "unknown setting of pbt: got 'learning_rat', exp"
     "ected one of learning_rate, samples_per_insert, exploration_final_eps, opponent_epsilon; did "
     "you mean 'learning_rate'?"),
    ({"agents": 2, "pbt": ("learning_rate", "learning_rate")}, {}, "pbt: got learning_rate,learning"
     "_rate, expected each setting once"),
    ({"agents": 1, "pbt": ("learning_rate",)}, {}, "pbt: got 1 agent, expected at least 2"),
    ({"agents": 2, "pbt": ("samples_per_insert",)}, {}, "pbt of samples_per_insert: got learning_st"
     "eps_per_batch auto, expected adaptive"),
    ({"agents": 2, "pbt_interval": 0}, {}, "pbt_interval: got 0, expected 1 or more"),
    ({"agents": 2}, {"seed": 2**63 - 1}, "seed: got 9223372036854775807, expected at most 2^63"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "settings", "line"), BAD)
def test_options_that_cannot_work_are_one_line(
    options: dict[str, Any], settings: dict[str, Any], line: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_options(PopulationOptions(**options), TrainConfig(**settings))
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize("text", ["cuda:0,cuda:1", "cpu,", "auto,auto"])
def test_devices_of_another_number_are_one_line(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^devices of 3 agents: got 2 devices, expected "):
        devices_of(text, 3)
