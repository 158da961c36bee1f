"""Findings of pydantic about settings, each as one line for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sparring.config.network import PolicyKwargs
from sparring.config.schema import TrainConfig, optional_fields, synonyms
from sparring.config.settings import Earlier
from sparring.errors import ConfigurationError, near_name, shown

# Options of the first system that are no settings here.
ELSEWHERE: Final = dict.fromkeys(
    ("load_checkpoint", "resume", "resume_from", "checkpoint_path", "checkpoint"),
    "`sparring resume RUN` continues a run; init_from starts a new one with given weights",
)

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
    "devices": "cpu:2, cpu:3, ..., or several GPUs as in cuda:0,cuda:1",
    "init_from_sha256": "64 digits 0-9, a-f",
    "name": "letters, digits, '.', '_' and '-', a letter, digit or '_' first",
}


def configuration_error(
    error: ValidationError, values: Mapping[str, Any], origin: Callable[[str], str]
) -> ConfigurationError:
    """Return pydantic's first finding as one line, unknown settings first, and how many more.

    `values` is what was validated; `origin` says where the value of a setting came from, as in
    " in run.toml".
    """
    details = sorted(
        error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden"
    )
    findings = [
        list(group)
        for _, group in groupby(details, key=lambda detail: _path(detail["loc"], values))
    ]
    first = _finding(findings[0], values, origin)
    if len(findings) == 1:
        return first
    return ConfigurationError(f"{first} (and {len(findings) - 1} more)")


def _path(loc: Sequence[int | str], values: Any) -> str:
    """Return `loc` as a person writes it, without the union members that pydantic adds."""
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


def _finding(
    details: list[ErrorDetails], values: Mapping[str, Any], origin: Callable[[str], str]
) -> ConfigurationError:
    """Make one error of pydantic's errors about one value (one for each member of a union)."""
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
    return ConfigurationError(
        _path(detail["loc"], values) + origin(field),
        got=shown(detail["input"]),
        expected=expected,
        remedy=remedy,
    )


def _expected(detail: ErrorDetails, field: str) -> str:
    if detail["type"] == "string_pattern_mismatch":
        return _EXPECTED_PATTERN[field]
    phrase = _EXPECTED.get(detail["type"])
    return phrase(detail.get("ctx", {})) if phrase else detail["msg"]


def _unknown(loc: Sequence[int | str], where: str) -> ConfigurationError:
    *parents, name = map(str, loc)
    known = PolicyKwargs.model_fields if parents else TrainConfig.model_fields
    others = {
        other: setting.removeprefix("policy_kwargs.") if parents else setting
        for other, setting in synonyms().items()
        if setting.startswith("policy_kwargs.") or not parents
    }
    name = name.replace("-", "_")
    near = near_name(name, known, others)
    meant = f"did you mean {near!r}?{_hint(name, near)}" if near else ""
    return ConfigurationError(
        f"unknown setting{where}",
        got=repr(".".join(map(str, loc))),
        expected="one that `sparring train --help-all` lists",
        remedy=ELSEWHERE.get(name, meant),
    )


def _hint(name: str, setting: str) -> str:
    """Return the help of a setting if `name` is what the first system called it, else ""."""
    field = TrainConfig.model_fields.get(setting)
    earlier = (note for note in field.metadata if isinstance(note, Earlier)) if field else ()
    known = any(name in note.names for note in earlier)
    return f" {field.description}" if field and known else ""
