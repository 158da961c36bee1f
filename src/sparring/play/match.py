"""Matches that a person watches or plays. Nothing here knows a terminal or a page.

A match is a function of the seed, its number and the actions in it: the same moves get the same
answers and the same dice, after a take-back too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.policy import InferencePolicy
from sparring.errors import InputError
from sparring.evaluation.matches import choose_actions
from sparring.games.rng import EXPLORATION, stream_key, uniforms
from sparring.games.spec import BatchedGame, StateTree
from sparring.opponents.players import Player
from sparring.opponents.records import outcomes

_PLAY: Final = 0x504C_4159  # keeps these matches apart from those of training and evaluation
_SLOT: Final = np.zeros(1, np.int64)


@dataclass(frozen=True)
class Ply:
    """One decision of the match; `value` is the agent's Q-value of it, for its seat."""

    seat: int
    by: str | None  # name of the player; None: the person
    action: int
    text: str
    value: float


Outcome = Literal["won", "drawn", "lost", "cut", "alone"]


@dataclass(frozen=True)
class Result:
    """Result of a match for the person, who had `seat`. A match may be cut at the ply limit, and a
    game for one player has no opponent to win against.
    """

    opponent: str
    seat: int
    outcome: Outcome
    amount: float = 0.0  # the person's return


@dataclass(frozen=True)
class _Decision:
    """The state in which the person had to decide."""

    state: StateTree
    returns: NDArray[np.float64]
    plies: int
    seat: int


class OpenMatch:
    """One match after the other, ply by ply, of a `game` with one slot; `agent` gives the
    Q-values.
    """

    def __init__(self, game: BatchedGame, agent: InferencePolicy) -> None:
        self.game = game
        self.returns = np.zeros(game.spec.num_players)  # [P] rewards of this match so far
        self._agent = agent
        self._key = np.zeros(1, np.uint64)

    @property
    def over(self) -> bool:
        return bool(self.game.terminated[0] or self.game.truncated[0])

    @property
    def legal(self) -> list[int]:
        """Legal actions of the seat to move; none after the end."""
        return [] if self.over else np.flatnonzero(self.game.mask[0]).tolist()

    def start(self, seed: int, number: int) -> None:
        """Begin the match of that number, from 1 on, of a seed."""
        self._key[0] = stream_key(_PLAY, seed, number)
        self.game.reset(_SLOT, self._key)
        self.returns[:] = 0

    def step(self, action: int) -> None:
        """Play one legal action of the seat to move."""
        self.game.step(np.array([action]))
        self.returns += self.game.rewards[0]

    def choice(self, player: Player) -> int:
        """The action of a player that has the seat to move."""
        draws = uniforms(self._key, self.game.plies, EXPLORATION, 2)
        return int(choose_actions(player, self.game, _SLOT, draws)[0])

    def values(self) -> NDArray[np.float32]:
        """[A] the agent's Q-values for the seat to move; meaningless for illegal actions."""
        values: NDArray[np.float32] = self._agent.action_values(self.game, _SLOT)[0]
        return values

    def best(self) -> int:
        """The legal action of the highest value."""
        return int(np.where(self.game.mask[0], self.values(), -np.inf).argmax())

    def winners(self) -> list[int]:
        """The seats with the highest return of this match."""
        return np.flatnonzero(outcomes(self.returns, self.returns.max()) == 0).tolist()


class PlaySession(OpenMatch):
    """A person plays match after match. `opponent` has every seat but the person's, and may be
    replaced.
    """

    def __init__(
        self, game: BatchedGame, agent: InferencePolicy, opponent: Player, *, seat: int, seed: int
    ) -> None:
        super().__init__(game, agent)
        self.opponent = opponent
        self.seat = check_seat(seat, game.spec.num_players)
        self.seed = seed
        self.plies: list[Ply] = []  # of the current match
        self.results: list[Result] = []  # of all finished matches
        self._decisions: list[_Decision] = []
        self._matches = 0

    def begin(self) -> None:
        """Begin the next match; an unfinished one is discarded and not counted."""
        self._matches += 1
        self.start(self.seed, self._matches)
        self.plies, self._decisions = [], []
        self._play_others()

    def play(self, action: int) -> None:
        """Play a legal action of the person, then the opponent's moves up to the person's next turn
        or the end.
        """
        self._decisions.append(
            _Decision(self.game.get_state(), self.returns.copy(), len(self.plies), self.seat)
        )
        self._record(action, None)
        self._play_others()

    def take_back(self, decisions: int = 1) -> None:
        """Return to the state before that many of the person's decisions, with the person's seat of
        then.

        A finished match is no longer counted. Raises `InputError` if there were fewer decisions.
        """
        if not self._decisions:
            raise InputError("nothing to take back: you have not moved in this match")
        if not 1 <= decisions <= len(self._decisions):
            expected = f"1 to {len(self._decisions)}"
            raise InputError("moves to take back", got=decisions, expected=expected)
        if self.over:
            self.results.pop()
        decision = self._decisions[-decisions]
        del self._decisions[-decisions:], self.plies[decision.plies :]
        self.game.set_state(decision.state)
        self.returns[:], self.seat = decision.returns, decision.seat

    def change_seat(self, seat: int) -> None:
        """Give the person another seat; in an unfinished match the opponent then plays up to its
        turn.
        """
        self.seat = check_seat(seat, self.game.spec.num_players)
        self._play_others()

    def _play_others(self) -> None:
        while not self.over and self.game.seat[0] != self.seat:
            self._record(self.choice(self.opponent), self.opponent.name)

    def _record(self, action: int, by: str | None) -> None:
        self.plies.append(
            Ply(
                int(self.game.seat[0]),
                by,
                action,
                self.game.action_text(0, action),
                float(self.values()[action]),
            )
        )
        self.step(action)
        if self.over:
            amount = float(self.returns[self.seat])
            self.results.append(Result(self.opponent.name, self.seat, self._outcome(), amount))

    def _outcome(self) -> Outcome:
        if self.game.spec.num_players == 1:
            return "alone"
        if self.game.truncated[0]:
            return "cut"
        winners = self.winners()
        return "lost" if self.seat not in winners else "won" if len(winners) == 1 else "drawn"


def check_seat(seat: int, num_players: int) -> int:
    """The seat; raises `InputError` if it does not exist."""
    if not 0 <= seat < num_players:
        raise InputError("seat", got=seat, expected=f"0 to {num_players - 1}")
    return seat
