"""Requests to the inference server: whatever happens in whatever order, each is answered once, with
the values of its own positions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from trial_workers import POLICY, SIZE, SNAPSHOTS, VERSIONS, fill, vector

from sparring.dqn.policy import InferencePolicy
from sparring.opponents.players import AGENT
from sparring.runtime.inference import InferenceSettings, Server, ServerJob
from sparring.runtime.requests import (
    GROUPS,
    Listener,
    MailboxLayout,
    Ringer,
    ServedNetworks,
    WorkersEnd,
    make_bell,
    pieces,
)
from sparring.runtime.shared_memory import SharedBlock
from sparring.runtime.weights import WeightStore

ROOM = 5  # positions of a request: larger questions come in pieces
SNAPSHOT = 1_007  # the player of slot 1


class Scripted(Listener):
    """The bell of a worker that waits: instead of waiting, the next step of a script happens at the
    server, and after the last one the server works as it should.
    """

    def __init__(self, descriptor: int, site: Site) -> None:
        super().__init__(descriptor)
        self._site = site

    def wait(self, seconds: float | None) -> bytes:
        self._site.happen(self._site.script.pop(0) if self._site.script else "serve")
        return self.take()


class Muted(Ringer):
    """An end whose messages never leave: the process dies before."""

    def __init__(self) -> None:
        super().__init__(-1)

    def ring(self, message: bytes) -> None:
        pass


class Site:
    """A server without a process, and the workers' ends."""

    def __init__(self, num_workers: int, *, joined: bool) -> None:
        self.script: list[str] = []
        self._layout = MailboxLayout(POLICY.network_game, num_workers, ROOM, 1 + SNAPSHOTS, 0)
        self._block = SharedBlock(self._layout.bytes_needed)
        self._weights = SharedBlock(WeightStore.bytes_needed(SIZE, SNAPSHOTS, VERSIONS))
        fill(WeightStore(self._weights.memory, SIZE, SNAPSHOTS, VERSIONS))
        self._bells = [make_bell() for _ in range(num_workers + 1)]
        self._inference = InferenceSettings("cpu", joined)
        self.server = self._start()

    def _start(self, *, mute: bool = False) -> Server:
        ringers = [Muted() if mute else ringer for _, ringer in self._bells[:-1]]
        return Server(
            ServerJob(
                self._inference, POLICY, False, self._weights, SIZE, SNAPSHOTS, VERSIONS,
                self._layout, self._block, self._bells[-1][0], ringers,
            )
        )  # fmt: skip

    def worker(self, number: int) -> ServedNetworks:
        listener = Scripted(self._bells[number][0]._descriptor, self)
        ringer = self._bells[-1][1]
        networks = ServedNetworks(
            WorkersEnd(self._layout, self._block, number, VERSIONS, ringer, listener)
        )
        networks.load_agent(1)
        networks.add_snapshot(SNAPSHOT, 1)
        return networks

    def happen(self, step: str) -> None:
        if step == "dies before its answer":
            self._bells[-1][0].take()
        elif step == "dies before its message":
            self._start(mute=True).serve(0.0)
        if step != "serve":
            self.server = self._start()
            self.server.begin()
        self.server.serve(0.0)

    def close(self) -> None:
        for bell in self._bells:
            for end in bell:
                end.close()
        for block in (self._block, self._weights):
            block.close()


@contextmanager
def site(num_workers: int = 1, *, joined: bool = False) -> Iterator[Site]:
    one = Site(num_workers, joined=joined)
    try:
        yield one
    finally:
        one.close()


def positions(number: int, seed: int) -> NDArray[np.int8]:
    shape = POLICY.network_game.observation_shape
    return np.random.default_rng(seed).integers(0, 2, (number, *shape)).astype(np.int8)


def own(number: int) -> InferencePolicy:
    policy = InferencePolicy(POLICY)
    policy.load_vector(vector(number))
    return policy


OWN = {AGENT: own(1), SNAPSHOT: own(101)}
STEPS = st.lists(
    st.sampled_from(["serve", "dies before its answer", "dies before its message", "restarts"]),
    max_size=6,
)
QUESTIONS = st.lists(
    st.tuples(st.sampled_from([AGENT, SNAPSHOT]), st.integers(0, 2 * ROOM + 1)), max_size=3
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), QUESTIONS), max_size=6), STEPS, st.booleans())
def test_each_request_is_answered_once_whatever_happens_to_the_server(
    asks: list[tuple[int, list[tuple[int, int]]]], script: list[str], joined: bool
) -> None:
    with site(joined=joined) as one:
        worker = one.worker(0)
        one.script = script
        open_asks: dict[int, list[tuple[int, NDArray[np.int8]]]] = {}
        for seed, (group, questions) in enumerate(asks):
            if group in open_asks:
                check(worker.answers(group), open_asks.pop(group))
            asked = [(who, positions(n, 10 * seed + k)) for k, (who, n) in enumerate(questions)]
            worker.ask(group, asked)
            open_asks[group] = asked
        for group, asked in open_asks.items():
            check(worker.answers(group), asked)


def check(answers: list[NDArray[np.float32]], asked: list[tuple[int, NDArray[np.int8]]]) -> None:
    assert len(answers) == len(asked)
    for values, (who, seen) in zip(answers, asked, strict=True):
        np.testing.assert_allclose(values, OWN[who].q_values(seen), atol=1e-5)


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(1, 12))
def test_pieces_hold_every_position_once_and_in_order(sizes: list[int], room: int) -> None:
    cut = list(pieces(sizes, room))
    seen = [(k, i) for piece in cut for k, first, last in piece for i in range(first, last)]
    assert seen == [(k, i) for k, size in enumerate(sizes) for i in range(size)]
    assert [sum(last - first for _, first, last in piece) for piece in cut[:-1]] == [room] * (
        len(cut) - 1
    ), "only the last one has room left"
    assert all(cut), "no empty request"


def test_a_request_by_itself_gets_the_very_values_of_a_pass_over_its_positions() -> None:
    with site() as one:
        worker = one.worker(0)
        asked = [(AGENT, positions(4, 0)), (SNAPSHOT, positions(1, 1))]
        worker.ask(0, asked)
        for values, (who, seen) in zip(worker.answers(0), asked, strict=True):
            assert values.tobytes() == OWN[who].q_values(seen).tobytes()


def test_joined_requests_of_several_workers_share_a_pass_and_differ_by_rounding_only() -> None:
    with site(3, joined=True) as one:
        workers = [one.worker(number) for number in range(3)]
        asked = {
            (w, group): [(AGENT, positions(2, 7 * w + group)), (SNAPSHOT, positions(1, 9 * w))]
            for w in range(3)
            for group in range(GROUPS)
        }
        for (w, group), questions in asked.items():
            workers[w].ask(group, questions)
        assert one.server.serve(0.0) == 6, "all of them at once"
        for (w, group), questions in asked.items():
            check(workers[w].answers(group), questions)


def test_a_workers_successor_waits_for_the_request_that_was_left() -> None:
    with site() as one:
        one.worker(0).ask(1, [(AGENT, positions(3, 0))])
        one._bells[-1][0].take()  # the message has got lost with a server
        successor = one.worker(0)
        asked = [(SNAPSHOT, positions(2, 1))]
        successor.ask(1, asked)
        check(successor.answers(1), asked)
        assert [box.answered for box in successor._boxes] == [0, 2]


def test_new_weights_of_a_version_and_of_a_snapshot_are_loaded() -> None:
    with site() as one:
        worker, seen = one.worker(0), positions(2, 0)
        worker.ask(0, [(AGENT, seen), (SNAPSHOT, seen)])
        worker.answers(0)
        store = WeightStore(one._weights.memory, SIZE, SNAPSHOTS, VERSIONS)
        store.publish(3, vector(3))
        store.snapshots[1] = vector(55)
        worker.load_agent(3)
        worker.drop_snapshot(SNAPSHOT)
        worker.add_snapshot(SNAPSHOT + 1, 1)
        worker.ask(0, [(AGENT, seen), (SNAPSHOT + 1, seen)])
        for values, number in zip(worker.answers(0), (3, 55), strict=True):
            assert values.tobytes() == own(number).q_values(seen).tobytes()


def test_a_bell_never_waits_for_a_reader() -> None:
    listener, ringer = make_bell()
    for _ in range(100_000):  # more than a pipe holds
        ringer.ring(b"x")
    assert set(listener.take()) == {ord("x")}
    while listener.take():
        pass
    assert listener.wait(0.0) == b""
    for end in (listener, ringer):
        end.close()
        try:
            os.fstat(end._descriptor)
        except OSError:
            continue
        raise AssertionError("it is closed")
