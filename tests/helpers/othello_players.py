"""A fixed player of Othello: alpha-beta over discs and mobility.

With this folder on PYTHONPATH:
`sparring evaluate AGENT --opponent othello_players:DiscsAndMobility`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sparring.games import othello as rules
from sparring.games.compiled.jit import compiled

_NONE, _ONE, _PASS = np.uint64(0), np.uint64(1), rules.PASS
_MOBILITY = 4  # discs that one move more is worth
_WON = 1_000  # and a disc more for each disc of the lead
_moves, _turned, _count = (
    compiled(rule, __name__) for rule in (rules._moves, rules._turned, rules._count)
)


class DiscsAndMobility:
    """Searches `depth` plies ahead; at the leaves a position is worth the lead in discs and four
    times the lead in moves, at the end of a match much more. The first of equal moves.
    """

    def __init__(self, depth: int = 4) -> None:
        self.depth = depth

    def act_batch(self, observations: Any, masks: Any) -> Any:
        planes = np.asarray(observations, np.uint64).reshape(-1, 2, 64)
        bits = (planes << np.arange(64, dtype=np.uint64)).sum(axis=2, dtype=np.uint64)
        return _choose(bits, np.asarray(masks), self.depth)


@njit
def _choose(bits: Any, masks: Any, depth: Any) -> Any:
    actions = np.full(bits.shape[0], _PASS)
    for i in range(bits.shape[0]):
        best = -np.inf
        for action in range(_PASS):
            if masks[i, action]:
                mine, theirs = _after(bits[i, 0], bits[i, 1], _ONE << np.uint64(action))
                worth = -_search(theirs, mine, depth - 1, -np.inf, -best)
                if worth > best:
                    best, actions[i] = worth, action
    return actions


@njit
def _search(mine: Any, theirs: Any, depth: Any, alpha: Any, beta: Any) -> float:
    """Fail-soft negamax of the position in which I am to move."""
    moves, replies = _moves(mine, theirs), _moves(theirs, mine)
    lead = float(_count(mine) - _count(theirs))
    if moves == _NONE and replies == _NONE:
        return lead + _WON * np.sign(lead)
    if depth <= 0:
        return lead + _MOBILITY * (_count(moves) - _count(replies))
    if moves == _NONE:
        return -_search(theirs, mine, depth - 1, -beta, -alpha)
    best = -np.inf
    while moves != _NONE and best < beta:
        move = moves & (~moves + _ONE)
        moves ^= move
        after, other = _after(mine, theirs, move)
        best = max(best, -_search(other, after, depth - 1, -beta, -max(alpha, best)))
    return best


@njit
def _after(mine: Any, theirs: Any, move: Any) -> Any:
    turned = _turned(move, mine, theirs)
    return mine | move | turned, theirs ^ turned
