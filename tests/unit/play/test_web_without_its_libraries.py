from __future__ import annotations

import importlib
import sys

import pytest

from sparring.errors import InputError


@pytest.mark.parametrize("library", ["fastapi", "uvicorn"])
def test_a_missing_library_is_one_line_with_the_command(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "sparring.play.web", raising=False)
    with pytest.raises(InputError, match=r"--web needs .*: pip install 'sparring\[web\]'"):
        importlib.import_module("sparring.play.web")
