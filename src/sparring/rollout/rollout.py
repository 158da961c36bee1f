"""A worker's body: ticks over many envs until enough matches have finished. A plain object,
without processes.

One tick asks each acting player once, for all the envs in which it is to move, and then plays one
ply everywhere.

Where a server has the networks, the envs form two groups that take turns: while the server answers
one, the other plays its ply. Within a tick the transitions of the first group then come first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.exploration import epsilon_greedy
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import Question, ask
from sparring.dqn.tree_search import Lookahead
from sparring.games import BatchedGame, make
from sparring.games.python.game import LoopedGame
from sparring.games.rng import EXPLORATION, fill_uniforms, stream_key
from sparring.opponents.lookahead import LookaheadPlayer
from sparring.opponents.names import lookahead_of
from sparring.opponents.players import AGENT, Opponent, Player
from sparring.opponents.records import result_dtype
from sparring.opponents.roster import NOBODY, Roster
from sparring.replay.transitions import transition_dtype
from sparring.rollout.assembler import Bootstrap, TransitionAssembler
from sparring.rollout.matches import LearnFrom, MatchTable
from sparring.rollout.networks import Networks, OwnNetworks
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
    groups: int = 1  # of envs; with 2 one plays while the networks answer the other


class _Asked(NamedTuple):
    """A request to the network of a player for its `slots`."""

    player: int
    slots: NDArray[np.int64]
    question: Question


class _Group:
    """Envs that play their plies together."""

    def __init__(
        self, number: int, slots: NDArray[np.int64], game: BatchedGame, *, afterstates: bool
    ) -> None:
        self.number = number
        self.slots = slots  # those that are not idle
        self.actions = np.full(game.num_slots, _IDLE, np.int64)
        self.positions: Observed | AfterMoves = AfterMoves(game) if afterstates else Observed(game)
        self.movers: dict[int, NDArray[np.int64]] = {}  # slots by the player to move
        self.asked: list[_Asked] = []


class Rollout:
    """Plays the agent against its opponents in `num_envs` matches at once, and makes transitions
    of these matches.

    `networks` are those of the agent and of snapshots; without them the body makes its own.
    """

    def __init__(
        self,
        settings: RolloutSettings,
        weights: WeightSource,
        *,
        worker: int,
        incarnation: int,
        networks: Networks | None = None,
    ) -> None:
        self._settings = settings
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
        self._networks: Networks = networks or OwnNetworks(
            settings.policy, weights, bfloat16=settings.bfloat16
        )
        # made at once: a worker that cannot import them ends before it plays
        self._from_outside = {
            name: settings.roster.player(
                name, epsilon=settings.opponent_epsilon, bfloat16=settings.bfloat16
            )
            for name in settings.roster.names
        }
        self._opponents: dict[int, Opponent] = {}
        self._players: dict[int, Player] = {}  # without those that have a network in `_networks`
        self._epsilons = {AGENT: 0.0}  # of these
        self._place = worker, incarnation
        self._surplus = 0
        self._begun = False
        self._uniforms = np.empty((settings.num_envs, 2))
        self._all_slots = np.arange(settings.num_envs, dtype=np.int64)
        self._groups = [
            _Group(number, slots, self._game, afterstates=settings.policy.afterstates)
            for number, slots in enumerate(np.array_split(self._all_slots, settings.groups))
            if len(slots)
        ]

    def play_round(
        self, command: RoundCommand, sink: Sink, between: Between = to_the_end
    ) -> RoundReport:
        """Play until the quota is reached or `between` ends the round; completed transitions go to
        `sink` in blocks, each valid only during that call.

        Matches beyond the quota count towards the next round's. Matches in progress are continued
        in the next round.
        """
        started = time.perf_counter()
        self._prepare(command)
        if not self._begun:
            self._matches.begin(self._all_slots, command.plan)
            self._begun = True
        results: list[NDArray[Any]] = [np.zeros(0, result_dtype(self._game.spec.num_players))]
        finished, ticks = self._surplus, 0
        ahead = len(self._groups) > 1  # each group asks as soon as it can
        for group in self._groups if ahead else ():
            self._ask(group)
        while finished < command.episodes and not between():
            for group in self._groups:
                if not ahead:
                    self._ask(group)
                ended = self._tick(group, command.weights_version)
                if len(ended):
                    results.append(self._matches.results(ended))
                    self._matches.begin(ended, command.plan)
                    finished += len(ended)
                if ahead:
                    self._ask(group)
            ticks += 1
            if self._assembler.filled >= self._assembler.block:
                self._flush(sink)
        for group in self._groups if ahead else ():
            self._networks.answers(group.number)  # they are asked again in the next round
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
        self._prepare(command)
        [group] = self._groups
        self._matches.begin(group.slots, command.plan)
        begun, plies = len(group.slots), 0
        results: list[NDArray[Any]] = []
        while len(group.slots):
            plies += len(group.slots)
            self._ask(group)
            ended = self._tick(group, command.weights_version)
            if len(ended):
                results.append(self._matches.results(ended))
                again, idle = np.split(ended, [command.episodes - begun])
                self._matches.begin(again, command.plan)
                begun += len(again)
                group.slots = np.setdiff1d(group.slots, idle)
                group.actions[idle] = _IDLE
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

    def _prepare(self, command: RoundCommand) -> None:
        """Load the weights and players of a round, and begin the generator of its noise."""
        self._networks.load_agent(command.weights_version)
        self._epsilons[AGENT] = command.epsilon
        self._add_players(command.plan.opponents)
        self._noise = np.random.default_rng(
            stream_key(_NOISE, self._settings.seed, *self._place, command.round)
        )

    def _tick(self, group: _Group, version: int) -> NDArray[np.int64]:
        """Play one ply in every env of a group that has asked; return the slots whose matches
        ended.
        """
        positions, actions = group.positions, group.actions
        self._choose_actions(group)
        self._starts.choose(group.slots, actions, self._uniforms[:, 1])
        made, following = positions.decisions(actions), positions.successors()
        learns = self._starts.learns(self._matches.learns)
        self._assembler.decide(actions, learns, version, made, following)
        self._game.step(actions)
        if isinstance(positions, AfterMoves) and len(cut := self._cut_slots(group)):
            self._networks.ask(group.number, [(AGENT, positions.look(cut))])
            positions.valued(*self._networks.answers(group.number))
            following = positions.successors()
        self._assembler.settle(actions, following)
        return self._matches.pay(self._assembler.over)

    def _cut_slots(self, group: _Group) -> NDArray[np.int64]:
        """The slots whose matches are cut, or have been."""
        game, playing = self._game, group.slots
        over_limit = game.truncated[playing] | (game.plies[playing] >= game.spec.max_plies)
        return playing[over_limit & ~game.terminated[playing]]

    def _ask(self, group: _Group) -> None:
        """Ask each network that is to move once, for all its slots."""
        if group.number == 0:  # all groups of a tick have the same noise
            self._networks.draw_noise(self._noise)
        fill_uniforms(self._matches.keys, self._game.plies, EXPLORATION, self._uniforms)
        group.movers = self._movers(group)
        group.asked = list(self._questions(group))
        self._networks.ask(
            group.number, [(asked.player, asked.question.observation) for asked in group.asked]
        )

    def _questions(self, group: _Group) -> Iterator[_Asked]:
        game, spec, positions = self._game, self._settings.policy, group.positions
        if isinstance(positions, AfterMoves):
            yield self._about_moves(group, positions)
        for player, slots in group.movers.items():
            is_done = player == AGENT and spec.afterstates
            if player in self._epsilons and not is_done:
                epsilon = self._epsilons[player]
                yield _Asked(player, slots, ask(spec, game, slots, self._uniforms[slots], epsilon))

    def _about_moves(self, group: _Group, positions: AfterMoves) -> _Asked:
        """Ask the agent to compare positions after moves, which the rows need, too."""
        game, matches, looked = self._game, self._matches, self._starts.past(group.slots)
        if self._settings.bootstrap == "own_turn":
            looked = looked[matches.learns[looked, game.seat[looked]]]
        own = np.flatnonzero(matches.movers[looked] == AGENT)
        slots = looked[own]
        mask, uniforms, epsilon = game.mask[slots], self._uniforms[slots], self._epsilons[AGENT]

        def choose(values: NDArray[np.float32]) -> NDArray[np.int64]:
            positions.valued(values)
            chosen = np.empty(len(slots), np.int64)
            epsilon_greedy(positions.values[own], mask, uniforms, epsilon, chosen)
            return chosen

        return _Asked(AGENT, slots, Question(positions.look(looked), choose))

    def _movers(self, group: _Group) -> dict[int, NDArray[np.int64]]:
        """The slots of a group by the player that is to move in them, without random starts."""
        alike = self._matches.find_movers()
        slots = self._starts.past(group.slots)
        movers = self._matches.movers[slots]
        if alike and len(slots):
            return {int(movers[0]): slots}
        return {player: slots[movers == player] for player in np.unique(movers).tolist()}

    def _choose_actions(self, group: _Group) -> None:
        """Let the other players choose, and take the answers of the networks."""
        for player, slots in group.movers.items():
            if player not in self._epsilons:
                uniforms = self._uniforms[slots]
                group.actions[slots] = self._players[player].act(self._game, slots, uniforms)
        answers = self._networks.answers(group.number)
        for asked, values in zip(group.asked, answers, strict=True):
            group.actions[asked.slots] = asked.question.choose(values)

    def _flush(self, sink: Sink) -> None:
        if self._assembler.filled:
            sink(self._assembler.rows)
            self._assembler.clear()

    def _add_players(self, opponents: Iterable[Opponent]) -> None:
        """Make the new players of a plan; a snapshot's weights are in its slot."""
        for opponent in opponents:
            if opponent.id in self._players or opponent.id in self._epsilons:
                continue
            self._opponents[opponent.id] = opponent
            if opponent.slot is None:
                self._players[opponent.id] = self._player(opponent.name)
            else:
                self._networks.add_snapshot(opponent.id, opponent.slot)
                self._epsilons[opponent.id] = self._settings.opponent_epsilon

    def _player(self, name: str) -> Player:
        """A player without a network of its own: `agent:D` has the agent's, with its noise."""
        if depth := lookahead_of(name):
            assert isinstance(self._networks, OwnNetworks), "a server is refused before"
            epsilon = self._settings.opponent_epsilon
            return LookaheadPlayer(name, self._networks.agent, Lookahead(depth), epsilon)
        return self._from_outside.get(name) or self._settings.roster.player(name)

    def _drop_idle_players(self) -> frozenset[int]:
        """Drop the players without a match in progress; return the ids of the snapshots left."""
        playing = set(np.unique(self._matches.players).tolist())
        for player in [i for i in self._opponents if i not in playing]:
            del self._opponents[player]
            if self._players.pop(player, None) is None:
                self._networks.drop_snapshot(player)
                del self._epsilons[player]
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
