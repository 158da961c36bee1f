"""Look-ahead at the board: moves are compared some plies ahead, with the network's values at the
leaves.

Alpha-beta (Knuth and Moore, 1975) over many positions at once: the moves of a position are ordered
by the network's values, the first is searched alone, and all others together with the bounds that
it gave ("young brothers wait": Feldmann et al., 1989). So the network values the leaves of many
positions in one pass, and a search of D plies takes at most 2 ** D of them. The best move is that
of a search without pruning.

Chance is averaged over 36 draws whose first numbers are spread evenly, and nothing is pruned then:
the average is exact after a throw of one die, or of two as one number; what is drawn after that is
a fixed sample. A match's own coming draws are never looked at.

Whole turns are compared without chance: all positions in which the seat's own plies can end before
the next draw, as TD-Gammon compares them (Tesauro, 1995).

Deterministic; for two-player zero-sum games of compiled rules without hidden information. A sooner
win counts for a little more than a later one.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError
from sparring.games import BatchedGame
from sparring.games.lookahead import SOONER, refuse_search
from sparring.games.rng import TRIALS, purpose_key, random_below
from sparring.opponents.names import MAX_LOOKAHEAD

if TYPE_CHECKING:
    from sparring.games.compiled.game import CompiledGame

_MAX_POSITIONS: Final = 2**16  # that are looked at together
_LATER: Final = 1.0 - SOONER
_DRAWS: Final = 36  # of chance after a move


@dataclass(frozen=True)
class Lookahead:
    """Plies that are searched; with `nodes` only as many of them, one after the other, as take at
    most so many positions a move. Or whole turns, to the next draw.
    """

    plies: int = 0
    nodes: int | None = None
    turn: bool = False

    @property
    def searches(self) -> bool:
        """False where the network alone decides."""
        return self.turn or self.plies > 0


NO_LOOKAHEAD: Final = Lookahead()


def check_lookahead(policy: PolicySpec, lookahead: Lookahead) -> None:
    """Raise `ConfigurationError` if such agents cannot look so far ahead in their game."""
    spec = policy.game_spec
    if not 0 <= lookahead.plies <= MAX_LOOKAHEAD:
        raise ConfigurationError(
            "lookahead",
            got=lookahead.plies,
            expected=f"a number of plies from 0 to {MAX_LOOKAHEAD}",
        )
    if lookahead.nodes is not None and lookahead.nodes < 1:
        raise ConfigurationError("lookahead_nodes", got=lookahead.nodes, expected="at least 1")
    if lookahead.turn and not (policy.afterstates and spec.chance and spec.afterstates == "next"):
        values = "positions after moves" if policy.afterstates else "actions"
        raise ConfigurationError(
            f"lookahead turn in {spec.name}",
            got=f"an agent that values {values}",
            expected="one that values positions after moves, two players, zero_sum=True, chance",
        )
    if lookahead.plies:
        refuse_search(f"lookahead {lookahead.plies}", spec, averages_chance=True)


def refuse_python(game: BatchedGame) -> CompiledGame:
    """Return `game`; raise `ConfigurationError` unless its rules are compiled."""
    from sparring.games.compiled.game import CompiledGame  # imports Numba

    if not isinstance(game, CompiledGame):
        raise ConfigurationError(
            f"lookahead in {game.spec.name}", got="a game in Python", expected="compiled rules"
        )
    return game


def best_moves(
    policy: InferencePolicy,
    game: BatchedGame,
    slots: NDArray[np.int64],
    lookahead: Lookahead,
    legal: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """[m] the best moves in `slots` [m], the first of equals; -1 where there is none. With `legal`
    [m, A] only these moves are compared.
    """
    allowed = game.mask[slots] if legal is None else legal & game.mask[slots]
    moves = np.full(len(slots), -1)
    rows = np.flatnonzero(allowed.any(axis=1))
    if len(rows):
        at = _Nodes.roots_of(game, slots[rows], allowed[rows])
        if lookahead.turn:
            moves[rows] = _best_of_turns(policy, game, slots[rows], allowed[rows])
        elif lookahead.nodes is None:
            moves[rows] = _Search(policy, lookahead.plies, len(rows)).best(at)
        else:
            moves[rows] = _deepen(policy, at, lookahead.plies, lookahead.nodes)
    return moves


def _best_of_turns(
    policy: InferencePolicy,
    game: BatchedGame,
    slots: NDArray[np.int64],
    legal: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """[m] the first moves of the turns that end best in `slots` [m]."""
    from sparring.games.compiled.turns import whole_turns  # imports Numba

    turns = whole_turns(refuse_python(game), slots, legal)
    mover = game.seat[slots[turns.root]]
    worth = turns.paid[np.arange(len(mover)), mover].astype(np.float64)
    going = ~turns.ended
    values = policy.q_values(turns.observation[going])[:, 0]
    worth[going] += np.where(turns.seat[going] == mover[going], values, -values)
    order = np.lexsort((-worth, turns.root))
    _, best = np.unique(turns.root[order], return_index=True)
    moves: NDArray[np.int64] = turns.plies[order[best], 0]
    return moves


class _Nodes(NamedTuple):
    """k positions of the trees of m roots: of the matches in `slots` of `game`."""

    game: BatchedGame
    slots: NDArray[np.int64]  # [k]
    legal: NDArray[np.bool_]  # [k, A] moves that are compared, at least one
    root: NDArray[np.int64]  # [k] below m
    # [k] bounds: what is worth less or more to the seat to move need not be known exactly
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]

    @classmethod
    def roots_of(
        cls, game: BatchedGame, slots: NDArray[np.int64], legal: NDArray[np.bool_]
    ) -> _Nodes:
        m = len(slots)
        return cls(game, slots, legal, np.arange(m), np.full(m, -np.inf), np.full(m, np.inf))

    def only(self, rows: NDArray[np.int64]) -> _Nodes:
        return _Nodes(
            self.game,
            self.slots[rows],
            self.legal[rows],
            self.root[rows],
            self.alpha[rows],
            self.beta[rows],
        )


def _deepen(policy: InferencePolicy, at: _Nodes, plies: int, nodes: int) -> NDArray[np.int64]:
    """[m] best moves by searches of 0, 1, 2, ... up to `plies` plies that together look at no more
    than so many positions a root. A search that would exceed that is dropped.
    """
    moves = _Search(policy, 0, len(at.slots)).best(at)
    rows, left = np.arange(len(moves)), np.full(len(moves), nodes - 1)
    for depth in range(1, plies + 1):
        search = _Search(policy, depth, len(rows), left)
        found = search.best(_Nodes.roots_of(at.game, at.slots[rows], at.legal[rows]))
        complete = search.left >= 0
        moves[rows[complete]] = found[complete]
        # the next search takes at least as many, as a rule
        going = complete & (search.left >= left - search.left)
        rows, left = rows[going], search.left[going]
        if not len(rows):
            break
    return moves


class _Search:
    """A search of `depth` plies from m roots, each of which may look at `left` [m] positions."""

    def __init__(
        self,
        policy: InferencePolicy,
        depth: int,
        num_roots: int,
        left: NDArray[np.int64] | None = None,
    ) -> None:
        self._policy = policy
        self._depth = depth
        self._averages = policy.spec.game_spec.chance
        self.left = np.full(num_roots, np.iinfo(np.int64).max) if left is None else left.copy()

    def best(self, at: _Nodes) -> NDArray[np.int64]:
        """[m] the best moves at the roots; of no meaning where `left` has become negative."""
        best: NDArray[np.int64] = self._values(at, self._depth).argmax(axis=1)
        return best

    def _values(self, at: _Nodes, depth: int) -> NDArray[np.float64]:
        """[k, A] values of moves for the seats to move; -inf for those that are not compared.

        The largest of a row is exact within the bounds. Others may be too high, but not higher than
        that.
        """
        k = len(at.slots)
        copies = np.count_nonzero(at.legal) * (_DRAWS if self._averages else 1)
        if k > 1 and copies > _MAX_POSITIONS:
            halves = np.array_split(np.arange(k), 2)
            return np.concatenate([self._values(at.only(half), depth) for half in halves])
        self.left -= np.bincount(at.root, minlength=len(self.left))
        going = self.left[at.root] >= 0
        if going.all():
            return self._expand(at, depth)
        values = np.zeros(at.legal.shape)
        if going.any():
            values[going] = self._expand(at.only(np.flatnonzero(going)), depth)
        return values

    def _expand(self, at: _Nodes, depth: int) -> NDArray[np.float64]:
        values = np.full(at.legal.shape, -np.inf)
        best = values.max(axis=1)
        if depth and (self._averages or (depth == 1 and np.isinf(at.beta).all())):
            # nothing to prune
            self._fill(values, at, at.legal, best, depth)
            return values
        found = self._policy.action_values(at.game, at.slots).astype(np.float64)
        static = np.where(at.legal, found, -np.inf)
        if depth == 0:
            return static
        first = np.zeros(at.legal.shape, np.bool_)
        first[np.arange(len(first)), static.argmax(axis=1)] = True
        self._fill(values, at, first, best, depth)
        best = values.max(axis=1)
        self._fill(values, at, at.legal & ~first & (best < at.beta)[:, None], best, depth)
        return values

    def _fill(
        self,
        values: NDArray[np.float64],
        at: _Nodes,
        chosen: NDArray[np.bool_],
        best: NDArray[np.float64],
        depth: int,
    ) -> None:
        """Fill `values` [k, A] of the `chosen` [k, A] moves; `best` [k] has been found so far."""
        parents, actions = np.nonzero(chosen)
        if not len(parents):
            return
        game = refuse_python(at.game)
        movers = game.seat[at.slots[parents]]
        if self._averages:
            values[parents, actions] = self._average(game, at, parents, actions, movers, depth)
            return
        after = game.copied(at.slots[parents])
        after.step(actions)
        if depth == self._depth:
            best = np.nextafter(best, -np.inf)  # equals are told from less: the first one counts
        alpha = np.maximum(at.alpha, best)[parents]
        values[parents, actions] = self._after(
            after, movers, at.root[parents], alpha, at.beta[parents], depth - 1
        )

    def _average(
        self,
        game: CompiledGame,
        at: _Nodes,
        parents: NDArray[np.int64],
        actions: NDArray[np.int64],
        movers: NDArray[np.int64],
        depth: int,
    ) -> NDArray[np.float64]:
        """[k] the mean worth of moves over the draws that follow them."""
        k = len(parents)
        move = np.repeat(np.arange(k), _DRAWS)
        after = game.copied(at.slots[parents[move]], np.tile(_spread_streams(), k))
        after.step(actions[move])
        slots, counts = after.alike(move)
        after, move = after.copied(slots), move[slots]
        unbounded = np.full(len(slots), np.inf)
        root = at.root[parents[move]]
        worth = self._after(after, movers[move], root, -unbounded, unbounded, depth - 1)
        means = np.zeros(k)
        np.add.at(means, move, counts / _DRAWS * worth)
        return means

    def _after(
        self,
        after: CompiledGame,
        movers: NDArray[np.int64],
        root: NDArray[np.int64],
        alpha: NDArray[np.float64],
        beta: NDArray[np.float64],
        depth: int,
    ) -> NDArray[np.float64]:
        """[k] what the moves that led to these positions are worth to the `movers` [k]."""
        positions = np.arange(after.num_slots)
        values: NDArray[np.float64] = after.rewards[positions, movers].astype(np.float64)
        # bounds for what comes later; rounded outwards, so that equals stay within
        low = np.nextafter((alpha - values) / _LATER, -np.inf)
        high = np.nextafter((beta - values) / _LATER, np.inf)
        same = after.seat == movers
        alpha, beta = np.where(same, low, -high), np.where(same, high, -low)
        for playing, plies in (
            (~after.terminated & ~after.truncated, depth),
            (after.truncated, 0),  # a match that is cut has the value that the network gives it
        ):
            slots = np.flatnonzero(playing & after.mask.any(axis=1))
            if len(slots):
                nodes = _Nodes(
                    after, slots, after.mask[slots], root[slots], alpha[slots], beta[slots]
                )
                best = self._values(nodes, plies).max(axis=1)
                values[slots] += _LATER * np.where(same[slots], best, -best)
        return values


@functools.cache
def _spread_streams() -> NDArray[np.uint64]:
    """Keys of streams whose first draws lie one in each of `_DRAWS` equal parts of their range."""
    keys: dict[int, np.uint64] = {}
    candidates = (purpose_key(np.uint64(number), TRIALS) for number in itertools.count())
    while len(keys) < _DRAWS:
        key = next(candidates)
        keys.setdefault(int(random_below(np.array([key, 0], np.uint64), _DRAWS)), key)
    return np.array([keys[part] for part in range(_DRAWS)], np.uint64)
