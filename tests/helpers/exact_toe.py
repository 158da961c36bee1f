"""An agent of tic-tac-toe that knows the exact value of every position after a move: its table has
an entry for each.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from sparring.config.schema import AgentOptions
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.table_learner import TableLearner
from sparring.replay.build import build_replay
from sparring.replay.transitions import transition_dtype

Marks = frozenset[int]  # cells of one seat

_ROWS = [{0, 1, 2}, {3, 4, 5}, {6, 7, 8}]
_COLUMNS = [{0, 3, 6}, {1, 4, 7}, {2, 5, 8}]
_DIAGONALS = [{0, 4, 8}, {2, 4, 6}]
_SHARE = 0.9  # of the exact values: a table reaches 1 only in the limit


@cache
def value(own: Marks, others: Marks) -> int:
    """1, 0 or -1 for the seat to move, which has `own` marks."""
    if any(line <= others for line in _ROWS + _COLUMNS + _DIAGONALS):
        return -1
    free = set(range(9)) - own - others
    return max((-value(others, own | {cell}) for cell in free), default=0)


@cache
def exact_agent() -> DQNAgent:
    network = NetworkSpec("ntuples", {"tuples": 1, "tuple_size": 9})
    spec = PolicySpec("tic_tac_toe", network, afterstates=True)
    options = AgentOptions(batch_size=4096, learning_rate=0.5, symmetry_augmentation=False)
    learner = TableLearner(spec, options, seed=0)
    positions = _reachable()
    rows = np.zeros(len(positions), transition_dtype(spec.network_game))
    for row, (own, others) in zip(rows, positions, strict=True):
        for plane, marks in enumerate((own, others)):
            row["observation"].reshape(-1, 9)[plane, list(marks)] = 1
        row["R"] = _SHARE * value(own, others)
    replay = build_replay(spec.network_game, options, torch.device("cpu"))
    replay.extend(rows)
    learner.update(replay, 100)
    return DQNAgent(spec, weights=learner.layout.named(learner.vector()))


def _reachable() -> list[tuple[Marks, Marks]]:
    """All positions in which a match goes on, but the first one."""
    found: dict[tuple[Marks, Marks], None] = {}
    ahead: list[tuple[Marks, Marks]] = [(frozenset(), frozenset())]
    while ahead:
        own, others = ahead.pop()
        for cell in set(range(9)) - own - others:
            after = others, own | {cell}
            over = any(line <= after[1] for line in _ROWS + _COLUMNS + _DIAGONALS)
            if after not in found and not over:
                found[after] = None
                ahead.append(after)
    return list(found)
