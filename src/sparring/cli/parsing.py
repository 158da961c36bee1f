"""tyro with messages of one line, no option twice, and the nearest name for a misspelt one."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from sparring.errors import InputError, nearest

Form = TypeVar("Form")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


def parse(form: type[Form], argv: Sequence[str], *, prog: str) -> Form:
    """An instance of the dataclass `form` filled from `argv`.

    Raises `InputError` for an option that is unknown, given twice or without its value, and
    `SystemExit(0)` after printing the help.
    """
    _check_options(form, argv, prog)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(form, args=argv, prog=prog)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(_first_words(said.getvalue()), remedy=f"see {prog} --help") from None


def given_options(argv: Sequence[str]) -> list[str]:
    """The options in `argv`, in order, without their values and with hyphens: `--n_episodes=5` is
    `--n-episodes`.
    """
    return [
        token.partition("=")[0].replace("_", "-")
        for token in argv
        if token.startswith("--") and len(token) > 2
    ]


def positive(option: str) -> str:
    """The option that turns on what `option` turns off: `--double-q` for `--no-double-q`; others
    are their own.
    """
    return re.sub(r"^--(.*\.)?no-", r"--\1", option)


def _check_options(form: type[Any], argv: Sequence[str], prog: str) -> None:
    """Done here because tyro keeps only the last of a repeated option, and takes several lines to
    say that one is unknown.
    """
    repeatable = {"--help": True, **dict(_options(form))}
    seen = set()
    for option in given_options(argv):
        if option not in repeatable:
            near = nearest(option, repeatable)
            raise InputError(
                "unknown option",
                got=option,
                expected=f"one that `{prog} --help` lists",
                remedy=near,
            )
        if positive(option) in seen and not repeatable[option]:
            raise InputError(
                "option given more than once",
                got=option,
                expected="each option once",
                remedy="drop all but one",
            )
        seen.add(positive(option))


def _options(form: type[Any]) -> Iterator[tuple[str, bool]]:
    """Every option of `form` and of the groups inside it, and whether it may be repeated."""
    hints = get_type_hints(form, include_extras=True)
    for field in dataclasses.fields(form):
        kind, *notes = (
            get_args(hints[field.name])
            if get_origin(hints[field.name]) is Annotated
            else (hints[field.name],)
        )
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            yield from _options(kind)
        elif tyro.conf.Positional not in notes:
            name = field.metadata.get("option", field.name).replace("_", "-")
            yield f"--{name}", tyro.conf.UseAppendAction in notes
            if kind is bool and tyro.conf.FlagCreatePairsOff not in notes:
                *parents, last = name.split(".")
                yield f"--{'.'.join([*parents, f'no-{last}'])}", False


def _first_words(box: str) -> str:
    """What tyro's frame of several lines says between its title and the next rule or empty line; it
    may be coloured and drawn in ASCII.
    """
    lines = [line.strip("│| ") for line in _COLOUR.sub("", box).splitlines()[1:]]
    begin = next((i for i, line in enumerate(lines) if line.strip("─-╭╮")), len(lines))
    words: list[str] = []
    for line in lines[begin:]:
        if not line.strip("─-╰╯"):
            break
        words += line.split()
    said = " ".join(words).rstrip(".") or "bad usage"
    missing = re.match(r"Missing from [^:]*: (\S+)", said)
    return f"{missing[1]} is missing" if missing else said


def _whole_number(values: list[str]) -> int:
    try:
        return int(values[0])
    except ValueError:
        raise ValueError(f"got {values[0]!r}, expected a whole number") from None


def _number(absent: str | None = None) -> PrimitiveConstructorSpec[Any]:
    """How a whole number is read and shown; with `absent` as what None, which only a default can
    be, is called.
    """
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=_whole_number,
        is_instance=lambda value: isinstance(value, int) or (value is None and absent is not None),
        str_from_instance=lambda value: [str(absent if value is None else value)],
    )


WholeNumber = Annotated[int, _number()]
Seed = Annotated[int | None, _number("random")]
AutoNumber = Annotated[int | None, _number("auto")]
