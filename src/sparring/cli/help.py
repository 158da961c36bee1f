"""Help of the commands, printed to the width of the terminal."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence

from sparring.cli.options import Argument, Form, Option

_MAX_WIDTH = 100
_INDENT = 26  # of the explanations
_NAMES = 15  # width of commands, and of groups of options


def overview(groups: Mapping[str, Mapping[str, str]]) -> str:
    """Help of `sparring` itself; `groups` of commands have their summaries by name."""
    lines = ["usage: sparring COMMAND ...", "", "Self-play DQN on every core you have."]
    for title, commands in groups.items():
        lines += ["", f"{title}:"]
        for name, summary in commands.items():
            lines += _row(name, f"{re.split('[.:]', summary)[0]}.", _NAMES)
    return "\n".join(
        [
            *lines,
            "",
            "options:",
            *_row("--version", "Print the version.", _NAMES),
            "",
            "Run `sparring COMMAND --help` for details.",
            "Start with `sparring train connect_four`.",
        ]
    )


def command_help(form: Form, prog: str, *, everything: bool) -> str:
    """Help of one command: all options by group, or the common ones, and the names of the others
    by group.
    """
    arguments = [_usage(argument) for argument in form.arguments]
    options = ["[options]"] if any(form.groups.values()) else []
    lines = [" ".join([f"usage: {prog}", *arguments, *options]), ""]
    lines += textwrap.wrap(form.summary, _width())
    if form.arguments:
        lines += ["", "arguments:"]
        for argument in form.arguments:
            lines += _row(argument.metavar, _with_default(argument.help, argument.default))
    if everything or all(option.common for option in form.options):
        for title, group in form.groups.items():
            lines += _section(title, group)
        return "\n".join(lines)
    lines += _section("options", [option for option in form.options if option.common])
    lines += ["", f"more options, which `{prog} --help-all` explains:"]
    for title, group in form.groups.items():
        others = ", ".join(option.flag for option in group if not option.common)
        if others:
            lines += _row(title.removesuffix("options").strip() or "general", others, _NAMES)
    return "\n".join(lines)


def _section(title: str, options: Sequence[Option]) -> list[str]:
    rows = [row for option in options for row in _option_rows(option)]
    return ["", f"{title}:", *rows] if rows else []


def _option_rows(option: Option) -> list[str]:
    left = f"{option.flag} {option.metavar}" if option.metavar else option.flag
    if option.negatable:
        left = f"{option.flag}, {option.negative_flag}"
    return _row(left, _with_default(option.help, option.default))


def _row(left: str, text: str, indent: int = _INDENT) -> list[str]:
    """`left` in the margin, `text` beside it, or below where the margin is too narrow."""
    lines = textwrap.wrap(text, _width() - indent, break_long_words=False, break_on_hyphens=False)
    lines = [line.replace("\xa0", " ") for line in lines]
    first = f"  {left}"
    if len(first) > indent - 2:
        return [first, *(f"{'':{indent}}{line}" for line in lines)]
    return [f"{first:{indent}}{lines[0]}", *(f"{'':{indent}}{line}" for line in lines[1:])]


def _with_default(text: str, default: str) -> str:
    """A short default stays in one line."""
    shown = f"(default: {default})" if default else ""
    return f"{text} {shown.replace(' ', chr(0xA0)) if len(shown) < 40 else shown}".rstrip()


def _usage(argument: Argument) -> str:
    shown = f"{argument.metavar} ..." if argument.many else argument.metavar
    return shown if argument.required else f"[{shown}]"


def _width() -> int:
    return min(_MAX_WIDTH, shutil.get_terminal_size().columns)
