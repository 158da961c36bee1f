"""The order of rooms: who may import what in `src/sparring`, read from the source, wherever in a
file the import stands.

Lazy imports in functions count, and so do those for type checkers alone and
`importlib.import_module("...")` of a literal name.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "sparring"

# Ground floor first. A module imports from its own floor and from those before it. A dotted name is
# a module that stands lower than its room, or a room that is divided into floors.
FLOORS = (
    ("errors", "njit", "numba_setup", "user_code"),
    ("config", "opponents.names", "storage"),
    ("games",),
    ("conformance",),
    ("adapters",),
    ("replay",),
    ("dqn",),
    ("opponents",),
    ("rollout",),
    ("evaluation",),
    ("runtime",),
    ("training.interrupts", "training.schedule"),
    ("monitor",),
    (
        "training.alarms",
        "training.autotune",
        "training.callbacks",
        "training.changes",
        "training.distillation",
        "training.inference",
        "training.needs",
        "training.out_of_memory",
        "training.ranks",
        "training.rounds",
    ),
    ("training.assembly",),
    ("training.other_ranks", "training.resolve"),
    ("training.evaluator", "training.metrics"),
    ("training.loop", "training.trackers"),
    ("training",),
    ("population", "sweep"),
    ("play",),
    ("bench", "doctor", "export", "plot"),
    ("plan",),
    ("cli", "__main__"),
)
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}

# Packages, and rooms of ours, that only these rooms may import.
ONLY_IN = {
    "multiprocessing": {"runtime"},
    "ray": {"runtime"},
    "config": {
        "config",
        "replay",
        "dqn",
        "opponents",
        "training",
        "bench",
        "doctor",
        "plan",
        "population",
        "sweep",
        "cli",
    },
}
NO_TORCH = {
    "errors",
    "user_code",
    "config",
    "storage",
    "games",
    "conformance",
    "adapters",
    "opponents.names",
}


def place_of(name: str) -> str:
    """The entry of `FLOORS` that a module belongs to: the longest one that its dotted name begins
    with; "" for none.
    """
    parts = name.split(".")
    return next(
        (place for n in range(len(parts), 0, -1) if (place := ".".join(parts[:n])) in FLOOR_OF), ""
    )


@dataclass(frozen=True)
class Import:
    """`target` is a dotted name as it would be imported; of `from a import b` both a and a.b come
    up.
    """

    line: int
    target: str


def imports_of(path: Path, module: str) -> Iterator[Import]:
    """Everything that the file imports; `module` is its own dotted name, from which relative
    imports start.
    """
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            if origin != package[0]:  # `from sparring import games` is an import of games
                yield Import(node.lineno, origin)
            yield from (Import(node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _name_of(node.func) in ("import_module", "__import__"):
            yield from (
                Import(node.lineno, a.value)
                for a in node.args[:1]
                if isinstance(a, ast.Constant) and isinstance(a.value, str)
            )


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def findings(package: Path) -> list[str]:
    """One line for each import that breaks a rule: file, line, rule."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts == ("__init__",):
            continue  # the public names, each imported when it is first used
        name = ".".join(part for part in parts if part != "__init__")
        if not place_of(name):
            found.append(
                f"{path.relative_to(package)}:1: {parts[0]} stands on no floor;"
                f" give it one in {Path(__file__).name}"
            )
            continue
        for one in imports_of(path, f"{package.name}.{name}"):
            rule = broken_rule(package, name, one.target)
            line = f"{path.relative_to(package)}:{one.line}: {rule}"
            if rule and line not in found:
                found.append(line)
    return found


def broken_rule(package: Path, module: str, target: str) -> str:
    """The rule that importing `target` in this module breaks, or ""."""
    place, room = place_of(module), module.partition(".")[0]
    top, _, rest = target.partition(".")
    if top != package.name:
        if top == "torch" and place in NO_TORCH:
            return f"{place} imports torch; it has to work without"
        return _rule_of_few(room, top)
    other = rest.partition(".")[0]
    is_module = other != "" and ((package / other).is_dir() or (package / f"{other}.py").is_file())
    if not is_module:
        return (
            ""
            if rest == "__version__"
            else f"{place} imports the public name {rest or top}; import it from its room"
        )
    if FLOOR_OF.get(place_of(rest), len(FLOORS)) > FLOOR_OF[place]:
        return f"{place} imports {place_of(rest) or other}, which is above it"
    return _rule_of_few(room, other)


def _rule_of_few(room: str, other: str) -> str:
    if other in ONLY_IN and room not in ONLY_IN[other]:
        return f"{room} imports {other}; only {', '.join(sorted(ONLY_IN[other]))} may"
    return ""


def test_every_import_keeps_the_order_of_rooms() -> None:
    found = findings(PACKAGE)
    assert not found, "\n".join(["", *found])


def test_every_room_of_the_order_is_there() -> None:
    """A room that was renamed would leave its old name here, and its rules without effect."""
    paths = {name: PACKAGE / name.replace(".", "/") for name in FLOOR_OF}
    missing = [
        name
        for name, path in paths.items()
        if not (path.is_dir() or path.with_suffix(".py").is_file())
    ]
    assert missing in ([], ["__main__"])


def build(root: Path, files: dict[str, str]) -> Path:
    package = root / "sparring"
    for name, text in {"__init__.py": "from sparring.training import train_dqn\n", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in [path for path in package.rglob("*") if path.is_dir()]:
        (folder / "__init__.py").touch()
    return package


ROOMS = {
    "errors.py": "",
    "config/schema.py": "",
    "games/spec.py": "",
    "dqn/agent.py": "",
    "training/__init__.py": "",
    "training/loop.py": "",
    "training/schedule.py": "",
    "rollout/rollout.py": "",
}


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (
            "games/spec.py",
            "import numpy\nimport sparring.dqn.agent\n",
            "games/spec.py:2: games imports dqn, which is above it",
        ),
        (
            "games/spec.py",
            "from sparring.dqn.agent import DQNAgent\n",
            "games/spec.py:1: games imports dqn, which is above it",
        ),
        (
            "games/spec.py",
            "from sparring import dqn\n",
            "games/spec.py:1: games imports dqn, which is above it",
        ),
        (
            "games/spec.py",
            "from sparring import train_dqn\n",
            "games/spec.py:1: games imports the public name train_dqn; import it from its room",
        ),
        (
            "games/spec.py",
            "import sparring\n",
            "games/spec.py:1: games imports the public name sparring; import it from its room",
        ),
        (
            "games/spec.py",
            "from ..dqn import agent\n",
            "games/spec.py:1: games imports dqn, which is above it",
        ),
        (
            "games/__init__.py",
            "from ..dqn import agent\n",
            "games/__init__.py:1: games imports dqn, which is above it",
        ),
        (
            "errors.py",
            "from . import games\n",
            "errors.py:1: errors imports games, which is above it",
        ),
        (
            "games/spec.py",
            "def f():\n    from sparring.dqn import agent\n",
            "games/spec.py:2: games imports dqn, which is above it",
        ),
        (
            "games/spec.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sparring.dqn\n",
            "games/spec.py:3: games imports dqn, which is above it",
        ),
        (
            "games/spec.py",
            "import importlib\nimportlib.import_module('sparring.dqn')\n",
            "games/spec.py:2: games imports dqn, which is above it",
        ),
        (
            "games/deep/er.py",
            "import torch.nn\n",
            "games/deep/er.py:1: games imports torch; it has to work without",
        ),
        (
            "games/spec.py",
            "def f():\n    from torch import Tensor\n",
            "games/spec.py:2: games imports torch; it has to work without",
        ),
        (
            "dqn/agent.py",
            "import multiprocessing.pool\n",
            "dqn/agent.py:1: dqn imports multiprocessing; only runtime may",
        ),
        (
            "training/loop.py",
            "from multiprocessing import Queue\n",
            "training/loop.py:1: training imports multiprocessing; only runtime may",
        ),
        (
            "rollout/rollout.py",
            "import ray\n",
            "rollout/rollout.py:1: rollout imports ray; only runtime may",
        ),
        (
            "rollout/rollout.py",
            "from sparring.config.schema import TrainConfig\n",
            "rollout/rollout.py:1: rollout imports config; "
            "only bench, cli, config, doctor, dqn, opponents, plan, population, replay, "
            "sweep, training may",
        ),
        (
            "opponents/names.py",
            "import torch\n",
            "opponents/names.py:1: opponents.names imports torch; it has to work without",
        ),
        (
            "training/schedule.py",
            "from sparring.training.loop import Session\n",
            "training/schedule.py:1: training.schedule imports training.loop, which is above it",
        ),
        (
            "training/loop.py",
            "from sparring.training import train\n",
            "training/loop.py:1: training.loop imports training, which is above it",
        ),
        ("shop.py", "", "shop.py:1: shop stands on no floor; give it one in test_rooms.py"),
    ],
)
def test_it_bites(tmp_path: Path, name: str, text: str, line: str) -> None:
    assert findings(build(tmp_path, ROOMS)) == []
    assert findings(build(tmp_path, {**ROOMS, name: text})) == [line]


def test_it_lets_pass_what_is_in_order(tmp_path: Path) -> None:
    allowed = {
        "games/spec.py": "from sparring.errors import GameError\nfrom . import slots\n"
        "from sparring import errors, __version__\n",
        "games/slots.py": "import sparring.games.spec\nimport numpy as np\n",
        "dqn/agent.py": "import torch\nfrom sparring.games.spec import GameSpec\n"
        "from .learner import Learner\n",
        "dqn/learner.py": "from sparring import games\n",
        "runtime/processes.py": "import multiprocessing\n"
        "from multiprocessing import connection\nimport ray\n",
        "training/loop.py": "from sparring.config.schema import TrainConfig\n"
        "from sparring.training.schedule import Schedule\n",
        "training/__init__.py": "from sparring.training.loop import Session\n"
        "from sparring import dqn\n",
        "cli.py": "from sparring.training import train\n",
    }
    assert findings(build(tmp_path, {**ROOMS, **allowed})) == []


def test_games_and_the_ground_floor_load_without_torch() -> None:
    """The rules above cannot see torch that another package imports."""
    code = (
        "import sys, sparring.games, sparring.storage, sparring.config.sources,"
        " sparring.config.system, sparring.conformance, sparring.opponents.names; "
        "sparring.games.make('tic_tac_toe', 1); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout.strip() == "False"
