"""The tree of files in ARCHITECTURE.md against the files of `src/sparring`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "sparring"
FILES = re.compile(r"^## Files\n.*?^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def tree_of(page: str) -> str:
    """Return the first code block under the heading "Files"."""
    found = FILES.search(page)
    assert found, 'no code block under the heading "## Files"'
    return found[1]


def described(tree: str) -> list[tuple[str, str]]:
    """Path and description of every module of a tree: two spaces of indentation per directory."""
    folders: list[str] = []
    modules = []
    for line in filter(str.strip, tree.splitlines()):
        depth, odd = divmod(len(line) - len(line.lstrip(" ")), 2)
        assert not odd, f"odd indentation: {line!r}"
        assert depth <= len(folders), f"indentation without a directory: {line!r}"
        name, _, text = line.strip().partition(" ")
        del folders[depth:]
        if name.endswith("/"):
            folders.append(name)
        elif name.endswith(".py"):
            modules.append(("".join([*folders, name]), text.strip()))
    return modules


def findings(tree: str, package: Path) -> list[str]:
    """One line for each module that is missing, listed twice, without a text, or not there."""
    modules = [(path.removeprefix("sparring/"), text) for path, text in described(tree)]
    listed = [path for path, _ in modules]
    there = {str(path.relative_to(package)) for path in package.rglob("*.py")}
    needed = {
        name
        for name in there
        if not name.endswith("__init__.py") or (package / name).stat().st_size
    }
    return [
        *(f"missing: {path}" for path in sorted(needed - set(listed))),
        *(f"does not exist: {path}" for path in sorted(set(listed) - there)),
        *(f"twice: {path}" for path in sorted({p for p in listed if listed.count(p) > 1})),
        *(f"without a text: {path}" for path, text in modules if not text),
    ]


def test_the_tree_of_files_is_the_packages() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    found = findings(tree_of(page), PACKAGE)
    assert not found, "\n".join(found)


TREE = """
errors.py     errors that users meet
games/        games and their contract
  __init__.py registry
  python/
    game.py   a class that plays one match
  spec.py     what a game declares
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in ("errors", "games/__init__", "games/spec", "games/python/game"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    (tmp_path / "games" / "python" / "__init__.py").touch()  # empty: needs no line
    return tmp_path


def test_a_tree_that_fits(package: Path) -> None:
    page = f"# Title\n\n```\nanother block\n```\n\n## Files\n\nSome words.\n\n```{TREE}```\n"
    assert findings(tree_of(page), package) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("  spec.py     what a game declares\n", "", "missing: games/spec.py"),
        ("errors.py ", "oops.py a\nerrors.py ", "does not exist: oops.py"),
        ("errors.py ", "errors.py a\nerrors.py ", "twice: errors.py"),
        ("    game.py   a class that plays one match", "    game.py",
         "without a text: games/python/game.py"),
    ],
)  # fmt: skip
def test_it_finds(package: Path, old: str, new: str, finding: str) -> None:
    assert findings(TREE.replace(old, new), package) == [finding]
