"""Which match each env is in: its key, who sits where, which seats learn, what each has been paid so far."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sparring.games import BatchedGame
from sparring.games.random import PLAYERS, derive_keys, stream_key, uniforms
from sparring.games.spec import StateTree
from sparring.opponents.plan import AGENT, Plan
from sparring.opponents.records import result_dtype

LearnFrom = Literal["agent", "all"]

_LARGEST = np.finfo(np.float32).max / 2  # the difference of two such sums is still a number


class MatchTable:
    """The matches of one worker's envs, one after another in each.

    Match m of env e has the key of (seed, worker, incarnation, e, m); its players are drawn from that key, kept to its end, and the
    agent's seat moves on by one with each match, so that it plays every seat equally often.
    """

    def __init__(self, game: BatchedGame, *, seed: int, worker: int, incarnation: int, learn_from: LearnFrom) -> None:
        n, seats = game.num_slots, game.spec.num_players
        self._game = game
        self._base = np.uint64(stream_key(seed, worker, incarnation))
        self._learn_all = learn_from == "all"
        self.number = np.full(n, -1, np.int64)
        self.keys = np.zeros(n, np.uint64)
        self.players = np.zeros((n, seats), np.int64)  # ids, AGENT for the newest weights
        self.learns = np.zeros((n, seats), np.bool_)
        self._returns = np.zeros((n, seats), np.float32)

    def begin(self, slots: NDArray[np.int64], plan: Plan) -> None:
        """Start the next match in each of `slots` [m], with players from the plan."""
        seats = self.players.shape[1]
        number = self.number[slots] + 1
        keys = np.empty(len(slots), np.uint64)
        derive_keys(self._base, slots, number, keys)
        ids = np.array([opponent.id for opponent in plan.opponents], np.int64)
        edges = np.cumsum(plan.probabilities)
        draws = uniforms(keys, np.zeros(len(slots), np.int64), PLAYERS, seats)
        players = ids[np.minimum(np.searchsorted(edges, draws, side="right"), len(ids) - 1)]
        players[np.arange(len(slots)), (slots + number) % seats] = AGENT
        self.number[slots], self.keys[slots], self.players[slots] = number, keys, players
        self.learns[slots] = self._learn_all | (players == AGENT)
        self._returns[slots] = 0.0
        self._game.reset(slots, keys)

    def pay(self) -> None:
        """Add what the last step paid; sums too large for float32 are cut, and the learner will complain of such rewards."""
        with np.errstate(over="ignore"):
            self._returns += self._game.rewards
        np.clip(self._returns, -_LARGEST, _LARGEST, out=self._returns)

    def results(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """The finished matches in `slots` [m] as `result_dtype` rows [m]."""
        rows = np.zeros(len(slots), result_dtype(self.players.shape[1]))
        rows["players"], rows["returns"] = self.players[slots], self._returns[slots]
        rows["plies"], rows["truncated"] = self._game.plies[slots], self._game.truncated[slots]
        return rows

    def get_state(self) -> StateTree:
        return {
            "number": self.number.copy(),
            "keys": self.keys.copy(),
            "players": self.players.copy(),
            "learns": self.learns.copy(),
            "returns": self._returns.copy(),
        }

    def set_state(self, state: StateTree) -> None:
        self.number[...], self.keys[...] = state["number"], state["keys"]
        self.players[...], self.learns[...] = state["players"], state["learns"]
        self._returns[...] = state["returns"]
