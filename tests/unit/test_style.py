"""Sizes and words of the source that a formatter does not see."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "sparring"
QUESTIONS = {
    "how", "what", "when", "where", "whether", "which", "who", "whom", "whose", "why"
}  # fmt: skip
LONGEST_FUNCTION, LONGEST_FILE = 60, 400


def modules() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), path.read_text(encoding="utf-8")


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for name, text in modules():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, kinds):
                yield name, node


def test_no_docstring_begins_with_a_question_word() -> None:
    found = []
    for name, node in nodes(ast.Module, ast.ClassDef, ast.FunctionDef):
        assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        text = ast.get_docstring(node) or ""
        if text.partition(" ")[0].lower() in QUESTIONS:
            found.append(f"{name}: {text.splitlines()[0]}")
    assert not found


def test_functions_fit_on_a_page() -> None:
    lengths = {
        f"{name}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for name, node in nodes(ast.FunctionDef)
        if isinstance(node, ast.FunctionDef)
    }
    assert not {place: n for place, n in lengths.items() if n > LONGEST_FUNCTION}


def test_files_are_one_topic() -> None:
    lengths = {name: len(text.splitlines()) for name, text in modules()}
    assert not {name: n for name, n in lengths.items() if n > LONGEST_FILE}
