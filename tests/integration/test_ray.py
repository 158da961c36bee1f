"""Workers on a Ray cluster: a head without CPUs and three nodes, all on this machine."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from child_processes import HANG, HELPERS, is_running, wait_until
from trial_workers import (
    SETTINGS,
    SIZE,
    SNAPSHOTS,
    VERSIONS,
    assert_part,
    assert_same_batch,
    assert_same_tree,
    command,
    expected,
    fill,
    inline_workers,
    rows_of,
    start_round,
    vector,
)

from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config
from sparring.errors import ConfigurationError, GameFault
from sparring.runtime import RayWorkers, watch
from sparring.training import resume, train

pytestmark = [
    # Ray is an extra that nothing else needs; the development environment has it.
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None,
        reason="Ray is not installed: pip install 'sparring[ray]'",
    ),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
]
MODULE = "sparring.runtime.ray_workers"
STORE = {"object_store_memory": 80 * 2**20}
NODES = 3


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tokens and all else that Ray writes into a home stay in a temporary one. Ray reads its mode
    of authentication when it is imported.
    """
    assert "ray" not in sys.modules, "imported by another test"
    home = tmp_path_factory.mktemp("home")
    (home / "token").write_text(secrets.token_hex(32))
    path = f"{HELPERS}:{os.environ.get('PYTHONPATH', '')}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "token"))
        patch.setenv("RAY_raylet_start_wait_time_s", "300")
        patch.setenv("PYTHONPATH", path)
        patch.setattr(f"{MODULE}.PULSE_INTERVAL", 0.2)
        patch.setattr(f"{MODULE}.PLACE_INTERVAL", 0.2)
        yield home


@pytest.fixture(scope="module")
def cluster(environment: Path) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    head = {"num_cpus": 0, "include_dashboard": False, **STORE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(NODES):
        cluster.add_node(num_cpus=1, **STORE)
    yield cluster
    cluster.shutdown()
    wait_until(lambda: not ours_since(before), pause=0.1)


def ours_since(before: set[int]) -> list[psutil.Process]:
    """Processes that have been started since, but for multiprocessing's own."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.pid not in before
        and is_running(child)
        and "multiprocessing" not in " ".join(child.cmdline())
    ]


@pytest.fixture
def notes() -> list[str]:
    return []


def ray_workers(cluster: Any, notes: list[str], num_workers: int = 2, **changes: Any) -> RayWorkers:
    workers = RayWorkers(
        SETTINGS,
        num_workers=num_workers,
        size=SIZE,
        num_snapshots=SNAPSHOTS,
        num_versions=VERSIONS,
        address=cluster.address,
        insecure=False,
        notify=notes.append,
        **changes,
    )
    fill(workers.weights)
    return workers


def process_of(workers: RayWorkers, worker: int) -> psutil.Process:
    """The process in which a worker plays."""
    actor = workers._handles[worker].actor
    assert actor is not None
    pulse = actor.ray.__ray_call__.remote(lambda body: os.getpid())
    return psutil.Process(workers._cluster.ray.get(pulse))


def play(workers: RayWorkers, number: int, **changes: Any) -> None:
    start_round(workers, [command(number, **changes)] * len(workers._handles))
    workers.finish_round()


# The same as inline.


def test_batches_and_states_equal_those_of_inline(cluster: Any, notes: list[str]) -> None:
    with ray_workers(cluster, notes) as workers, inline_workers() as inline:
        for both in (workers, inline):
            start_round(both, [command(0)] * 2)
            start_round(both, [command(1)] * 2)
        for number in range(4):
            batch = workers.finish_round()
            assert_same_batch(batch, inline.finish_round())
            assert set(rows_of(batch)["version"]) <= set(range(number + 1))
            for both in (workers, inline):
                if number < 2:
                    both.weights.publish(number + 1, vector(number + 1))
                    start_round(both, [command(number + 2, version=number + 1)] * 2)
                both.poll()
        state = workers.get_state()
        assert_same_tree(state, inline.get_state())
        restored = {worker: {**saved, "body": saved["body"]} for worker, saved in state.items()}
        play(workers, 4, version=2)  # the saved state stays as it was
        workers.set_state(restored)
        start_round(workers, [command(4, version=2)] * 2)
        start_round(inline, [command(4, version=2)] * 2)
        assert_same_batch(workers.finish_round(), inline.finish_round())
    assert notes == [f"Ray cluster at {cluster.address}: 3 CPUs for 2 workers"]


@pytest.mark.full
def test_workers_share_cpus_move_to_a_node_that_joins_and_survive_one_that_leaves(
    cluster: Any, notes: list[str]
) -> None:
    with ray_workers(cluster, notes, 4) as workers, inline_workers(4) as inline:
        for both in (workers, inline):
            start_round(both, [command(0)] * 4)
            start_round(both, [command(1)] * 4)
        assert_same_batch(workers.finish_round(), inline.finish_round())
        [sharing] = [h for h in workers._handles if h.actor is not None and h.actor.shares]
        assert notes == [
            f"Ray cluster at {cluster.address}: 3 CPUs for 4 workers, "
            "which share what there is until nodes join",
            f"no CPU is free for worker {sharing.worker}: sharing those of others until one is",
        ]
        joined = cluster.add_node(num_cpus=1, **STORE)
        wait_until(lambda: bool(workers._serve(0.1) or not sharing.asked))
        for both in (workers, inline):
            start_round(both, [command(2)] * 4)
        for _ in range(2):
            assert_same_batch(workers.finish_round(), inline.finish_round())
        assert_same_tree(workers.get_state(), inline.get_state())
        assert sharing.actor is not None
        assert sharing.actor.node == joined.node_id
        start_round(workers, [command(3, episodes=2_000)] * 4)
        cluster.remove_node(joined, allow_graceful=False)
        batch = workers.finish_round()
        assert workers.replaced >= 1
        incarnations = {h.worker: h.incarnation for h in workers._handles}
        assert [w for w, number in incarnations.items() if number] == [sharing.worker]
        assert sharing.actor.shares
    for worker in range(4):
        of_worker = [r for r in batch.blocks if len(r)][worker]
        assert len(of_worker) >= 2_000
    assert f"worker {sharing.worker} failed and is replaced: its " in "\n".join(notes)


# Workers that fail.


@pytest.mark.full
def test_killed_and_frozen_actors_are_replaced_and_their_rounds_are_played_again(
    cluster: Any, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = [command(0), command(1), command(2)]
    with ray_workers(cluster, notes) as workers:
        start_round(workers, [rounds[0]] * 2)
        workers.finish_round()
        killed, frozen = process_of(workers, 0), process_of(workers, 1)
        killed.suspend()  # it cannot finish first
        start_round(workers, [rounds[1]] * 2)
        killed.kill()
        batch = workers.finish_round()
        first = expected([1, 1], rounds[1:], worker=0)
        second = expected([0, 0, 1], rounds, worker=1)
        assert_part(batch, [first[0], second[1]])
        wait_until(lambda: bool(workers._serve(0.1) or workers._handles[1].has_played))
        frozen.suspend()
        start_round(workers, [rounds[2]] * 2)
        with monkeypatch.context() as short:
            short.setattr(watch, "STUCK", 1.0)
            short.setattr(watch, "PAUSE_FACTOR", 0)
            wait_until(lambda: bool(workers._serve(0.1) or workers.replaced == 2))
        assert_part(workers.finish_round(), [first[1], second[2]])
        state = workers.get_state()
        assert [state[worker]["incarnation"] for worker in "01"] == [1, 1]
        wait_until(lambda: not frozen.is_running(), pause=0.1)
    assert notes[1:] == [
        "worker 0 failed and is replaced: its process ended",
        "worker 1 failed and is replaced: it made no ply for 1 s",
    ]


# Whole runs.

TINY = {
    "game": "tic_tac_toe", "num_workers": 2, "n_episodes": 200, "episodes_per_batch": 8,
    "learning_starts": 100, "batch_size": 16, "buffer_size": 2_000, "device": "cpu", "seed": 3,
    "learner_threads": 1, "snapshot_interval": 50, "max_snapshots": 2, "eval_interval": 100,
    "eval_matches": 10, "tensorboard": False, "policy_kwargs": {"net_arch": [16]},
    "opponents": {"self": 0.5, "snapshots": 0.3, "random": 0.2},
}  # fmt: skip


def tiny(folder: Path, **changes: Any) -> TrainConfig:
    return build_config(overrides={**TINY, "runs_dir": str(folder), **changes})


def on(cluster: Any) -> dict[str, str]:
    return {"backend": "ray", "ray_address": cluster.address}


def test_the_agent_is_that_of_processes_and_inline(cluster: Any, tmp_path: Path) -> None:
    backends = {"ray": on(cluster), "processes": {}, "inline": {"backend": "inline"}}
    files = {
        name: train(tiny(tmp_path, name=name, **changes), console=False).sha256
        for name, changes in backends.items()
    }
    assert len(set(files.values())) == 1, files


@pytest.mark.full
def test_several_learners_make_the_agent_that_they_make_inline(
    cluster: Any, tmp_path: Path
) -> None:
    inline, ray = (
        train(tiny(tmp_path, devices="cpu:2", **changes), console=False)
        for changes in ({"backend": "inline"}, on(cluster))
    )
    assert ray.updates > 0
    assert ray.sha256 == inline.sha256


def test_sigterm_saves_the_run_and_a_resume_makes_the_same_agent(
    cluster: Any, tmp_path: Path
) -> None:
    whole = train(tiny(tmp_path, name="whole", backend="inline"), console=False)

    class Stop:
        def on_round(self, event: Any) -> None:
            if event.rounds == 4:
                signal.raise_signal(signal.SIGTERM)

    stopped = train(tiny(tmp_path, name="stopped", **on(cluster)), callbacks=Stop(), console=False)
    assert stopped.signal == signal.SIGTERM
    assert stopped.episodes < whole.episodes
    assert resume("stopped", runs_dir=str(tmp_path), console=False).sha256 == whole.sha256


@pytest.mark.full
def test_workers_that_run_freely_end_parts_early(cluster: Any, tmp_path: Path) -> None:
    config = tiny(tmp_path, mode="async", max_weight_lag=1, **on(cluster))
    assert train(config, console=False).episodes >= 200


@pytest.mark.full
def test_a_fault_of_the_game_comes_through_as_itself(cluster: Any, tmp_path: Path) -> None:
    game = "stubborn_games:Stubborn(where='step')"
    with pytest.raises(GameFault, match="the match is saved"):
        train(tiny(tmp_path, game=game, opponents={"self": 1}, **on(cluster)), console=False)


# Clusters that are refused.


def test_an_address_that_does_not_answer() -> None:
    workers = RayWorkers(
        SETTINGS,
        num_workers=1,
        size=SIZE,
        num_snapshots=1,
        num_versions=2,
        address="127.0.0.1:1",
        insecure=False,
        notify=print,
    )
    with pytest.raises(ConfigurationError) as caught, workers:
        raise AssertionError("not reached")
    assert str(caught.value) == (
        "no Ray cluster answers at 127.0.0.1:1: got [Errno 111] Connection refused, "
        "expected host and port of `ray start --head`"
    )


def test_a_cluster_without_authentication_is_refused(environment: Path, tmp_path: Path) -> None:
    arguments = ["tic_tac_toe", "--preset", "none", "--backend", "ray", "--ray-address", "local"]
    done = subprocess.run(
        [sys.executable, "-m", "sparring", "train", *arguments, "--num-workers", "1"],
        cwd=tmp_path,
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert " runs whatever anybody sends it: got no token authentication, expected " in last
    assert not list(tmp_path.glob("runs/*"))
