"""Copies of PettingZoo environments in the middle of a match, to try moves on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from sparring.adapters import imported

_AECEnv: Final = imported("pettingzoo", "pettingzoo").AECEnv
_Space: Final = imported("gymnasium", "pettingzoo").Space

Look = Callable[[Any], tuple[int, Any, Any]]  # of an environment: seat, observation, mask


def duplicate(env: Any) -> Any:
    """A copy that continues from here by itself.

    `copy.deepcopy` would rebuild most of PettingZoo's environments from their arguments
    (`EzPickle`), without the match.
    """
    return _duplicated(env, {})


def duplicates_well(env: Any, look: Look) -> bool:
    """Return whether copies are equal, continue alike and leave `env` alone, in each ply of a short
    match.
    """
    rng = np.random.Generator(np.random.PCG64(0))
    env.reset(seed=0)
    for _ in range(8):
        before = look(env)
        action = int(rng.choice(np.flatnonzero(before[2])))
        try:
            twin = duplicate(env)
            same_here = _alike(before, look(twin))
            twin.step(action)
            left_alone = _alike(before, look(env))
        except Exception:  # of any kind, from attributes that cannot be copied
            return False
        env.step(action)
        if not (same_here and left_alone and _standing(env) == _standing(twin)):
            return False
        if any(env.terminations.values()) or any(env.truncations.values()):
            break
    return True


def _standing(env: Any) -> tuple[Any, ...]:
    return env.agents, env.agent_selection, env.rewards, env.terminations, env.truncations


def _alike(a: Iterable[Any], b: Iterable[Any]) -> bool:
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(a, b, strict=True))


def _duplicated(env: Any, memo: dict[int, Any]) -> Any:
    new = object.__new__(type(env))
    memo[id(env)] = new
    for value in vars(env).values():  # spaces are large and constant: copies share them
        memo.update(
            (id(space), space)
            for space in (value.values() if isinstance(value, dict) else [value])
            if isinstance(space, _Space)
        )
    for name, value in vars(env).items():
        within = isinstance(value, _AECEnv) and id(value) not in memo
        new.__dict__[name] = _duplicated(value, memo) if within else copy.deepcopy(value, memo)
    return new
