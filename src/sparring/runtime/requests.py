"""Requests of workers to the inference server, in shared memory.

Each worker has a mailbox for each group of its envs. A mailbox holds one request at a time:

    worker                                                   server
    ------                                                   ------
    observations, noise, segments, `requested`  --writes-->  mailbox
    (worker, group)  --message-->                            its bell
                                                mailbox  <--writes--  values, `answered`
                                      its bell  <--message--          group

- Requests of a mailbox are numbered. A worker makes the next one when the one before is answered,
  so that `requested` is `answered` or one more.
- Every word of a mailbox has one writer. Bells are pipes, whose ends never wait: all workers write
  to that of the server, in messages that are too short to be torn.
- A mailbox is read only after the message that names it: `write` and `read` are system calls, which
  order the stores.
- A server that has answered and dies before its message, or has read a message and dies before its
  answer, leaves a worker that waits. Its successor begins with a message `AGAIN` to all workers,
  and each repeats the message of a request without an answer, and takes an answer that it has not
  heard of. A message about a request that is answered already is ignored: nothing is lost, and
  nothing answered twice. A worker does the same after a second without a message.
- A worker that dies leaves a request. Its successor, which has the same mailboxes, waits until it
  is answered (`ServedNetworks`).
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import reduction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.games import GameSpec
from sparring.opponents.players import AGENT
from sparring.rollout.networks import Asked
from sparring.runtime.shared_memory import SharedBlock

AGAIN: Final = 255  # in place of a group
GROUPS: Final = 2  # of a worker's envs
_MESSAGE: Final = struct.Struct("=HB")  # worker, group
_REPEAT_AFTER: Final = 1.0  # seconds
_ALIGNMENT: Final = 64
_MAX_BYTES: Final = 2**24  # of a mailbox's positions; larger requests come in pieces


class Ringer:
    """The end of a bell that sends; it never waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ring(self, message: bytes) -> None:
        """Send a message, unless the pipe is full: then the other side has enough to read."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._descriptor, message)

    def close(self) -> None:
        os.close(self._descriptor)

    def __getstate__(self) -> Any:
        return reduction.DupFd(self._descriptor)

    def __setstate__(self, state: Any) -> None:
        self._descriptor = state.detach()
        os.set_blocking(self._descriptor, False)


class Listener(Ringer):
    """The end of a bell that receives."""

    def wait(self, seconds: float | None) -> bytes:
        """Messages, as soon as there are any; none after so many seconds."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        poll.poll(None if seconds is None else 1e3 * seconds)
        return self.take()

    def take(self) -> bytes:
        """The messages that are there."""
        try:
            return os.read(self._descriptor, 1024 * _MESSAGE.size)
        except BlockingIOError:
            return b""


def make_bell() -> tuple[Listener, Ringer]:
    """A new pipe."""
    listener, ringer = os.pipe()
    for end in (listener, ringer):
        os.set_blocking(end, False)
    return Listener(listener), Ringer(ringer)


@dataclass(frozen=True)
class MailboxLayout:
    """Dimensions of the mailboxes of a run.

    A segment of a request names a place in the weight store (that of a version, then those of
    snapshots), what lies there (the version, the player's id), and a number of positions.
    """

    game: GameSpec  # as the network sees it
    num_workers: int
    positions: int  # of a request at most
    segments: int
    noise: int

    @classmethod
    def of(
        cls, game: GameSpec, *, num_workers: int, num_envs: int, num_snapshots: int, noise: int
    ) -> MailboxLayout:
        """Room for one position of each env in a group; of positions after moves there are more,
        and they may come in pieces.
        """
        size = game.observation_bytes + 4 * game.num_actions
        several = max(1, min(_MAX_BYTES // (size * num_envs), 32)) if game.num_actions == 1 else 1
        positions = several * -(-num_envs // GROUPS)
        return cls(game, num_workers, positions, 1 + num_snapshots, noise)

    @property
    def dtype(self) -> np.dtype[Any]:
        game = self.game
        segment = [("place", np.int64), ("tag", np.int64), ("positions", np.int64)]
        return np.dtype(
            [
                ("requested", np.int64),
                ("answered", np.int64),
                ("used", np.int64),  # segments of the request
                ("segments", segment, (self.segments,)),
                ("noise", np.float32, (max(1, self.noise),)),
                ("values", np.float32, (self.positions, game.num_actions)),
                (
                    "observation",
                    game.observation_dtype,
                    (self.positions, *game.observation_shape),
                ),
            ],
            align=True,
        )

    @property
    def bytes_needed(self) -> int:
        """Bytes of all mailboxes."""
        return self.num_workers * GROUPS * self._size

    @property
    def _size(self) -> int:
        return _ALIGNMENT * -(-self.dtype.itemsize // _ALIGNMENT)

    def mailbox(self, memory: NDArray[np.uint8], worker: int, group: int) -> NDArray[Any]:
        """A view [1] of one mailbox."""
        begin = (GROUPS * worker + group) * self._size
        box: NDArray[Any] = memory[begin : begin + self.dtype.itemsize].view(self.dtype)
        return box


class Mailbox:
    """One mailbox, for either side."""

    def __init__(self, layout: MailboxLayout, memory: NDArray[np.uint8], worker: int, group: int):
        box = layout.mailbox(memory, worker, group)
        self._requested, self._answered, self._used = (
            box[name] for name in ("requested", "answered", "used")
        )
        self._segments = box["segments"][0].view(np.int64).reshape(layout.segments, 3)
        self.noise: NDArray[np.float32] = box["noise"][0, : layout.noise]
        self.values: NDArray[np.float32] = box["values"][0]
        self._observation: NDArray[Any] = box["observation"][0]
        self.size = layout.positions

    @property
    def waits(self) -> bool:
        """True while there is a request without an answer."""
        return bool(self._requested[0] != self._answered[0])

    @property
    def answered(self) -> int:
        """Number of requests that were answered."""
        return int(self._answered[0])

    def request(self, segments: Sequence[tuple[int, int, NDArray[Any]]]) -> None:
        """Worker: make a request of (place, tag, observations)."""
        begin = 0
        for k, (place, tag, observation) in enumerate(segments):
            end = begin + len(observation)
            self._observation[begin:end] = observation
            self._segments[k] = place, tag, len(observation)
            begin = end
        self._used[0] = len(segments)
        self._requested[0] += 1

    def segments(self) -> Iterator[tuple[int, int, NDArray[Any], NDArray[np.float32]]]:
        """Server: (place, tag, observations [k, ...], values [k, outputs] to be filled)."""
        begin = 0
        for place, tag, positions in self._segments[: self._used[0]].tolist():
            end = begin + positions
            yield place, tag, self._observation[begin:end], self.values[begin:end]
            begin = end

    def answer(self) -> None:
        """Server: the values are there."""
        self._answered[0] += 1


def all_mailboxes(
    layout: MailboxLayout, memory: NDArray[np.uint8]
) -> dict[tuple[int, int], Mailbox]:
    """The mailboxes of a run by (worker, group)."""
    return {
        (worker, group): Mailbox(layout, memory, worker, group)
        for worker in range(layout.num_workers)
        for group in range(GROUPS)
    }


@dataclass(frozen=True)
class WorkersEnd:
    """Ends of the lines on which a worker sends requests; travels to its process."""

    layout: MailboxLayout
    block: SharedBlock
    worker: int
    num_versions: int
    server: Ringer
    bell: Listener


class ServedNetworks:
    """Networks of a server, as a worker's body uses them."""

    def __init__(self, end: WorkersEnd) -> None:
        self._end, memory = end, end.block.memory
        self._boxes = [Mailbox(end.layout, memory, end.worker, group) for group in range(GROUPS)]
        self._models = {AGENT: (0, 0)}  # place in the weight store, and what lies there
        self._noise = np.zeros(end.layout.noise, np.float32)
        self._asked: list[list[Asked]] = [[] for _ in self._boxes]
        self._pieces: list[list[Piece]] = [[] for _ in self._boxes]  # still to be answered
        self._heard: set[int] = set()  # groups that messages have named
        for group, box in enumerate(self._boxes):
            if box.waits:  # a predecessor has left a request
                self._ring(group)
                self._wait(group)

    def load_agent(self, version: int) -> None:
        self._models[AGENT] = version % self._end.num_versions, version

    def add_snapshot(self, player: int, slot: int) -> None:
        self._models[player] = self._end.num_versions + slot, player

    def drop_snapshot(self, player: int) -> None:
        del self._models[player]

    def draw_noise(self, rng: np.random.Generator) -> None:
        if len(self._noise):
            self._noise[:] = rng.standard_normal(len(self._noise), np.float32)

    def ask(self, group: int, asked: Sequence[Asked]) -> None:
        box = self._boxes[group]
        box.noise[:] = self._noise
        self._asked[group] = list(asked)
        sizes = [len(observation) for _, observation in asked]
        self._pieces[group] = list(pieces(sizes, box.size))
        self._request(group)

    def answers(self, group: int) -> list[NDArray[np.float32]]:
        outputs = self._end.layout.game.num_actions
        answers = [np.empty((len(seen), outputs), np.float32) for _, seen in self._asked[group]]
        box = self._boxes[group]
        while self._pieces[group]:
            self._wait(group)
            begin = 0
            for k, first, last in self._pieces[group].pop(0):
                end = begin + last - first
                answers[k][first:last] = box.values[begin:end]
                begin = end
            self._request(group)
        return answers

    def _request(self, group: int) -> None:
        """Make the request of the next piece, if there is one."""
        if not self._pieces[group]:
            return
        asked = self._asked[group]
        self._boxes[group].request(
            [
                (*self._models[asked[k][0]], asked[k][1][first:last])
                for k, first, last in self._pieces[group][0]
            ]
        )
        self._ring(group)

    def _ring(self, group: int) -> None:
        self._end.server.ring(_MESSAGE.pack(self._end.worker, group))

    def _wait(self, group: int) -> None:
        """Wait until a group's request is answered; repeat what may have got lost with a server."""
        while self._boxes[group].waits or group not in self._heard:
            messages = self._end.bell.wait(_REPEAT_AFTER)
            self._heard.update(messages)
            if not messages or AGAIN in messages:
                for other, box in enumerate(self._boxes):
                    if box.waits:
                        self._ring(other)
                    else:
                        self._heard.add(other)
        self._heard.discard(group)


Piece = list[tuple[int, int, int]]
"""Parts of one request: number of the question, first and last (exclusive) of its positions."""


def pieces(sizes: Sequence[int], room: int) -> Iterator[Piece]:
    """Divide questions of these sizes among requests of at most `room` positions."""
    piece: Piece = []
    free = room
    for k, size in enumerate(sizes):
        first = 0
        while first < size:
            last = min(size, first + free)
            piece.append((k, first, last))
            free, first = free - (last - first), last
            if not free:
                yield piece
                piece, free = [], room
    if piece:
        yield piece


def named(messages: bytes) -> set[tuple[int, int]]:
    """The mailboxes (worker, group) that messages to the server name."""
    return set(_MESSAGE.iter_unpack(messages))
