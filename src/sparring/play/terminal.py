"""The terminal of `sparring play`: lines in, lines out. Colours only on a terminal, and not if
NO_COLOR is set.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from sparring.games import board_style
from sparring.play.commands import Conversation, Part


def converse(conversation: Conversation) -> None:
    """Read and answer lines until the person leaves or the input ends.

    Ctrl-C raises `KeyboardInterrupt` after the results are printed.
    """
    screen = _Screen(board_style(conversation.game).colours)
    try:
        screen.show(conversation.begin())
        while not conversation.left and (line := screen.read(conversation.prompt)) is not None:
            screen.show(conversation.answer(line))
    except KeyboardInterrupt:
        screen.show([Part("lines", ""), *conversation.farewell()])
        raise
    screen.show(conversation.farewell())


class _Screen:
    """Standard input and output. Input that is not typed at a terminal is repeated after the
    prompt, so that the output can be read alone.
    """

    def __init__(self, colours: Sequence[tuple[str, str]]) -> None:
        for stream in (sys.stdin, sys.stdout):
            if isinstance(stream, io.TextIOWrapper):
                # invalid bytes of input; terminals without the characters of the board
                stream.reconfigure(errors="replace")
        self._console = Console(soft_wrap=True, highlight=False, emoji=False, markup=False)
        self._coloured = self._console.color_system is not None and not self._console.no_color
        self._colours = colours
        self._typed = sys.stdin.isatty()
        if self._typed:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  # lets input() edit lines and recall earlier ones

    def show(self, parts: Iterable[Part]) -> None:
        for part in parts:
            if part.kind == "board":
                self._console.print()
            self._console.print(self._painted(part) if self._coloured else part.text)

    def read(self, prompt: str) -> str | None:
        """The next line; None at the end of the input."""
        if self._typed:
            try:
                return input(prompt)
            except EOFError:
                self._console.print()
                return None
        line = sys.stdin.readline()
        shown = "".join(letter if letter.isprintable() else "?" for letter in line.rstrip())
        self._console.print(f"{prompt}{shown}".rstrip())
        return line or None

    def _painted(self, part: Part) -> Text:
        text = Text(part.text, style="yellow" if part.kind == "wrong" else "")
        if part.kind == "board":
            for pattern, style in self._colours:
                text.highlight_regex(re.compile(pattern), style)
        return text
