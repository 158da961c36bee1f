"""Searches through one compiled game from one position: alpha-beta and UCT, for two players with
nothing drawn and nothing hidden.

As it stands it searches tic-tac-toe; `cache.py` writes a copy for each game that is searched, as it
does of `driver.py`. Positions are rows of the rules' STATE, which are copied; the rules are checked
as in `driver.py`. A function returns `BROKEN` if they break their contract, and lets their
exceptions pass; `line` then begins with the moves that led there, with -1 after them.

Values are seat 0's rewards from the searched position on; seat 1's are the negative. The seat to
move is read from the state, so a seat may have several turns in a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sparring.games.compiled.jit import compiled, unowned
from sparring.games.lookahead import SOONER
from sparring.games.rng import nth_true, random_below
from sparring.games.tic_tac_toe import SPEC, STATE, legal, play

FINE, BROKEN = -1, -2

_legal, _play = compiled(legal, __name__), compiled(play, __name__)
_MAX_PLIES = SPEC.max_plies
_ROW = STATE.itemsize
# Entries of a node: its move, first child, next sibling (0: none), untried moves (-1: unknown).
_MOVE, _CHILD, _SIBLING, _UNTRIED, _VISITS = range(5)


@njit(cache=True, nogil=True)
def best_moves(slots: Any, i: Any, stack: Any, rows: Any, depth: Any, best: Any, line: Any) -> Any:
    """Mark in `best` [A], all False, every best move in slot i by a search of `depth` plies.

    An end counts for its rewards, a little more the sooner it comes; a position `depth` plies
    ahead, or cut at the ply limit, for the rewards on the way. `stack` has `depth` + 1 slots for
    the positions of a line, `rows` are the bytes of its states, which loops copy much faster than
    assignments do; `line` [depth + 1] is all -1. Iterative deepening: the search of each depth sets
    the move order of the next, at the root the best first, further down those with most cutoffs.
    """
    slots, stack = unowned(slots), unowned(stack)
    deepest = min(depth, _MAX_PLIES - slots.plies[i])
    worth = np.zeros(best.shape[0])  # of the moves at the root
    cutoffs = np.zeros((2, best.shape[0]))  # by seat and action: what they cut off
    for reach in range(1, deepest + 1):
        stack.states[0] = slots.states[i]
        for action in range(best.shape[0]):  # a row at once compiles for more than a second
            stack.mask[0, action] = slots.mask[i, action]
        if not _alpha_beta(stack, rows, reach, depth, worth, cutoffs, line):
            return BROKEN
    sign = _sign(slots.states[i])
    highest = -np.inf
    for action in range(best.shape[0]):
        if slots.mask[i, action]:
            highest = max(highest, sign * worth[action])
    for action in range(best.shape[0]):
        best[action] = slots.mask[i, action] and sign * worth[action] == highest
    return FINE


@njit(nogil=True)
def _alpha_beta(
    stack: Any, rows: Any, reach: Any, depth: Any, worth: Any, cutoffs: Any, line: Any
) -> Any:
    """Put into `worth` [A] the value of each move from position 0 of the `stack`, `reach` plies
    ahead; return False if the rules break their contract.

    Fail-soft alpha-beta (Knuth and Moore 1975), with the stack in place of recursion. The window at
    the root lets values through that equal the best one: worse moves get a bound that is worse, all
    others their value.
    """
    alpha, beta, value = np.full(reach, -np.inf), np.full(reach, np.inf), np.zeros(reach)
    paid = np.zeros(reach + 1)  # on the way to each position of the line
    stream = np.zeros(2, np.uint64)
    k = 0
    value[0] = -_sign(stack.states[0]) * np.inf
    while k >= 0:
        sign = _sign(stack.states[k])
        action = -1
        if alpha[k] < beta[k]:
            action = _next_move(
                stack.mask[k], worth if k == 0 else cutoffs[(1 - sign) // 2], sign if k == 0 else 1
            )
        if action >= 0:
            line[k] = action
            ended = _try(stack, rows, k, action, stream)
            paid[k + 1] = paid[k] + stack.rewards[k + 1, 0]
            if not (np.isfinite(paid[k + 1]) and 0 <= stack.states[k + 1]["seat"] <= 1):
                return False
            if not ended and k + 1 < reach:
                k += 1
                alpha[k], beta[k] = alpha[k - 1], beta[k - 1]
                value[k] = -_sign(stack.states[k]) * np.inf
                if not _list_moves(stack.states[k], stack.mask[k]):
                    return False
                continue
            found = paid[k + 1] * (1.0 + (depth - k) * SOONER) if ended else paid[k + 1]
        else:
            found = value[k]
            k -= 1
            if k < 0:
                break
            sign = _sign(stack.states[k])
        _back_up(found, sign, k, alpha, beta, value, worth, line)
        if alpha[k] >= beta[k]:
            cutoffs[(1 - sign) // 2, line[k]] += (reach - k) ** 2
        line[k] = -1
    return True


@njit(nogil=True)
def _back_up(
    found: Any, sign: Any, k: Any, alpha: Any, beta: Any, value: Any, worth: Any, line: Any
) -> None:
    """Update value and window with the value `found` for a move after k plies."""
    if sign * found > sign * value[k]:
        value[k] = found
    bound = found
    if k == 0:
        worth[line[0]] = found
        bound = np.nextafter(found, -sign * np.inf)
    if sign > 0:
        alpha[k] = max(alpha[k], bound)
    else:
        beta[k] = min(beta[k], bound)


@njit(nogil=True, inline="always")
def _try(stack: Any, rows: Any, k: Any, action: Any, stream: Any) -> Any:
    """Make position k + 1 of the stack from position k; return whether the match ended."""
    for byte in range(_ROW):
        rows[k + 1, byte] = rows[k, byte]
    stack.rewards[k + 1, 0] = 0
    stack.rewards[k + 1, 1] = 0
    return _play(stack.states[k + 1], action, stack.rewards[k + 1], stream)


@njit(nogil=True, inline="always")
def _sign(state: Any) -> Any:
    """Return 1 if seat 0 moves, which maximises, and -1 if seat 1 does."""
    return 1 - 2 * np.int64(state["seat"])


@njit(nogil=True)
def _list_moves(state: Any, mask: Any) -> Any:
    """Fill `mask` [A] with the legal moves; return their number."""
    for action in range(mask.shape[0]):
        mask[action] = False
    _legal(state, mask)
    count = 0
    for action in range(mask.shape[0]):
        count += mask[action]
    return count


@njit(nogil=True)
def _next_move(remaining: Any, promise: Any, sign: Any) -> Any:
    """Remove the first move of highest promise from the `remaining` [A] and return it, -1 if none
    remains.
    """
    chosen = -1
    for action in range(remaining.shape[0]):
        if remaining[action] and (chosen < 0 or sign * promise[action] > sign * promise[chosen]):
            chosen = action
    if chosen >= 0:
        remaining[chosen] = False
    return chosen


@njit(cache=True, nogil=True)
def most_visited(slots: Any, i: Any, stack: Any, playouts: Any, key: Any, line: Any) -> Any:
    """Return the move in slot i with most visits after `playouts` playouts, a random one of
    several; or `BROKEN`.

    UCT (Kocsis and Szepesvari, "Bandit based Monte-Carlo planning", 2006): descend from the root to
    the child with the highest mean + sqrt(2 ln N / n) of its mover's returns, scaled to [0, 1] by
    the largest return of any playout so far; untried moves come first, in random order. The first
    new position becomes a node, and from there all moves are random. A playout ends with its match,
    at the ply limit, or after len(line) plies, and counts for its rewards. The match must go on for
    at least one ply; `stack` has a slot to play in, `line` is all -1, and `key` names the random
    stream.
    """
    slots, stack = unowned(slots), unowned(stack)
    nodes, totals = np.zeros((playouts + 1, 5), np.int32), np.zeros(playouts + 1)
    nodes[:, _UNTRIED] = -1
    rng, path = np.zeros(2, np.uint64), np.zeros(line.shape[0] + 1, np.int32)
    rng[0] = key
    limit, scale = min(line.shape[0], _MAX_PLIES - slots.plies[i]), 0.0
    for new in range(1, playouts + 1):
        stack.states[0] = slots.states[i]
        depth, paid, ended = _walk_down(stack, nodes, totals, new, scale, rng, limit, path, line)
        plies = depth
        if not ended:
            plies, more = _play_out(stack, rng, depth, limit, line)
            paid += more
        if not np.isfinite(paid):
            return BROKEN
        scale = max(scale, abs(paid))
        for k in range(depth + 1):
            nodes[path[k], _VISITS] += 1
            totals[path[k]] += paid
        line[:plies] = -1
    return _most_visited_child(nodes, rng)


@njit(nogil=True)
def _walk_down(
    stack: Any,
    nodes: Any,
    totals: Any,
    new: Any,
    scale: Any,
    rng: Any,
    limit: Any,
    path: Any,
    line: Any,
) -> Any:
    """Descend the tree and make node `new`; return (length of the path, rewards on it, True if it
    is the whole playout).

    Rewards of NaN mean that the rules break their contract, here and in the functions below.
    """
    node, paid = 0, 0.0
    for k in range(limit):
        grows = nodes[node, _UNTRIED] != 0
        if grows:
            action = _untried_move(stack, nodes, node, rng)
            if action < 0:
                return k, np.nan, True
            nodes[node, _UNTRIED] -= 1
            nodes[new, _MOVE], nodes[new, _SIBLING], nodes[node, _CHILD] = (
                action,
                nodes[node, _CHILD],
                new,
            )
            node = new
        else:
            node = _best_child(
                nodes, totals, node, _sign(stack.states[0]) / scale if scale > 0 else 0.0
            )
        path[k + 1] = node
        ended, pays = _ply(stack, nodes[node, _MOVE], rng, line, k)
        paid += pays
        if ended or grows:
            return k + 1, paid, ended
    return limit, paid, True


@njit(nogil=True)
def _untried_move(stack: Any, nodes: Any, node: Any, rng: Any) -> Any:
    """Return a random move of the node without a child, -1 if no move is legal."""
    count = _list_moves(stack.states[0], stack.mask[0])
    if nodes[node, _UNTRIED] < 0:
        nodes[node, _UNTRIED] = count
    other = nodes[node, _CHILD]
    while other > 0:
        stack.mask[0, nodes[other, _MOVE]] = False
        other = nodes[other, _SIBLING]
        count -= 1
    return _random_move(stack.mask[0], count, rng)


@njit(nogil=True)
def _best_child(nodes: Any, totals: Any, node: Any, sign: Any) -> Any:
    """Return the child with the highest upper bound; `sign` times a total is the mover's, in
    [-1, 1] per visit.
    """
    chosen, highest = 0, -np.inf
    logarithm = np.log(nodes[node, _VISITS])
    other = nodes[node, _CHILD]
    while other > 0:
        n = nodes[other, _VISITS]
        bound = 0.5 + 0.5 * sign * totals[other] / n + np.sqrt(2.0 * logarithm / n)
        if bound > highest:
            chosen, highest = other, bound
        other = nodes[other, _SIBLING]
    return chosen


@njit(nogil=True)
def _play_out(stack: Any, rng: Any, plies: Any, limit: Any, line: Any) -> Any:
    """Play random moves to the end; return (plies of the whole playout, rewards of these moves)."""
    paid = 0.0
    while plies < limit:
        action = _random_move(stack.mask[0], _list_moves(stack.states[0], stack.mask[0]), rng)
        if action < 0:
            return plies, np.nan
        ended, pays = _ply(stack, action, rng, line, plies)
        paid += pays
        plies += 1
        if ended:
            break
    return plies, paid


@njit(nogil=True)
def _ply(stack: Any, action: Any, rng: Any, line: Any, k: Any) -> Any:
    """Play move number k of a playout; return (True if the match ended, seat 0's reward)."""
    line[k] = action
    stack.rewards[0, 0] = 0
    stack.rewards[0, 1] = 0
    ended = _play(stack.states[0], action, stack.rewards[0], rng)
    if not (np.isfinite(stack.rewards[0, 0]) and 0 <= stack.states[0]["seat"] <= 1):
        return True, np.nan
    return ended, np.float64(stack.rewards[0, 0])


@njit(nogil=True)
def _random_move(mask: Any, count: Any, rng: Any) -> Any:
    """Return one of the `count` moves in `mask` [A], -1 if there is none."""
    return nth_true(mask, random_below(rng, count)) if count > 0 else -1


@njit(nogil=True)
def _most_visited_child(nodes: Any, rng: Any) -> Any:
    """Return the move of the root's child with most visits, a random one of several."""
    most, count = 0, 0
    other = nodes[0, _CHILD]
    while other > 0:
        if nodes[other, _VISITS] > most:
            most, count = nodes[other, _VISITS], 0
        if nodes[other, _VISITS] == most:
            count += 1
        other = nodes[other, _SIBLING]
    nth = random_below(rng, count)
    other = nodes[0, _CHILD]
    while nth > 0 or nodes[other, _VISITS] < most:
        if nodes[other, _VISITS] == most:
            nth -= 1
        other = nodes[other, _SIBLING]
    return np.int64(nodes[other, _MOVE])
