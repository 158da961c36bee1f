"""Evaluation functions of a user, and what is none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.agent import DQNAgent

EMPTY = np.zeros((2, 3, 3), np.int8)
NOT_A_FUNCTION = 3


def centre(agent: DQNAgent) -> float:
    """1 if the agent begins in the centre, less the further away."""
    action, _ = agent.predict(EMPTY)
    return 1.0 - abs(int(action) - 4) / 4.0


def bytes_of(agent: DQNAgent) -> float:
    """A number that depends on every weight."""
    return float(np.frombuffer(agent.policy().vector().tobytes(), np.uint8).mean() / 255.0)


def spoils(agent: DQNAgent) -> NDArray[np.float32]:
    """Overwrites the agent, and gives a score of a NumPy type."""
    agent.set_weights({name: 0.0 * value for name, value in agent.get_weights().items()})
    return np.float32(0.5)


def without_agent() -> float:
    return 0.5


def no_number(agent: DQNAgent) -> None:
    return None


def not_finite(agent: DQNAgent) -> float:
    return float("nan")


def text(agent: DQNAgent) -> str:
    return "0.5"


def fails(agent: DQNAgent) -> float:
    raise KeyError("score")
