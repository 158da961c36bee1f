"""One sitting: a person plays match after match against a player, which has all the other seats.

A `Sitting` knows no terminal. Its methods change what is on the table, its attributes tell it, and
everything follows from the seed and from what the person did: the same moves are answered by the
same moves and the same dice, after a take-back too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.policy import InferencePolicy
from sparring.errors import InputError
from sparring.evaluation.matches import ask
from sparring.evaluation.score import DRAW_TOLERANCE
from sparring.games.rng import EXPLORATION, stream_key, uniforms
from sparring.games.spec import BatchedGame, StateTree
from sparring.opponents.players import Player

_PLAY: Final = 0x504C_4159  # keeps these matches apart from those of training and evaluation


@dataclass(frozen=True)
class Ply:
    """One decision of the match; `value` is what the judge expected of it for its seat."""

    seat: int
    by: str | None  # name of the player, None for the person
    action: int
    text: str
    value: float


@dataclass(frozen=True)
class Result:
    """Result of a finished match for the person, who had `seat`."""

    opponent: str
    seat: int
    outcome: Literal["won", "drawn", "lost"]


@dataclass(frozen=True)
class _Decision:
    """The table as it was when the person had to decide."""

    state: StateTree
    returns: NDArray[np.float64]
    plies: int
    seat: int


class Sitting:
    """`game` has one slot. `judge` gives the values, whoever plays; `opponent` has every seat but
    the person's, and may be replaced.
    """

    def __init__(
        self, game: BatchedGame, judge: InferencePolicy, opponent: Player, *, seat: int, seed: int
    ) -> None:
        self.game = game
        self.opponent = opponent
        self.seat = check_seat(seat, game.spec.num_players)
        self.seed = seed
        self.plies: list[Ply] = []  # of the current match
        self.returns = np.zeros(game.spec.num_players)  # [P] what each seat was paid in this match
        self.results: list[Result] = []  # of all finished matches
        self._judge = judge
        self._decisions: list[_Decision] = []
        self._matches = 0
        self._key = np.zeros(1, np.uint64)

    @property
    def over(self) -> bool:
        return bool(self.game.terminated[0] or self.game.truncated[0])

    @property
    def legal(self) -> list[int]:
        """The person's legal actions; none after the end."""
        return [] if self.over else np.flatnonzero(self.game.mask[0]).tolist()

    def begin(self) -> None:
        """Begin the next match; one that is not finished is dropped and counts for nobody."""
        self._matches += 1
        self._key[0] = stream_key(_PLAY, self.seed, self._matches)
        self.game.reset(np.zeros(1, np.int64), self._key)
        self.plies, self._decisions = [], []
        self.returns[:] = 0
        self._play_others()

    def play(self, action: int) -> None:
        """Play a legal action of the person's, and the others' until it is the person's turn again
        or the match is over.
        """
        self._decisions.append(
            _Decision(self.game.get_state(), self.returns.copy(), len(self.plies), self.seat)
        )
        self._step(action, None)
        self._play_others()

    def take_back(self, decisions: int = 1) -> None:
        """Go back to where the person decided so many decisions ago, in the seat that the person
        had there.

        A finished match no longer counts then. Raises `InputError` where there were not so many.
        """
        if not 1 <= decisions <= len(self._decisions):
            there_are = (
                f"at most {len(self._decisions)}"
                if self._decisions
                else "none, as you have not moved in this match"
            )
            raise InputError("moves to take back", got=decisions, expected=there_are)
        if self.over:
            self.results.pop()
        decision = self._decisions[-decisions]
        del self._decisions[-decisions:], self.plies[decision.plies :]
        self.game.set_state(decision.state)
        self.returns[:], self.seat = decision.returns, decision.seat

    def sit(self, seat: int) -> None:
        """Give the person another seat; in a match that goes on, the others play until the turn
        comes to it.
        """
        self.seat = check_seat(seat, self.game.spec.num_players)
        self._play_others()

    def values(self) -> NDArray[np.float32]:
        """[A] what the judge expects that each action brings the seat to move; without meaning
        where an action is not legal.
        """
        values: NDArray[np.float32] = self._judge.q_values(self.game.observation)[0]
        return values

    def best(self) -> int:
        """The legal action of the highest value."""
        return int(np.where(self.game.mask[0], self.values(), -np.inf).argmax())

    def winners(self) -> list[int]:
        """The seats that were paid most in this match."""
        return np.flatnonzero(self.returns >= self.returns.max() - DRAW_TOLERANCE).tolist()

    def _play_others(self) -> None:
        while not self.over and self.game.seat[0] != self.seat:
            draws = uniforms(self._key, self.game.plies, EXPLORATION, 2)
            self._step(
                int(ask(self.opponent, self.game, np.zeros(1, np.int64), draws)[0]),
                self.opponent.name,
            )

    def _step(self, action: int, by: str | None) -> None:
        self.plies.append(
            Ply(
                int(self.game.seat[0]),
                by,
                action,
                self.game.action_text(0, action),
                float(self.values()[action]),
            )
        )
        self.game.step(np.array([action]))
        self.returns += self.game.rewards[0]
        if self.over:
            self.results.append(Result(self.opponent.name, self.seat, self._outcome()))

    def _outcome(self) -> Literal["won", "drawn", "lost"]:
        winners = self.winners()
        return "lost" if self.seat not in winners else "won" if len(winners) == 1 else "drawn"


def check_seat(seat: int, num_players: int) -> int:
    """The seat, if there is such a one; raises `InputError`."""
    if not 0 <= seat < num_players:
        raise InputError("seat", got=seat, expected=f"0 to {num_players - 1}")
    return seat
