"""How to share CPUs between play and learning: the split at which both together get on fastest, each at the speed it has alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """`plies_per_s` of the whole, if coordination were free; `learner_threads`; `learner_cpus` that are busy learning, on average."""

    plies_per_s: float
    learner_threads: int
    learner_cpus: float

    def workers(self, cpus: int) -> int:
        """How many workers keep `cpus` CPUs busy: a learner that has little to do shares its CPU with one of them."""
        return max(1, round(cpus - self.learner_cpus))


def best_split(*, cpus: int, plies_per_update: float, plies_per_s: float, updates_per_s: Mapping[int, float]) -> Split:
    """The fastest split of `cpus` CPUs.

    Each of them plays `plies_per_s` when it does nothing else; a learner of k threads makes `updates_per_s[k]` and takes k CPUs while it
    does. Play can use any CPU at any moment that learning leaves it. With more threads than CPUs nothing is considered.
    """
    splits = []
    for threads, rate in updates_per_s.items():
        if threads <= cpus:
            learning = 1.0 / (plies_per_update * rate)  # seconds of the learner for a ply
            playing = 1.0 / plies_per_s  # seconds of one CPU for a ply
            seconds = max(learning, (playing + threads * learning) / cpus)
            splits.append(Split(1.0 / seconds, threads, threads * learning / seconds))
    return max(splits, key=lambda split: split.plies_per_s)
