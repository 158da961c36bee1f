"""Systems without the modules that only Unix has: everything imports, and what does not work there
is one line. In a process where those modules cannot be imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from child_processes import HANG

PACKAGE = Path(__file__).parents[2] / "src" / "sparring"
UNIX_ONLY = ("fcntl", "resource", "termios", "tty", "readline", "pwd", "grp")
WITHOUT = f"import sys\nsys.modules.update(dict.fromkeys({UNIX_ONLY!r}))\n"
MAIN = WITHOUT + "from sparring.cli import main\nsys.exit(main(sys.argv[1:]))\n"


def python(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANG,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def module_names() -> list[str]:
    """All modules but those that run a program when they are imported."""
    paths = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


@pytest.mark.slow
def test_every_module_imports_without_the_modules_of_unix(tmp_path: Path) -> None:
    imports = "import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    done = python(tmp_path, WITHOUT + imports, *module_names())
    assert done.returncode == 0, done.stderr


def test_games_are_listed_without_the_modules_of_unix(tmp_path: Path) -> None:
    done = python(tmp_path, MAIN, "games")
    assert done.returncode == 0, done.stderr
    assert "connect_four" in done.stdout


def test_training_without_file_locks_is_refused_in_one_line(tmp_path: Path) -> None:
    done = python(tmp_path, MAIN, "train", "tic_tac_toe", "--backend", "inline")
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("sparring: training and saving need file locks: got ")
    assert line.endswith(", expected Linux or macOS; on Windows use WSL")
    assert list(tmp_path.iterdir()) == [], "nothing was written"
