"""Slow reference of the contract of transitions: from the complete record of a match to every
transition that it gives.

With the decisions of a *lane* numbered 0, 1, 2, ... (a lane is one seat's decisions for `own_turn`,
all decisions for `zero_sum`), what decision k is paid at once is what its seat gets from its own
ply up to, not including, the next decision of its lane. Then

    R = sum over j < n of gamma^j * paid(k + j)
    next state = decision k + n
    discount = gamma^n

and where the match ends before: the sum runs to the end; discount 0 if it terminated; if it was
cut, the cut position is the next state after as many steps as there were, but in `own_turn` only
for the seat that is to move there, the others' open transitions being dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

AT_A_DECISION, AT_THE_END = 0, 1


@dataclass(frozen=True)
class Position:
    seat: int
    observation: NDArray[Any]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Decision:
    tick: int
    position: Position
    action: int
    version: int
    rewards: tuple[float, ...]  # by seat, what the ply paid


@dataclass
class Match:
    env: int
    learns: tuple[bool, ...]
    decisions: list[Decision] = field(default_factory=list)
    terminated: bool = False
    cut: Position | None = None  # where it was truncated


@dataclass(frozen=True)
class Transition:
    place: tuple[int, int, int, int, int]  # tick, by a decision or by the end, env, lane, age
    decision: Decision
    R: float
    next: Position | None
    discount: float
    sign: int


def transitions(
    matches: Iterable[Match], *, bootstrap: str, n_steps: int, gamma: float
) -> list[Transition]:
    """All transitions of all matches, in the order of the contract."""
    rule = {"own_turn": _own_turn, "zero_sum": _zero_sum}[bootstrap]
    return sorted(
        (t for match in matches for t in rule(match, n_steps, gamma)), key=lambda t: t.place
    )


def _own_turn(match: Match, n: int, gamma: float) -> Iterator[Transition]:
    for seat in [seat for seat, learns in enumerate(match.learns) if learns]:
        plies = [
            ply for ply, decision in enumerate(match.decisions) if decision.position.seat == seat
        ]
        ends = [*plies[1:], len(match.decisions)]
        paid = [
            sum(match.decisions[ply].rewards[seat] for ply in range(a, b))
            for a, b in zip(plies, ends, strict=False)
        ]
        for k, ply in enumerate(plies):
            R = sum(gamma**j * paid[k + j] for j in range(n) if k + j < len(plies))
            following = match.decisions[plies[k + n]] if k + n < len(plies) else None
            may_follow_cut = match.cut is not None and match.cut.seat == seat
            yield from _one(
                match, ply, R, following, (seat, k), n, len(plies) - k, gamma, may_follow_cut
            )


def _zero_sum(match: Match, n: int, gamma: float) -> Iterator[Transition]:
    T = len(match.decisions)
    for t, decision in enumerate(match.decisions):
        seat = decision.position.seat
        if match.learns[seat]:
            R = sum(gamma**j * match.decisions[t + j].rewards[seat] for j in range(n) if t + j < T)
            following = match.decisions[t + n] if t + n < T else None
            yield from _one(match, t, R, following, (0, t), n, T - t, gamma, True)


def _one(
    match: Match, ply: int, R: float, following: Decision | None, lane_and_age: tuple[int, int],
    n: int, left: int, gamma: float, may_follow_cut: bool,
) -> Iterator[Transition]:  # fmt: skip
    decision = match.decisions[ply]
    seat, last_tick = decision.position.seat, match.decisions[-1].tick
    if following is not None:
        sign = 1 if following.position.seat == seat else -1
        yield Transition(
            (following.tick, AT_A_DECISION, match.env, *lane_and_age), decision, R,
            following.position, gamma**n, sign
        )  # fmt: skip
    elif match.terminated:
        yield Transition(
            (last_tick, AT_THE_END, match.env, *lane_and_age), decision, R, None, 0.0, 1
        )
    elif match.cut is not None and may_follow_cut:
        sign = 1 if match.cut.seat == seat else -1
        yield Transition(
            (last_tick, AT_THE_END, match.env, *lane_and_age),
            decision,
            R,
            match.cut,
            gamma**left,
            sign,
        )


def assert_rows(rows: NDArray[Any], expected: list[Transition]) -> None:
    """Assert that the rows are exactly these transitions, in this order, in every field."""
    wanted = np.zeros(len(expected), rows.dtype)
    for row, t in zip(wanted, expected, strict=True):
        row["observation"], row["mask"] = t.decision.position.observation, t.decision.position.mask
        row["action"], row["version"] = t.decision.action, t.decision.version
        row["R"], row["discount"], row["sign"] = t.R, t.discount, t.sign
        if t.next is not None:
            row["next_observation"], row["next_mask"] = t.next.observation, t.next.mask
    assert len(rows) == len(wanted)
    for name in rows.dtype.names or ():
        if name in ("R", "discount"):
            np.testing.assert_allclose(rows[name], wanted[name], rtol=1e-5, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(rows[name], wanted[name], err_msg=name)
