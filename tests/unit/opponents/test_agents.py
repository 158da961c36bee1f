"""Which file AGENT means, and whose code may run to play it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparring.config.sources import build_config, to_toml
from sparring.errors import InputError
from sparring.opponents.found import FoundAgent, find_agent


def a_run(folder: Path, *files: str, **settings: object) -> Path:
    run = folder / "some-1"
    run.mkdir(parents=True)
    for name in files:
        (run / name).write_bytes(b"")
    (run / "config.toml").write_text(to_toml(build_config(overrides=settings)), encoding="utf-8")
    return run


def test_a_run_names_its_game_and_network(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        "best.safetensors",
        "last.safetensors",
        game="pig:Pig",
        policy_kwargs={"network": "nets:wide"},
    )
    for name, folder in (("some-1", str(tmp_path)), (f"{run}/", "elsewhere")):
        assert find_agent(name, folder) == FoundAgent(
            run / "best.safetensors", "pig:Pig", "nets:wide"
        )
    assert (
        find_agent("some-1", str(tmp_path), game="hog:Pig", network="nets:deep").game == "hog:Pig"
    )
    assert find_agent("some-1", str(tmp_path), network="nets:deep").network == "nets:deep"


def test_a_file_by_itself_never_causes_an_import(tmp_path: Path) -> None:
    run = a_run(tmp_path, "last.safetensors", game="pig:Pig")
    file = str(run / "last.safetensors")
    assert find_agent(file, "runs") == FoundAgent(Path(file))
    assert find_agent(file, "runs", game="pig:Pig") == FoundAgent(Path(file), "pig:Pig")


def test_networks_that_come_with_sparring_need_no_permission(tmp_path: Path) -> None:
    run = a_run(
        tmp_path, "last.safetensors", game="ludo(num_players=3)", policy_kwargs={"network": "mlp"}
    )
    assert find_agent("some-1", str(tmp_path)) == FoundAgent(
        run / "last.safetensors", "ludo(num_players=3)", None
    )
    (run / "config.toml").write_text("no toml", encoding="utf-8")
    assert find_agent("some-1", str(tmp_path)) == FoundAgent(run / "last.safetensors")


def test_settings_of_another_type_are_ignored(tmp_path: Path) -> None:
    run = a_run(tmp_path, "last.safetensors")
    found = FoundAgent(run / "last.safetensors")
    for line in (
        "game = 3",
        "policy_kwargs = 3",
        "[policy_kwargs]\nnetwork = 3",
        "[game]\nname = 'pig'",
    ):
        (run / "config.toml").write_text(line, encoding="utf-8")
        assert find_agent("some-1", str(tmp_path)) == found, line


def test_no_agent(tmp_path: Path) -> None:
    a_run(tmp_path)
    with pytest.raises(InputError, match=r"no agent in .*some-1 yet"):
        find_agent("some-1", str(tmp_path))
    with pytest.raises(InputError, match=r"no such agent: got 'sme-1'.*did you mean 'some-1'"):
        find_agent("sme-1", str(tmp_path))
