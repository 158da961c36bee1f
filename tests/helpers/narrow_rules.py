"""The race of `race_rules` in small integers: they wrap around in plain Python, and grow in
compiled code.
"""

from __future__ import annotations

import numpy as np
from race_rules import SEATS, SPEC, STATE, legal, play, start

__all__ = ["SPEC", "STATE", "legal", "observe", "play", "start"]


def observe(state, observation):
    for i in range(SEATS):
        observation[i] = state["field"][(state["seat"] + i) % SEATS] + np.int8(127)
