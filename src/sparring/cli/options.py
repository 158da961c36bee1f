"""Arguments and options of commands, and the parser of command lines.

A `Form` describes a command. `parse` returns the values that a command line names; mistakes are
errors of one line. `cli/help.py` prints a form. argparse would need its private parts overridden
for help in groups, guesses of near names and errors in this form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, Literal

from sparring.errors import InputError, near_name

HELP: Final = ("-h", "--help", "--help-all")
_FACTORS: Final = {"k": 1_000, "m": 1_000_000}


@dataclass(frozen=True)
class Argument:
    """A positional argument; `many`: one or more of them."""

    name: str
    metavar: str
    help: str
    required: bool = True
    many: bool = False
    default: str = ""  # as the help shows it


@dataclass(frozen=True)
class Option:
    """An option. `read` turns its text into a value, that of `takes="many"` a list of texts; it
    raises `ValueError` with what is expected. `takes="repeated"`: one value each time, all in a
    tuple.
    """

    name: str  # as in policy_kwargs.net_arch
    help: str
    metavar: str = ""
    read: Callable[[Any], Any] = str
    takes: Literal["nothing", "one", "many", "repeated"] = "one"
    default: str = ""  # as the help shows it
    absent: Any = None  # the value where the option is not given
    negatable: bool = False  # --no-NAME exists
    common: bool = True  # shown by --help, not only by --help-all
    synonyms: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()  # synonyms that may have meant something else: shown with help

    @property
    def flag(self) -> str:
        return f"--{_hyphens(self.name)}"

    @property
    def negative_flag(self) -> str:
        *parents, last = _hyphens(self.name).split(".")
        return f"--{'.'.join([*parents, f'no-{last}'])}"


@dataclass(frozen=True)
class Form:
    """The description of a command: a summary, its arguments, its options by group."""

    summary: str
    arguments: Sequence[Argument]
    groups: Mapping[str, Sequence[Option]]
    elsewhere: Mapping[str, str] = field(default_factory=dict)  # remedies for other options

    @property
    def options(self) -> Iterator[Option]:
        for group in self.groups.values():
            yield from group


def switch(name: str, help: str) -> Option:
    """An option without a value, off by default."""
    return Option(name, help, takes="nothing", absent=False)


def parse(form: Form, argv: Sequence[str], *, prog: str) -> dict[str, Any]:
    """The values that `argv` names, by the names of arguments and options.

    Raises `InputError` for an unknown option or argument, an option given twice or without its
    value, a value that does not fit, and a missing argument.
    """
    return _Parser(form, argv, prog).run()


def parse_all(form: Form, argv: Sequence[str], *, prog: str) -> SimpleNamespace:
    """The values of all arguments and options: those of `parse`, else `Option.absent`."""
    absent = {option.name: option.absent for option in form.options}
    return SimpleNamespace(**{**absent, **parse(form, argv, prog=prog)})


def help_wanted(argv: Sequence[str]) -> bool:
    """Return whether `argv` asks for help instead of work."""
    return any(token in HELP for token in argv)


class _Parser:
    def __init__(self, form: Form, argv: Sequence[str], prog: str) -> None:
        self._form = form
        self._tokens = list(argv)
        self._remedy = f"see {prog} --help"
        self._prog = prog
        self._flags = {option.flag: option for option in form.options}
        self._flags |= {o.negative_flag: o for o in form.options if o.negatable}
        self._values: dict[str, Any] = {}
        self._positional: list[str] = []

    def run(self) -> dict[str, Any]:
        while self._tokens:
            token = self._tokens.pop(0)
            if _is_option(token):
                self._option(token)
            else:
                self._positional.append(token)
        self._fill_arguments()
        return self._values

    def _option(self, token: str) -> None:
        name, equals, text = token.partition("=")
        flag = name.replace("_", "-")
        option = self._flags.get(flag)
        if option is None:
            raise self._unknown(flag)
        if option.name in self._values and option.takes != "repeated":
            raise InputError(
                "option given more than once",
                got=flag,
                expected="each option once",
                remedy="drop all but one",
            )
        if option.takes == "nothing":
            if equals:
                raise InputError(f"{flag} takes no value", got=repr(text), remedy=self._remedy)
            self._values[option.name] = flag == option.flag
            return
        texts = [text] if equals else self._texts(option)
        if not texts:
            raise InputError(f"{flag} needs a value", remedy=self._remedy)
        self._store(option, texts)

    def _texts(self, option: Option) -> list[str]:
        """The value of an option, or all of them up to the next option where it takes many."""
        texts: list[str] = []
        while self._tokens and not _is_option(self._tokens[0]):
            texts.append(self._tokens.pop(0))
            if option.takes != "many":
                break
        return texts

    def _store(self, option: Option, texts: list[str]) -> None:
        try:
            value = option.read(texts if option.takes == "many" else texts[0])
        except ValueError as error:
            raise InputError(
                option.flag, got=repr(" ".join(texts)), expected=str(error), remedy=self._remedy
            ) from None
        if option.takes == "repeated":
            value = (*self._values.get(option.name, ()), value)
        self._values[option.name] = value

    def _unknown(self, flag: str) -> InputError:
        names = [known.removeprefix("--") for known in self._flags]
        synonyms = {
            _hyphens(other): option.flag.removeprefix("--")
            for option in self._form.options
            for other in (*option.synonyms, option.name.rpartition(".")[2])
        }
        wrong = flag.removeprefix("--")
        near = near_name(wrong, names, synonyms)
        meant = f"did you mean '--{near}'?{self._explanation(wrong, near)}" if near else ""
        more = any(not option.common for option in self._form.options)
        return InputError(
            "unknown option",
            got=flag,
            expected=f"one that `{self._prog} --help{'-all' if more else ''}` lists",
            remedy=self._form.elsewhere.get(wrong.replace("-", "_"), meant),
        )

    def _explanation(self, wrong: str, near: str) -> str:
        option = self._flags[f"--{near}"]
        explained = wrong in map(_hyphens, option.explained)
        return f" {option.help}" if explained else ""

    def _fill_arguments(self) -> None:
        left = self._positional
        for argument in self._form.arguments:
            if argument.required and not left:
                raise InputError(
                    f"missing argument {argument.metavar} ({_as_phrase(argument.help)})",
                    remedy=self._remedy,
                )
            if argument.many:
                self._values[argument.name], left = tuple(left), []
            elif left:
                self._values[argument.name], *left = left
        if left:
            raise InputError("unexpected argument", got=repr(left[0]), remedy=self._remedy)


def _is_option(token: str) -> bool:
    """Negative numbers such as -1e-3 and -inf are values."""
    return token.startswith("--") and len(token) > 2


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


def _as_phrase(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"


def number(text: str) -> int | float | None:
    """A number such as 100000, 1e5, 100k or 2M; a whole one as int. None for other text."""
    digits, factor = text, 1
    if text[-1:].lower() in _FACTORS:
        digits, factor = text[:-1], _FACTORS[text[-1].lower()]
    try:
        return int(digits) * factor
    except ValueError:
        pass
    try:
        value = float(digits) * factor
    except ValueError:
        return None
    return int(value) if value.is_integer() else value


def whole_number(text: str) -> int:
    """Reader of options whose value is an integer."""
    value = number(text)
    if not isinstance(value, int):
        raise ValueError("a whole number")
    return value


def seed_number(text: str) -> int:
    """Reader of options whose value is a random seed."""
    value = number(text)
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError("a whole number from 0 to 2^63 - 1")
    return value


def auto_number(text: str) -> int | None:
    """Reader of an integer or "auto", which is None."""
    return None if text == "auto" else whole_number(text)


def real_number(text: str) -> float:
    """Reader of options whose value is a number."""
    value = number(text)
    if value is None:
        raise ValueError("a number")
    return float(value)


def choice(*words: str) -> Callable[[str], str]:
    """Reader of one of several words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return read
