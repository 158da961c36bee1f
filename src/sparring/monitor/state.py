"""State of the console: the latest value of every tag, progress, and the time that is left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

EPSILON: Final = "rollout/exploration_rate"
BUFFER_FILL: Final = "replay/fill"
WORKERS_IDLE: Final = "perf/worker_wait_frac"
LEARNER_IDLE: Final = "perf/learner_wait_frac"
ROLLOUT_WINS: Final = "rollout/win_rate/"
EVAL_SCORE: Final = "eval/score"
EVAL_WINS: Final = "eval/win_rate/"
EVAL_DRAWS: Final = "eval/draw_rate/"
EVAL_RETURNS: Final = "eval/return/"

_WINDOW: Final = 60.0  # seconds; longer where rounds are so long that fewer than _MIN_SAMPLES fit
_MIN_SAMPLES: Final = 6


@dataclass(frozen=True)
class Opponent:
    """Shares of matches of the agent against one opponent, each None if unknown, and the mean
    return where matches are graded. In a game for one player: the mean return of that player.
    """

    name: str
    exploring: float | None
    greedy: float | None
    greedy_draws: float | None
    mean_return: float | None = None


class ConsoleState:
    """All reported values, and the clock."""

    def __init__(
        self,
        directory: str,
        total_episodes: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total_episodes`: length of the run, None if it is not in matches."""
        self.directory = directory
        self.total_episodes = total_episodes
        self.episodes = 0
        self.share = 0.0  # of the run that is done, 0 to 1
        self.values: dict[str, float] = {}
        self._clock = clock
        self._began = clock()
        self._samples: deque[tuple[float, float]] = deque()  # times and shares

    def update(self, values: Mapping[str, float]) -> None:
        """Store new values; tags that are missing keep their last value."""
        # a new dictionary, because another thread may be drawing the old one
        self.values = {**self.values, **values}

    def advance(self, episodes: int, share: float) -> None:
        """Note that `episodes` matches are finished, those before a resume included, and a share of
        the run.
        """
        now = self._clock()
        self.episodes, self.share = episodes, min(1.0, share)
        self._samples.append((now, share))
        while self._samples[0][0] < now - _WINDOW and len(self._samples) > _MIN_SAMPLES:
            self._samples.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds since this process began."""
        return self._clock() - self._began

    @property
    def eta(self) -> float | None:
        """Seconds that are left at the recent rate; None while it is unknown."""
        if self.share >= 1.0:
            return 0.0
        if len(self._samples) < 2:
            return None
        (then, first), (now, last) = self._samples[0], self._samples[-1]
        if last <= first or now <= then:
            return None
        rate = (last - first) / (now - then)
        return max(0.0, (1.0 - last) / rate - (self._clock() - now))

    def opponents(self) -> list[Opponent]:
        """Return opponents with greedy results first, then the agent itself, then snapshots, newest
        first.
        """
        names = [
            tag.removeprefix(prefix)
            for prefix in (EVAL_WINS, EVAL_RETURNS, ROLLOUT_WINS)
            for tag in self.values
            if tag.startswith(prefix)
        ]
        found = [
            Opponent(
                name,
                *(
                    self.values.get(prefix + name)
                    for prefix in (ROLLOUT_WINS, EVAL_WINS, EVAL_DRAWS, EVAL_RETURNS)
                ),
            )
            for name in dict.fromkeys(names)
        ]
        return sorted(found, key=_rank)


def _rank(opponent: Opponent) -> tuple[int, int, str]:
    number = opponent.name.rpartition(":")[2]
    newest_first = -int(number) if number.isdecimal() else 0
    group = 0 if opponent.greedy is not None else 1 if opponent.name == "self" else 2
    return group, newest_first, opponent.name


def clock_time(seconds: float | None) -> str:
    """Return hours, minutes and seconds as `1:02:03` or `2:03`; `-` if unknown."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(share: float | None) -> str:
    """Return a share as ` 52 %`, empty if unknown."""
    return "" if share is None else f"{100 * share:3.0f} %"


def count(value: float | None) -> str:
    """Return a rate or a count with separated thousands, one decimal below 10."""
    if value is None:
        return "-"
    return f"{value:,.1f}" if value < 10 and value != int(value) else f"{value:,.0f}"


def figure(value: float | None) -> str:
    """Return a real number with three significant digits."""
    return "-" if value is None else f"{value:.3g}"
