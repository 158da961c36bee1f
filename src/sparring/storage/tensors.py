"""Files in the safetensors format, written from arrays where they lie and read into given memory.

The format (github.com/huggingface/safetensors): the length of the header (uint64, little-endian),
the header as JSON, then the bytes of the arrays without gaps:

    {"<name>": {"dtype": "F32", "shape": [3, 4], "data_offsets": [begin, end]}, ...}

The library itself copies a file while reading, and its errors have no error number.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DTYPES: Final = {
    "|b1": "BOOL", "|i1": "I8", "|u1": "U8", "<i2": "I16", "<u2": "U16", "<f2": "F16",
    "<i4": "I32", "<u4": "U32", "<f4": "F32", "<i8": "I64", "<u8": "U64", "<f8": "F64",
}  # fmt: skip
_DTYPE_OF: Final = {name: np.dtype(text) for text, name in DTYPES.items()}
_MAX_HEADER: Final = 100_000_000  # bytes; the limit of the library


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write C-contiguous arrays of the dtypes in `DTYPES`, the widest first, without a copy."""
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header, end = {}, 0
    for name in names:
        array, begin = arrays[name], end
        end += array.nbytes
        dtype, shape = DTYPES[array.dtype.str], list(array.shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(arrays[name].reshape(-1).view(np.uint8).data)


def read(path: Path, into: Mapping[str, NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
    """Return all arrays by name. One whose name is in `into` is read into that memory, if it fits.

    ValueError if the file is not in this format, MemoryError if it is larger than the memory of
    this machine.
    """
    with open(path, "rb") as file:
        entries = _header(file)
        begin = file.tell()
        return {name: _array(file, begin, entry, into.get(name)) for name, entry in entries.items()}


def _header(file: BufferedReader) -> dict[str, Any]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, _MAX_HEADER):
        raise ValueError(f"a header of {length} bytes in a file of {size}")
    header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    for entry in header.values():
        begin, end = entry["data_offsets"]
        count = math.prod(entry["shape"]) * _DTYPE_OF[entry["dtype"]].itemsize
        if min([begin, *entry["shape"]]) < 0 or end - begin != count or end > size - 8 - length:
            raise ValueError(f"an array at {begin} to {end} in a file of {size} bytes")
    return header


def _array(
    file: BufferedReader, start: int, entry: dict[str, Any], memory: NDArray[np.uint8] | None
) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    if memory is None or memory.nbytes < end - begin:
        if end - begin > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
            raise MemoryError
        memory = np.empty(end - begin, np.uint8)
    stored = memory[: end - begin]
    file.seek(start + begin)
    if file.readinto(stored.data) != end - begin:
        raise ValueError("the file has become shorter")
    return stored.view(_DTYPE_OF[entry["dtype"]]).reshape(entry["shape"])
