"""Last messages of workers: faults of the game and imports that fail end the run, other errors are
failures of a worker, which is replaced.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trial_workers import (
    POLICY,
    assert_same_tree,
    command,
    inline_workers,
    process_of,
    process_workers,
    start_round,
)

from sparring.dqn.networks import PolicySpec
from sparring.errors import ConfigurationError, GameFault, SparringError, WorkerError
from sparring.games import spec_of
from sparring.opponents.players import AGENT, AGENT_NAME, Opponent, Plan
from sparring.runtime import Workers

NINE = """
import numpy as np
from sparring.games import GameSpec

class Nine:
    "As tic-tac-toe on paper, and each match is broken off by an error before its ninth ply."

    spec = GameSpec(
        num_players=2, num_actions=9, observation_shape=(2, 3, 3), observation_dtype="int8",
        max_plies=9, zero_sum=True,
    )

    def reset(self, rng):
        self.free, self.seat = np.ones(9, bool), 0

    def mask(self):
        return self.free

    def observe(self, seat):
        return np.zeros((2, 3, 3), np.int8)

    def step(self, action):
        self.free[action] = False
        self.seat = 1 - self.seat
        if self.free.sum() == 1:
            raise KeyError("board")
        return None, False
"""


@pytest.fixture
def nine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PolicySpec]:
    """A policy for a game in a module that every process can import."""
    (tmp_path / "nine.py").write_text(NINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield PolicySpec("nine:Nine", POLICY.network)
    sys.modules.pop("nine", None)


def play(workers: Workers, count: int = 1, **order: Any) -> None:
    start_round(workers, [command(0, **order)] * count)
    workers.finish_round()


def poll_for_ever(workers: Workers) -> None:
    while True:
        workers.poll()


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_game_fault_ends_the_run_as_it_does_inline(
    start_method: str, nine: PolicySpec, notes: list[str]
) -> None:
    with inline_workers(1, policy=nine) as inline, pytest.raises(GameFault) as wanted:
        play(inline)
    with (
        process_workers(1, policy=nine, start_method=start_method, notify=notes.append) as workers,
        pytest.raises(GameFault) as got,
    ):
        play(workers)
    assert str(got.value) == str(wanted.value)
    assert "game nine:Nine raised KeyError in step" in str(got.value)
    assert got.value.record == wanted.value.record
    assert len(got.value.record["actions"]) == 8
    assert 'raise KeyError("board")' in got.value.record["traceback"]
    assert got.value.__notes__ == [got.value.record["traceback"]], (
        "which Python shows below the line"
    )
    assert notes == [], "no successor is tried"
    assert workers.replaced == 0


def test_a_fault_is_raised_while_the_learner_is_at_work(nine: PolicySpec) -> None:
    with process_workers(1, policy=nine) as workers:
        start_round(workers, [command(0)])
        with pytest.raises(GameFault):
            poll_for_ever(workers)


def test_a_fault_while_a_state_is_restored(nine: PolicySpec) -> None:
    """The matches of a state are played again, with a game that has changed since."""
    source = Path(sys.path[0]) / "nine.py"
    source.write_text(
        NINE.replace("self.free.sum() == 1", "False").replace(
            "return None, False", "return None, not self.free[4]"
        )
    )
    with inline_workers(1, policy=nine) as inline:
        play(inline)
        state = inline.get_state()
    assert state["0"]["body"]["game"]["plies"].max() > 2
    source.write_text(NINE.replace("self.free.sum() == 1", "self.free.sum() == 7"))
    with (
        process_workers(1, policy=nine) as workers,
        pytest.raises(GameFault, match="KeyError in step"),
    ):
        workers.set_state(state)


def test_a_state_that_does_not_fit_is_the_same_error_as_inline(notes: list[str]) -> None:
    """A state of more matches than there are slots, or with an unknown player."""
    with inline_workers() as inline:
        play(inline, 2)
        state = inline.get_state()
    nobody = {"id": 5, "name": "nobody", "slot": None}
    stranger = {
        worker: {**part, "body": {**part["body"], "opponents": [nobody]}}
        for worker, part in state.items()
    }
    for unfit, changes in ((state, {"num_envs": 4}), (stranger, {})):
        with inline_workers(**changes) as inline, pytest.raises(SparringError) as wanted:
            inline.set_state(unfit)
        with (
            process_workers(**changes, notify=notes.append) as workers,
            pytest.raises(type(wanted.value)) as got,
        ):
            workers.set_state(unfit)
        assert str(got.value) == str(wanted.value)
    assert notes == [], "no successor is tried"


def test_a_successor_restores_the_state_that_its_predecessor_did_not(notes: list[str]) -> None:
    with inline_workers() as inline:
        play(inline, 2)
        state = inline.get_state()
    with process_workers(notify=notes.append) as workers:
        process_of(1).kill()
        workers.set_state(state)
        assert notes == ["worker 1 failed and is replaced: ended by signal 9"]
        got = workers.get_state()
    assert [got[worker]["incarnation"] for worker in "01"] == [0, 1]
    for worker in "01":
        assert_same_tree(got[worker]["body"], state[worker]["body"])


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_file_that_was_edited_since_the_main_process_imported_it(
    start_method: str, nine: PolicySpec, notes: list[str]
) -> None:
    assert spec_of(nine.game).max_plies == 9
    (Path(sys.path[0]) / "nine.py").write_text(NINE.replace("max_plies=9", "max_plies=8"))
    workers = process_workers(1, policy=nine, start_method=start_method, notify=notes.append)
    with workers, pytest.raises(ConfigurationError) as caught:
        play(workers)
    assert str(caught.value) == (
        "the game differs between the main process and worker 0: got max_plies 8, expected 9; "
        "the file was changed since it was imported: start Python anew"
    )
    assert notes == []


@pytest.mark.parametrize("missing", ["module", "class"])
def test_a_game_that_only_the_main_process_has(
    missing: str, nine: PolicySpec, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that was made by hand, or a class that was added to one."""
    name = {"module": "handmade", "class": "json"}[missing]
    home = types.ModuleType(name) if missing == "module" else sys.modules[name]
    exec(NINE, namespace := {})
    monkeypatch.setitem(sys.modules, name, home)
    monkeypatch.setattr(home, "Nine", namespace["Nine"], raising=False)
    with process_workers(
        2, policy=PolicySpec(f"{name}:Nine", POLICY.network), notify=notes.append
    ) as workers:
        start_round(workers, [command(0)] * 2)
        with pytest.raises(ConfigurationError) as caught:
            workers.finish_round()
    [line] = str(caught.value).splitlines()
    assert line.startswith("worker ")
    assert "cannot make what the main process could make: " in line
    assert {"module": "no such module", "class": "json has no such game: got 'Nine'"}[
        missing
    ] in line
    assert 'or use backend="inline"' in line
    assert notes == []


def test_the_error_names_the_place_of_a_failure(notes: list[str]) -> None:
    nobody = Plan((Opponent(AGENT, AGENT_NAME), Opponent(5, "nobody")), (0.5, 0.5))
    with process_workers(1, notify=notes.append) as workers, pytest.raises(WorkerError) as caught:
        play(workers, plan=nobody)
    assert len(notes) == 3
    [line] = str(caught.value).splitlines()
    assert line.startswith(
        "worker 0 failed 3 times without finishing a round; "
        "the last time: sparring.errors.ConfigurationError: unknown"
    )
    assert ".py, line " in line
    assert line.endswith(")"), "where it was raised"


def test_the_third_kill_in_a_row_ends_the_run(notes: list[str]) -> None:
    with process_workers(1, notify=notes.append) as workers:
        for failures in range(2):
            process_of(0).kill()
            while workers.replaced == failures:
                workers.poll()
        process_of(0).kill()
        with pytest.raises(WorkerError) as caught:
            poll_for_ever(workers)
    assert str(caught.value) == (
        "worker 0 failed 3 times without finishing a round; the last time: ended by signal 9; "
        "the system kills processes when memory runs out: "
        "lower num_workers or num_envs_per_worker"
    )
    assert len(notes) == 3


def test_a_game_module_that_ends_its_process(nine: PolicySpec, notes: list[str]) -> None:
    """An exit in the middle of the import is a failure like any other."""
    spec_of("nine:Nine")  # imports it here
    (Path(sys.path[0]) / "nine.py").write_text("import sys\nsys.exit('not today')\n")
    with (
        process_workers(1, policy=nine, notify=notes.append) as workers,
        pytest.raises(ConfigurationError, match=r"SystemExit: not today \(nine\.py, line 2\)"),
    ):
        play(workers)
    assert all("nine.py" in note for note in notes)
