"""The race of `race_rules`, which reads past the end of an array; unnoticed in compiled code."""

from __future__ import annotations

from race_rules import SEATS, SPEC, STATE, legal, play, start

__all__ = ["SPEC", "STATE", "legal", "observe", "play", "start"]


def observe(state, observation):
    for i in range(SEATS):
        observation[i] = state["field"][(state["seat"] + i) % SEATS]
    observation[SEATS] += 0
