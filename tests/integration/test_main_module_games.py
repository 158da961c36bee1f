"""Games, networks and players that are defined in the main script: with its guard, without, and
where the script is not a file.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from child_processes import HANG
from in_process import sparring

pytestmark = pytest.mark.slow

GAME = """
import numpy as np
from sparring.games import GameSpec

class Count:
    "Say 1 or 2 in turns; who reaches 10 wins."

    spec = GameSpec(
        num_players=2, num_actions=2, observation_shape=(12,), observation_dtype="int8",
        max_plies=12, zero_sum=True,
    )

    def reset(self, rng):
        self.total, self.seat = 0, 0

    def mask(self):
        return [True, True]

    def observe(self, seat):
        return np.eye(12, dtype=np.int8)[self.total]

    def step(self, action):
        self.total += 1 + action
        mover, self.seat = self.seat, 1 - self.seat
        if self.total < 10:
            return None, False
        return (1, -1) if mover == 0 else (-1, 1), True
"""
NETWORK = """
from torch import nn

def linear(spec):
    return nn.Sequential(Cast(), nn.Linear(spec.observation_size, spec.num_actions))

class Cast(nn.Module):
    def forward(self, x):
        return x.flatten(1).float()
"""
PLAYER = """
class Lowest:
    def act(self, observation, mask):
        return mask.argmax()
"""
NOTEBOOK = """
import sys, nbclient, nbformat
cells = [nbformat.v4.new_code_cell(code) for code in sys.argv[1:]]
client = nbclient.NotebookClient(
    nbformat.v4.new_notebook(cells=cells), kernel_name="python3",
    timeout=600, startup_timeout=600, iopub_timeout=600,
)
client.execute()
"""
CALL = """
from sparring import train_dqn
agent = train_dqn(
    {game}, n_episodes=60, num_workers=2, name="run", eval_matches=2, tensorboard=False,
    policy_kwargs={network}, {more}
)
print("trained", agent.spec.game, flush=True)
"""


def call(game: str = "Count", network: str = "{}", more: str = "") -> str:
    return CALL.format(game=game, network=network, more=more)


def guarded(code: str) -> str:
    return "\nif __name__ == '__main__':" + code.replace("\n", "\n    ") + "\n"


def python(folder: Path, *arguments: str, stdin: str = "") -> tuple[int, str]:
    """Exit status and everything that was said."""
    done = subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANG,
    )
    return done.returncode, done.stdout


def script(folder: Path, text: str) -> str:
    (folder / "script.py").write_text(text)
    return "script.py"


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_guarded_script(start_method: str, tmp_path: Path) -> None:
    status, said = python(
        tmp_path, script(tmp_path, GAME + guarded(call(more=f"start_method={start_method!r}")))
    )
    assert status == 0, said
    assert said.count("trained __main__:Count") == 1
    assert "failed" not in said
    assert (tmp_path / "runs" / "run" / "last.safetensors").is_file()


def test_a_guarded_script_with_a_network(tmp_path: Path) -> None:
    code = NETWORK + guarded(call("'tic_tac_toe'", "{'network': linear}"))
    status, said = python(tmp_path, script(tmp_path, code))
    assert status == 0, said
    assert "trained tic_tac_toe" in said


def test_a_guarded_script_with_a_player(tmp_path: Path) -> None:
    code = PLAYER + guarded(call("'tic_tac_toe'", more="opponents={'self': 0.5, Lowest: 0.5}"))
    status, said = python(tmp_path, script(tmp_path, code))
    assert status == 0, said
    assert "trained tic_tac_toe" in said
    assert "failed" not in said
    config = (tmp_path / "runs" / "run" / "config.toml").read_text()
    assert '"__main__:Lowest" = 0.5' in config


def test_a_guarded_module(tmp_path: Path) -> None:
    """`python -m module` is run again by its name."""
    script(tmp_path, GAME + guarded(call()))
    status, said = python(tmp_path, "-m", "script")
    assert status == 0, said
    assert "trained __main__:Count" in said


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (GAME + call(more="start_method='forkserver'"), "Count"),
        (NETWORK + call("'tic_tac_toe'", "{'network': linear}", "start_method='spawn'"), "linear"),
    ],
)
def test_a_script_without_its_guard(code: str, name: str, tmp_path: Path) -> None:
    status, said = python(tmp_path, script(tmp_path, code))
    assert status == 1, said
    [line] = [line for line in said.splitlines() if "ConfigurationError" in line]
    assert line == (
        f"sparring.errors.ConfigurationError: {name} lives in the main script, so every worker runs"
        " the script, and would train again; "
        'put the call that trains under: if __name__ == "__main__":'
    )
    assert said.splitlines()[-1] == line, "only the main process speaks"
    assert said.count("Traceback") == 1
    assert not (tmp_path / "runs" / "run").exists(), "so that it can be called so again"


def test_an_unguarded_script_whose_game_is_in_a_module(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(GAME)
    status, said = python(tmp_path, script(tmp_path, "from counting import Count" + call()))
    assert status == 0, said
    assert said.count("trained counting:Count") == 1


@pytest.mark.parametrize("way", ["-c", "stdin", "package", "notebook"])
def test_where_no_worker_can_get_at_the_class(way: str, tmp_path: Path) -> None:
    code = GAME + call()
    if way == "package":
        (tmp_path / "package").mkdir()
        (tmp_path / "package" / "__main__.py").write_text(code)
        status, said = python(tmp_path, "-m", "package")
    elif way == "notebook":
        status, said = python(tmp_path, "-c", NOTEBOOK, GAME, call())
    else:
        status, said = (
            python(tmp_path, "-c", code) if way == "-c" else python(tmp_path, "-", stdin=code)
        )
    assert status == 1, said
    [line] = [
        line
        for line in said.splitlines()
        if "ConfigurationError" in line and "cannot import" in line
    ]
    assert "worker processes cannot import Count" in line
    assert 'put it in a file and import it from there, or use backend="inline"' in line
    assert not (tmp_path / "runs").exists()


def test_inline_needs_no_file(tmp_path: Path) -> None:
    status, said = python(tmp_path, "-", stdin=GAME + call(more="backend='inline'"))
    assert status == 0, said
    assert "trained __main__:Count" in said


def test_a_class_that_only_the_main_process_has(tmp_path: Path) -> None:
    """Defined under the guard, where a worker that runs the script does not come."""
    status, said = python(tmp_path, script(tmp_path, guarded(GAME + call())))
    assert status == 1, said
    line = said.splitlines()[-1]
    assert line.startswith("sparring.errors.ConfigurationError: worker ")
    assert (
        "cannot make what the main process could make: __main__ has no such game: got 'Count'"
        in line
    )
    assert "failed" not in said, "no successor would find it"


@pytest.mark.parametrize("file", ["script.py", "sub/my-game.py"])
def test_a_fault_of_a_game_in_the_script(file: str, tmp_path: Path) -> None:
    """The match is played again by the script's name, where that is one."""
    (tmp_path / "sub").mkdir()
    (tmp_path / file).write_text(
        GAME.replace("self.total += 1 + action", "self.total += 1 // 0") + guarded(call())
    )
    status, said = python(tmp_path, file)
    assert status == 1, said
    line = said.splitlines()[-1]
    assert "GameFault: game __main__:Count raised ZeroDivisionError in step" in line
    assert "check-game" not in line
    path = "runs/run/faults/1.json"
    assert (tmp_path / path).is_file()
    if file == "script.py":
        assert line.endswith(
            f"fix it; the match is saved: sparring replay {path} --game script:Count"
        )
        said = sparring("replay", path, "--game", "script:Count", folder=tmp_path).said
        assert "The game fails again: game script:Count raised ZeroDivisionError" in said
    else:
        assert f"; the match is saved in {path}; to replay it, put the game in a module" in line
