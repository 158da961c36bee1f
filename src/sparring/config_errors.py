"""pydantic's findings about a configuration as one line that says what, got, expected and remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sparring.config import PolicyKwargs, TrainConfig, optional_fields
from sparring.errors import ConfigurationError, nearest

_EXPECTED: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "greater_than_equal": lambda ctx: f"at least {ctx['ge']:g}",
    "greater_than": lambda ctx: f"more than {ctx['gt']:g}",
    "less_than_equal": lambda ctx: f"at most {ctx['le']}",
    "finite_number": lambda ctx: "a finite number",
    "int_type": lambda ctx: "a whole number",
    "float_type": lambda ctx: "a number",
    "bool_type": lambda ctx: "true or false",
    "string_type": lambda ctx: "text",
    "string_too_short": lambda ctx: "text that is not empty",
    "string_too_long": lambda ctx: f"at most {ctx['max_length']} characters",
    "too_short": lambda ctx: "at least one entry",
    "tuple_type": lambda ctx: "a list",
    "dict_type": lambda ctx: "a table of names and values",
    "model_type": lambda ctx: f"a table of {', '.join(PolicyKwargs.model_fields)}",
    "literal_error": lambda ctx: str(ctx["expected"]),
}
_EXPECTED_PATTERN: Final = {
    "device": "auto, cpu, cuda or cuda:0, cuda:1, ...",
    "name": "letters, digits, '.', '_' and '-', a letter, digit or '_' first",
}


def configuration_error(error: ValidationError, values: Mapping[str, Any], origin: Callable[[str], str]) -> ConfigurationError:
    """The first finding, unknown settings before anything else, with the number of the others.

    `values` is what was validated; `origin` tells of a setting where its value came from, as in " in run.toml".
    """
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    findings = [list(group) for _, group in groupby(details, key=lambda detail: _path(detail["loc"], values))]
    first = _finding(findings[0], values, origin)
    if len(findings) == 1:
        return first
    return ConfigurationError(f"{first} (and {len(findings) - 1} more)")


def _path(loc: Sequence[int | str], values: Any) -> str:
    """`loc` as a person writes it, without the names of union members that pydantic adds."""
    path = ""
    for part in loc:
        if isinstance(values, Mapping) and part in values:
            path = f"{path}.{part}" if path else str(part)
        elif isinstance(values, Sequence) and isinstance(part, int):
            path = f"{path}[{part}]"
        else:
            break
        values = values[part]
    return path


def _finding(details: list[ErrorDetails], values: Mapping[str, Any], origin: Callable[[str], str]) -> ConfigurationError:
    """One error out of all that pydantic says about one value (one for each member of a union)."""
    detail = details[0]
    raised = detail.get("ctx", {}).get("error")
    if isinstance(raised, ConfigurationError):
        return raised
    field = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return _unknown(detail["loc"], origin(field))
    expected = " or ".join(_expected(d, field) for d in details)
    remedy = ""
    if field in optional_fields():
        expected += ", or 'auto'"
    elif isinstance(default := TrainConfig.model_fields[field].default, bool | int | float | str):
        remedy = f"the default is {default!r}"
    return ConfigurationError(_path(detail["loc"], values) + origin(field), got=_short(detail["input"]), expected=expected, remedy=remedy)


def _expected(detail: ErrorDetails, field: str) -> str:
    if detail["type"] == "string_pattern_mismatch":
        return _EXPECTED_PATTERN[field]
    phrase = _EXPECTED.get(detail["type"])
    return phrase(detail.get("ctx", {})) if phrase else detail["msg"]


def _unknown(loc: Sequence[int | str], where: str) -> ConfigurationError:
    *parents, name = map(str, loc)
    known = PolicyKwargs.model_fields if parents else TrainConfig.model_fields
    return ConfigurationError(
        f"unknown setting{where}",
        got=repr(".".join([*parents, name])),
        expected="one that `sparring train --help` lists",
        remedy=nearest(name.replace("-", "_"), known),
    )


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
