"""The cache of compiled drivers: an edited rule is the rule that runs, and nothing is compiled
twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from child_processes import HANG

from sparring.errors import ConfigurationError
from sparring.games.arrays import allocate_slots
from sparring.games.compiled import cache
from sparring.games.compiled.game import CompiledGame
from sparring.games.compiled.jit import interpreted

RULES = """
import numpy as np
from sparring.games.spec import GameSpec
from {helper} import prize

STATE = np.dtype([("seat", np.int8)])
SPEC = GameSpec(
    num_players=2, num_actions={actions}, observation_shape=(1,), observation_dtype="int8",
    max_plies=1,
)

def start(state, rng):
    pass

def legal(state, mask):
    mask[0] = True

def observe(state, observation):
    observation[0] = 1

def play(state, action, rewards, rng):
    rewards[0] += prize()
    return True
"""

ROW = """
import numpy
from sparring.games.spec import GameSpec
STATE = numpy.dtype([("seat", "i1")])
REST = dict(num_actions=1, observation_shape=(1,), observation_dtype="int8", max_plies=9)
start = legal = observe = play = None
"""

# Prints what one ply pays and how the machine code was got, after each of the statements given as
# arguments.
CHILD = """
import json, sys
import numpy as np
from sparring.games.compiled.game import CompiledGame

for statement in sys.argv[2:]:
    exec(statement)
    game = CompiledGame(sys.argv[1], 1)
    game.reset(np.zeros(1, np.int64), np.zeros(1, np.uint64))
    game.step(np.zeros(1, np.int64))
    functions = game._reset, game._step
    hits = sum(sum(f.stats.cache_hits.values()) for f in functions)
    misses = sum(sum(f.stats.cache_misses.values()) for f in functions)
    print(json.dumps([float(game.rewards[0, 0]), hits, misses]), flush=True)
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    """`child(module, statement, …)` starts a process in which `tmp_path` holds the rules and the
    cache.
    """
    environment = {
        **os.environ,
        "SPARRING_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(
            [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
        "PYTHONDONTWRITEBYTECODE": "1",  # two edits within a second leave the same time stamp
        "PYTHONWARNINGS": "error",
    }

    def start(*arguments):
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


def answers(process):
    out, _ = process.communicate(timeout=HANG)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


def write_rules(folder, prize, name="my_rules"):
    (folder / f"{name}.py").write_text(RULES.format(helper=f"{name}_prize", actions=1))
    (folder / f"{name}_prize.py").write_text(f"def prize():\n    return {prize}\n")


@pytest.mark.slow
def test_an_edited_rule_is_the_rule_that_runs(tmp_path, child):
    write_rules(tmp_path, 0.25)
    edit = (
        f"import my_rules; open({str(tmp_path / 'my_rules_prize.py')!r}, 'w').write('def "
        f"prize():\\n    return 0.75\\n')"
    )
    reload = (
        "import importlib, my_rules_prize; importlib.reload(my_rules_prize); "
        "importlib.reload(my_rules)"
    )
    # The file is edited after its import: this process goes on with what it imported, but must not
    # leave that to the next ones.
    assert answers(child("my_rules", edit, reload)) == [[0.25, 0, 2], [0.75, 0, 2]]
    assert answers(child("my_rules", "pass", "pass")) == [[0.75, 2, 0], [0.75, 2, 0]]
    assert len(list((tmp_path / "cache" / "drivers").iterdir())) == 2


@pytest.mark.slow
def test_processes_that_start_together_share_one_instance(tmp_path, child):
    write_rules(tmp_path, 0.5)
    together = [child("my_rules", "pass") for _ in range(2)]
    assert [answers(process)[0][0] for process in together] == [0.5, 0.5]
    assert answers(child("my_rules", "pass")) == [[0.5, 2, 0]]
    [folder] = (tmp_path / "cache" / "drivers").iterdir()
    assert not folder.name.startswith(".")


@pytest.mark.parametrize(
    ("template", "taken"),
    [
        ("driver.py", ["SPEC, legal, observe, play, start", "__name__ as _rules_name"]),
        ("search.py", ["SPEC, STATE, legal, play"]),
    ],
)
def test_an_instance_is_the_template_with_other_rules_imported(
    template, taken, monkeypatch, tmp_path
):
    monkeypatch.setenv("SPARRING_CACHE_DIR", str(tmp_path))
    original = Path(cache.__file__).with_name(template).read_text().splitlines()
    made = cache.load_driver(cache.load_rules("sparring.games.connect_four"), template)
    instance = Path(made.__file__).read_text().splitlines()
    changed = [pair for pair in zip(original, instance, strict=True) if pair[0] != pair[1]]
    assert changed == [
        tuple(
            f"from sparring.games.{game} import {names}" for game in ("tic_tac_toe", "connect_four")
        )
        for names in taken
    ]


def test_an_instance_is_loaded_once_in_a_process():
    rules = cache.load_rules("sparring.games.tic_tac_toe")
    assert cache.load_driver(rules) is cache.load_driver(rules)


@pytest.mark.parametrize(
    ("variables", "root"),
    [
        ({"SPARRING_CACHE_DIR": "{here}/a", "XDG_CACHE_HOME": "{here}/b"}, "{here}/a"),
        ({"XDG_CACHE_HOME": "{here}/b"}, "{here}/b/sparring"),
        ({"HOME": "{here}/c"}, "{here}/c/.cache/sparring"),
    ],
)
def test_where_the_cache_lies(tmp_path, monkeypatch, variables, root):
    for name in ("SPARRING_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(here=tmp_path))
    assert str(cache.cache_root()) == root.format(here=tmp_path)


def test_without_a_place_to_write_the_cache_is_the_processs_own(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPARRING_CACHE_DIR", str(tmp_path / "file" / "below"))
    root = cache.cache_root()
    assert tmp_path not in root.parents
    assert root.stat().st_mode & 0o077 == 0  # nobody else can put machine code there
    assert cache.cache_root() == root


def test_an_instance_that_another_process_wrote_first_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARRING_CACHE_DIR", str(tmp_path))

    def too_late(draft, folder):
        folder.mkdir()
        (folder / "driver.py").write_text("the other's")
        raise OSError

    monkeypatch.setattr(Path, "rename", too_late)
    assert cache._write_once("mine", "digest", "driver.py").read_text() == "the other's"
    assert [path.name for path in (tmp_path / "drivers").iterdir()] == ["digest"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "SPEC = STATE = start = legal = 0",
            "^module bad_rules is not a game: it lacks observe, play: expected SPEC, "
            "STATE, start, legal, ",
        ),
        (
            "import numpy\nSTATE = 'i4'\nSPEC = start = legal = observe = play = 0",
            "^STATE of bad_rules has no field seat",
        ),
        (
            f"{ROW}SPEC = {{'num_players': 2}}",
            "^bad_rules has no GameSpec: got {'num_players': 2}, expected SPEC = GameSpec",
        ),
        (
            f"{ROW}SPEC = GameSpec(num_players=0, **REST)",
            "^bad_rules: invalid spec.num_players: got 0",
        ),
        (
            f"{ROW}SPEC = GameSpec(num_players=2, **REST | {{'observation_shape': 3}})",
            "^bad_rules: invalid spec.observation_shape: got 3",
        ),
        (
            "import numpy\nSTATE = numpy.dtype('i4')\nSPEC = start = legal = observe = play = 0",
            "^STATE of bad_rules has no field seat",
        ),
    ],
)
def test_a_module_that_is_no_game(tmp_path, monkeypatch, source, message):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bad_rules", raising=False)
    (tmp_path / "bad_rules.py").write_text(source)
    with pytest.raises(ConfigurationError, match=message):
        CompiledGame("bad_rules", 1)


def test_a_module_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(
        ConfigurationError,
        match=r"^no such module for the game compiled:no_such_rules: got 'no_such_rules'; it has",
    ):
        CompiledGame("no_such_rules", 1)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "needy_rules.py").write_text("import no_such_dependency")
    message = r"^module needy_rules cannot be imported: .*'no_such_dependency'"
    with pytest.raises(ConfigurationError, match=message):
        CompiledGame("needy_rules", 1)


def test_what_a_game_declares_is_known_without_numba():
    code = (
        "import sys, sparring.games as games; games.spec_of('connect_four'); "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_template_itself_plays_tic_tac_toe():
    from sparring.games import tic_tac_toe
    from sparring.games.compiled import driver

    slots = allocate_slots(tic_tac_toe.SPEC, tic_tac_toe.STATE, 1)
    reset, step = (
        interpreted(driver.reset),
        interpreted(driver.step),
    )  # compiled here it would be kept beside the source, and go stale
    reset(slots, np.zeros(1, np.int64), np.zeros(1, np.uint64))
    assert [step(slots, np.array([action])) for action in (4, 4, 0)] == [
        driver.FINE,
        driver.ILLEGAL_ACTION,
        driver.FINE,
    ]
    assert np.flatnonzero(slots.mask[0]).tolist() == [1, 2, 3, 5, 6, 7, 8]
