"""Workers as processes: the same batches as inline, whatever happens to a worker, and no process or
memory left behind.
"""

from __future__ import annotations

import dataclasses
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from child_processes import HANG, HELPERS, is_running, shared_memory_of, wait_until
from trial_workers import (
    POLICY,
    SELF,
    assert_part,
    assert_same_batch,
    assert_same_tree,
    command,
    expected,
    inline_workers,
    process_of,
    process_workers,
    rows_of,
    start_round,
    vector,
)

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError, WorkerError
from sparring.opponents.players import AGENT, AGENT_NAME, Opponent, Plan
from sparring.runtime import default_start_method
from sparring.runtime.processes import ring_rows

LONG = 1_000  # matches: far more transitions than a tiny ring holds
START_METHODS = pytest.mark.parametrize("start_method", ["forkserver", "spawn"])


# The same as inline.


@START_METHODS
def test_batches_and_states_equal_those_of_inline(start_method: str) -> None:
    with process_workers(start_method=start_method) as workers, inline_workers() as inline:
        for both in (workers, inline):
            start_round(both, [command(0)] * 2)
            start_round(both, [command(1, plan=SELF), command(1, epsilon=0.9)])
        for number in range(4):
            batch = workers.finish_round()
            assert_same_batch(batch, inline.finish_round())
            assert len(batch.results) >= 2
            assert set(rows_of(batch)["version"]) <= set(range(number + 1))
            batch.release()
            for both in (workers, inline):
                if number < 2:
                    both.weights.publish(number + 1, vector(number + 1))
                    start_round(both, [command(number + 2, version=number + 1)] * 2)
                both.poll()
        assert_same_tree(workers.get_state(), inline.get_state())


def test_a_state_is_restored() -> None:
    rounds = [command(0), command(1)]
    with inline_workers() as inline:
        start_round(inline, [rounds[0]] * 2)
        inline.finish_round()
        state = inline.get_state()
        start_round(inline, [rounds[1]] * 2)
        wanted = inline.finish_round()
    for resumed in (process_workers(), inline_workers()):
        with resumed:
            resumed.set_state(state)
            start_round(resumed, [rounds[1]] * 2)
            assert_same_batch(resumed.finish_round(), wanted)


@pytest.mark.usefixtures("tiny_ring")
def test_a_round_that_is_larger_than_the_ring() -> None:
    with process_workers(1, episodes=300) as workers, inline_workers(1) as inline:
        assert workers._ring_rows == 16, "one block"
        for both in (workers, inline):
            start_round(both, [command(0, episodes=300)])
        assert_same_batch(workers.finish_round(), inline.finish_round())


def test_the_ring_holds_a_whole_round_where_that_is_affordable() -> None:
    settings = process_workers(1).__dict__["_settings"]
    assert ring_rows(settings, 20) == (20 + 8) * 10, (
        "20 matches more than are under way, of at most 9 plies, and one to spare"
    )
    assert ring_rows(dataclasses.replace(settings, num_envs=10**6), 10**6) * 80 < 2**27


# A worker that dies.


def test_killed_while_starting(notes: list[str]) -> None:
    with process_workers(notify=notes.append) as workers:
        process_of(1).kill()
        start_round(workers, [command(0)] * 2)
        parts = [expected([0], [command(0)], worker=0)[0], expected([1], [command(0)], worker=1)[0]]
        assert_part(workers.finish_round(), parts)
        assert workers.replaced == 1
    assert notes == ["worker 1 failed and is replaced: ended by signal 9"]


def test_there_is_a_warning_of_a_silent_worker(
    notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with process_workers(1, notify=notes.append) as workers:
        start_round(workers, [command(0)])
        workers.finish_round()
        assert notes == []
        # only now: to start may take longer
        monkeypatch.setattr("sparring.runtime.watch.WARN_AFTER", 0.3)
        victim = process_of(0).pid
        os.kill(victim, signal.SIGSTOP)
        start_round(workers, [command(1)])

        def go_on() -> None:
            wait_until(lambda: bool(notes))
            os.kill(victim, signal.SIGCONT)

        threading.Thread(target=go_on, daemon=True).start()
        workers.finish_round()
    assert notes[0] == (
        "worker 0 has made no ply for 0 s: slow moves, or a step that never returns; "
        "it is replaced after 600 s"
    )


@pytest.mark.usefixtures("tiny_ring")
def test_killed_while_busy(notes: list[str]) -> None:
    order = command(0, episodes=LONG)
    with process_workers(1, notify=notes.append) as workers:
        start_round(workers, [order])
        while not workers._handles[0].copied:
            workers._serve(timeout=0.1)
        process_of(0).kill()
        batch = workers.finish_round()
        assert workers.replaced == 1, "it was killed before it had finished"
    assert_part(batch, expected([1], [order]))
    assert notes == ["worker 0 failed and is replaced: ended by signal 9"]


@pytest.mark.usefixtures("tiny_ring")
def test_killed_while_the_next_round_is_in_flight(notes: list[str]) -> None:
    first, second = command(0, episodes=20), command(1, episodes=LONG)
    with process_workers(1, notify=notes.append) as workers:
        start_round(workers, [first])
        start_round(workers, [second])
        wait_until(lambda: bool(workers.poll() or workers._handles[0].finished))
        process_of(0).kill()
        parts = expected([0, 1], [first, second])
        assert_part(workers.finish_round(), [parts[0]])
        assert_part(workers.finish_round(), [parts[1]])
        assert workers.replaced == 1


def test_both_rounds_in_flight_are_played_again() -> None:
    first, second = command(0), command(1, plan=SELF)
    with process_workers(1) as workers:
        process_of(0).kill()
        start_round(workers, [first])
        start_round(workers, [second])
        parts = expected([1, 1], [first, second])
        assert_part(workers.finish_round(), [parts[0]])
        assert_part(workers.finish_round(), [parts[1]])
        assert workers.replaced == 1


def test_killed_while_idle(notes: list[str]) -> None:
    with process_workers(notify=notes.append) as workers:
        start_round(workers, [command(0)] * 2)
        workers.finish_round()
        process_of(0).kill()
        wait_until(lambda: bool(workers.poll() or notes))
        start_round(workers, [command(1)] * 2)
        batch = workers.finish_round()
    assert_part(
        batch,
        [
            expected([1], [command(1)], worker=0)[0],
            expected([0, 0], [command(0), command(1)], worker=1)[1],
        ],
    )


@pytest.mark.parametrize("noticed", [False, True])
def test_killed_when_its_state_is_wanted(noticed: bool, notes: list[str]) -> None:
    with process_workers(notify=notes.append) as workers:
        start_round(workers, [command(0)] * 2)
        workers.finish_round()
        victim = process_of(1)
        if noticed:  # in the middle of the request
            os.kill(victim.pid, signal.SIGSTOP)
            threading.Timer(0.2, victim.kill).start()
        else:
            victim.kill()
            victim.join()
        state = workers.get_state()
        assert [state[worker]["incarnation"] for worker in "01"] == [0, 1]
        assert [state[worker]["body"]["begun"] for worker in "01"] == [True, False]
        start_round(workers, [command(1)] * 2)
        batch = workers.finish_round()
    wanted = [
        expected([0, 0], [command(0), command(1)], worker=0)[1],
        expected([1], [command(1)], worker=1)[0],
    ]
    assert_part(batch, wanted)
    # A successor is restored as such: the incarnation names its streams.
    with process_workers() as workers:
        workers.set_state(state)
        start_round(workers, [command(1)] * 2)
        assert_part(workers.finish_round(), wanted)


def test_failures_count_from_the_last_finished_round(notes: list[str]) -> None:
    with process_workers(1, notify=notes.append) as workers:
        for number in range(4):
            process_of(0).kill()
            start_round(workers, [command(number)])
            assert_part(workers.finish_round(), expected([number + 1], [command(number)]))
        assert workers.replaced == 4


# A worker that raises.


def test_the_traceback_of_a_worker_is_shown_and_in_the_end_its_cause(notes: list[str]) -> None:
    nobody = Plan((Opponent(AGENT, AGENT_NAME), Opponent(5, "nobody")), (0.5, 0.5))
    with process_workers(notify=notes.append) as workers:
        start_round(workers, [command(0), command(0, plan=nobody)])
        with pytest.raises(WorkerError) as caught:
            workers.finish_round()
        assert workers.replaced == 2
    starts = ["worker 1 failed and is replaced: Traceback"] * 2 + ["worker 1 failed: Traceback"]
    for note, begin in zip(notes, starts, strict=True):
        assert note.startswith(begin)
        assert "in play_round" in note
        assert "unknown opponent: got nobody" in note
    [line] = str(caught.value).splitlines()
    assert line.startswith(
        "worker 1 failed 3 times without finishing a round; "
        "the last time: sparring.errors.ConfigurationError: unknown"
    )


def test_a_worker_that_cannot_start_ends_the_run(notes: list[str]) -> None:
    policy = PolicySpec(POLICY.game, NetworkSpec("nonsense"))
    with process_workers(1, notify=notes.append, policy=policy) as workers:
        start_round(workers, [command(0)])
        with pytest.raises(ConfigurationError, match="unknown network: got nonsense"):
            workers.finish_round()
    assert notes == [], "no successor is tried"


# Leaving.


@pytest.mark.parametrize("doing", ["starting", "idle", "busy", "stopped", "raising"])
def test_leaving_ends_all_processes_and_frees_everything(doing: str) -> None:
    def visit() -> None:
        with process_workers() as workers:
            if doing != "starting":
                start_round(workers, [command(0)] * 2)
                workers.finish_round()
            if doing in ("busy", "raising"):
                start_round(workers, [command(1, episodes=10**6)] * 2)
            if doing == "stopped":
                os.kill(process_of(0).pid, signal.SIGSTOP)
            if doing == "raising":
                raise ZeroDivisionError

    me = psutil.Process()
    for attempt in range(2):
        if doing == "raising":
            with pytest.raises(ZeroDivisionError):
                visit()
        else:
            visit()
        gc.collect()
        if attempt == 0:  # the first may have started the fork server
            descriptors = me.num_fds()
    assert me.num_fds() == descriptors
    assert not [
        line
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "memfd:sparring" in line
    ]
    # What stays is multiprocessing's own: one fork server and one resource tracker, for the life of
    # this process.
    assert all(
        "multiprocessing" in " ".join(child.cmdline()) for child in me.children(recursive=True)
    )


def test_a_start_that_fails_stops_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    context: Any = multiprocessing.get_context("forkserver")
    start, calls = context.Process.start, []

    def failing(process: Any) -> None:
        calls.append(process)
        if len(calls) == 2:
            raise BlockingIOError("no more processes")
        start(process)

    monkeypatch.setattr(context.Process, "start", failing)
    with pytest.raises(ConfigurationError) as caught, process_workers(3):
        raise AssertionError("not reached")
    assert str(caught.value) == (
        "worker processes cannot be started: got no more processes; "
        'lower num_workers, or use backend="inline"'
    )
    assert len(calls) == 2
    assert not calls[0].is_alive()


# The end of the main process.

MAIN = """
import sys, time
sys.path.insert(0, sys.argv[2])
from trial_workers import command, process_workers, start_round
with process_workers(2, episodes=30, start_method=sys.argv[1]) as workers:
    start_round(workers, [command(0)] * 2)
    workers.finish_round()
    if sys.argv[3] == "busy":
        start_round(workers, [command(1, episodes=10**7)] * 2)
        time.sleep(0.5)  # their rings are full: they wait for a reader, and say nothing
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("start_method", "doing"), [("forkserver", "idle"), ("forkserver", "busy"), ("spawn", "busy")]
)
def test_workers_end_with_a_killed_main_process(start_method: str, doing: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, start_method, str(HELPERS), doing], stdout=subprocess.PIPE
    ) as main:
        assert main.stdout is not None
        assert main.stdout.readline() == b"ready\n"
        family = psutil.Process(main.pid).children(recursive=True)
        memory = shared_memory_of(main.pid)
        assert len(family) >= 3
        assert len(memory) == 3, "the weights, and a ring each"
        assert {
            inode for inode in memory for child in family if inode in shared_memory_of(child.pid)
        } == memory
        main.kill()
        main.wait()
        wait_until(lambda: not any(map(is_running, family)))
    assert not memory & {inode for pid in psutil.pids() for inode in shared_memory_of(pid)}
    assert not [name for name in os.listdir("/dev/shm") if "sparring" in name]


# Starting.

PRELOADED = """
import multiprocessing, sys
sys.path.insert(0, sys.argv[1])
from what_is_loaded import tell
from trial_workers import process_workers
with process_workers(1):
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=tell, args=(theirs,))
    process.start()
    print(*ours.recv())
    process.join()
"""

WHAT_IS_LOADED = """
import sys
def tell(pipe):
    names = "torch", "numba", "sparring.games.connect_four", "sparring.games.tic_tac_toe"
    pipe.send([n for n in sys.modules if n in names or n.startswith("sparring_driver_")])
"""


def test_the_fork_server_has_the_game_loaded(tmp_path: Path) -> None:
    (tmp_path / "what_is_loaded.py").write_text(WHAT_IS_LOADED)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }
    environment.pop("SPARRING_PRELOAD_GAME", None)
    command_line = [sys.executable, "-c", PRELOADED, str(HELPERS)]
    result = subprocess.run(
        command_line, capture_output=True, text=True, env=environment, timeout=HANG, check=False
    )
    assert result.returncode == 0, result.stderr
    loaded = result.stdout.split()
    assert {"torch", "numba", "sparring.games.tic_tac_toe"} <= set(loaded)
    assert sum(name.startswith("sparring_driver_") for name in loaded) == 1, (
        "compiled before the fork"
    )


def test_ctrl_c_does_not_end_a_worker(notes: list[str]) -> None:
    with process_workers(1, start_method="spawn", notify=notes.append) as workers:
        os.kill(process_of(0).pid, signal.SIGINT)  # while it still imports
        start_round(workers, [command(0)])
        workers.finish_round()
        os.kill(process_of(0).pid, signal.SIGINT)
        start_round(workers, [command(1)])
        assert_part(workers.finish_round(), [expected([0, 0], [command(0), command(1)])[1]])
    assert notes == []
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, []), (
        "we still hear it ourselves"
    )


def test_the_default_start_method_is_forkserver_where_the_system_has_it() -> None:
    assert default_start_method() == "forkserver"


def test_a_plan_with_a_snapshot_is_really_played() -> None:
    """Guards the tests above: all players of the plan take part."""
    [(rows, report)] = expected([0], [command(0, episodes=60)])
    assert {1, 1_007} <= set(report.results["players"].ravel())
    assert len(rows) > 100
