"""Parts of the Ray backend that need no Ray: which clusters are refused, whose failures count, and
what an actor is sent.
"""

from __future__ import annotations

import dataclasses
import importlib
import pickle
import sys
import types
from concurrent import futures
from typing import Any, NoReturn

import grpc
import numpy as np
import pytest
from trial_workers import SETTINGS, SIZE, SNAPSHOTS, assert_same_rows, command, expected, vector

from sparring.dqn.networks import PolicySpec
from sparring.errors import ConfigurationError, GameFault, WorkerError
from sparring.rollout.rollout import Rollout
from sparring.runtime.ray_actor import ActorJob, WorkerActor
from sparring.runtime.ray_cluster import RayCluster
from sparring.runtime.ray_handle import Actor, RayHandle, Snapshot


@pytest.fixture(autouse=True)
def _slices_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors are made in this process here."""
    monkeypatch.setattr("sparring.runtime.ray_actor.take_long_slices", lambda: None)


class Server(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every question, or asks for a token."""

    def __init__(self, asks_for_token: bool) -> None:
        self._asks_for_token = asks_for_token

    def service(self, details: Any) -> Any:
        def answer(question: bytes, context: Any) -> bytes:
            if self._asks_for_token:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "token is missing")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.mark.parametrize(("asks_for_token", "insecure"), [(True, False), (False, True)])
def test_a_cluster_is_used_if_it_asks_for_a_token_or_on_request(
    asks_for_token: bool, insecure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _opens(asks_for_token, insecure, monkeypatch) is None


def test_a_cluster_that_answers_everybody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    error = _opens(False, False, monkeypatch)
    assert error is not None
    assert error.startswith("the Ray cluster at localhost:")
    assert error.endswith(
        " runs whatever anybody sends it: got no token authentication, expected "
        "RAY_AUTH_MODE=token and the same RAY_AUTH_TOKEN_PATH on all nodes; "
        "start it again so (docs/cluster.md), or use --ray-insecure, where nobody else can reach it"
    )


def test_a_missing_token_is_told_before_ray_tries_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    error = _opens(True, False, monkeypatch, connected=False)
    assert error is not None
    assert error.endswith(
        " asks for a token: got no RAY_AUTH_MODE, expected RAY_AUTH_MODE=token and the same "
        "RAY_AUTH_TOKEN_PATH on all nodes, and here"
    )


def _opens(
    asks_for_token: bool, insecure: bool, patch: pytest.MonkeyPatch, *, connected: bool = True
) -> str | None:
    """The error of a connection to such a cluster, to which the program may be connected."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Server(asks_for_token),))
    port = server.add_insecure_port("localhost:0")
    server.start()
    context = types.SimpleNamespace(gcs_address=f"localhost:{port}")
    fake = types.SimpleNamespace(
        is_initialized=lambda: connected, get_runtime_context=lambda: context
    )
    patch.setitem(sys.modules, "ray", fake)
    try:
        RayCluster(f"localhost:{port}", insecure=insecure).open()
    except ConfigurationError as error:
        return str(error)
    finally:
        server.stop(None)
    return None


def test_without_ray_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> NoReturn:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ConfigurationError) as caught:
        RayCluster("auto", insecure=False).open()
    assert str(caught.value) == (
        "backend=\"ray\": Ray is not installed; pip install 'sparring[ray]'"
    )


# Whose failures count.


class FakeCalls:
    """Stands for an actor: every call is answered by its own description."""

    def __getattr__(self, name: str) -> Any:
        def remote(*arguments: Any) -> tuple[Any, ...]:
            return (name, *arguments)

        def options(**_: Any) -> Any:
            return types.SimpleNamespace(remote=remote)

        return types.SimpleNamespace(remote=remote, options=options)


def begun(node: str = "a") -> RayHandle:
    handle = RayHandle(0)
    handle.begin(Actor(FakeCalls(), node=node))
    return handle


def test_failures_on_nodes_that_are_there_count(notes: list[str]) -> None:
    handle = begun()
    for _ in range(2):
        handle.count_failures({"a"})
        handle.failed("it fell", notes.append)
    handle.count_failures({"a"})
    with pytest.raises(WorkerError, match="failed 3 times without finishing a round"):
        handle.failed("it fell", notes.append)
    assert notes[0] == "worker 0 failed and is replaced: it fell"


def test_failures_on_nodes_that_have_left_count_only_when_they_are_many(notes: list[str]) -> None:
    handle = begun()
    for _ in range(9):
        handle.count_failures({"b"})
        handle.failed("its process ended", notes.append)
    handle.count_failures({"b"})
    with pytest.raises(WorkerError):
        handle.failed("its process ended", notes.append)


# What an actor is sent.


def test_a_snapshot_is_sent_once_to_each_actor_and_again_when_its_slot_has_another() -> None:
    handle = begun()
    first, second = Snapshot(1, 7, "ref 7"), Snapshot(1, 8, "ref 8")
    for snapshot in (first, first, second):
        handle.give(command(0), "vector", [snapshot])
    sent = [call.ref[4:] for call in handle.calls]
    assert sent == [([1], "ref 7"), ([],), ([1], "ref 8")]
    handle.begin(Actor(FakeCalls()))
    sent = [call.ref[4:] for call in handle.calls]
    assert sent == [([1], "ref 7"), ([],), ([1], "ref 8")], "the successor has none"


def test_answers_of_a_predecessor_are_never_looked_at() -> None:
    handle = begun()
    handle.give(command(0), "vector")
    [old] = handle.calls
    handle.begin(Actor(FakeCalls()))
    [new] = handle.calls
    assert (old.key, new.key) == ((0, 0, 0), (0, 1, 0))


def read_only(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


def actor(settings: Any = SETTINGS) -> WorkerActor:
    job = ActorJob(settings, settings.policy.game_spec, SIZE, SNAPSHOTS, Rollout)
    pickled = read_only(np.frombuffer(pickle.dumps(job), np.uint8))
    return WorkerActor([], pickled, 0, 0)


def test_the_body_plays_what_a_worker_process_would_from_read_only_arrays() -> None:
    order, snapshot = command(0), read_only(vector(101))
    body = actor()
    key, (kind, (report, rows)) = body.play((0, 0, 5), order, read_only(vector(0)), [1], snapshot)
    [(wanted, report_wanted)] = expected([0], [order])
    assert (key, kind) == ((0, 0, 5), "report")
    assert_same_rows(rows, wanted)
    assert report.plies == report_wanted.plies
    other = actor()
    answer = other.take_state((0, 0, 6), body.get_state((0, 0, 6)), [1], snapshot)
    assert answer == ((0, 0, 6), ("restored", None))
    plays = [it.play((0, 0, 7), command(1), vector(0), []) for it in (body, other)]
    assert_same_rows(plays[0][1][1][1], plays[1][1][1][1])


def test_rounds_are_ended_early_on_a_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    context = types.SimpleNamespace(get_node_id=lambda: "a")
    fake = types.SimpleNamespace(get_runtime_context=lambda: context)
    monkeypatch.setitem(sys.modules, "ray", fake)
    body = actor()
    assert body.pulse(1) == (0, "a")
    _, (_, (report, _)) = body.play((0, 0, 0), command(0, episodes=10**6), vector(0), [])
    assert report.plies == 0
    _, (_, (report, _)) = body.play((0, 0, 1), command(1), vector(0), [])
    assert len(report.results) >= 20
    assert body.pulse(1)[0] > 2


def test_a_fault_of_the_game_is_an_answer() -> None:
    policy = PolicySpec("stubborn_games:Stubborn(where='step')", SETTINGS.policy.network)
    body = actor(dataclasses.replace(SETTINGS, policy=policy, bootstrap="own_turn"))
    _, (kind, fault) = body.play((0, 0, 0), command(0), vector(0), [])
    assert kind == "error"
    assert isinstance(fault, GameFault)
