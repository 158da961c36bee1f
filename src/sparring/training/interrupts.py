r"""Ctrl-C as a request that the training loop reads, so that nothing is cut off in the middle.

    signal --> C handler of Python --> byte in a socket --> thread --> line on the console
                                   \-> `_handle`, when the main thread runs Python again

The thread answers at once, even while the main thread is inside a long call of torch or Numba.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

ACKNOWLEDGED: Final = (
    "stopping after this round; press Ctrl-C again to stop at once, without saving"
)


class Interrupts:
    """Within the block the first SIGINT sets `requested` and `say` shows a line; a second one
    raises KeyboardInterrupt at once.

    Python takes signals in the main thread only; in another thread the block changes nothing.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.requested = False
        self._say = say
        self._on_request: Callable[[], None] = lambda: None
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._reader, self._writer = socket.socketpair()
            self._writer.setblocking(False)
            self._thread = threading.Thread(target=self._acknowledge, daemon=True)
            self._thread.start()
            self._fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            signal.set_wakeup_fd(self._fd_before)
            self._writer.close()
            self._thread.join()
            self._reader.close()

    def on_request(self, call: Callable[[], None]) -> None:
        """Let the first SIGINT call this too; at once where it has come already."""
        self._on_request = call
        if self.requested:
            call()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._on_request()

    def _acknowledge(self) -> None:
        """Wait for the first SIGINT, and answer it; the end of the block closes the socket."""
        while numbers := self._reader.recv(64):
            if signal.SIGINT in numbers:
                self._say(ACKNOWLEDGED)
                return
