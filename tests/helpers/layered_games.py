"""Small random games with chance, extra turns, rewards on the way and partial masks, and the exact
values of their transitions by dynamic programming.

The states are layers of `width` states; each action leads by chance to one of two states of the
next layer, or to the end, with rewards for all seats.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparring.games import GameSpec

END = -1


class Graph:
    """The states of one game: mover, mask, successors, probabilities and rewards."""

    def __init__(self, seed: int, seats: int, width: int, depth: int, zero_sum: bool) -> None:
        rng = np.random.default_rng(seed)
        self.width, self.size, self.actions = width, width * depth, 3
        self.mover = rng.integers(seats, size=self.size)
        self.mask = rng.random((self.size, self.actions)) < 0.75
        self.next = np.full((self.size, self.actions, 2), END)
        self.first = rng.choice([0.25, 0.5, 0.75, 1.0], (self.size, self.actions))
        self.rewards = rng.choice(
            [-1.0, -0.5, 0.0, 0.0, 0.5, 1.0], (self.size, self.actions, 2, seats)
        )
        if zero_sum:
            self.rewards[..., 1] = -self.rewards[..., 0]
        for s in range(self.size):
            if not self.mask[s].any():
                self.mask[s, rng.integers(self.actions)] = True
            if s // width < depth - 1:
                goes_on = rng.random((self.actions, 2)) > 0.15
                states = (s // width + 1) * width + rng.integers(width, size=(self.actions, 2))
                self.next[s] = np.where(goes_on, states, END)

    def legal(self, s: int) -> list[int]:
        actions: list[int] = np.flatnonzero(self.mask[s]).tolist()
        return actions

    def outcomes(self, s: int, action: int) -> Iterator[tuple[float, int, NDArray[Any]]]:
        """(probability, next state or END, rewards of all seats)."""
        for outcome, p in enumerate((self.first[s, action], 1 - self.first[s, action])):
            if p > 0:
                yield p, int(self.next[s, action, outcome]), self.rewards[s, action, outcome]


@functools.cache
def graph(seed: int, seats: int, depth: int, zero_sum: bool) -> Graph:
    return Graph(seed, seats, 3, depth, zero_sum)


@dataclass
class Layered:
    """The game of a graph; with `any_start` a match starts in any state, else in the first
    layer.
    """

    seed: int
    seats: int = 2
    depth: int = 4
    zero_sum: bool = True
    max_plies: int = 9
    any_start: bool = False

    def __post_init__(self) -> None:
        self.graph = graph(self.seed, self.seats, self.depth, self.zero_sum)
        self.spec = GameSpec(
            num_players=self.seats,
            num_actions=self.graph.actions,
            observation_shape=(self.graph.size,),
            observation_dtype="int8",
            max_plies=self.max_plies,
            chance=True,
            zero_sum=self.zero_sum and self.seats == 2,
        )

    def reset(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.state = int(rng.integers(self.graph.size if self.any_start else self.graph.width))
        self.seat = int(self.graph.mover[self.state])

    def mask(self) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = self.graph.mask[self.state]
        return mask

    def observe(self, seat: int) -> NDArray[np.int8]:
        shown = np.zeros(self.graph.size, np.int8)
        shown[self.state] = 1
        return shown

    def step(self, action: int) -> tuple[list[float], bool]:
        outcome = int(self.rng.random() >= self.graph.first[self.state, action])
        rewards = self.graph.rewards[self.state, action, outcome].tolist()
        following = int(self.graph.next[self.state, action, outcome])
        if following == END:
            return rewards, True
        self.state, self.seat = following, int(self.graph.mover[following])
        return rewards, False


def exact_q(g: Graph, gamma: float, n_steps: int, *, own_turn: bool) -> NDArray[np.float64]:
    """[states, actions] values of the mover: the fixed point of uncorrected n-step targets where
    all play at random; NaN for illegal actions.

    With `own_turn` gamma and n count decisions of the same seat, else plies, and values of the
    other seat are negated.
    """
    Q, V = np.full((g.size, g.actions), np.nan), np.zeros(g.size)

    @functools.cache
    def value(s: int, seat: int, left: int) -> float:
        """Of being in s for `seat`, after `left` more steps of random play; of later states only,
        whose V is final.
        """
        if s == END:
            return 0.0
        own = g.mover[s] == seat
        steps = own or not own_turn
        if steps and left == 0:
            return gamma * float(V[s] if own else -V[s])
        total = 0.0
        for action in g.legal(s):
            for p, following, rewards in g.outcomes(s, action):
                total += p * (rewards[seat] + value(following, seat, left - steps))
        return (gamma if steps else 1.0) * total / len(g.legal(s))

    for s in reversed(range(g.size)):
        seat = int(g.mover[s])
        for action in g.legal(s):
            Q[s, action] = sum(
                p * (rewards[seat] + value(following, seat, n_steps - 1))
                for p, following, rewards in g.outcomes(s, action)
            )
        V[s] = np.nanmax(Q[s])
    return Q


class LayeredAfter(Layered):
    """The same game with a method `after`: it shows the state and the action together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.graph.size * self.graph.actions
        self.spec = dataclasses.replace(self.spec, observation_shape=(size,))

    def observe(self, seat: int) -> NDArray[np.int8]:
        return np.zeros(self.spec.observation_shape, np.int8)

    def after(self, action: int) -> NDArray[np.int8]:
        shown = np.zeros(self.spec.observation_shape, np.int8)
        shown[self.state * self.graph.actions + action] = 1
        return shown


def exact_after(
    g: Graph, best: NDArray[np.int64], gamma: float, epsilon: float, *, own_turn: bool
) -> NDArray[np.float64]:
    """[states, actions] values of the mover after a move, if it plays `best` [states] from its next
    turn on; NaN for illegal actions.

    With `own_turn` others explore with `epsilon`; else they play `best`, and their values are
    negated.
    """
    W = np.full((g.size, g.actions), np.nan)

    def reached(s: int, seat: int) -> float:
        """Of coming to s, for `seat`; later states are final."""
        if s == END:
            return 0.0
        own = g.mover[s] == seat
        if own or not own_turn:
            return gamma * (1.0 if own else -1.0) * float(W[s, best[s]])
        legal = g.legal(s)
        shares = {a: epsilon / len(legal) + (1.0 - epsilon) * (a == best[s]) for a in legal}
        return sum(share * led(s, a, seat) for a, share in shares.items())

    def led(s: int, action: int, seat: int) -> float:
        return sum(
            p * (float(rewards[seat]) + reached(following, seat))
            for p, following, rewards in g.outcomes(s, action)
        )

    for s in reversed(range(g.size)):
        for action in g.legal(s):
            W[s, action] = led(s, action, int(g.mover[s]))
    return W
