"""Recorded matches, and comparisons with the same matches replayed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games.spec import BatchedGame

VIEWS = ("seat", "observation", "mask", "rewards", "terminated", "truncated", "plies")
Frame = dict[str, NDArray[Any]]
AS_RECORDED = "the recorded views"


@dataclass
class Trace:
    """n matches that started together: frame t holds the views after t steps, `actions[t]` [n] the
    actions played then.
    """

    keys: NDArray[np.uint64]
    frames: list[Frame] = field(default_factory=list)
    actions: list[NDArray[np.int64]] = field(default_factory=list)

    @property
    def num_matches(self) -> int:
        return len(self.keys)

    @property
    def num_plies(self) -> int:
        return sum(int(np.sum(actions >= 0)) for actions in self.actions)

    @property
    def cut_after(self) -> int:
        """Plies after which unfinished matches were abandoned; 0 if all ended."""
        last = self.frames[-1]
        return int(last["plies"][in_progress(last)].max(initial=0))


def frames(traces: Iterable[Trace]) -> Iterator[tuple[int, Frame]]:
    """(plies since the first frame, frame) of every trace."""
    for trace in traces:
        yield from enumerate(trace.frames)


def snapshot(game: BatchedGame) -> Frame:
    """Copies of all views."""
    return {name: np.array(getattr(game, name)) for name in VIEWS}


def in_progress(frame: Frame) -> NDArray[np.bool_]:
    """[n] matches that take actions."""
    live: NDArray[np.bool_] = ~(frame["terminated"] | frame["truncated"])
    return live


def random_actions(frame: Frame, rng: np.random.Generator) -> NDArray[np.int64]:
    """[n] a legal action for each match in progress, -1 for the others."""
    mask = frame["mask"] & in_progress(frame)[:, None]
    scores = np.where(mask, rng.random(mask.shape), -1.0)
    return np.where(mask.any(axis=1), scores.argmax(axis=1), -1)


def record(
    game: BatchedGame,
    keys: NDArray[np.uint64],
    rng: np.random.Generator,
    *,
    max_steps: int | None = None,
    max_bytes: int | None = None,
) -> Trace:
    """Random matches in all slots of `game`, until all have ended or have no legal action.

    They are cut off one step past `max_plies`, after `max_steps`, or where another frame would
    exceed `max_bytes`.
    """
    trace = Trace(keys)
    game.reset(np.arange(game.num_slots), keys)
    trace.frames.append(snapshot(game))
    limit = game.spec.max_plies + 1
    if max_steps is not None:
        limit = min(limit, max_steps)
    if max_bytes is not None:
        bytes_of_frame = sum(view.nbytes for view in trace.frames[0].values())
        limit = min(limit, max(1, max_bytes // bytes_of_frame))
    while len(trace.actions) < limit:
        actions = random_actions(trace.frames[-1], rng)
        game.step(actions)
        trace.actions.append(actions)
        trace.frames.append(snapshot(game))
        if np.all(actions < 0):  # after one step too many: ended matches must not change
            break
    return trace


def difference(
    got: Frame, expected: Frame, slots: NDArray[Any], matches: NDArray[Any]
) -> str | None:
    """The first view whose rows `slots` of `got` differ from the rows `matches` of `expected`, in
    words; None if all are equal.
    """
    for name in VIEWS:
        mine, theirs = got[name][slots], expected[name][matches]
        both_nan = (mine != mine) & (theirs != theirs)
        differ = (mine != theirs) & ~both_nan
        if np.any(differ):
            at = int(np.argwhere(differ)[0, 0])
            shown, recorded = _short(mine[at]), _short(theirs[at])
            return f"{name} {shown} in slot {slots[at]}, recorded was {recorded}"
    return None


def _short(values: Any) -> str:
    text = "".join(str(values.tolist()).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def resume(game: BatchedGame, trace: Trace, start: int) -> str | None:
    """Replay from frame `start`, in which `game` stands, to the end; the first difference from the
    trace, or None.
    """
    everyone = np.arange(trace.num_matches)
    for tick, frame in enumerate(trace.frames[start:], start):
        if found := difference(snapshot(game), frame, everyone, everyone):
            return f"{found}, after {tick} plies"
        if tick < len(trace.actions):
            game.step(trace.actions[tick])
    return None


def replay(game: BatchedGame, trace: Trace, keys: NDArray[np.uint64]) -> str | None:
    """Replay the trace from its start with these keys; the first difference, or None."""
    game.reset(np.arange(trace.num_matches), keys)
    return resume(game, trace, 0)


def replay_scattered(game: BatchedGame, trace: Trace) -> str | None:
    """Replay two matches of three, in other slots and from different ticks; the first difference,
    or None.
    """
    n = trace.num_matches
    matches = np.flatnonzero(np.arange(n) % 3 != 1)
    slots, delays = n - 1 - matches, matches % 4
    for tick in range(len(trace.actions) + 4):
        starting = delays == tick
        game.reset(slots[starting], trace.keys[matches[starting]])
        now, actions = snapshot(game), np.full(n, -1)
        for match, slot, age in zip(matches, slots, tick - delays, strict=True):
            if 0 <= age < len(trace.frames):
                if found := difference(now, trace.frames[age], np.array([slot]), np.array([match])):
                    return f"{found}, after {age} plies in slot {match} beside other matches"
                actions[slot] = trace.actions[age][match] if age < len(trace.actions) else -1
        game.step(actions)
    return None


def place(wrong: NDArray[np.bool_], tick: int | None = None) -> str:
    """Slot of the first True in `wrong` [n] or [n, ...], and the ply."""
    slot = int(np.argwhere(wrong)[0, 0])
    return f"slot {slot}" if tick is None else f"slot {slot} after {tick} plies"


def row(values: NDArray[Any], wrong: NDArray[np.bool_], tick: int | None = None) -> str:
    """First row of `values` that is `wrong`, with slot and ply."""
    return f"{values[np.argwhere(wrong)[0, 0]].tolist()} in {place(wrong, tick)}"
