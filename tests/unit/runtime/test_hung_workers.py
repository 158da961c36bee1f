"""Workers that hang or are frozen: replaced after a stated time, ended with the main process, and
not mistaken for slow ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from child_processes import HANG, HELPERS, is_running, wait_until
from trial_workers import (
    assert_part,
    command,
    expected,
    inline_workers,
    process_of,
    process_workers,
    start_round,
)

from sparring.runtime import ProcessWorkers

LONG = 10**6  # matches: a part that never ends by itself
MODULE = "sparring.runtime.watch"


def replace_frozen(workers: ProcessWorkers, patch: pytest.MonkeyPatch, limit: str) -> None:
    """Wait until the worker that was frozen is replaced, with `limit` at a second only until then:
    on a busy machine a successor may pause for as long.
    """
    with patch.context() as short:
        short.setattr(f"{MODULE}.{limit}", 1.0)
        workers._watch.longest_pause = 0.0  # of a busy machine
        wait_until(lambda: bool(workers.poll() or workers.replaced))


def test_a_frozen_worker_is_replaced_after_the_stated_time(
    notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with process_workers(1, notify=notes.append) as workers:
        start_round(workers, [command(0)])
        workers.finish_round().release()
        os.kill(process_of(0).pid, signal.SIGSTOP)
        start_round(workers, [command(1)])
        replace_frozen(workers, monkeypatch, "STUCK")
        assert notes == ["worker 0 failed and is replaced: it made no ply for 1 s"]
        assert_part(workers.finish_round(), expected([1], [command(1)]))


def test_in_a_hurry_it_is_replaced_sooner_and_the_user_is_told_who_is_waited_for(
    notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with process_workers(2, notify=notes.append) as workers:
        start_round(workers, [command(0)] * 2)
        workers.finish_round().release()
        os.kill(process_of(1).pid, signal.SIGSTOP)
        start_round(workers, [command(1)] * 2)
        monkeypatch.setattr(f"{MODULE}.FIRST_NOTE", 0.0)
        workers.hurry()
        wait_until(lambda: bool(workers.poll() or workers._handles[0].finished))
        workers._wait(lambda: bool(notes))
        assert notes == ["waiting for worker 1 to finish the matches of the round"]
        replace_frozen(workers, monkeypatch, "STUCK_IN_A_HURRY")
        assert notes[1] == "worker 1 failed and is replaced: it made no ply for 1 s"
        assert workers.finish_round().round == 1


def test_time_in_which_the_main_process_was_stopped_itself_does_not_count(
    notes: list[str],
) -> None:
    """After Ctrl-Z and `fg`, an hour may have passed for all of them."""
    with process_workers(1, notify=notes.append) as workers:
        start_round(workers, [command(0, episodes=LONG)])
        wait_until(lambda: bool(workers.poll() or workers._handles[0].has_played))
        os.kill(process_of(0).pid, signal.SIGSTOP)
        workers._watch.last_look -= 3_600.0
        workers.poll()
        assert workers._handles[0].silence < 60.0
        os.kill(process_of(0).pid, signal.SIGCONT)
        workers.end_early(0, 0)
        assert workers.finish_round().round == 0
    assert notes == []


def test_a_game_that_is_slow_is_not_taken_for_one_that_hangs() -> None:
    """Ten times the longest pause so far is always allowed."""
    with process_workers(1) as workers:
        [handle] = workers._handles
        assert workers._watch.limit(handle) == 3_600.0, "it may have to compile the game"
        start_round(workers, [command(0)])
        workers.finish_round().release()
        workers.poll()
        handle.watch(0.0)
        assert workers._watch.limit(handle) == 600.0
        workers._watch.longest_pause = 100.0
        assert workers._watch.limit(handle) == 1_000.0
        workers.hurry()
        assert workers._watch.limit(handle) == 1_000.0
        workers._watch.longest_pause = 1.0
        assert workers._watch.limit(handle) == 20.0


# Parts that are ended early.


def test_a_part_that_is_ended_early_and_goes_on_in_the_next() -> None:
    """Only parts up to the named round; the matches in progress are played on."""
    with process_workers(1) as workers:
        start_round(workers, [command(0, episodes=LONG)])
        wait_until(lambda: bool(workers.poll() or workers._handles[0].ring.ticks > 100))
        workers.end_early(0, 0)
        batch = workers.finish_round()
        played = len(batch.results)
        assert 0 < played < LONG
        batch.release()
        start_round(workers, [command(1)])
        batch = workers.finish_round()
        assert batch.round == 1
        assert len(batch.results) >= 20
        body = workers.get_state()["0"]["body"]
        assert body["matches"]["number"].sum() == played + len(batch.results)


def test_inline_a_part_is_played_when_it_is_asked_for_and_to_its_end() -> None:
    with inline_workers(1) as workers:
        start_round(workers, [command(0)])
        workers.end_early(0, 0)
        workers.hurry()
        assert len(workers.finish_round().results) >= 20


# The end of the main process.

MAIN = """
import sys
from sparring.dqn.networks import PolicySpec
from trial_workers import POLICY, command, process_workers, start_round
policy = PolicySpec("hanging_games:Hanging", POLICY.network)
workers = process_workers(2, policy=policy, bootstrap="own_turn", start_method=sys.argv[1])
with workers:
    start_round(workers, [command(0)] * 2)
    workers.finish_round()
"""


# prctl(PR_SET_PDEATHSIG) is Linux's alone.
@pytest.mark.skipif(
    sys.platform != "linux",
    reason="only the kernel of Linux does this; the next test is of other systems",
)
@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_workers_that_hang_in_c_end_with_a_killed_main_process(
    start_method: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{HELPERS}:{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, start_method], cwd=tmp_path, env=environment
    ) as main:
        wait_until(lambda: len(list(tmp_path.glob("hangs-*"))) == 2, pause=0.05)
        family = psutil.Process(main.pid).children(recursive=True)
        assert len(family) >= 2
        main.kill()
        main.wait()
        wait_until(lambda: not any(map(is_running, family)))


WATCHED = """
import ctypes, multiprocessing, sys, threading, time
from sparring.runtime.worker import _watch_main_process

def hang():
    threading.Thread(target=_watch_main_process, args=(1.0,), daemon=True).start()
    time.sleep(3.0)  # with the clock wound up again and again
    print("plays", flush=True)
    ctypes.PyDLL(None).sleep(100_000)

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=hang)
    process.start()
    process.join()
    print("ended", process.exitcode)
"""


def test_without_linux_a_clock_ends_a_worker_that_hangs_in_c(tmp_path: Path) -> None:
    """Its traceback shows the place."""
    script = tmp_path / "watched.py"
    script.write_text(WATCHED)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=HANG, check=True
    )
    assert done.stdout.splitlines() == ["plays", "ended 1"]
    assert "in hang" in done.stderr
