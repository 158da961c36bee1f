"""Copies of the driver and of the searches, one per game, in a cache folder named by their inputs.

Numba's cache on disk notices changes of the file of a cached function, but not of the rules that
the function calls. So the folder is named by a SHA-256 of the driver, the rules as loaded (bytecode
and constants, with all that they reach), the versions and the processor: edited rules get another
folder and new machine code.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
import threading
from dataclasses import astuple
from pathlib import Path
from types import ModuleType

from sparring.errors import ConfigurationError
from sparring.games.arrays import Slots
from sparring.games.compiled import jit
from sparring.games.compiled.jit import fingerprint, toolchain
from sparring.games.declarations import checked
from sparring.games.lookahead import SOONER
from sparring.games.rng import nth_true, purpose_key, random_below
from sparring.numba_setup import user_cache
from sparring.user_code import import_module

_TEMPLATE_RULES = "sparring.games.tic_tac_toe"
_RULES_LINE = f"from {_TEMPLATE_RULES} import "
_loading = threading.Lock()
_REQUIRED = ("SPEC", "STATE", "start", "legal", "observe", "play")


def load_rules(name: str) -> ModuleType:
    """Import the rules module of that dotted name; raise `ConfigurationError` if it is missing,
    raises an error or is invalid.
    """
    rules = import_module(name, needed_for=f"the game compiled:{name}")
    missing = [part for part in _REQUIRED if not hasattr(rules, part)]
    if missing:
        raise ConfigurationError(
            f"module {name} is not a game: it lacks {', '.join(missing)}",
            expected=", ".join(_REQUIRED),
        )
    if "seat" not in (getattr(rules.STATE, "names", None) or ()):
        expected = "a structured dtype with the seat to move"
        raise ConfigurationError(
            f"STATE of {name} has no field seat", got=repr(rules.STATE), expected=expected
        )
    checked(rules.SPEC, name, "SPEC")
    return rules


def load_driver(rules: ModuleType, template: str = "driver.py") -> ModuleType:
    """Return the copy of the driver, or of another `template` of this folder, for `rules`; its
    machine code is loaded or compiled at the first call.
    """
    text = _text_for(rules.__name__, template)
    digest = _digest(text, rules)
    module_name = f"sparring_driver_{digest}"
    with _loading:
        return sys.modules.get(module_name) or _import_as(
            module_name, _write_once(text, digest, template)
        )


def _import_as(module_name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # Numba's machine code refers to its module by this name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _text_for(rules_name: str, template: str) -> str:
    lines = Path(__file__).with_name(template).read_text().splitlines(keepends=True)
    return "".join(
        line.replace(_TEMPLATE_RULES, rules_name) if line.startswith(_RULES_LINE) else line
        for line in lines
    )


def _digest(text: str, rules: ModuleType) -> str:
    made_from = (
        text,
        Path(jit.__file__).read_text(),
        fingerprint(rules.start, rules.legal, rules.observe, rules.play),
        fingerprint(rules.move) if hasattr(rules, "move") else "",
        fingerprint(purpose_key, random_below, nth_true),  # called by the templates
        repr((SOONER, astuple(rules.SPEC))),
        repr((rules.STATE, rules.STATE.fields, rules.STATE.itemsize)),
        repr(Slots._fields),
        toolchain(),
    )
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()


def _write_once(text: str, digest: str, template: str) -> Path:
    """Write the instance's file unless it exists. Its folder appears whole and only once, so
    processes that start together share one cache.
    """
    folder = cache_root() / "drivers" / digest
    path = folder / template
    if not path.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
        (draft / template).write_text(text)
        try:
            draft.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(draft)
    return path


def cache_root() -> Path:
    """Return $SPARRING_CACHE_DIR, else $XDG_CACHE_HOME/sparring, else ~/.cache/sparring; a
    temporary folder of this process if that is not writable.
    """
    if chosen := os.environ.get("SPARRING_CACHE_DIR"):
        root = Path(chosen).absolute()
    elif users := user_cache():
        root = users / "sparring"
    else:
        return _process_cache()
    return root if _writable(str(root)) else _process_cache()


@functools.cache
def _writable(root: str) -> bool:
    try:
        os.makedirs(root, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return True
    except OSError:
        return False


@functools.cache
def _process_cache() -> Path:
    folder = tempfile.mkdtemp(prefix="sparring-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
