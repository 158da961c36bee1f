"""Warnings of a run: the agent learns nothing, collapses, forgets, or its Q-values leave the range
of returns; the game pays what it does not declare.

Alarms have hysteresis: the threshold to raise one and the threshold to clear it differ, so that a
figure on the edge does not raise it with every evaluation. Each is raised once, and again only
after it was cleared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from sparring.evaluation.score import wilson_interval
from sparring.opponents.records import RecentRecord, Record

_COLLAPSE: Final = 0.05  # of the score: distance from the best beyond both intervals
_MARGIN: Final = 0.1  # of the width of the range of returns, by which Q-values may be outside
_MIN_MATCHES: Final = 20  # of a record that is to say anything

_FEW_UPDATES: Final = 500  # enough to beat random at tic-tac-toe, not much else

_FORGETTING: Final = "forgetting"
_Q_RANGE: Final = "q_range"
_RETURNS: Final = "returns"
_TOLERANCE: Final = 1e-6  # of the width of the range of returns: rewards are rounded to float32
_NOT_BETTER: Final = "not_better_than_random"
_SHORT: Final = "few_updates"


@dataclass(frozen=True)
class Alarm:
    """`tag` and `value` for the files, `text` for the console."""

    tag: str
    value: float
    text: str


class Alarms:
    """Raises alarms from figures as they arrive; `values` is the declared range of returns extended
    to 0 (`GameSpec.value_range`).
    """

    def __init__(self, values: tuple[float, float] | None) -> None:
        self._values = values
        self._raised: set[str] = set()
        self._better_than_random = False
        # by baseline opponent: the best score and the lower end of its interval
        self._best: dict[str, tuple[float, float]] = {}

    def collapse(self, name: str, score: float, interval: tuple[float, float]) -> Alarm | None:
        """Compare an evaluation against a baseline opponent with the best one: raise if the upper
        end of its interval is clearly below the lower end of the best's.
        """
        best, best_low = self._best.get(name, (score, interval[0]))
        if score >= best:
            self._best[name] = (score, interval[0])
        holds, cleared = interval[1] < best_low - _COLLAPSE, interval[1] >= best_low
        if not self._raise(f"collapse/{name}", holds, cleared=cleared):
            return None
        text = (
            f"the agent has become worse: it scores {score:.2f} against {name}, down from "
            f"{best:.2f}; best.safetensors keeps the best agent"
        )
        return Alarm(f"warnings/collapse/{name}", score, text)

    def suspect(self, snapshots: Sequence[str], recent: Mapping[str, RecentRecord]) -> str | None:
        """Return the snapshot of the pool's older half to which the agent loses most clearly.

        None if there is none, or if the alarm is raised already. `snapshots` are ordered by age,
        the oldest first. The records are of matches in which the agent may explore more than its
        opponents, so they justify no more than a suspicion.
        """
        lost = [
            (recent[name].score, name)
            for name in snapshots[: len(snapshots) // 2]
            if name in recent
            and recent[name].matches >= _MIN_MATCHES
            and _upper(recent[name]) < 0.5
        ]
        self._raise(_FORGETTING, False, cleared=not lost)
        return min(lost)[1] if lost and _FORGETTING not in self._raised else None

    def forgetting(self, name: str, record: Record) -> Alarm | None:
        """Raise if the whole interval of the score in greedy matches against a suspect is below
        1/2.
        """
        if not self._raise(_FORGETTING, _upper(record) < 0.5, cleared=False):
            return None
        text = (
            f"the agent forgets: it scores {record.score:.2f} in {record.matches} matches "
            f"against {name}, an old snapshot of itself"
        )
        return Alarm(f"warnings/{_FORGETTING}", record.score, text)

    def few_updates(self, updates: float, *, done: bool) -> Alarm | None:
        """Raise if a run makes few updates: `updates` are expected, or `done`."""
        name = f"{_SHORT}/{'done' if done else 'expected'}"
        if not self._raise(name, updates < _FEW_UPDATES, cleared=False):
            return None
        text = (
            f"only {updates:,.0f} updates {'were made' if done else 'are to be expected'}, so the "
            "agent learns little; raise n_episodes, samples_per_insert or "
            "learning_steps_per_batch, or lower learning_starts and buffer_size"
        )
        return Alarm(f"warnings/{_SHORT}", updates, text)

    def not_better_than_random(
        self, mean: float, interval: tuple[float, float], random_mean: float, *, late: bool
    ) -> Alarm | None:
        """Raise, once it is `late` in the run, if no evaluation so far has shown an agent that is
        better than the random player, by their mean returns.
        """
        self._better_than_random = self._better_than_random or interval[0] > random_mean
        holds = late and not self._better_than_random
        if not self._raise(_NOT_BETTER, holds, cleared=self._better_than_random):
            return None
        text = (
            "no evaluation so far shows an agent that is better than random: its mean return is "
            f"{mean:.3g} ({interval[0]:.3g} to {interval[1]:.3g}), that of random {random_mean:.3g}"
            "; try a longer run (n_episodes), another learning_rate, n_steps=3, or look for bugs "
            "in the game: sparring check-game"
        )
        return Alarm(f"warnings/{_NOT_BETTER}", mean, text)

    def q_values(self, q_mean: float) -> Alarm | None:
        """Raise if the mean Q-value of a series of updates is outside the range of values."""
        if self._values is None:
            return None
        low, high = self._values
        margin = _MARGIN * (high - low)
        outside = not low - margin <= q_mean <= high + margin
        if not self._raise(_Q_RANGE, outside, cleared=low <= q_mean <= high):
            return None
        text = (
            f"Q-values have left the range of returns: mean {q_mean:.3g}, "
            f"a match pays {low:g} to {high:g}"
        )
        return Alarm(f"warnings/{_Q_RANGE}", q_mean, text)

    def paid(self, game: str, blocks: Sequence[NDArray[Any]]) -> Alarm | None:
        """Raise once in a run if a transition to the end of a match has a return outside the
        declared range; `blocks` are transitions.
        """
        if self._values is None or _RETURNS in self._raised:
            return None
        low, high = self._values
        margin = _TOLERANCE * (high - low)
        for block in blocks:
            paid = block["R"][block["discount"] == 0.0]
            outside = paid[(paid < low - margin) | (paid > high + margin)]
            if self._raise(_RETURNS, len(outside) > 0, cleared=False):
                text = (
                    f"{game} paid a seat {outside[0]:g} by the end of a match, but declares "
                    f"returns within {low:g} to {high:g}, to which targets are clipped: "
                    "correct spec.returns"
                )
                return Alarm(f"warnings/{_RETURNS}", float(outside[0]), text)
        return None

    def _raise(self, name: str, holds: bool, *, cleared: bool) -> bool:
        """Return whether the alarm is to be raised now."""
        if cleared:
            self._raised.discard(name)
        elif holds and name not in self._raised:
            self._raised.add(name)
            return True
        return False

    def get_state(self) -> dict[str, Any]:
        return {
            "raised": sorted(self._raised),
            "best": {name: list(best) for name, best in self._best.items()},
            "better_than_random": self._better_than_random,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._raised = set(state["raised"])
        self._better_than_random = state["better_than_random"]
        self._best = {name: (score, low) for name, (score, low) in state["best"].items()}


def _upper(record: Record | RecentRecord) -> float:
    """Upper end of the interval of the score; too wide where there are draws, which vary less."""
    return wilson_interval(record.score, int(record.matches))[1]
