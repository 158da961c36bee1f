"""Numba's environment: a cache directory in a read-only installation, settings that it cannot use.

The installation is read-only by its permissions in a process without the right to ignore them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from child_processes import HANG

from sparring import numba_setup

PLAY = """
import json, os, numpy as np
from sparring.games import make
game = make("tic_tac_toe", 1)
game.reset(np.zeros(1, np.int64), np.zeros(1, np.uint64))
game.step(np.zeros(1, np.int64))
print(json.dumps([int(game.plies[0]), os.environ.get("NUMBA_CACHE_DIR", ""), os.getcwd()]))
"""


def play(environment: dict[str, str], folder: Path) -> tuple[list[object], str]:
    """The answer of a process with these variables in a folder, and its standard error."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAY],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    answer: list[object] = json.loads(done.stdout)
    return answer, done.stderr


@pytest.mark.slow
def test_without_a_place_for_compiled_code_there_is_a_temporary_one_and_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("SPARRING_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    numba_setup.prepare()
    folder = Path(os.environ["SPARRING_CACHE_DIR"])
    assert os.environ["NUMBA_CACHE_DIR"] == str(folder / "numba")
    assert folder.stat().st_mode & 0o077 == 0  # other users cannot put machine code there
    assert "set SPARRING_CACHE_DIR" in capsys.readouterr().err
    answer, err = play(
        {name: os.environ[name] for name in ("SPARRING_CACHE_DIR", "NUMBA_CACHE_DIR")}, tmp_path
    )
    assert answer[0] == 1
    assert err == ""
    assert list((folder / "numba").iterdir()), "Numba's cache is there"


def test_a_chosen_cache_directory_is_numbas_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPARRING_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setattr(numba_setup, "_finds_a_cache", lambda: False)
    numba_setup.prepare()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "cache" / "numba")
    assert capsys.readouterr().err == ""


def test_a_cache_directory_that_cannot_be_written_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "below"))
    monkeypatch.setenv("SPARRING_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(numba_setup, "_finds_a_cache", lambda: False)
    numba_setup.prepare()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "cache" / "numba")


def test_a_user_without_a_home_has_no_cache_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """os.path.expanduser leaves the "~" then, which would become a folder of that name."""
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert numba_setup.user_cache() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a" / "b"))
    assert numba_setup.user_cache() == tmp_path / "a" / "b"
    (tmp_path / "a").write_text("")
    assert numba_setup.user_cache() is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [("NUMBA_DISABLE_JIT", "1"), ("NUMBA_NUM_THREADS", "0"), ("NUMBA_NUM_THREADS", "many")],
)
def test_settings_that_numba_cannot_use_are_ignored_with_a_note(
    variable: str, value: str, tmp_path: Path
) -> None:
    environment = {"SPARRING_CACHE_DIR": os.environ["SPARRING_CACHE_DIR"], "HOME": str(tmp_path)}
    answer, err = play({variable: value, **environment}, tmp_path)
    assert answer[0] == 1
    assert err.startswith(f"sparring: note: {variable}={value} is ignored: ")
    assert err.count("\n") == 1
