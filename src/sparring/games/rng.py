"""Counter-based randomness: every draw is a pure function of a 64-bit key and a counter.

A match is named by (seed, worker, incarnation, env, match). Its key, mixed with a purpose, gives
one independent stream each for the players, for exploration and for the game's own chance. Nothing
has to be stored to resume a stream but its counter.

The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom
Number Generators", 2014), the counter steps by its odd constant. Draws below n use the
multiply-shift of Lemire (2019) on 32 bits: a bias below n / 2**32.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.njit import njit

GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_TWO_POW_MINUS_53: Final = 2.0**-53

# Purposes: each makes another stream out of one match key.
CHANCE: Final = 1
PLAYERS: Final = 2
EXPLORATION: Final = 3
OPENING: Final = 4
TRIALS: Final = 5
STARTS: Final = 6

_MASK_64: Final = (1 << 64) - 1


@njit(cache=True, nogil=True)
def mix(x: Any) -> Any:
    """A bijection of uint64 in which every input bit affects every output bit."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


def stream_key(*parts: int) -> int:
    """Return a 64-bit key from integers such as (seed, worker, incarnation, env, match); order and
    count matter.
    """
    key = int(mix(np.uint64(len(parts))))
    for part in parts:
        key = int(mix(np.uint64((key + int(GOLDEN) + part) & _MASK_64)))
    return key


@njit(cache=True, nogil=True)
def derive_keys(base: Any, first: Any, second: Any, out: Any) -> None:
    """`out[i]` = `base` with two more parts mixed in, `first[i]` and `second[i]`; `base` is a
    uint64 key, the others are [m].
    """
    for i in range(out.shape[0]):
        key = mix(base + GOLDEN + np.uint64(first[i]))
        out[i] = mix(key + GOLDEN + np.uint64(second[i]))


@njit(cache=True, nogil=True)
def purpose_key(key: Any, purpose: Any) -> Any:
    """Return the key of one purpose's stream of a match."""
    return mix(key + GOLDEN + np.uint64(purpose))


@njit(cache=True, nogil=True)
def fill_uniforms(keys: Any, counters: Any, purpose: Any, out: Any) -> None:
    """`out[i, j]` in [0, 1): draw number `counters[i] * width + j` of that purpose's stream of
    `keys[i]`; `out` is [n, width].
    """
    width = out.shape[1]
    for i in range(out.shape[0]):
        key = mix(keys[i] + GOLDEN + np.uint64(purpose))
        first = np.uint64(counters[i]) * np.uint64(width)
        for j in range(width):
            bits = mix(key + GOLDEN * (first + np.uint64(j) + np.uint64(1)))
            out[i, j] = np.float64(bits >> np.uint64(11)) * _TWO_POW_MINUS_53


@njit(cache=True, nogil=True)
def random_below(rng: Any, n: Any) -> Any:
    """Return the next integer in [0, n) of a stream and advance its counter; `rng` is a uint64 pair
    (key, counter). 0 < n < 2**32.
    """
    rng[1] += np.uint64(1)
    bits = mix(rng[0] + GOLDEN * rng[1]) >> np.uint64(32)
    return np.int64((bits * np.uint64(n)) >> np.uint64(32))


def uniforms(
    keys: NDArray[np.uint64], counters: NDArray[np.int64], purpose: int, width: int
) -> NDArray[np.float64]:
    """Return [n, width] draws in [0, 1), see `fill_uniforms`."""
    out = np.empty((len(keys), width))
    fill_uniforms(keys, counters, purpose, out)
    return out


@njit(cache=True, nogil=True)
def nth_true(mask: Any, n: Any) -> Any:
    """Return the index of True entry number `n` (from 0) of `mask` [A]; -1 if it has fewer."""
    for index in range(mask.shape[0]):
        if mask[index]:
            if n == 0:
                return index
            n -= 1
    return -1


@njit(cache=True, nogil=True)
def choose(candidates: Any, draws: Any, actions: Any) -> None:
    """`actions[i]` = one of the True entries of `candidates[i]`, uniform by `draws[i]` in [0, 1);
    -1 if there is none. candidates [m, A] bool, draws and actions [m].

    `dqn.exploration.epsilon_greedy` has a loop of its own for its random actions: Numba's cache on
    disk does not notice a change of a function in another file.
    """
    for i in range(candidates.shape[0]):
        actions[i] = nth_true(candidates[i], np.int64(draws[i] * np.sum(candidates[i])))


def restart(rng: np.random.Generator, key: int) -> None:
    """Set a PCG64 generator to the start of the stream of a 64-bit key; seeding a new one takes ten
    times as long.
    """
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": key << 64 | key, "inc": 1},
        "has_uint32": 0,
        "uinteger": 0,
    }
