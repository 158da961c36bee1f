"""Every command and every Python block of README and docs, run in order in an empty directory, with
shorter runs and less hardware.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import python, sparring

from sparring.cli.population import parse_population

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
)

# Options that take minutes, or hardware that a test cannot count on.
SMALLER = {"--n-episodes": "150", "--eval-matches": "20", "--num-workers": "1", "--device": "cpu"}
# Getting and installing it, which .ci/run does.
NOT_TYPED = ("git ", "make ", "pip ", "python ", "python3 ")


def fences(page: str) -> Iterator[tuple[str, str, str]]:
    """Language, text and preceding paragraph of each block of a page."""
    parts = re.split(
        r"^```(\w*)\n(.*?)^```\n",
        (ROOT / page).read_text(encoding="utf-8"),
        flags=re.DOTALL | re.MULTILINE,
    )
    for i in range(1, len(parts), 3):
        yield parts[i], parts[i + 1], parts[i - 1].strip().split("\n\n")[-1]


def commands(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words and not line.startswith(NOT_TYPED):
            assert words[0] == "sparring", line
            if "--onnx" in words and importlib.util.find_spec("onnxruntime") is None:
                continue
            if words[1] == "sweep" and importlib.util.find_spec("optuna") is None:
                continue
            yield shortened(words[1:])


def shortened(words: list[str]) -> list[str]:
    """The same command with fewer matches, a worker, on the CPU; one short part of `bench`; `plan`
    of saved figures.
    """
    words = [str(ROOT / word) if word.startswith("tests/data/") else word for word in words]
    if words[0] == "bench":
        return [*words, "--part", "games", "--seconds", "0.02"]
    if words[0] == "plan":
        return [*words, "--from", str(ROOT / "tests/data/plan/connect_four.json")]
    if words[0] == "population":
        return shortened_population(words)
    if words[0] == "distill":
        return [*words, "--positions", "100"]
    if words[0] == "play":  # the page has tests of its own
        return [word for word in words if word != "--web"]
    if words[0] == "sweep":
        return shortened_by(words, {"--trials": "1", "--n-episodes": "150", "--num-workers": "1"})
    if words[0] not in ("train", "resume"):
        return words
    kept = [word for i, word in enumerate(words) if not {word, words[i - 1]} & SMALLER.keys()]
    smaller = {**SMALLER, "--n-episodes": "400"} if words[0] == "resume" else SMALLER
    if "--max-minutes" in words:
        minutes = kept.index("--max-minutes") + 1
        kept[minutes] = str(float(kept[minutes]) / 100)
        smaller = {name: value for name, value in smaller.items() if name != "--n-episodes"}
    return kept + [
        word
        for option, value in smaller.items()
        if words[0] == "train" or option == "--n-episodes"
        for word in (option, value)
    ]


def shortened_population(words: list[str]) -> list[str]:
    """Two agents; a resume is longer than what it continues."""
    if "--resume" in words:
        return [word if words[i - 1] != "--n-episodes" else "400" for i, word in enumerate(words)]
    options = {"--agents": "2", "--n-episodes": "150", "--num-workers": "1", "--devices": "cpu"}
    return shortened_by(words, options)


def shortened_by(words: list[str], options: dict[str, str]) -> list[str]:
    """The command with these values of options."""
    kept = [word for i, word in enumerate(words) if not {word, words[i - 1]} & options.keys()]
    return kept + [word for option in options.items() for word in option]


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    # a population starts a process an agent, with workers of its own
    [
        pytest.param(page, marks=pytest.mark.full) if "population" in page else page
        for page in PAGES
    ],
)
def test_every_command_and_python_block_of_a_page_works(page: str, tmp_path: Path) -> None:
    for language, text, before in fences(page):
        if language == "python":
            code = text.replace("n_episodes=100_000", "n_episodes=100").replace(
                "n_episodes=5_000", "n_episodes=100"
            )
            named = re.findall(r"`(\w+\.py)`", before)
            name = named[-1] if named else "script.py"
            (tmp_path / name).write_text(code, encoding="utf-8")
            python(name, tmp_path)
        elif not language:
            for words in commands(text):
                if words[0] == "population" and not {"--resume", "--name"} & set(words):
                    parse_population(words[1:], prog="sparring population")
                    continue  # the others take a minute, and show more
                answer = sparring(*words, folder=tmp_path, typed="quit\n")
                assert answer.status == 0, (words, answer)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_fit_into_80_columns_and_code_into_100(page: str) -> None:
    for language, text, _ in fences(page):
        assert max(map(len, text.splitlines())) <= (100 if language == "python" else 80), text


def test_the_pages_are_found() -> None:
    assert {"README.md", "docs/your-game.md", "docs/your-opponent.md", "docs/games/ludo.md"} <= set(
        PAGES
    )
    typed = {
        " ".join(words[:1])
        for page in PAGES
        for language, text, _ in fences(page)
        if not language
        for words in commands(text)
    }
    assert typed >= {"train", "resume", "evaluate", "play", "games", "check-game"}
