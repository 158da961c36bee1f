"""The agent file: one safetensors file of tensors, with a description as canonical JSON under one
metadata key.

The library writes several keys in random order; one key of sorted JSON makes equal agents equal
bytes. Reading runs no code from the file: the description holds names only. The header is read
first: a file can be of any size, and claim any.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy

from sparring.errors import FileFormatError

Tensors = dict[str, NDArray[Any]]
Shapes = dict[str, tuple[int, ...]]

_KEY: Final = "sparring"
_FORMAT: Final = 1
_LENGTH_BYTES: Final = 8  # of the length of the header, before it
_MAX_HEADER: Final = 100_000_000  # bytes; the library's own limit


def encode_agent(tensors: Mapping[str, NDArray[Any]], description: Mapping[str, Any]) -> bytes:
    """The bytes of an agent file. The description is plain JSON (str keys; a tuple comes back as a
    list; no NaN) without a key "format".
    """
    if "format" in description:
        raise ValueError(
            "the key 'format' of a description is reserved for the version of the file"
        )
    text = json.dumps(
        {**description, "format": _FORMAT}, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    # The library writes the memory of an array as it is: a transposed one would be scrambled.
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    return safetensors_numpy.save(contiguous, metadata={_KEY: text})


def decode_agent(source: bytes | str | Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors by name and the description of an agent file, given as bytes or path. Raises
    `FileFormatError`.
    """
    if isinstance(source, bytes):
        label, data = "the agent file", source
    else:
        label = str(source)
        read_header(Path(source))
        data = _read(Path(source))
    try:
        tensors = safetensors_numpy.load(data)
        size = int.from_bytes(data[:_LENGTH_BYTES], "little")
        header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + size])
    except (SafetensorError, ValueError, KeyError, RecursionError):
        raise _damaged(label) from None
    return tensors, _description(header, label)


def read_header(path: Path) -> tuple[Shapes, dict[str, Any]]:
    """Shapes of the tensors by name, and the description, without the tensors. Raises
    `FileFormatError`, also if the size of the file is not what its header says.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file, path.stat().st_size)
        shapes = {
            name: tuple(one["shape"]) for name, one in header.items() if name != "__metadata__"
        }
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _damaged(str(path)) from None
    return shapes, _description(header, str(path))


def _read_header(file: BinaryIO, file_size: int) -> dict[str, Any]:
    """The header of an open file. Raises ValueError, KeyError or TypeError if it is damaged."""
    size = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if not 0 < size <= min(_MAX_HEADER, file_size - _LENGTH_BYTES):
        raise ValueError("not a header")
    header: dict[str, Any] = json.loads(file.read(size))
    ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
    if _LENGTH_BYTES + size + max(ends, default=0) != file_size:
        raise ValueError("a file of another size")
    return header


def _description(header: Mapping[str, Any], label: str) -> dict[str, Any]:
    try:
        description: dict[str, Any] = json.loads(header["__metadata__"][_KEY])
        version = description.pop("format")
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        raise FileFormatError(
            f"{label} is a safetensors file, but not an agent file of Sparring"
        ) from None
    if version != _FORMAT:
        raise FileFormatError(
            f"{label} is an agent file of another version", got=repr(version), expected=str(_FORMAT)
        )
    return description


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _damaged(label: str) -> FileFormatError:
    return FileFormatError(
        f"{label} is damaged or not an agent file: not a safetensors file of numbers"
    )


def _unreadable(path: Path, error: OSError) -> FileFormatError:
    return FileFormatError(f"the agent file {path} cannot be read: {error.strerror}")
