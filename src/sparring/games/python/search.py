"""The searches and `win_or_block` of compiled rules for a Match in plain Python: the same moves,
found on copies of the match, about a hundred times slower.

`compiled/search.py` and `compiled/driver.py` have the same algorithms on rows of an array: Numba
compiles neither objects nor copies of them. The tests compare both. Values are seat 0's rewards
from the searched position on; seat 1's are the negative.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games.faults import BrokenContractError
from sparring.games.lookahead import MAX_PLAYOUT, SOONER
from sparring.games.python.coerce import as_flag, as_mask, as_outcome, as_rewards, as_seat
from sparring.games.rng import random_below
from sparring.games.spec import Match


class _AlphaBeta:
    """Fail-soft alpha-beta, `reach` plies ahead; `cutoffs` counts cutoffs by seat and action."""

    def __init__(
        self,
        trials: Trials,
        num_actions: int,
        reach: int,
        depth: int,
        cutoffs: dict[tuple[int, int], int],
    ) -> None:
        self._trials, self._num_actions, self._reach, self._depth, self._cutoffs = (
            trials,
            num_actions,
            reach,
            depth,
            cutoffs,
        )

    def worth(
        self, match: Match, line: tuple[int, ...], paid: float, alpha: float, beta: float
    ) -> float:
        """Value of the last move of `line`, played in `match`; `paid` are the rewards before it."""
        trial, rewards, ended = self._trials.after(match, line)
        paid += _to_seat_0(rewards)
        if ended:
            return paid * (1.0 + (self._depth - len(line) + 1) * SOONER)
        if len(line) == self._reach:
            return paid
        seat, legal = self._trials.to_move(trial, self._num_actions)
        sign = 1 - 2 * seat
        value = -sign * math.inf
        for action in sorted(legal, key=lambda a: -self._cutoffs[seat, a]):
            value = sign * max(
                sign * value, sign * self.worth(trial, (*line, action), paid, alpha, beta)
            )
            alpha, beta = (max(alpha, value), beta) if seat == 0 else (alpha, min(beta, value))
            if alpha >= beta:
                self._cutoffs[seat, action] += (self._reach - len(line)) ** 2
                break
        return value


@dataclass
class _Node:
    """A position of the tree, after `move`; `total` sums seat 0's returns over `visits`."""

    move: int
    children: list[_Node] = field(default_factory=list)  # the newest first
    untried: list[int] | None = None  # moves without a child; None before the first visit
    visits: int = 0
    total: float = 0.0

    def next_child(
        self, sign: int, legal: list[int], scale: float, rng: NDArray[np.uint64]
    ) -> tuple[_Node, bool]:
        """Return (next child, True if it is new); `sign` is 1 if seat 0 moves, else -1."""
        if self.untried is None:
            self.untried = list(legal)
        if self.untried:
            child = _Node(self.untried.pop(random_below(rng, len(self.untried))))
            self.children.insert(0, child)
            return child, True
        factor = sign / scale if scale > 0 else 0.0
        logarithm = math.log(self.visits)
        return max(
            self.children,
            key=lambda c: (
                0.5 + 0.5 * factor * c.total / c.visits + math.sqrt(2.0 * logarithm / c.visits)
            ),
        ), False


class MatchSearch:
    """Searches from one position of a match that goes on for at most `plies_left` more plies;
    `legal` [A] are its moves.
    """

    def __init__(
        self, trials: Trials, match: Match, seat: int, legal: NDArray[np.bool_], plies_left: int
    ) -> None:
        self._trials, self._match, self._seat = trials, match, seat
        self._legal: list[int] = np.flatnonzero(legal).tolist()
        self._num_actions, self._plies_left = len(legal), plies_left

    def best_moves(self, depth: int) -> NDArray[np.bool_]:
        """[A], see `SearchableGame`."""
        sign = 1 - 2 * self._seat
        worth = dict.fromkeys(self._legal, 0.0)
        cutoffs: dict[tuple[int, int], int] = defaultdict(int)
        for reach in range(1, min(depth, self._plies_left) + 1):
            lines = _AlphaBeta(self._trials, self._num_actions, reach, depth, cutoffs)
            bounds = [-math.inf, math.inf]  # alpha of seat 0, beta of seat 1
            for action in sorted(self._legal, key=lambda a: -sign * worth[a]):
                worth[action] = found = lines.worth(self._match, (action,), 0.0, *bounds)
                # Moves as good as this one must stay inside the window.
                short_of = math.nextafter(found, -sign * math.inf)
                bounds[self._seat] = sign * max(sign * bounds[self._seat], sign * short_of)
        marked = np.zeros(self._num_actions, np.bool_)
        highest = max(sign * value for value in worth.values())
        marked[[action for action, value in worth.items() if sign * value == highest]] = True
        return marked

    def most_visited(self, playouts: int, key: np.uint64) -> int:
        """See `SearchableGame`; draws the very numbers that the compiled search draws."""
        rng = np.array([key, 0], np.uint64)
        root, scale = _Node(-1), 0.0
        for _ in range(playouts):
            path, paid = self._playout(root, scale, rng)
            scale = max(scale, abs(paid))
            for node in path:
                node.visits += 1
                node.total += paid
        most = max(node.visits for node in root.children)
        favourites = [node.move for node in root.children if node.visits == most]
        return favourites[int(random_below(rng, len(favourites)))]

    def _playout(
        self, root: _Node, scale: float, rng: NDArray[np.uint64]
    ) -> tuple[list[_Node], float]:
        """Return (the nodes of the path, seat 0's return)."""
        trial, line = self._trials.copied(self._match, ()), list[int]()
        node: _Node | None = root  # None outside the tree
        path, paid, seat, legal = [root], 0.0, self._seat, self._legal
        while True:
            if node is None:
                line.append(legal[random_below(rng, len(legal))])
            else:
                child, new = node.next_child(1 - 2 * seat, legal, scale, rng)
                path.append(child)
                line.append(child.move)
                node = None if new else child
            rewards, ended = self._trials.play(trial, line)
            paid += _to_seat_0(rewards)
            if ended or len(line) == min(MAX_PLAYOUT, self._plies_left):
                return path, paid
            seat, legal = self._trials.to_move(trial, self._num_actions)


def _to_seat_0(rewards: Any) -> float:
    """Return seat 0's reward, as the batched protocol rounds it."""
    return 0.0 if rewards is None else float(np.float32(rewards[0]))


class Trials:
    """Moves tried on copies of a match without chance, for `win_or_block` and the searches above;
    `actions` and `during` are those of the last trial, for the message if it fails.
    """

    def __init__(self, match: Match, seat: int, num_players: int) -> None:
        self._match, self._seat, self._num_players = match, seat, num_players
        self.actions: Sequence[int] = ()
        self.during = ""

    def winning(self, legal: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return those of the `legal` moves [A] that win at once, [A]."""
        return self._wins(self._match, self._seat, legal, ())

    def blocking(self, legal: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return those of the `legal` moves [A] with which the next mover, another seat, would win
        if some other move were played now, [A].
        """
        threats = np.zeros_like(legal)
        for action in np.flatnonzero(legal).tolist():
            trial, _, ended = self.after(self._match, (action,))
            if ended or (seat := as_seat(trial.seat, self._num_players)) == self._seat:
                continue
            self.during = "mask"
            replies = as_mask(trial.mask(), legal.shape) & legal & ~threats
            replies[action] = False
            threats |= self._wins(trial, seat, replies, (action,))
        return threats

    def _wins(
        self, match: Match, seat: int, candidates: NDArray[np.bool_], before: tuple[int, ...]
    ) -> NDArray[np.bool_]:
        wins = np.zeros_like(candidates)
        for action in np.flatnonzero(candidates).tolist():
            _, rewards, ended = self.after(match, (*before, action))
            wins[action] = ended and rewards is not None and rewards[seat] > 0
        return wins

    def after(self, match: Match, actions: tuple[int, ...]) -> tuple[Match, Any, bool]:
        """Play the last of `actions` in a copy of `match`, which is where the others led; return
        (copy, rewards, ended).
        """
        trial = self.copied(match, actions)
        return trial, *self.play(trial, actions)

    def copied(self, match: Match, actions: tuple[int, ...]) -> Match:
        """Return a copy of the match, which is where `actions` led."""
        self.actions, self.during = actions, "copy"
        return _copied(match)

    def play(self, trial: Match, actions: Sequence[int]) -> tuple[Any, bool]:
        """Play the last of `actions` in a copy; return (rewards, ended)."""
        self.actions, self.during = actions, "step"
        rewards, ended = as_outcome(trial.step(actions[-1]))
        return None if rewards is None else as_rewards(rewards, self._num_players), as_flag(ended)

    def to_move(self, trial: Match, num_actions: int) -> tuple[int, list[int]]:
        """Return the seat to move in a copy that goes on, and its legal actions, at least one."""
        seat = as_seat(trial.seat, self._num_players)
        self.during = "mask"
        legal: list[int] = np.flatnonzero(as_mask(trial.mask(), (num_actions,))).tolist()
        if not legal:
            raise no_legal_action()
        return seat, legal


def no_legal_action() -> BrokenContractError:
    """Make the error for a match that goes on without a legal action."""
    return BrokenContractError(
        "no legal action",
        "at least one while a match goes on",
        "end the match, or offer one that passes",
    )


def _copied(match: Match) -> Match:
    if callable(own := getattr(match, "copy", None)):
        copied: Match = own()
        return copied
    return deep_copy(match)


def deep_copy(match: Match) -> Match:
    """Copy a match without a method `copy`; raise `BrokenContractError` if that fails."""
    try:
        # The spec is shared: large with its symmetries, and never changed.
        return copy.deepcopy(match, {id(match.spec): match.spec})
    except MemoryError:  # not a mistake of the class
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        raise BrokenContractError(
            got, "a match that copy.deepcopy can copy", "give the class a method copy()"
        ) from error
