"""Workers whose networks are on a server: the same batches as inline, whatever happens to either
side, and no worker that is forgotten.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

import pytest
from child_processes import wait_until
from trial_workers import (
    SELF,
    assert_same_batch,
    assert_same_tree,
    command,
    inline_workers,
    process_of,
    process_workers,
    start_round,
    vector,
)

from sparring.errors import ConfigurationError, WorkerError
from sparring.runtime import InferenceSettings, ProcessWorkers

ALONE = InferenceSettings("cpu", joined=False)
JOINED = InferenceSettings("cpu", joined=True)
LONG = 300  # matches


def served(num_workers: int = 2, **changes: Any) -> ProcessWorkers:
    return process_workers(num_workers, **{"inference": ALONE, "groups": 2, **changes})


def server_process() -> Any:
    """The live process of the server of this test, by its name."""
    [process] = [p for p in multiprocessing.active_children() if "-inference." in p.name]
    return process


@pytest.mark.parametrize(
    "start_method", ["forkserver", pytest.param("spawn", marks=pytest.mark.slow)]
)
def test_batches_and_states_equal_those_of_inline(start_method: str) -> None:
    """Snapshots, other players and epsilon included; weights change under way."""
    with served(start_method=start_method) as workers, inline_workers(groups=2) as inline:
        for both in (workers, inline):
            start_round(both, [command(0)] * 2)
            start_round(both, [command(1, plan=SELF), command(1, epsilon=0.9)])
        for number in range(3):
            batch = workers.finish_round()
            assert_same_batch(batch, inline.finish_round())
            batch.release()
            if number < 1:
                for both in (workers, inline):
                    both.weights.publish(1, vector(9))
                    start_round(both, [command(2, version=1)] * 2)
        assert_same_tree(workers.get_state(), inline.get_state())


def test_a_state_is_restored() -> None:
    with inline_workers(groups=2) as inline:
        start_round(inline, [command(0)] * 2)
        inline.finish_round()
        state = inline.get_state()
        start_round(inline, [command(1)] * 2)
        wanted = inline.finish_round()
    with served() as resumed:
        resumed.set_state(state)
        start_round(resumed, [command(1)] * 2)
        assert_same_batch(resumed.finish_round(), wanted)


def test_a_killed_server_is_replaced_and_nothing_is_lost_or_twice(notes: list[str]) -> None:
    order = command(0, episodes=LONG)
    with served(notify=notes.append) as workers, inline_workers(groups=2) as inline:
        for both in (workers, inline):
            start_round(both, [order] * 2)
        for _ in range(2):
            before = workers._server._count()  # type: ignore[union-attr]
            wait_until(lambda b=before: workers.poll() or workers._server._count() > b)  # type: ignore
            gone = server_process()
            gone.kill()
            gone.join()
        assert_same_batch(workers.finish_round(), inline.finish_round())
        assert workers.replaced == 0, "the workers went on"
    assert set(notes) == {"the inference server failed and is replaced: ended by signal 9"}
    assert len(notes) == 2


def test_a_frozen_server_is_replaced(notes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with served(notify=notes.append) as workers, inline_workers(groups=2) as inline:
        for both in (workers, inline):
            start_round(both, [command(0)] * 2)
            batch = both.finish_round()
            batch.release()
        os.kill(server_process().pid, signal.SIGSTOP)
        for both in (workers, inline):
            start_round(both, [command(1)] * 2)
        with monkeypatch.context() as short:
            for limit in ("_STUCK", "_STUCK_AT_START", "PAUSE_FACTOR"):
                short.setattr(f"sparring.runtime.server.{limit}", 1.0)
            wait_until(lambda: bool(workers.poll() or notes))
        assert_same_batch(workers.finish_round(), inline.finish_round())
    assert notes == [
        "the inference server failed and is replaced: it answered nothing for 1 s",
    ]


def test_a_killed_worker_is_replaced_while_the_server_goes_on(notes: list[str]) -> None:
    with served(1, notify=notes.append) as workers:
        start_round(workers, [command(0, episodes=LONG)])
        wait_until(lambda: bool(workers.poll() or workers._server._count() > 5))  # type: ignore
        process_of(0).kill()
        batch = workers.finish_round()
        assert len(batch.results) >= LONG
        assert workers.replaced == 1
    assert notes == ["worker 0 failed and is replaced: ended by signal 9"]


def test_a_server_that_fails_again_and_again_ends_the_run_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sparring.runtime.server.server_main", _fail)
    line = (
        "the inference server failed 3 times without an answer; the last time: ended with status "
        '7; use inference="workers"'
    )
    with served(1) as workers:
        start_round(workers, [command(0)])
        with pytest.raises(WorkerError) as caught:
            workers.finish_round()
    assert str(caught.value) == line


def test_an_error_that_a_successor_would_meet_again_is_raised() -> None:
    nowhere = InferenceSettings("cuda:77", joined=False)
    with served(1, inference=nowhere) as workers:
        start_round(workers, [command(0)])
        with pytest.raises((WorkerError, ConfigurationError), match="inference server"):
            workers.finish_round()


def _fail(*_: Any) -> None:
    os._exit(7)


@pytest.mark.parametrize(
    ("num_workers", "inference"), [(1, JOINED), (3, ALONE), (32, JOINED)], ids=str
)
def test_no_worker_starves(num_workers: int, inference: InferenceSettings) -> None:
    """On whatever number of CPUs: each finishes its matches, in every round."""
    with served(num_workers, inference=inference, num_envs=2) as workers:
        for number in range(2):
            start_round(workers, [command(number, episodes=2)] * num_workers)
            batch = workers.finish_round()
            assert set(batch.in_use) == set(range(num_workers))
            assert len(batch.results) >= 2
            batch.release()
