from __future__ import annotations

import functools
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from sparring.errors import ConfigurationError
from sparring.user_code import import_named, is_importable_name, name_of, place_of, shown_name


class Shelf:
    class Box:
        pass

    @classmethod
    def made(cls) -> Shelf:
        return cls()

    def method(self) -> None:
        pass


def function() -> None:
    pass


unnamed = lambda: None  # noqa: E731
old_function = function


def function() -> None:  # type: ignore[no-redef]
    pass


@pytest.mark.parametrize("thing", [function, Shelf, Shelf.Box, Shelf.made, json.dumps, OrderedDict])
def test_there_and_back(thing: Any) -> None:
    name = name_of(thing, what="thing")
    assert is_importable_name(name)
    assert import_named(name, what="thing") == thing


def test_names() -> None:
    assert name_of(Shelf.Box, what="box") == f"{__name__}:Shelf.Box"
    assert name_of(json.dumps, what="thing") == "json:dumps"


def inside() -> Any:
    def local() -> None:
        pass

    return local


@pytest.mark.parametrize(
    ("thing", "got"),
    [
        (unnamed, "<lambda>"),
        (inside(), "inside.<locals>.local"),
        (old_function, "function"),  # another one has its name now
        (Shelf().method, "Shelf.method"),
        (Shelf(), "a value of Shelf"),
        (functools.partial(function), "a value of partial"),
        (3, "a value of int"),
        (None, "a value of NoneType"),
    ],
)
def test_what_an_import_would_not_give_back_has_no_name(thing: Any, got: str) -> None:
    with pytest.raises(ConfigurationError, match="this network cannot be named: got ") as caught:
        name_of(thing, what="network")
    assert f"got {got}, expected module:name, or a function or class at the top of a module" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "json",
        "json:",
        ":dumps",
        "json:dumps()",
        "json:a-b",
        "a b:c",
        ".json:dumps",
        "json.:dumps",
        "",
        "1:x",
    ],
)
def test_what_is_no_name(name: str) -> None:
    assert not is_importable_name(name)
    with pytest.raises(
        ConfigurationError, match=r"invalid name of a network: got .*, expected module:name"
    ):
        import_named(name, what="network")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nowhere_at_all:x",
            r"no such module for the network nowhere_at_all:x: got 'nowhere_at_all'; "
            ".*on PYTHONPATH",
        ),
        ("json.nowhere:x", r"no such module .*: got 'json\.nowhere'"),
        ("json:dmps", r"json has no such network: got 'dmps'; did you mean 'dumps'\?"),
        ("json:JSONEncoder.nothing", r"json has no such network: got 'JSONEncoder\.nothing'"),
        ("json:codecs", r"json:codecs is not a network: got a value of module"),
    ],
)
def test_what_is_not_there(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        import_named(name, what="network")


def test_errors_inside_the_module_are_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "misses_another.py").write_text("\nimport nowhere_at_all\n")
    (tmp_path / "divides.py").write_text("1 / 0\n")
    for name, line, cause in (
        ("misses_another", 2, ModuleNotFoundError),
        ("divides", 1, ZeroDivisionError),
    ):
        message = rf"module {name} cannot be imported: got {cause.__name__}: .*"
        with pytest.raises(
            ConfigurationError, match=message + rf"\({name}.py, line {line}\)"
        ) as caught:
            import_named(f"{name}:x", what="network")
        assert isinstance(caught.value.__cause__, cause)


def test_a_ctrl_c_during_an_import_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "interrupted.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        import_named("interrupted:x", what="network")


def test_the_place_of_an_error_is_the_users_innermost_line(tmp_path: Path) -> None:
    """Not a line of a library, of Python itself or of ours, which the user's line has called."""
    installed = tmp_path / "site-packages" / "library.py"
    installed.parent.mkdir()
    installed.write_text("def call(f): return f()\n")
    library: dict[str, Any] = {}
    exec(compile(installed.read_text(), str(installed), "exec"), library)
    for call in (
        lambda: json.loads("{"),
        lambda: name_of(3, what="network"),
        lambda: library["call"](lambda: json.loads("{")),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        line = call.__code__.co_firstlineno
        assert place_of(caught.value) == f" (test_user_code.py, line {line})"
    assert place_of(ValueError()) == ""


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (function, "test_user_code:function"),
        (Shelf.Box, "test_user_code:Shelf.Box"),
        (Shelf().method, "test_user_code:Shelf().method"),
        (functools.partial(function), "functools:partial()"),
        (lambda: None, "test_user_code:<lambda>"),
    ],
)
def test_the_name_that_is_shown(thing: Any, name: str) -> None:
    assert shown_name(thing, what="evaluate_with").endswith(name)
