"""Evaluation during a run: every greedy match, and every decision that follows from one.

The evaluator plays the agent against the baseline opponents of its game and against the best agent
so far, keeps the better one, tests candidates for the pool, and looks for forgetting. Nothing else
in a run plays greedy matches. They draw from streams of their own, so what is learned does not
depend on them, except through the gate of the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparring.config.schema import ResolvedConfig
from sparring.dqn.agent import DQNAgent
from sparring.dqn.learner import LearnStats
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.errors import StorageError
from sparring.evaluation import GameCache, evaluate, play_matches
from sparring.evaluation.matches import default_opening_plies
from sparring.games.rng import stream_key
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.pool import Gate, OpponentManager
from sparring.opponents.records import Record, outcomes
from sparring.opponents.scripted import baseline_opponents, scripted_player
from sparring.runtime import Batch
from sparring.training.alarms import Alarm, Alarms
from sparring.training.assembly import Parts
from sparring.training.callbacks import EvaluationFunction

# First parts of stream keys, one for each kind of match.
GATE: Final = 1
FORGETTING: Final = 2
BEST: Final = 3
_RANDOM: Final = "random"
_BASELINES: Final = 0x4556_414C_0004
_ROUNDING: Final = 1e-6  # of mean returns


class Baselines(NamedTuple):
    """Means over the baseline opponents. `score` is the share of matches won, draws counting half;
    the mean return where matches are graded and in games for one player.
    """

    mean_return: float
    score: float


class Evaluation(NamedTuple):
    """Result of an evaluation; `is_best`: the agent became the best one."""

    score: float
    is_best: bool


class Evaluator:
    """Owner of all greedy matches of a run.

    `warn` shows a line to the user. `own`: the user's evaluation function. `figures` are those of
    the next report, by TensorBoard tag.
    """

    def __init__(
        self,
        config: ResolvedConfig,
        parts: Parts,
        opponents: OpponentManager,
        best_path: Path,
        warn: Callable[[str], None],
        own: EvaluationFunction | None = None,
    ) -> None:
        self._config = config
        self._parts = parts
        self._opponents = opponents
        self._best_path = best_path
        self._warn = warn
        self._own = own
        self._games = GameCache(parts.rollout.policy.game_spec)
        self._duels = Duels(parts.rollout.policy, config.seed, self._games)
        in_training = [name for name, share in config.opponents.items() if share > 0.0]
        self._baselines = {
            name: parts.rollout.roster.player(name)
            for name in baseline_opponents(config.game, in_training)
        }
        self._seed = stream_key(config.seed, _BASELINES)
        self._alarms = Alarms(self._games.spec.value_range)
        self._score: float | None = None  # of the last evaluation
        self._best: tuple[float, NDArray[np.float32]] | None = None  # value, weights
        self._measured: list[Any] = []  # `_measure` of that value
        self.evaluated_at = 0  # updates at the last evaluation
        self.figures: dict[str, float] = {}

    @property
    def gate(self) -> Gate | None:
        """The test that a candidate for the pool has to pass; None if all may join."""
        return self._passes if self._config.gate == "win_rate" else None

    @property
    def stopped(self) -> str:
        """Reason to end the run: the last score is high enough; "" if it is not."""
        wanted, score = self._config.stop_at_score, self._score
        if wanted is None or score is None or score < wanted:
            return ""
        return f"stop_at_score {wanted:g} is reached by a score of {score:.4g}"

    @property
    def due(self) -> bool:
        """True when another `eval_interval` updates are over."""
        updates, interval = self._parts.learner.updates, self._config.eval_interval
        return updates // interval > self.evaluated_at // interval

    @property
    def last_due(self) -> bool:
        """True at the end of a run, unless the agent was just evaluated."""
        return self._best is None or self.evaluated_at < self._parts.learner.updates

    def evaluate(self) -> Evaluation:
        """Evaluate the agent, and keep it unless it does worse than the best one so far.

        It does worse if its mean returns against the baseline opponents and against the best agent,
        added up, say so: baselines that are beaten nearly always hardly show further progress.
        The user's own function alone decides, if there is one. When an evaluation is cut off, a
        resume does it again.
        """
        before, self.evaluated_at = self.evaluated_at, self._parts.learner.updates
        agent, weights = self._parts.agent(), self._parts.learner.evaluated_vector()
        try:
            self._measure_best_again()
            value, self._score = self._value_and_score(agent)
            best = self._best
            gain = 0.0 if best is None else self._gain(value, weights, best)
        except BaseException:
            self.evaluated_at, self.figures = before, {}
            raise
        if gain >= -_ROUNDING:
            self._best, self._measured = (value, weights), self._measure
            self._save_best(agent)
        return Evaluation(self._score, gain >= -_ROUNDING)

    def _value_and_score(self, agent: DQNAgent) -> tuple[float, float]:
        """Return what chooses the best agent, and what users read and may stop at."""
        value, score = self.against_baselines(agent)
        if self._own is not None:
            value = score = self._own(DQNAgent(agent.spec, weights=agent.get_weights()))
        self.figures["eval/score"] = score
        return value, score

    def _gain(
        self, value: float, weights: NDArray[np.float32], best: tuple[float, NDArray[np.float32]]
    ) -> float:
        """Return how much better than the best agent so far these weights are."""
        if self._own is not None:
            return value - best[0]
        return value - best[0] + self._advantage_over(best[1], weights)

    def _save_best(self, agent: DQNAgent) -> None:
        try:
            agent.save(self._best_path)
        except StorageError as error:
            self._warn(f"{error}; the next better agent is saved again")

    def against_baselines(self, agent: DQNAgent) -> Baselines:
        """Results in greedy matches against the baseline opponents, or of the agent alone in a
        game for one player, always from the same openings.

        They differ from those of `sparring evaluate --seed` with the run's seed: the best agent was
        lucky in the openings that chose it.
        """
        player = NetworkPlayer("agent", agent.policy())
        found = self._evaluated(player)
        self._check_against_random(found.get("players") or found["opponents"], player.name)
        if "players" in found:
            for name, result in found["players"].items():
                self.figures[f"eval/return/{name}"] = result["mean_return"]
            mean_return = _mean_return(found, player.name)
            return Baselines(mean_return, mean_return)
        for name, result in found["opponents"].items():
            self._add_figures(name, result)
            self._note(self._alarms.collapse(name, result["score"], result["interval95"]))
        self._check_forgetting(player)
        results = found["opponents"].values()
        scores = [result["mean_return" if result["graded"] else "score"] for result in results]
        return Baselines(_mean_return(found, player.name), float(np.mean(scores)))

    @property
    def _measure(self) -> list[Any]:
        """The baseline opponents and the number of matches against each, or the user's function:
        values are compared where these are equal.
        """
        if self._own is not None:
            return [self._config.evaluate_with]
        return [*self._baselines, self._config.eval_matches]

    def _evaluated(self, player: Player) -> dict[str, Any]:
        matches = self._config.eval_matches
        return evaluate(player, self._games, self._baselines, matches=matches, seed=self._seed)

    def _measure_best_again(self) -> None:
        """Evaluate the best agent so far, if a resume has changed what agents are measured in."""
        if self._best is None or self._measured == self._measure:
            return
        player = self._duels.player("best", self._best[1])
        mean = _mean_return(self._evaluated(player), player.name)
        self._best, self._measured = (mean, self._best[1]), self._measure

    def _add_figures(self, name: str, result: Mapping[str, Any]) -> None:
        """Shares of matches against one opponent; the mean return where matches are graded."""
        for kind, counted in (("win", "wins"), ("draw", "draws"), ("cut", "cut")):
            if counted != "cut" or result["cut"]:
                self.figures[f"eval/{kind}_rate/{name}"] = result[counted] / result["matches"]
        if result["graded"]:
            self.figures[f"eval/return/{name}"] = result["mean_return"]

    def _check_against_random(self, results: Mapping[str, Any], agent: str) -> None:
        """Warn if no evaluation so far shows an agent that is better than the random player.

        In a game for one player `results` has both.
        """
        if _RANDOM not in results:
            return
        alone = self._games.spec.num_players == 1
        result = results[agent if alone else _RANDOM]
        limit = results[_RANDOM]["mean_return"] if alone else self._random_return
        late = self._parts.schedule.progress >= 0.5
        mean, interval = result["mean_return"], result["return_interval95"]
        self._note(self._alarms.not_better_than_random(mean, interval, limit, late=late))

    @cached_property
    def _random_return(self) -> float:
        """Mean return of the random player against itself: 0 in a zero-sum game, in which each has
        every seat equally often; otherwise measured in the matches of an evaluation.
        """
        if self._games.spec.zero_sum:
            return 0.0
        player, matches = scripted_player(_RANDOM, self._config.game), self._config.eval_matches
        played = evaluate(player, self._games, [_RANDOM], matches=matches, seed=self._seed)
        return float(played["opponents"][_RANDOM]["mean_return"])

    def check_updates(self) -> None:
        """Warn if the run makes, or has made, few updates."""
        schedule = self._parts.schedule
        self._note(self._alarms.few_updates(schedule.expected_updates, done=False))
        if schedule.finished:
            self._note(self._alarms.few_updates(self._parts.learner.updates, done=True))

    def check_q_values(self, stats: LearnStats) -> None:
        """Warn if the Q-values of a series of updates have left the range of returns."""
        if stats.updates:
            self._note(self._alarms.q_values(stats.q_mean))

    def check_returns(self, batch: Batch) -> None:
        """Warn if a match paid more or less than the game declares, and targets are clipped so."""
        if self._config.clip_targets:
            self._note(self._alarms.paid(self._config.game, batch.blocks))

    def take_figures(self) -> dict[str, float]:
        """Return the figures since the last call."""
        figures, self.figures = self.figures, {}
        return figures

    def _advantage_over(self, best: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
        """Mean return above that of an equal in matches against the best agent; 0 in a game for
        one player, whose baselines show all that there is.
        """
        if self._games.spec.num_players == 1:
            return 0.0
        players = self._duels.player("agent", weights), self._duels.player("best", best)
        key = (BEST, self._parts.learner.updates)
        return self._duels.advantage(*players, matches=self._config.eval_matches, key=key)

    def _passes(self, newest: str, weights: NDArray[np.float32]) -> bool:
        """Return whether the agent, playing greedily, scores `gate_score` against the pool's newest
        snapshot.
        """
        learner = self._parts.learner
        candidate = self._duels.player("candidate", learner.vector())
        holder = self._duels.player(newest, weights)
        key = (GATE, learner.updates)
        record = self._duels.play(candidate, holder, matches=self._config.gate_matches, key=key)
        self.figures["selfplay/gate_score"] = record.score
        return record.score >= self._config.gate_score

    def _check_forgetting(self, player: NetworkPlayer) -> None:
        """Play greedy matches where the records of training raise a suspicion."""
        suspect = self._alarms.suspect(self._opponents.snapshots, self._opponents.recent)
        if suspect is None:
            return
        other = self._duels.player(suspect, self._opponents.vector(suspect))
        key = (FORGETTING, self._parts.learner.updates)
        record = self._duels.play(player, other, matches=self._config.eval_matches, key=key)
        self._note(self._alarms.forgetting(suspect, record))

    def _note(self, alarm: Alarm | None) -> None:
        if alarm is not None:
            self.figures[alarm.tag] = alarm.value
            self._warn(alarm.text)

    def get_state(self) -> dict[str, Any]:
        best = {} if self._best is None else {"return": self._best[0], "weights": self._best[1]}
        return {
            "measured": self._measured,
            "evaluated_at": self.evaluated_at,
            "score": self._score,
            "best": best,
            "alarms": self._alarms.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self.evaluated_at, self._score = state["evaluated_at"], state["score"]
        best = state["best"]
        self._best = (best["return"], best["weights"]) if best else None
        self._measured = state["measured"]
        self._alarms.set_state(state["alarms"])


def _mean_return(found: Mapping[str, Any], name: str) -> float:
    """Mean return of the player `name` in a result of `evaluate`, over all its opponents."""
    results = [found["players"][name]] if "players" in found else found["opponents"].values()
    return float(np.mean([result["mean_return"] for result in results]))


class Duels:
    """Greedy matches between two sets of weights of a run, from openings that follow from the run's
    seed and a key.
    """

    def __init__(self, policy: PolicySpec, seed: int, games: GameCache | None = None) -> None:
        self._policy = policy
        self._seed = seed
        self._games = games or GameCache(policy.game_spec)

    def player(self, name: str, vector: NDArray[np.float32]) -> Player:
        """Return a greedy player with these flat weights."""
        policy = InferencePolicy(self._policy)
        policy.load_vector(vector)
        return NetworkPlayer(name, policy)

    def play(self, one: Player, other: Player, *, matches: int, key: tuple[int, ...]) -> Record:
        """Return the results of `one` against `other`, who takes all other seats.

        Every opening, drawn as in `evaluate`, is played from each seat. With more than two players
        each pair of seats counts, as in the records of training.
        """
        returns = self._returns(one, other, matches, key)
        signs = outcomes(returns[:, :1], returns[:, 1:])
        wins, draws, losses = (int((signs == outcome).sum()) for outcome in (1, 0, -1))
        return Record(wins, draws, losses)

    def advantage(self, one: Player, other: Player, *, matches: int, key: tuple[int, ...]) -> float:
        """Return half the mean difference between the returns of `one` and of `other`: with two
        players and rewards that cancel, the mean return of `one`.
        """
        returns = self._returns(one, other, matches, key)
        return float((returns[:, :1] - returns[:, 1:]).mean()) / 2.0

    def _returns(
        self, one: Player, other: Player, matches: int, key: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """[m, P] returns of `one`, then of the seats of `other`."""
        spec = self._games.spec
        return play_matches(
            self._games,
            [one, *[other] * (spec.num_players - 1)],
            matches=matches,
            seed=stream_key(self._seed, *key),
            opening_plies=default_opening_plies(spec),
        ).returns
