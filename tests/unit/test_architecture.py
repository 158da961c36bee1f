"""The list of files in ARCHITECTURE.md: one line for each module of `src/sparring`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "sparring"


def listed(text: str) -> dict[str, str]:
    """Path and description of each line in the first fenced block after "## Files"."""
    block = text.split("\n## Files\n", 1)[1].split("```\n")[1]
    found: dict[str, str] = {}
    folders: list[str] = []
    for line in block.splitlines():
        name, _, description = line.strip().partition(" ")
        level = (len(line) - len(line.lstrip())) // 2
        folders = [*folders[:level], name]
        if not name.endswith("/"):
            path = "".join(folders)
            assert path not in found, f"{path} is listed twice"
            found[path] = description.strip()
    return found


def test_every_module_has_a_line_in_the_architecture() -> None:
    lines = listed((ROOT / "ARCHITECTURE.md").read_text())
    files = {
        str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.stat().st_size
    }
    assert (sorted(files - lines.keys()), sorted(lines.keys() - files)) == ([], [])
    assert [path for path, description in lines.items() if not description] == []


def test_the_list_is_read_with_its_folders() -> None:
    text = "# A\n\n## Files\n\n```\nerrors.py   all errors\ngames/\n  spec.py  facts\n  ludo/\n"
    text += "    rules.py  rules of Ludo\ndqn/\n  agent.py\n```\n"
    assert listed(text) == {
        "errors.py": "all errors",
        "games/spec.py": "facts",
        "games/ludo/rules.py": "rules of Ludo",
        "dqn/agent.py": "",
    }
