"""Names of the players of a tournament."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparring.cli.tournament import entrant_names
from sparring.errors import InputError


def test_runs_by_their_names_and_files_by_theirs() -> None:
    assert entrant_names(
        [Path("runs/connect_four-1/best.safetensors"), Path("mine.safetensors")]
    ) == ["connect_four-1", "mine"]


def test_names_that_would_be_the_same_are_paths() -> None:
    paths = [
        Path("a/x.safetensors"),
        Path("b/x.safetensors"),
        Path("c/best.safetensors"),
        Path("c/last.safetensors"),
        Path("y.safetensors"),
    ]
    assert entrant_names(paths) == [*map(str, paths[:4]), "y"]


def test_no_agent_has_the_name_of_a_scripted_player() -> None:
    assert entrant_names([Path("a/random.safetensors"), Path("runs/one_ply/best.safetensors")]) == [
        "a/random.safetensors",
        "runs/one_ply/best.safetensors",
    ]


def test_one_file_by_two_names(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").touch()
    (tmp_path / "b.safetensors").symlink_to(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="more than once"):
        entrant_names([tmp_path / "a.safetensors", tmp_path / "b.safetensors"])
