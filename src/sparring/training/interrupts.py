r"""Signals as a request that the training loop reads, so that nothing is cut off in the middle.

    signal --> C handler of Python --> byte in a socket --> thread --> line on the console
                                   \-> `_handle`, when the main thread runs Python again

The thread answers at once, even while the main thread is inside a long call of torch or Numba.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

from sparring.errors import Interrupted

_CTRL_C: Final = "stopping after this round; press Ctrl-C again to stop at once, without saving"
# `kill`, `docker stop` and batch systems send SIGTERM, a closed terminal sends SIGHUP
_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")


def acknowledgement(number: int) -> str:
    """Return the line that answers a signal."""
    if number == signal.SIGINT:
        return _CTRL_C
    return f"{signal.Signals(number).name}: stopping after this round, and saving"


class _CutOff(Interrupted):
    """Ends work in its middle that a resume repeats."""


class Interrupts:
    """Within the block the first signal sets `requested` and `say` shows a line. SIGINT after that
    raises `Interrupted` at once, but once only; other signals change nothing any more. Until
    `begun` is called, the first signal raises it, because nothing can be lost yet.

    `signal` is the number of the first one, 0 before. Signals that the process ignores, as below
    `nohup`, stay ignored. Python takes signals in the main thread only; in another thread the block
    changes nothing.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.signal = 0
        self._begun = False
        self._stopped = False
        self._cutting_off = False
        self._say = say
        self._on_request: Callable[[], None] = lambda: None
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        return self.signal != 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._reader, self._writer = socket.socketpair()
            self._writer.setblocking(False)
            self._thread = threading.Thread(target=self._acknowledge, daemon=True)
            self._thread.start()
            self._fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
            for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._fd_before)
            self._writer.close()
            self._thread.join()
            self._reader.close()

    def begun(self) -> None:
        """Note that from now on the run has something to save."""
        self._begun = True

    def on_request(self, call: Callable[[], None]) -> None:
        """Let the first signal call this too; at once where it has come already."""
        self._on_request = call
        if self.requested:
            call()

    @contextmanager
    def cutting_off(self) -> Iterator[None]:
        """Let the first signal end the block in its middle: for work that a resume repeats."""
        self._cutting_off = True
        try:
            yield
        except _CutOff:
            pass
        finally:
            self._cutting_off = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.signal = number
            if not self._begun:
                self._stopped = True
                raise Interrupted(signal=number)
            self._on_request()
            if self._cutting_off:
                raise _CutOff
        elif number == signal.SIGINT and not self._stopped:
            self._stopped = True  # a third one may not cut off what ends the workers
            raise Interrupted(signal=number)

    def _acknowledge(self) -> None:
        """Wait for the first signal, and answer it; the end of the block closes the socket."""
        while numbers := self._reader.recv(64):
            if ours := [number for number in numbers if number in self._before]:
                if self._begun:
                    self._say(acknowledgement(ours[0]))
                return
