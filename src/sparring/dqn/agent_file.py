"""An agent as one safetensors file: its tensors and, under the one metadata key `sparring`, what it is, as canonical JSON.

One key, because the library writes several in random order; sorted and without spaces, so that equal agents are equal bytes. Reading runs
no code from the file: the description holds names, and whoever loads the agent decides what they may stand for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy

from sparring.errors import FileFormatError

Tensors = dict[str, NDArray[Any]]

_KEY = "sparring"
_FORMAT = 1


def encode(tensors: Mapping[str, NDArray[Any]], description: Mapping[str, Any]) -> bytes:
    """The agent file. The description is plain JSON (str keys; a tuple is read back as a list; no NaN) without a key "format"."""
    if "format" in description:
        raise ValueError("the description of an agent has no key 'format': the file's own version goes there")
    text = json.dumps({**description, "format": _FORMAT}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    # The library writes the memory of an array as it lies: a transposed one would come back scrambled.
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    return safetensors_numpy.save(contiguous, metadata={_KEY: text})


def decode(source: bytes | str | Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors by name and the description of an agent file, given as its bytes or its path; FileFormatError says what is wrong with it."""
    label, data = ("the agent file", source) if isinstance(source, bytes) else (str(source), _read(Path(source)))
    try:
        tensors = safetensors_numpy.load(data)
        metadata = _header(data).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError, RecursionError):
        raise FileFormatError(f"{label} is damaged, or no agent file at all: not a safetensors file of numbers") from None
    try:
        description = json.loads(metadata[_KEY])
        version = description.pop("format")
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        raise FileFormatError(f"{label} is a safetensors file, but not an agent that Sparring saved") from None
    if version != _FORMAT:
        raise FileFormatError(f"{label} is an agent file of another version", got=repr(version), expected=str(_FORMAT))
    return tensors, description


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"the agent file {path} cannot be read: {error.strerror}") from None


def _header(data: bytes) -> dict[str, Any]:
    """The JSON in front of the tensors, which the library has checked but gives away only for files on the disk."""
    size = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    return header
