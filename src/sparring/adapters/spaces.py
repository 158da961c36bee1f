"""Spaces of Gymnasium, which PettingZoo uses too: observations as arrays, and numbers of actions.

- A `Box` keeps its shape; floats become float32, integers and booleans stay as they are. Of three
  axes the shorter of the first and the last one counts planes, which come first here; two axes are
  one plane. Pixels (uint8 from 0 to 255, of two or three axes) become float32 from 0 to 1.
- `Discrete` is one-hot, `MultiBinary` stays as it is. `MultiDiscrete`, `Tuple` and `Dict` become
  one vector by Gymnasium's own `flatten`.
- Of a `Dict` with "action_mask", that is the mask, and the rest is the observation: the entry
  "observation" if nothing else is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparring.adapters import imported, misfit
from sparring.games.names import GameName

_spaces: Final = imported("gymnasium.spaces", "gymnasium")
_flattening: Final = imported("gymnasium.spaces.utils", "gymnasium")

MASK: Final = "action_mask"


class Shown(NamedTuple):
    """Observations of a space as arrays."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    array: Callable[[Any], NDArray[Any]]  # of an observation in the environment's form
    masked: bool  # observations carry the legal actions


def shown(name: GameName, space: Any) -> Shown:
    """Return the arrays of a space; `ConfigurationError` for a space that has none."""
    if not (isinstance(space, _spaces.Dict) and MASK in space.spaces):
        return Shown(*_arrays(name, space), masked=False)
    rest = {key: part for key, part in space.spaces.items() if key != MASK}
    if list(rest) == ["observation"]:
        shape, dtype, array = _arrays(name, rest["observation"])
        return Shown(shape, dtype, lambda seen: array(seen["observation"]), masked=True)
    shape, dtype, array = _arrays(name, _spaces.Dict(rest))
    return Shown(shape, dtype, lambda seen: array({key: seen[key] for key in rest}), masked=True)


def num_actions(name: GameName, space: Any) -> int:
    """Return the number of actions of a `Discrete` space; `ConfigurationError` for others."""
    if isinstance(space, _spaces.Discrete):
        return int(space.n)
    kind = "continuous actions" if isinstance(space, _spaces.Box) else "several choices at once"
    raise misfit(name, f"{kind}, {space}", "Discrete(n) actions")


def mask_in(info: Mapping[str, Any], actions: int) -> NDArray[np.bool_] | None:
    """Return the legal actions [A] that an observation or an info carries, None if it has none."""
    mask = info.get(MASK)
    return None if mask is None else np.asarray(mask).reshape(actions) != 0


_Arrays = tuple[tuple[int, ...], "np.dtype[Any]", Callable[[Any], NDArray[Any]]]


def _arrays(name: GameName, space: Any) -> _Arrays:
    if isinstance(space, _spaces.Discrete):
        n, start = int(space.n), int(space.start)
        places = np.arange(start, start + n)
        return (n,), np.dtype(np.int8), lambda seen: (places == seen).astype(np.int8)
    if isinstance(space, _spaces.Box):
        return _of_box(space)
    if isinstance(space, _spaces.MultiBinary):
        return space.shape, np.dtype(np.int8), lambda seen: np.asarray(seen)
    flat = _flattening.flatten_space(space) if space.is_np_flattenable else None
    if not isinstance(flat, _spaces.Box):
        kinds = "Box, Discrete, MultiBinary, MultiDiscrete, or Tuple or Dict of them"
        raise misfit(name, f"observations in {space}", kinds)
    dtype = _stored(flat)
    return flat.shape, dtype, lambda seen: _flattening.flatten(space, seen)


def _of_box(space: Any) -> _Arrays:
    shape, axes, scale = space.shape, len(space.shape), 1
    dtype = _stored(space)
    if space.dtype == np.uint8 and axes in (2, 3) and int(space.high.max(initial=0)) == 255:
        dtype, scale = np.dtype(np.float32), 255
    if axes == 3 and shape[2] < shape[0]:
        order: tuple[int, ...] = (2, 0, 1)
        shape = (shape[2], shape[0], shape[1])
    else:
        order = tuple(range(axes))
        shape = (1, *shape) if axes in (0, 2) else shape

    def array(seen: Any) -> NDArray[Any]:
        found: NDArray[Any] = np.asarray(seen).transpose(order).reshape(shape)
        if dtype.kind != "f":
            return found
        found = found.astype(dtype)
        return found / np.float32(scale) if scale > 1 else found

    return shape, dtype, array


def _stored(space: Any) -> np.dtype[Any]:
    """Return the type in which values of a `Box` are kept: one-hot vectors need a byte each."""
    if space.dtype.kind == "f":
        return np.dtype(np.float32)
    low, high = space.low.min(initial=0), space.high.max(initial=0)
    small = space.dtype.kind == "i" and -128 <= low <= high <= 127
    return np.dtype(np.int8) if small else np.dtype(space.dtype)
