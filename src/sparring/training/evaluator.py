"""What somebody who trains an agent wants to be told of: that it forgets, that it collapses, that
its Q-values leave the possible range.

Each is told once when it begins, and again only after it was over. What holds and what is over are
apart, so that a figure on the edge does not begin anew with every evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring import games
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.evaluation import play_matches
from sparring.evaluation.matches import usual_plies
from sparring.evaluation.solved_positions import wilson_interval
from sparring.games.rng import stream_key
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.records import RecentRecord, Record

_CLEARLY: Final = (
    0.05  # of the score, by which an evaluation has to be below the best beyond both intervals
)
_MARGIN: Final = 0.1  # of the width of the range of returns, by which Q-values may be outside
_ENOUGH: Final = 20  # matches, before a record says anything

_FORGETTING: Final = "forgetting"
_Q_RANGE: Final = "q_range"


@dataclass(frozen=True)
class Alarm:
    """`tag` and `value` for the files, `text` for the console."""

    tag: str
    value: float
    text: str


class Watch:
    """Notices such things in figures as they come in; `returns` is what a match can pay, if the
    game declares it.
    """

    def __init__(self, returns: tuple[float, float] | None) -> None:
        self._returns = returns
        self._told: set[str] = set()
        self._best: dict[
            str, tuple[float, float]
        ] = {}  # by yardstick the best score and the lower end of its interval

    def collapse(self, name: str, score: float, interval: tuple[float, float]) -> Alarm | None:
        """An evaluation against a yardstick has come in: the upper end of its interval is clearly
        below the lower end of the best's.
        """
        best, best_low = self._best.get(name, (score, interval[0]))
        if score >= best:
            self._best[name] = (score, interval[0])
        if not self._begins(
            f"collapse/{name}", interval[1] < best_low - _CLEARLY, over=interval[1] >= best_low
        ):
            return None
        text = f"the agent has become worse: it scores {score:.2f} against {name}, and scored {best:.2f}; best.safetensors keeps its best"
        return Alarm(f"warnings/collapse/{name}", score, text)

    def suspect(self, snapshots: Sequence[str], recent: Mapping[str, RecentRecord]) -> str | None:
        """The snapshot of the pool's older half to which the agent seems to lose most clearly; None
        if to none, or if it was told.

        `snapshots` are in the order of their age, the oldest first. The records are of matches in
        which the agent may explore more than its opponents, so they raise no more than a suspicion.
        """
        lost = [
            (recent[name].score, name)
            for name in snapshots[: len(snapshots) // 2]
            if name in recent and recent[name].matches >= _ENOUGH and _upper(recent[name]) < 0.5
        ]
        self._begins(_FORGETTING, False, over=not lost)
        return min(lost)[1] if lost and _FORGETTING not in self._told else None

    def forgetting(self, name: str, record: Record) -> Alarm | None:
        """Greedy matches against a suspect have been played: the whole interval of the agent's
        score is below 1/2.
        """
        if not self._begins(_FORGETTING, _upper(record) < 0.5, over=False):
            return None
        text = f"the agent forgets: it scores {record.score:.2f} in {record.matches} matches against {name}, an old snapshot of itself"
        return Alarm(f"warnings/{_FORGETTING}", record.score, text)

    def q_values(self, q_mean: float) -> Alarm | None:
        """The mean Q of the actions in a series of updates."""
        if self._returns is None:
            return None
        least, most = self._returns
        margin = _MARGIN * (most - least)
        outside = not least - margin <= q_mean <= most + margin
        if not self._begins(_Q_RANGE, outside, over=least <= q_mean <= most):
            return None
        text = f"Q-values have left the possible range: {q_mean:.3g} in the mean, and a match pays {least:g} to {most:g}"
        return Alarm(f"warnings/{_Q_RANGE}", q_mean, text)

    def _begins(self, what: str, holds: bool, *, over: bool) -> bool:
        """Whether to tell it now."""
        if over:
            self._told.discard(what)
        elif holds and what not in self._told:
            self._told.add(what)
            return True
        return False

    def get_state(self) -> dict[str, Any]:
        return {
            "told": sorted(self._told),
            "best": {name: list(best) for name, best in self._best.items()},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._told = set(state["told"])
        self._best = {name: (score, low) for name, (score, low) in state["best"].items()}


def _upper(record: Record | RecentRecord) -> float:
    """Upper end of the interval of the score; a draw varies less than half a win, so with draws the
    interval is too wide.
    """
    return wilson_interval(record.score, int(record.matches))[1]


# Greedy matches between two sets of weights of a run: at the gate of the pool, when forgetting is
# suspected, and for the best agent.


# First parts of keys: each makes streams of its own.
GATE: Final = 1
FORGETTING: Final = 2
BEST: Final = 3

# returns closer than this are equal: sums of the same rewards in another order differ by rounding
_SAME: Final = 1e-6


class Duels:
    """Lets players of a run's network meet, from openings that follow from the run's seed and a
    key.
    """

    def __init__(self, policy: PolicySpec, seed: int) -> None:
        self._policy = policy
        self._seed = seed

    def player(self, name: str, vector: NDArray[np.float32]) -> Player:
        """A greedy player with these flat weights."""
        policy = InferencePolicy(self._policy)
        policy.load_vector(vector)
        return NetworkPlayer(name, policy)

    def play(self, one: Player, other: Player, *, matches: int, key: tuple[int, ...]) -> Record:
        """The results of `one` against `other`, who takes all other seats; every opening is played
        from each seat.

        With more than two players each pair of seats counts, as in the records of training.
        Openings are as in `evaluate`.
        """
        spec = games.spec_of(self._policy.game)
        table = play_matches(
            partial(games.make, self._policy.game),
            [one, *[other] * (spec.num_players - 1)],
            matches=matches,
            seed=stream_key(self._seed, *key),
            opening_plies=usual_plies(spec),
        )
        margins = table.returns[:, :1] - table.returns[:, 1:]
        wins, losses = int((margins > _SAME).sum()), int((margins < -_SAME).sum())
        return Record(wins, margins.size - wins - losses, losses)
