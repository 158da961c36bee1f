"""The race of `race_rules`, which looks past the end of an array; compiled, that goes unnoticed."""

from __future__ import annotations

from race_rules import SEATS, SPEC, STATE, legal, play, start

__all__ = ["SPEC", "STATE", "legal", "observe", "play", "start"]


def observe(state, observation):
    for i in range(SEATS):
        observation[i] = state["field"][(state["seat"] + i) % SEATS]
    observation[SEATS] += 0
