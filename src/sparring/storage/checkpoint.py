"""Saving and loading a state tree: the state of a run as plain dictionaries, lists, numbers and
NumPy arrays.

On the disk a tree is a directory (written by `atomic.write_directory`):

    <key>.safetensors   the arrays below one top-level key, each named by its JSON pointer
                        (RFC 6901) in the tree, such as "/networks/policy/bias"
    state.json          the rest, with null in place of arrays, and the dtype and shape of each
                        array that is stored as bytes

safetensors supports numbers and booleans only. Structured arrays (replay, pending transitions) and
foreign byte orders are stored as bytes, with a description of their dtype that keeps every offset.
Reading never runs code: no pickle.

Loading gives the same types, dtypes, shapes and order of keys. Saving the same tree, keys in the
same order, gives the same bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.errors import FileFormatError
from sparring.storage import tensors
from sparring.storage.atomic import Writer, read_directory, write_directory

StateTree = dict[str, Any]
"""Nested dicts with str keys, and lists; leaves: np.ndarray, int of any size, float, str, bool,
None.
"""

_STATE = "state.json"
_FORMAT = 7
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALARS = (int, float, str, bool, type(None))
_MAX_STATE = 2**30  # bytes of state.json
_PLAIN_DTYPE = re.compile(r"\|[biu]1|[<>][iu][248]|[<>]f[248]")

Array = NDArray[Any]
Description = str | list[Any] | dict[str, Any]


def save(path: Path, tree: Mapping[str, Any]) -> None:
    """Save a tree as the directory `path`, whole or not at all.

    TypeError with the pointer of a leaf that cannot be stored exactly, `StorageError` if the disk
    does not take it, as when it is full. Arrays are written from where they lie; only those that
    are not contiguous are copied. Padding inside a structured array is set to zero in place, so
    that equal trees give equal files.
    """
    arrays: dict[str, Array] = {}
    opaque: dict[str, Any] = {}
    for key in tree:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise TypeError(
                f"a top-level key of a state tree names a file: got {key!r},"
                " expected letters, digits, _ and -"
            )
    state = {"format": _FORMAT, "tree": _without_arrays(dict(tree), "", arrays), "opaque": opaque}
    files: dict[str, bytes | Writer] = {}
    for key in tree:
        below = {
            name: _storable(name, array, opaque)
            for name, array in arrays.items()
            if name.split("/")[1] == key
        }
        if below:
            files[f"{key}.safetensors"] = partial(tensors.write, arrays=below)
    files[_STATE] = text = json.dumps(state, separators=(",", ":")).encode()
    size = len(text) + sum(array.nbytes for array in arrays.values())
    write_directory(path, files, size=size)


def load(path: Path, into: Mapping[str, NDArray[np.uint8]] | None = None) -> StateTree:
    """Return the tree that was saved as `path`; FileFormatError if a file is missing or damaged.

    Sizes and SHA-256 of all files are verified first. `into` holds memory by JSON pointer: an array
    that fits there is read into it, and the tree has a view of it.
    """
    return _load(path, None, into or {})


def load_part(path: Path, key: str) -> Any:
    """Return the subtree below one top-level key of the tree that was saved as `path`; the arrays
    of other keys, such as the replay's, are not read.
    """
    tree = _load(path, key, {})
    if key not in tree:
        raise FileFormatError(f"{path} has no part {key!r}", expected=f"one of {', '.join(tree)}")
    return tree[key]


def _load(path: Path, key: str | None, into: Mapping[str, NDArray[np.uint8]]) -> StateTree:
    """Return the tree; with a key, without the arrays of all other keys."""
    files = read_directory(path, None if key is None else (_STATE, f"{key}.safetensors"))
    try:
        if files[_STATE].stat().st_size > _MAX_STATE:
            raise ValueError("too large")
        state = json.loads(files.pop(_STATE).read_bytes())
        if state["format"] != _FORMAT:
            raise FileFormatError(
                f"{path} is of another version",
                got=repr(state["format"]),
                expected=str(_FORMAT),
                remedy="resume with the version of Sparring that wrote it, or start a new run",
            )
        arrays: dict[str, Array] = {}
        for file in files.values():
            arrays |= {
                name: _restored(array, state["opaque"].get(name))
                for name, array in tensors.read(file, into).items()
            }
        tree: StateTree = _with_arrays(state["tree"], "", arrays)
    except MemoryError:
        raise FileFormatError(f"{path} does not fit into the memory of this machine") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"{path} is not a checkpoint that this version can read ({type(error).__name__})"
        ) from None
    return tree


def _without_arrays(node: Any, pointer: str, arrays: dict[str, Array]) -> Any:
    """The node with null in place of its arrays, which are collected by pointer."""
    if type(node) is dict:
        for key in node:
            if type(key) is not str:
                raise TypeError(f"a state tree has only str keys: got {key!r} in {pointer or '/'}")
        return {
            key: _without_arrays(child, _below(pointer, key), arrays) for key, child in node.items()
        }
    if type(node) is list:
        return [
            _without_arrays(child, _below(pointer, index), arrays)
            for index, child in enumerate(node)
        ]
    if type(node) is np.ndarray:
        arrays[pointer] = node
        return None
    if type(node) not in _SCALARS:
        # A subclass, NumPy scalar or tuple would be loaded as another type, and the resumed run
        # would differ.
        got = f"{type(node).__module__}.{type(node).__qualname__} at {pointer}"
        raise TypeError(
            f"cannot be stored exactly: got {got},"
            " expected dict, list, np.ndarray, int, float, str, bool or None"
        )
    return node


def _with_arrays(node: Any, pointer: str, arrays: Mapping[str, Array]) -> Any:
    if pointer in arrays:
        return arrays[pointer]
    if isinstance(node, dict):
        return {
            key: _with_arrays(child, _below(pointer, key), arrays) for key, child in node.items()
        }
    if isinstance(node, list):
        return [
            _with_arrays(child, _below(pointer, index), arrays) for index, child in enumerate(node)
        ]
    return node


def _below(pointer: str, key: str | int) -> str:
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _storable(pointer: str, array: Array, opaque: dict[str, Any]) -> Array:
    """The array as safetensors takes it: contiguous and of a known dtype, or as bytes whose dtype
    and shape are added to `opaque`.
    """
    if array.dtype.str in tensors.DTYPES and array.dtype.names is None:
        return array if array.flags.c_contiguous else array.copy(order="C")
    opaque[pointer] = {"dtype": _describe(pointer, array.dtype), "shape": list(array.shape)}
    used = _used_bytes(array.dtype)
    in_place = array.flags.c_contiguous and (array.flags.writeable or used.all())
    rows: NDArray[np.uint8] = (
        (array if in_place else array.copy(order="C")).reshape(-1).view(np.uint8)
    )
    padding = np.flatnonzero(~used)
    for offset in padding:
        rows.reshape(-1, array.dtype.itemsize)[:, offset] = 0
    return rows


def _restored(stored: Array, opaque: dict[str, Any] | None) -> Array:
    if opaque is None:
        return stored
    dtype, shape = _dtype(opaque["dtype"]), tuple(opaque["shape"])
    if math.prod(shape) * dtype.itemsize != stored.nbytes:
        raise ValueError(
            f"{stored.nbytes} bytes cannot be an array of shape {shape} and dtype {dtype}"
        )
    return stored.view(dtype).reshape(shape)


def _describe(pointer: str, dtype: np.dtype[Any]) -> Description:
    """The dtype as JSON: "<f4", [base, shape] of a sub-array, or the names, formats, offsets, size
    and alignment of a structure.
    """
    description: Description
    if dtype.subdtype is not None:
        description = [_describe(pointer, dtype.subdtype[0]), list(dtype.subdtype[1])]
    elif dtype.names is not None:
        fields = [dtype.fields[name] for name in dtype.names] if dtype.fields is not None else []
        description = {
            "names": list(dtype.names),
            "formats": [_describe(pointer, field[0]) for field in fields],
            "offsets": [field[1] for field in fields],
            "itemsize": dtype.itemsize,
            "aligned": dtype.isalignedstruct,
        }
    else:
        description = dtype.str
    if (
        not dtype.itemsize
        or (isinstance(description, str) and not _PLAIN_DTYPE.fullmatch(description))
        or _dtype(description) != dtype
    ):
        raise TypeError(
            f"cannot be stored: got an array of dtype {dtype} at {pointer},"
            " expected numbers, booleans, or structures of them"
        )
    return description


def _dtype(description: Description) -> np.dtype[Any]:
    """The dtype of a description. Nothing is evaluated: the text of a plain dtype is matched."""
    if isinstance(description, str):
        if not _PLAIN_DTYPE.fullmatch(description):
            raise ValueError(f"not a dtype of numbers or booleans: {description!r}")
        return np.dtype(description)
    if isinstance(description, list):
        base, shape = description
        return np.dtype((_dtype(base), tuple(shape)))
    structure: Any = {
        "names": description["names"],
        "formats": [_dtype(field) for field in description["formats"]],
        "offsets": description["offsets"],
        "itemsize": description["itemsize"],
        "aligned": description["aligned"],
    }
    dtype: np.dtype[Any] = np.dtype(structure)
    return dtype


def _used_bytes(dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """[itemsize]: True for the bytes of one item that belong to a field, False for padding."""
    if dtype.subdtype is not None:
        return np.tile(_used_bytes(dtype.subdtype[0]), math.prod(dtype.subdtype[1]))
    if dtype.fields is None:
        return np.ones(dtype.itemsize, np.bool_)
    used = np.zeros(dtype.itemsize, np.bool_)
    for field, offset, *_ in dtype.fields.values():
        used[offset : offset + field.itemsize] |= _used_bytes(field)
    return used
