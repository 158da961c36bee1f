"""The wheel: it holds the package and nothing else, and works where there is no checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest
from child_processes import HANG

pytest.importorskip("build", reason="a wheel is made with build")
pytest.importorskip("hatchling", reason="a wheel is made by hatchling")

ROOT = Path(__file__).parents[2]
TRIED = """
import sys
sys.path.insert(0, sys.argv[1])
import sparring
from sparring.cli import main
from sparring.dqn.agent import DQNAgent
from sparring.opponents.found import built_in_agents, find_agent
assert sparring.__file__.startswith(sys.argv[1]), sparring.__file__
for game in built_in_agents():
    print("agent of", DQNAgent.load(find_agent(game, "runs").path).spec.game)
sys.exit(main(["games"]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    made = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
    assert made.returncode == 0, made.stdout + made.stderr
    [path] = folder.iterdir()
    return path


def test_a_wheel_holds_the_files_of_the_package_and_nothing_else(wheel: Path) -> None:
    files = {PurePosixPath(name) for name in ZipFile(wheel).namelist()}
    package = {
        PurePosixPath(path.relative_to(ROOT / "src").as_posix())
        for path in (ROOT / "src/sparring").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {file for file in files if file.parts[0] == "sparring"} == package
    assert {file.suffix for file in package} >= {".html", ".js", ".css", ".toml", ".safetensors"}
    assert PurePosixPath("sparring/py.typed") in package
    others = {file.name for file in files - package}
    assert others == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE"}


def test_a_wheel_works_in_an_empty_directory(wheel: Path, tmp_path: Path) -> None:
    installed, empty = tmp_path / "installed", tmp_path / "empty"
    ZipFile(wheel).extractall(installed)
    empty.mkdir()
    command = [sys.executable, "-I", "-c", TRIED, str(installed)]
    tried = subprocess.run(command, cwd=empty, capture_output=True, text=True, timeout=HANG)
    assert (tried.returncode, tried.stderr) == (0, ""), tried.stderr
    for game in ("backgammon", "connect_four", "ludo", "othello", "tic_tac_toe"):
        assert f"agent of {game}\n" in tried.stdout
        assert f"\n {game} " in tried.stdout, "sparring games lists it"
    assert list(empty.iterdir()) == []
