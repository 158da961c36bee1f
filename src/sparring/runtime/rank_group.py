"""Ranks: processes that learn together. How they find each other, sum tensors, and exchange arrays.

All use of torch.distributed is here. Rank 0 is the process in which the command runs; the others
do what it tells them. Sums of gradients are made by NCCL between GPUs and by gloo on CPUs, all else
by gloo.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, Self

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray

from sparring.errors import ConfigurationError, RankError

dist: Any = torch.distributed  # whose stores it does not export to type checkers

_LOCALHOST: Final = "127.0.0.1"
_LOOPBACK: Final = {"linux": "lo", "darwin": "lo0"}  # network interface of this machine alone
# Rank 0 plays, evaluates and saves alone, however long that takes; a rank that ends is noticed by
# its connections. Sums take milliseconds: whoever does not answer for so long hangs.
_PATIENCE: Final = timedelta(days=30)
_STUCK: Final = timedelta(minutes=10)
_PIECE: Final = 2**26  # bytes of one message
_meetings: Final = itertools.count()  # of this process, under torchrun


class Meeting:
    """The place where ranks find each other, and leave their last words: a small store of keys in
    rank 0's process, or under torchrun in its own.
    """

    def __init__(self, store: Any, rank: int, size: int, *, port: int = 0) -> None:
        self._store = store
        self.rank, self.size, self.port = rank, size, port
        self.lost: Callable[[], str] = self._last_words

    @classmethod
    def host(cls, size: int) -> Self:
        """As rank 0, on a free port of this machine."""
        _check_free()
        store = dist.TCPStore(_LOCALHOST, 0, size, is_master=True, wait_for_workers=False)
        return cls(store, 0, size, port=store.port)

    @classmethod
    def attend(cls, port: int, rank: int, size: int) -> Self:
        """As another rank of this machine."""
        return cls(dist.TCPStore(_LOCALHOST, port, size, is_master=False), rank, size)

    @classmethod
    def of_torchrun(cls) -> Self:
        """As the rank that torchrun has made this process."""
        _check_free()
        store, rank, size = next(dist.rendezvous("env://"))
        return cls(dist.PrefixStore(f"sparring-{next(_meetings)}", store), rank, size)

    def arrive(self) -> None:
        """Say that this rank is there."""
        self._store.set(f"here-{self.rank}", "")

    def arrived(self, rank: int) -> bool:
        """Return whether another rank is there."""
        return bool(self._store.check([f"here-{rank}"]))

    def leave(self, cause: str) -> None:
        """Leave word of what ended this rank."""
        self._store.set(f"cause-{self.rank}", cause)

    def cause(self, rank: int) -> str:
        """Return what ended a rank, "" if it left no word."""
        key = f"cause-{rank}"
        return self._store.get(key).decode() if self._store.check([key]) else ""

    def _last_words(self) -> str:
        causes = ((rank, self.cause(rank)) for rank in range(1, self.size))
        told = [f"rank {rank} of {self.size} failed: {cause}" for rank, cause in causes if cause]
        return told[0] if told else f"one of the {self.size} ranks ended or does not answer"

    @contextmanager
    def group(self, *, local: bool) -> Iterator[RankGroup]:
        """Meet all ranks, and be connected with them within the block; `local`: all are on this
        machine.
        """
        with _loopback() if local else _anywhere(), _needs_others(self):
            dist.init_process_group(
                "gloo",
                store=self._store,
                rank=self.rank,
                world_size=self.size,
                timeout=_PATIENCE,
            )
        try:
            yield RankGroup(self)
        finally:
            dist.destroy_process_group()


class RankGroup:
    """Connections of one rank with all others. Every method raises `RankError` once one is lost."""

    def __init__(self, meeting: Meeting) -> None:
        self.rank, self.size = meeting.rank, meeting.size
        self._meeting = meeting
        self._sums: Any = None

    def sum_on(self, device: torch.device) -> None:
        """Prepare sums of tensors of this device; all ranks call it at once."""
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        with _needs_others(self._meeting):
            self._sums = dist.new_group(backend=backend, timeout=_STUCK)

    def sum(self, tensor: torch.Tensor) -> None:
        """Replace `tensor` on every rank by the sum of all; equal to the last bit on all."""
        with _needs_others(self._meeting):
            dist.all_reduce(tensor, group=self._sums)

    def tell(self, message: object) -> None:
        """As rank 0: send a picklable object to all others."""
        with _needs_others(self._meeting):
            dist.broadcast_object_list([message], src=0)

    def hear(self) -> Any:
        """Wait for what rank 0 tells."""
        heard: list[Any] = [None]
        with _needs_others(self._meeting):
            dist.broadcast_object_list(heard, src=0)
        return heard[0]

    def gather(self, answer: object) -> list[Any]:
        """Give rank 0 the answers of all, by rank; the others get none."""
        answers: list[Any] = [None] * self.size if self.rank == 0 else []
        with _needs_others(self._meeting):
            dist.gather_object(answer, answers or None, dst=0)
        return answers

    def send(self, array: NDArray[Any], rank: int) -> None:
        """Send the bytes of a contiguous array to another rank, which calls `receive`."""
        with _needs_others(self._meeting):
            for piece in _pieces(array):
                dist.send(piece, rank)

    def receive(self, array: NDArray[Any], rank: int) -> None:
        """Fill a contiguous array with the bytes that another rank sends."""
        with _needs_others(self._meeting):
            for piece in _pieces(array):
                dist.recv(piece, rank)


def _check_free() -> None:
    """Raise `ConfigurationError` unless torch.distributed is there, and not in use."""
    what = "several learners need torch.distributed for themselves"
    if not dist.is_available():
        raise ConfigurationError(what, got="a torch without it", remedy="leave out devices")
    if dist.is_initialized():
        raise ConfigurationError(
            what,
            got="a process group that exists already",
            remedy="call torch.distributed.destroy_process_group() before",
        )


def torchrun_size() -> int:
    """Return the number of ranks that torchrun has started; 0 in a process of its own."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


def torchrun_rank() -> int:
    """Return the rank of this process under torchrun, else 0."""
    return int(os.environ["RANK"]) if torchrun_size() else 0


def _pieces(array: NDArray[Any]) -> Iterator[torch.Tensor]:
    as_bytes = array.reshape(-1).view(np.uint8)
    for start in range(0, len(as_bytes), _PIECE):
        yield torch.from_numpy(as_bytes[start : start + _PIECE])


@contextmanager
def _needs_others(meeting: Meeting) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # that of gloo and of NCCL, whatever broke
        raise RankError(meeting.lost()) from error


@contextmanager
def _loopback() -> Iterator[None]:
    """Let gloo listen on this machine only."""
    name, before = "GLOO_SOCKET_IFNAME", os.environ.get("GLOO_SOCKET_IFNAME")
    if before is None and sys.platform in _LOOPBACK:
        os.environ[name] = _LOOPBACK[sys.platform]
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)


@contextmanager
def _anywhere() -> Iterator[None]:
    yield
