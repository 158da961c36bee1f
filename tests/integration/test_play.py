"""`sparring play` with lines on standard input, and a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
from pathlib import Path

import numpy as np
import psutil
import pytest
from child_processes import HANG, wait_until
from in_process import Answer, sparring
from trial_runs import COMMAND

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, build_network
from sparring.opponents.pool import OpponentManager
from sparring.storage.run_directory import RunDirectory

pytestmark = pytest.mark.slow

PILE = '''
import numpy as np
from sparring.games import GameSpec

class Pile:
    """Take one or two of five; who takes the last one wins."""

    spec = GameSpec(
        num_players=2,
        num_actions=2,
        observation_shape=(1,),
        observation_dtype="int8",
        max_plies=5,
        zero_sum=True,
    )

    def reset(self, rng):
        self.seat, self.left = 0, 5

    def mask(self):
        return [True, self.left >= 2]

    def observe(self, seat):
        return [self.left]

    def step(self, action):
        self.left -= action + 1
        mover, self.seat = self.seat, 1 - self.seat
        if self.left:
            return None, False
        return [1.0 if seat == mover else -1.0 for seat in (0, 1)], True

    def __str__(self):
        return f"{self.left} on the pile"

    def action_text(self, action):
        return ("take one", "take two")[action]
'''


def agent(game: str, path: Path) -> Path:
    """The file of an untrained agent."""
    DQNAgent(PolicySpec(game, NetworkSpec("mlp", {"net_arch": [8]}))).save(path)
    return path


def play(arguments: list[str], folder: Path, *lines: str) -> Answer:
    return sparring("play", *arguments, folder=folder, typed="".join(f"{line}\n" for line in lines))


def prompts(output: str) -> list[str]:
    return [
        line for line in output.splitlines() if line.startswith(("your move", "another match?"))
    ]


@pytest.mark.parametrize("game", ["connect_four", "tic_tac_toe", "ludo", "ludo(num_players=4)"])
def test_a_whole_match_by_piped_lines(game: str, tmp_path: Path) -> None:
    """Every number that could be a move, again and again: most are not, and none of that ends the
    match before its end.
    """
    lines = [
        str(action) for _ in range(500) for action in range(4 if game.startswith("ludo") else 9)
    ]
    done = play(
        [str(agent(game, tmp_path / "it.safetensors")), "--opponent", "random", "--seed", "7"],
        tmp_path,
        "77",
        "values",
        *lines,
    )
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(
        f"{game} against random, seed 7; type help for the commands.\nYou have seat 0 ("
    )
    assert "your move: 77\n77 is not a legal move here (legal: 0" in done.out.replace(
        " (Enter: 0)", ""
    )
    assert "\nThe agent's Q-values for your moves (* = best):\n" in done.out
    assert re.search(
        r"\n(You win|random wins|Draw|seat \d \(random\) wins)( \((you: )?[+-][\d.]+\))?\.\n",
        done.out,
    )
    assert "\x1b" not in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    assert prompts(done.out)[-1] == "another match? (yes, no, or a command)"
    assert done.out.splitlines()[-1].startswith("Your score against random: ")


def test_a_game_of_ones_own_by_its_action_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pile_game.py").write_text(PILE)
    monkeypatch.syspath_prepend(tmp_path)
    path = str(agent("pile_game:Pile", tmp_path / "pile.safetensors"))
    done = play(
        [path, "--game", "pile_game:Pile"],
        tmp_path,
        "take three",
        "take two",
        "back",
        "Take Two",
        "quit",
    )
    assert (done.status, done.err) == (0, "")
    assert "\n5 on the pile\n  0  take one\n  1  take two\n" in done.out
    assert "not understood: got 'take three', expected a move (legal: 0-1)" in done.out
    assert re.search(r"\nagent plays take (one|two)\n\n[12] on the pile\n", done.out)
    refused = play([path], tmp_path)
    assert refused.status == 2
    assert "--game pile_game:Pile" in refused.err


def test_a_snapshot_of_a_run_that_is_training(tmp_path: Path) -> None:
    with RunDirectory.create(
        tmp_path / "runs", "mine", "tic_tac_toe"
    ) as run:  # the lock is held until the end of the block
        path = agent("tic_tac_toe", run.best_path)
        policy = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]}))
        layout = FlatWeights(build_network(policy))
        pool = OpponentManager(
            {"snapshots": 1.0},
            game="tic_tac_toe",
            slots=np.zeros((4, layout.size), np.float32),
            layout=layout,
            snapshot_interval=1,
            max_snapshots=2,
            max_opponents_per_worker=2,
            seed=0,
        )
        for number in (1, 2, 3):
            pool.maybe_snapshot(number, np.zeros(layout.size, np.float32))
        run.save_checkpoint(1, {"opponents": pool.get_state()})
        lines = ("4", "opponent", "opponent snapshot:2", "opponent snapshot:1", "quit")
        for name in ("mine", str(path)):
            done = play([name, "--opponent", "snapshot:3"], tmp_path, *lines)
            assert (done.status, done.err) == (0, "")
            assert (
                "snapshot:3 plays 0\n" in done.out
            )  # all values are 0, and the first of the best is taken
            assert (
                "Available:\n  agent\n  snapshot:2\n  snapshot:3\n  random\n  one_ply\n" in done.out
            )
            assert "Your opponent is now snapshot:2." in done.out
            assert "unknown opponent: got 'snapshot:1'" in done.out


class Terminal:
    """The command at a terminal of its own."""

    def __init__(self, path: Path, **environment: str) -> None:
        self._own, its = pty.openpty()
        self._said = b""
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [*COMMAND, "play", str(path), "--seed", "1"],
            stdin=its,
            stdout=its,
            stderr=its,
            cwd=path.parent,
            start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", **environment},
            # its controlling terminal, from which Ctrl-C comes
            preexec_fn=lambda: os.close(os.open(os.ttyname(its), os.O_RDWR)),
        )
        os.close(its)

    def read_until(self, words: str) -> str:
        """All that was said, once `words` are in it."""
        while words.encode() not in self._said:
            self._read()
        return self._said.decode()

    def leave(self, key: str) -> str:
        """All that was said by the end that `key` makes.

        Python's input() sleeps through a Ctrl-C that comes between its prompt and its reading, so
        that it must be waiting for its line already. A person who sees nothing happen presses
        again.
        """
        with contextlib.suppress(OSError):  # what a terminal says when nobody has it open any more
            for _ in range(10):
                wait_until(self._waits)
                os.write(self._own, key.encode())
                while self._speaks(10):
                    self._read()
        return self._said.decode()

    def _waits(self) -> bool:
        """Return whether it is asleep, or has ended."""
        status = psutil.Process(self.process.pid).status()
        return status in (psutil.STATUS_SLEEPING, psutil.STATUS_ZOMBIE)

    def _speaks(self, seconds: float) -> bool:
        return bool(select.select([self._own], [], [], seconds)[0])

    def _read(self) -> None:
        assert self._speaks(HANG), self._said
        said = os.read(self._own, 65536)
        assert said, self._said
        self._said += said

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)


@pytest.mark.parametrize(
    ("key", "status", "last"),
    [("\x04", 0, "your move"), ("\x03", 130, "sparring: interrupted")],
    ids=["Ctrl-D", "Ctrl-C"],
)
def test_leaving_a_terminal(key: str, status: int, last: str, tmp_path: Path) -> None:
    terminal = Terminal(agent("ludo", tmp_path / "it.safetensors"))
    try:
        terminal.read_until("your move")
        said = terminal.leave(key)
        assert terminal.process.wait(HANG) == status
        assert "Traceback" not in said
        # where colorama is installed, Numba resets the colours when a process ends
        assert last in said.removesuffix("\x1b[0m").splitlines()[-1]
    finally:
        terminal.close()


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_only_where_they_are_wanted(
    environment: dict[str, str], coloured: bool, tmp_path: Path
) -> None:
    terminal = Terminal(agent("ludo", tmp_path / "it.safetensors"), **environment)
    try:
        said = terminal.read_until("your move").partition("your move")[0]
        assert ("\x1b[" in said) == coloured
        assert "A has thrown" in re.sub(r"\x1b\[[0-9;]*m", "", said)
    finally:
        terminal.close()
