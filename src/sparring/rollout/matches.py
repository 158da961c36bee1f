"""The match that each env is in: its key, the players of its seats, the seats that learn, and what
each has been paid so far.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sparring.games import BatchedGame
from sparring.games.rng import PLAYERS, derive_keys, stream_key, uniforms
from sparring.games.spec import StateTree
from sparring.opponents.players import AGENT, Plan
from sparring.opponents.records import result_dtype
from sparring.rollout.random_starts import RandomStarts

LearnFrom = Literal["agent", "all"]

# the difference of two such sums is still finite
_LARGEST: Final = np.float32(np.finfo(np.float32).max / 2)


@njit(cache=True, nogil=True)
def _seat(
    slots: Any,
    draws: Any,
    edges: Any,
    ids: Any,
    learn_all: Any,
    number: Any,
    players: Any,
    learns: Any,
    returns: Any,
) -> None:
    """Seat the players of match `number[e]` in each of `slots`: the agent by rotation, elsewhere
    `ids[k]` for a draw in the k-th share.
    """
    seats = players.shape[1]
    for i in range(slots.shape[0]):
        e = slots[i]
        for s in range(seats):
            k = 0
            while k < ids.shape[0] - 1 and draws[i, s] >= edges[k]:
                k += 1
            players[e, s] = ids[k]
            returns[e, s] = 0.0
        players[e, (e + number[e]) % seats] = AGENT
        for s in range(seats):
            learns[e, s] = learn_all or players[e, s] == AGENT


@njit(cache=True, nogil=True)
def _pay(returns: Any, rewards: Any, plies: Any, limit: Any, over: Any, ended: Any) -> Any:
    """Add `rewards` to `returns`, both [n, P], up to the ply limit; fill `ended` with the slots
    whose matches are over, and return their number.
    """
    count = 0
    for e in range(returns.shape[0]):
        for s in range(returns.shape[1] if plies[e] <= limit else 0):
            returns[e, s] = min(max(returns[e, s] + rewards[e, s], -_LARGEST), _LARGEST)
        if over[e]:
            ended[count] = e
            count += 1
    return count


@njit(cache=True, nogil=True)
def _find_movers(players: Any, seat: Any, movers: Any) -> Any:
    """Fill `movers` [n] with the player to move in each slot; return whether all are the same."""
    alike = True
    for e in range(movers.shape[0]):
        movers[e] = players[e, seat[e]]
        alike &= movers[e] == movers[0]
    return alike


class MatchTable:
    """The matches of one worker's envs, one after another in each.

    Match m of env e has the key of (seed, worker, incarnation, e, m); its players are drawn from
    that key, kept to its end, and the agent's seat moves on by one with each match, so that it
    plays every seat equally often.
    """

    def __init__(
        self,
        game: BatchedGame,
        starts: RandomStarts,
        *,
        seed: int,
        worker: int,
        incarnation: int,
        learn_from: LearnFrom,
    ) -> None:
        n, seats = game.num_slots, game.spec.num_players
        self._game, self._starts = game, starts
        self._base = np.uint64(stream_key(seed, worker, incarnation))
        self._learn_all = learn_from == "all"
        self.number = np.full(n, -1, np.int64)
        self.keys = np.zeros(n, np.uint64)
        self.players = np.zeros((n, seats), np.int64)  # ids, AGENT for the newest weights
        self.learns = np.zeros((n, seats), np.bool_)
        self.movers = np.zeros(n, np.int64)  # the player to move, after `find_movers`
        self._returns = np.zeros((n, seats), np.float32)
        self._ended = np.zeros(n, np.int64)
        self._zeros = np.zeros(n, np.int64)
        self._result_dtype = result_dtype(seats)
        self._plan: Plan | None = None

    def begin(self, slots: NDArray[np.int64], plan: Plan) -> None:
        """Start the next match in each of `slots` [m], with players from the plan."""
        if plan is not self._plan:
            self._plan = plan
            self._ids = np.array([opponent.id for opponent in plan.opponents], np.int64)
            # the upper ends of the players' shares of [0, 1)
            self._edges = np.cumsum(plan.probabilities)
        self.number[slots] += 1
        keys = np.empty(len(slots), np.uint64)
        derive_keys(self._base, slots, self.number[slots], keys)
        self.keys[slots] = keys
        draws = uniforms(keys, self._zeros[: len(slots)], PLAYERS, self.players.shape[1])
        _seat(
            slots,
            draws,
            self._edges,
            self._ids,
            self._learn_all,
            self.number,
            self.players,
            self.learns,
            self._returns,
        )
        self._starts.begin(slots, keys)
        self._game.reset(slots, keys)

    def find_movers(self) -> bool:
        """Fill `movers` with the player to move in each slot; return whether all are the same."""
        return bool(_find_movers(self.players, self._game.seat, self.movers))

    def pay(self, over: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Add what the last step paid; return the slots of the matches that are `over` [n], a view
        that the next call overwrites.

        Sums too large for float32 are cut; the learner reports such rewards.
        """
        game = self._game
        limit = game.spec.max_plies
        count = _pay(self._returns, game.rewards, game.plies, limit, over, self._ended)
        return self._ended[:count]

    def results(self, slots: NDArray[np.int64]) -> NDArray[Any]:
        """The finished matches in `slots` [m] as `result_dtype` rows [m]."""
        rows = np.zeros(len(slots), self._result_dtype)
        rows["players"], rows["returns"] = self.players[slots], self._returns[slots]
        plies, limit = self._game.plies[slots], self._game.spec.max_plies
        rows["plies"] = np.minimum(plies, limit)
        rows["truncated"] = ~self._game.terminated[slots] | (plies > limit)
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
        self._starts.begin(np.arange(len(self.keys)), self.keys)
