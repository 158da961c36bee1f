"""Population-based training: exploit and explore (Jaderberg et al., "Population based training of
neural networks", 2017, sections 3 and 4.1.1).

Truncation selection: a member whose score is among the lowest 20 % takes over the learner of one
that is drawn from the highest 20 %, and its settings, each times 0.8 or 1.2.

Departures: a member takes over networks and optimizer (the paper copies weights), and keeps its
replay buffer, pool, schedules and seed, which are of the same game. The better member goes on
meanwhile, so its newest checkpoint is taken, which may be older than its score. With fewer than
five members the shares are one member each. Nothing happens if the better score is not higher.
Scores are those of the newest evaluation against the baseline opponents, `eval/score`, not of
matches between members: each member has it already, and from the same number of matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from sparring.population.options import within

SHARE: Final = 0.2
FACTORS: Final = (0.8, 1.2)


def exploit(scores: Mapping[str, float], member: str, rng: np.random.Generator) -> str | None:
    """Return the member whose learner `member` takes over; None if it goes on as it is.

    `scores` are those of all members by name; of equals the first by name counts as the lowest.
    """
    few = max(1, round(SHARE * len(scores)))
    ranked = sorted(scores, key=lambda name: (scores[name], name))
    if member not in ranked[:few]:
        return None
    better = ranked[-few:][int(rng.integers(few))]
    return better if scores[better] > scores[member] else None


def explore(settings: Mapping[str, float], rng: np.random.Generator) -> dict[str, float]:
    """Return the settings, each times 0.8 or 1.2, within its range."""
    return {
        name: within(name, value * FACTORS[int(rng.integers(2))])
        for name, value in settings.items()
    }
