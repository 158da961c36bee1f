"""Slow reference of a worker's body: one match at a time, one position at a time, from the keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from transitions_reference import Decision, Match, Position

from sparring.dqn.policy import InferencePolicy
from sparring.dqn.tree_search import Lookahead, best_moves
from sparring.games import make
from sparring.games.rng import EXPLORATION, PLAYERS, derive_keys, stream_key, uniforms
from sparring.games.spec import BatchedGame
from sparring.opponents.names import lookahead_of
from sparring.opponents.players import AGENT, Opponent, Plan
from sparring.opponents.scripted import scripted_player
from sparring.rollout import RolloutSettings, RoundCommand

FIRST = np.zeros(1, np.int64)


class Weights:
    """A source of weights from dictionaries."""

    def __init__(
        self,
        published: Mapping[int, NDArray[np.float32]],
        snapshots: Mapping[int, NDArray[np.float32]] | None = None,
    ) -> None:
        self._published, self._snapshots = published, snapshots or {}

    def published(self, version: int) -> NDArray[np.float32]:
        return self._published[version]

    def snapshot(self, slot: int) -> NDArray[np.float32]:
        return self._snapshots[slot]


@dataclass
class Env:
    """One env: its game, and the match that is being played there."""

    number: int
    game: BatchedGame
    matches: int = 0
    key: int = 0
    players: tuple[int, ...] = ()
    returns: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    record: Match | None = None


class SlowRollout:
    """`matches` records every match begun so far, `results` (players, returns, plies) those that
    ended, in order of (tick, env).
    """

    def __init__(
        self, settings: RolloutSettings, weights: Weights, *, worker: int, incarnation: int
    ) -> None:
        self.settings, self.weights = settings, weights
        self.base = stream_key(settings.seed, worker, incarnation)
        self.envs = [
            Env(number, make(settings.policy.game, 1)) for number in range(settings.num_envs)
        ]
        self.known: dict[int, Opponent] = {}
        self.tick = 0
        self.surplus = 0
        self.matches: list[Match] = []
        self.results: list[tuple[tuple[int, ...], tuple[float, ...], int]] = []

    def play_round(self, command: RoundCommand) -> tuple[int, frozenset[int]]:
        """Plies of the round, and the snapshots that play on in matches in progress."""
        self.known |= {opponent.id: opponent for opponent in command.plan.opponents}
        for env in self.envs:
            if env.record is None:
                self._begin(env, command.plan)
        finished, plies = self.surplus, 0
        while finished < command.episodes:
            for env in self.envs:
                plies += 1
                if self._ply(env, command):
                    finished += 1
                    self._begin(env, command.plan)
            self.tick += 1
        self.surplus = finished - command.episodes
        playing = {player for env in self.envs for player in env.players}
        return plies, frozenset(i for i in playing if i != AGENT and self.known[i].slot is not None)

    def _begin(self, env: Env, plan: Plan) -> None:
        out = np.zeros(1, np.uint64)
        derive_keys(np.uint64(self.base), np.array([env.number]), np.array([env.matches]), out)
        env.key = int(out[0])
        seats = env.game.spec.num_players
        env.players = tuple(
            AGENT if seat == (env.number + env.matches) % seats else _drawn(plan, uniform)
            for seat, uniform in enumerate(uniforms(out, FIRST, PLAYERS, seats)[0])
        )
        learns = tuple(
            self.settings.learn_from == "all" or player == AGENT for player in env.players
        )
        env.record = Match(env.number, learns)
        self.matches.append(env.record)
        env.returns = np.zeros(seats)
        env.matches += 1
        env.game.reset(FIRST, out)

    def _ply(self, env: Env, command: RoundCommand) -> bool:
        game = env.game
        assert env.record is not None
        position = Position(int(game.seat[0]), game.observation[0].copy(), game.mask[0].copy())
        action = self._choice(env, env.players[position.seat], command)
        game.step(np.array([action]))
        env.returns += game.rewards[0]
        env.record.decisions.append(
            Decision(
                self.tick,
                position,
                action,
                command.weights_version,
                tuple(game.rewards[0].tolist()),
            )
        )
        env.record.terminated = bool(game.terminated[0])
        if game.truncated[0]:
            env.record.cut = Position(
                int(game.seat[0]), game.observation[0].copy(), game.mask[0].copy()
            )
        if env.record.terminated or env.record.cut:
            self.results.append((env.players, tuple(env.returns.tolist()), int(game.plies[0])))
            return True
        return False

    def _choice(self, env: Env, player: int, command: RoundCommand) -> int:
        uniform = uniforms(np.array([env.key], np.uint64), env.game.plies, EXPLORATION, 2)
        depth = 0 if player == AGENT else lookahead_of(self.known[player].name)
        if player != AGENT and self.known[player].slot is None and not depth:
            return int(scripted_player(self.known[player].name).act(env.game, FIRST, uniform)[0])
        slot = None if player == AGENT else self.known[player].slot
        epsilon = command.epsilon if player == AGENT else self.settings.opponent_epsilon
        vector = (
            self.weights.published(command.weights_version)
            if slot is None
            else self.weights.snapshot(slot)
        )
        legal = np.flatnonzero(env.game.mask[0])
        if uniform[0, 0] < epsilon:
            return int(legal[int(uniform[0, 1] * len(legal))])
        policy = InferencePolicy(self.settings.policy)
        policy.load_vector(vector)
        return int(best_moves(policy, env.game, FIRST, Lookahead(depth))[0])


def _drawn(plan: Plan, uniform: float) -> int:
    total = 0.0
    for opponent, probability in zip(plan.opponents, plan.probabilities, strict=True):
        total += probability
        if uniform < total:
            return opponent.id
    return plan.opponents[-1].id
