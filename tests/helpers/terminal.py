"""A terminal that knows what rich's live display writes: line ends, cursor up, erase, colours."""

from __future__ import annotations

import io
import re

_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


class Terminal(io.StringIO):
    """Lines as they stand on the screen and in the scrolled part above it."""

    def __init__(self, *, height: int) -> None:
        super().__init__()
        self._height = height
        self._row = self._column = 0
        self.lines = [""]

    def write(self, text: str) -> int:
        for token in _TOKEN.finditer(text):
            self._apply(token)
        return len(text)

    def _apply(self, token: re.Match[str]) -> None:
        code = token.group()
        if code == "\r":
            self._column = 0
        elif code == "\n":
            self._row, self._column = self._row + 1, 0
            self.lines += [""] * (self._row + 1 - len(self.lines))
        elif token.group(2) == "A":
            top = max(0, len(self.lines) - self._height)  # what has scrolled away is out of reach
            self._row = max(top, self._row - int(token.group(1) or 1))
        elif token.group(2) == "K":
            self.lines[self._row] = ""
        elif token.group(2) is None:
            old = self.lines[self._row].ljust(self._column)
            self.lines[self._row] = old[: self._column] + code + old[self._column + len(code) :]
            self._column += len(code)
