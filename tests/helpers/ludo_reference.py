"""Slow reference of Ludo: one match in plain Python, from docs/games/ludo.md alone.

The tokens of a seat are kept by progress, the highest first, so that an action is an index.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.games.rng import CHANCE, purpose_key, random_below

STARTS = {2: (0, 26), 3: (0, 13, 26), 4: (0, 13, 26, 39)}
MAX_PLIES = {2: 1000, 3: 1500, 4: 2000}
SAFE = (0, 8, 13, 21, 26, 34, 39, 47)
YARD, START, LAST_ON_RING, HOME = 0, 1, 51, 57


def square(start: int, progress: int) -> int | None:
    """The square of the ring that a token of the seat with that start is on; None in the yard, the
    home column and at home.
    """
    return (start + progress - 1) % 52 if START <= progress <= LAST_ON_RING else None


RING = {start: [square(start, progress) for progress in range(HOME + 1)] for start in STARTS[4]}
UNSAFE = {
    start: [here is not None and here not in SAFE for here in squares]
    for start, squares in RING.items()
}


def landing(progress: int, throw: int) -> int | None:
    """The progress to which the throw takes a token; None if it cannot move."""
    if progress == YARD:
        return START if throw == 6 else None
    return progress + throw if progress + throw <= HOME else None


LANDINGS = [
    [landing(progress, throw) for progress in range(HOME + 1)] for throw in range(7)
]  # by throw and progress


@njit
def _draw(stream, throws):
    for i in range(len(throws)):
        throws[i] = 1 + random_below(stream, 6)


def throws_of(key: int) -> Iterator[int]:
    """The throws of the match of that key, one after the other."""
    return throws_from(np.array([purpose_key(np.uint64(key), CHANCE), 0], np.uint64))


def throws_from(stream: NDArray[np.uint64]) -> Iterator[int]:
    """Every number of the stream as a throw."""
    some = np.empty(256, np.int64)
    while True:
        _draw(stream, some)
        yield from some.tolist()


class Match:
    """One match. It stands at a throw that has to be decided, or has ended; `legal` are the actions
    that `play` takes.
    """

    def __init__(self, num_players: int, throws: Iterator[int]) -> None:
        self.num_players = num_players
        self.starts = STARTS[num_players]
        self.throws = throws
        self.tokens = [[YARD] * 4 for _ in range(num_players)]
        self.seat = self.throw = self.sixes = self.plies = 0
        self.rewards = [0.0] * num_players
        self.terminated = self.truncated = False
        self.legal: list[int] = []
        self._go_on(again=True)

    def stand(
        self, tokens: list[list[int]], seat: int, throw: int, sixes: int, plies: int = 0
    ) -> None:
        """Go on from a position made by hand; `sixes` in a row count this throw."""
        self.tokens = [sorted(own, reverse=True) for own in tokens]
        self.seat, self.throw, self.sixes, self.plies = seat, throw, sixes, plies
        self.legal = self._legal()

    def play(self, rank: int) -> None:
        """Move the token of that rank; then throw until somebody has to decide, unless the seat has
        won.
        """
        assert rank in self.legal
        assert not self.terminated
        assert not self.truncated
        self.plies += 1
        to = LANDINGS[self.throw][self.tokens[self.seat][rank]]
        assert to is not None
        captured = self.captured_at(to)
        for other, progress in captured:
            self.tokens[other].remove(progress)
            self.tokens[other].append(YARD)
        self.tokens[self.seat][rank] = to
        self.tokens[self.seat].sort(reverse=True)
        if self.tokens[self.seat] == [HOME] * 4:
            self._win()
            return
        self._go_on(again=self.throw == 6 or bool(captured) or to == HOME)
        self.truncated = self.plies == MAX_PLIES[self.num_players]

    def captured_at(self, to: int) -> list[tuple[int, int]]:
        """(seat, progress) of each token that goes back to its yard when a token of the mover comes
        to progress `to`.
        """
        start = self.starts[self.seat]
        if not UNSAFE[start][to]:
            return []
        where = RING[start][to]
        return [
            (other, progress)
            for other, squares in enumerate(map(RING.get, self.starts))
            if other != self.seat
            for progress in self.tokens[other]
            if squares[progress] == where
        ]

    def in_danger(self, progress: int, spared: list[tuple[int, int]]) -> bool:
        """Return whether a token of the mover with that progress could be captured by a throw of a
        token that is not `spared`.
        """
        start = self.starts[self.seat]
        if not UNSAFE[start][progress]:
            return False
        for other in range(self.num_players):
            for theirs in self.tokens[other]:
                behind = RING[self.starts[other]][theirs]
                if other != self.seat and behind is not None and (other, theirs) not in spared:
                    distance = (RING[start][progress] - behind) % 52
                    if 1 <= distance <= 6 and theirs + distance <= LAST_ON_RING:
                        return True
        return False

    def move(self, rank: int) -> list[bool]:
        """Facts of a legal move: captures, brings home, leaves the yard, reaches safety, in danger
        now, in danger where it lands.
        """
        start, progress = self.starts[self.seat], self.tokens[self.seat][rank]
        to = LANDINGS[self.throw][progress]
        assert to is not None
        captured = self.captured_at(to)
        to_safety = UNSAFE[start][progress] and not UNSAFE[start][to] and to != HOME
        return [
            bool(captured),
            to == HOME,
            progress == YARD,
            to_safety,
            self.in_danger(progress, []),
            self.in_danger(to, captured),
        ]

    def observation(self) -> NDArray[np.int8]:
        """The vector of the page, as the seat sees it that decides."""
        tokens = [
            [progress == column for column in range(58)] for progress in self.tokens[self.seat]
        ]
        moves = [self.move(rank) if rank in self.legal else [False] * 6 for rank in range(4)]
        others = [
            self._other((self.seat + i) % self.num_players) for i in range(1, self.num_players)
        ]
        throw = [[self.throw == side for side in range(1, 7)]]
        sixes = [[self.sixes == 1, self.sixes == 2]]
        return np.array(
            [
                value
                for part in (tokens, moves, others, throw, sixes)
                for row in part
                for value in row
            ],
            np.int8,
        )

    def _other(self, other: int) -> list[int]:
        """Counts of that seat's tokens on each square from the mover's start on, in the yard,
        on each of its own squares, at home.
        """
        mine, theirs = self.starts[self.seat], RING[self.starts[other]]
        ring = [0] * 52
        for progress in self.tokens[other]:
            where = theirs[progress]
            if where is not None:
                ring[(where - mine) % 52] += 1
        return ring + [
            self.tokens[other].count(progress) for progress in (YARD, 52, 53, 54, 55, 56, HOME)
        ]

    def _win(self) -> None:
        self.terminated = True
        self.legal = []
        self.rewards = [-1 / (self.num_players - 1)] * self.num_players
        self.rewards[self.seat] = 1.0

    def _go_on(self, *, again: bool) -> None:
        """Throw, for the same seat or the next one, until there is something to decide."""
        while True:
            if not again:
                self.seat = (self.seat + 1) % self.num_players
                self.sixes = 0
            self.throw = next(self.throws)
            self.sixes = self.sixes + 1 if self.throw == 6 else 0
            self.legal = self._legal() if self.sixes < 3 else []
            if self.legal:
                return
            again = False

    def _legal(self) -> list[int]:
        """The ranks that can move; of tokens with equal progress the first."""
        own, landings = self.tokens[self.seat], LANDINGS[self.throw]
        return [
            rank
            for rank in range(4)
            if landings[own[rank]] is not None and own[rank] not in own[:rank]
        ]
