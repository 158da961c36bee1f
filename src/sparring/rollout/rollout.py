"""A worker's body: ticks over many envs until enough matches have finished. A plain object,
without processes.

One tick asks each acting player once, for all the envs in which it is to move, and then plays one
ply everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.exploration import epsilon_greedy
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.games import make
from sparring.games.python.game import LoopedGame
from sparring.games.rng import EXPLORATION, fill_uniforms, stream_key
from sparring.opponents.players import AGENT, AGENT_NAME, NetworkPlayer, Opponent, Player
from sparring.opponents.records import result_dtype
from sparring.opponents.roster import NOBODY, Roster
from sparring.replay.transitions import transition_dtype
from sparring.rollout.assembler import Bootstrap, TransitionAssembler
from sparring.rollout.matches import LearnFrom, MatchTable
from sparring.rollout.positions import AfterMoves, Observed
from sparring.rollout.random_starts import RandomStarts
from sparring.rollout.round import (
    Between,
    RoundCommand,
    RoundReport,
    WeightSource,
    to_the_end,
)

_IDLE: Final = -1  # the action that leaves a slot as it is
_OVERTIME_TURNS: Final = 10  # of each seat
# part of the stream keys of noisy networks' noise
_NOISE: Final = 0x4E4F_4953_4501

Sink = Callable[[NDArray[Any]], None]


@dataclass(frozen=True)
class RolloutSettings:
    """Settings that all workers of a run share; plain values that travel to its process."""

    policy: PolicySpec
    num_envs: int
    seed: int
    bootstrap: Bootstrap
    n_steps: int
    gamma: float
    learn_from: LearnFrom
    opponent_epsilon: float
    bfloat16: bool = False  # matrix products of the agent and of snapshots
    block: int = 1024  # transitions that go to the sink at a time
    roster: Roster = NOBODY
    td_lambda: float = 1.0
    random_start_share: float = 0.0
    random_start_plies: int = 1


class Rollout:
    """Plays the agent against its opponents in `num_envs` matches at once, and makes transitions
    of these matches.
    """

    def __init__(
        self, settings: RolloutSettings, weights: WeightSource, *, worker: int, incarnation: int
    ) -> None:
        self._settings = settings
        self._weights = weights
        self._game = make(settings.policy.game, settings.num_envs)
        if settings.bootstrap == "own_turn" and isinstance(self._game, LoopedGame):
            # for decisions that wait for their seat's next turn at the ply limit
            self._game.allow_overtime(_OVERTIME_TURNS * self._game.spec.num_players)
        self._starts = RandomStarts(
            self._game, share=settings.random_start_share, plies=settings.random_start_plies
        )
        self._matches = MatchTable(
            self._game,
            self._starts,
            seed=settings.seed,
            worker=worker,
            incarnation=incarnation,
            learn_from=settings.learn_from,
        )
        self._assembler = TransitionAssembler(
            self._game,
            transition_dtype(settings.policy.network_game),
            bootstrap=settings.bootstrap,
            n_steps=settings.n_steps,
            gamma=settings.gamma,
            td_lambda=settings.td_lambda,
            block=settings.block,
        )
        self._agent = NetworkPlayer(
            AGENT_NAME, InferencePolicy(settings.policy, bfloat16=settings.bfloat16)
        )
        self._positions: Observed | AfterMoves = (
            AfterMoves(self._game, self._agent.policy)
            if settings.policy.afterstates
            else Observed(self._game)
        )
        # made at once: a worker that cannot import them ends before it plays
        self._from_outside = {
            name: settings.roster.player(
                name, epsilon=settings.opponent_epsilon, bfloat16=settings.bfloat16
            )
            for name in settings.roster.names
        }
        self._opponents: dict[int, Opponent] = {}
        self._players: dict[int, Player] = {AGENT: self._agent}
        # of dropped snapshots: to make a network takes longer than to load its weights
        self._spare: list[InferencePolicy] = []
        self._place = worker, incarnation
        self._surplus = 0
        self._begun = False
        self._uniforms = np.empty((settings.num_envs, 2))
        self._actions = np.empty(settings.num_envs, np.int64)
        self._all_slots = np.arange(settings.num_envs, dtype=np.int64)
        self._playing = self._all_slots  # slots that are not idle

    def play_round(
        self, command: RoundCommand, sink: Sink, between: Between = to_the_end
    ) -> RoundReport:
        """Play until the quota is reached or `between` ends the round; completed transitions go to
        `sink` in blocks, each valid only during that call.

        Matches beyond the quota count towards the next round's. Matches in progress are continued
        in the next round.
        """
        started = time.perf_counter()
        noise = self._prepare(command)
        if not self._begun:
            self._matches.begin(self._all_slots, command.plan)
            self._begun = True
        results: list[NDArray[Any]] = [np.zeros(0, result_dtype(self._game.spec.num_players))]
        finished, ticks = self._surplus, 0
        while finished < command.episodes and not between():
            self._agent.policy.draw_noise(noise)
            ended = self._tick(command.weights_version)
            ticks += 1
            if len(ended):
                results.append(self._matches.results(ended))
                self._matches.begin(ended, command.plan)
                finished += len(ended)
            if self._assembler.filled >= self._assembler.block:
                self._flush(sink)
        self._flush(sink)
        self._surplus = max(0, finished - command.episodes)
        in_use = self._drop_idle_players()
        seconds = time.perf_counter() - started
        return RoundReport(
            command.round, np.concatenate(results), in_use, ticks * self._settings.num_envs, seconds
        )

    def play_whole_matches(self, command: RoundCommand, sink: Sink) -> RoundReport:
        """Play exactly `command.episodes` whole matches, at least one a slot, in a new `Rollout`.

        Matches are counted when they start, not when they end: of matches that start together,
        those that end first are shorter than the others.
        """
        started = time.perf_counter()
        noise = self._prepare(command)
        self._matches.begin(self._playing, command.plan)
        begun, plies = len(self._playing), 0
        results: list[NDArray[Any]] = []
        while len(self._playing):
            self._agent.policy.draw_noise(noise)
            plies += len(self._playing)
            ended = self._tick(command.weights_version)
            if len(ended):
                results.append(self._matches.results(ended))
                again, idle = np.split(ended, [command.episodes - begun])
                self._matches.begin(again, command.plan)
                begun += len(again)
                self._playing = np.setdiff1d(self._playing, idle)
                self._actions[idle] = _IDLE
            if self._assembler.filled >= self._assembler.block:
                self._flush(sink)
        self._flush(sink)
        return RoundReport(
            command.round,
            np.concatenate(results),
            frozenset(),
            plies,
            time.perf_counter() - started,
        )

    def _prepare(self, command: RoundCommand) -> np.random.Generator:
        """Load the weights and players of a round; return the generator of its noise."""
        self._agent.policy.load_vector(self._weights.published(command.weights_version))
        self._agent.epsilon = command.epsilon
        self._add_players(command.plan.opponents)
        return np.random.default_rng(
            stream_key(_NOISE, self._settings.seed, *self._place, command.round)
        )

    def _tick(self, version: int) -> NDArray[np.int64]:
        """Play one ply in every env; return the slots whose matches ended."""
        positions, actions = self._positions, self._actions
        self._choose_actions()
        self._starts.choose(actions, self._uniforms[:, 1])
        made, following = positions.decisions(actions), positions.successors()
        learns = self._starts.learns(self._matches.learns)
        self._assembler.decide(actions, learns, version, made, following)
        self._game.step(actions)
        if isinstance(positions, AfterMoves) and len(cut := self._cut_slots()):
            positions.look(cut)
            following = positions.successors()
        self._assembler.settle(actions, following)
        return self._matches.pay(self._assembler.over)

    def _cut_slots(self) -> NDArray[np.int64]:
        """The slots whose matches are cut, or have been."""
        game, playing = self._game, self._playing
        over_limit = game.truncated[playing] | (game.plies[playing] >= game.spec.max_plies)
        return playing[over_limit & ~game.terminated[playing]]

    def _choose_actions(self) -> None:
        """Ask each player that is to move once, for all its slots."""
        game, movers = self._game, self._matches.movers
        fill_uniforms(self._matches.keys, game.plies, EXPLORATION, self._uniforms)
        alike, asked = self._matches.find_movers(), self._playing
        if isinstance(self._positions, AfterMoves):
            self._choose_after_moves(self._positions)
            asked = asked[movers[asked] != AGENT]
        elif alike and len(asked) == game.num_slots:
            self._actions[:] = self._players[int(movers[0])].act(
                game, self._all_slots, self._uniforms
            )
            return
        movers = movers[asked]
        for player_id in np.unique(movers).tolist():
            slots = asked[movers == player_id]
            self._actions[slots] = self._players[player_id].act(game, slots, self._uniforms[slots])

    def _choose_after_moves(self, positions: AfterMoves) -> None:
        """Choose the agent's actions by positions after moves, which the rows need, too."""
        game, playing, matches = self._game, self._playing, self._matches
        if self._settings.bootstrap == "own_turn":
            looked = playing[matches.learns[playing, game.seat[playing]]]
        else:
            looked = playing
        positions.look(looked)
        own = np.flatnonzero(matches.movers[looked] == AGENT)
        slots = looked[own]
        chosen = np.empty(len(slots), np.int64)
        epsilon_greedy(
            positions.values[own],
            game.mask[slots],
            self._uniforms[slots],
            self._agent.epsilon,
            chosen,
        )
        self._actions[slots] = chosen

    def _flush(self, sink: Sink) -> None:
        if self._assembler.filled:
            sink(self._assembler.rows)
            self._assembler.clear()

    def _add_players(self, opponents: Iterable[Opponent]) -> None:
        """Make the new players of a plan; a snapshot's weights are copied from its slot."""
        for opponent in opponents:
            if opponent.id in self._players:
                continue
            self._opponents[opponent.id] = opponent
            if opponent.slot is None:
                name = opponent.name
                known = self._from_outside.get(name)
                self._players[opponent.id] = known or self._settings.roster.player(name)
            else:
                policy = (
                    self._spare.pop()
                    if self._spare
                    else InferencePolicy(self._settings.policy, bfloat16=self._settings.bfloat16)
                )
                policy.load_vector(self._weights.snapshot(opponent.slot))
                self._players[opponent.id] = NetworkPlayer(
                    opponent.name, policy, self._settings.opponent_epsilon
                )

    def _drop_idle_players(self) -> frozenset[int]:
        """Drop the players without a match in progress; return the ids of the snapshots left."""
        playing = set(np.unique(self._matches.players).tolist())
        for player_id in [i for i in self._opponents if i not in playing]:
            opponent = self._opponents.pop(player_id)
            player = self._players.pop(player_id)
            if isinstance(player, NetworkPlayer) and opponent.slot is not None:
                self._spare.append(player.policy)
        return frozenset(i for i, opponent in self._opponents.items() if opponent.slot is not None)

    def get_state(self) -> dict[str, Any]:
        """Everything that a Rollout of the same settings and worker needs to continue exactly from
        here, between rounds.
        """
        known = [{"id": o.id, "name": o.name, "slot": o.slot} for o in self._opponents.values()]
        state = {
            "game": self._game.get_state(),
            "matches": self._matches.get_state(),
            "assembler": self._assembler.get_state(),
        }
        return {**state, "opponents": known, "surplus": self._surplus, "begun": self._begun}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned; snapshots are read from their slots again."""
        self._game.set_state(state["game"])
        self._matches.set_state(state["matches"])
        self._assembler.set_state(state["assembler"])
        self._surplus, self._begun = state["surplus"], state["begun"]
        self._add_players(Opponent(**known) for known in state["opponents"])
