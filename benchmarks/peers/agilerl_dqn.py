"""AgileRL's DQN plays PettingZoo's Connect Four against itself; `turns.py` says how it is driven.

    echo '{"plies_per_update": 64, "threads": 1, "seconds": 10}' | python agilerl_dqn.py

The form is that of AgileRL's tutorial (pettingzoo/dqn_curriculum.py): one match at a time, one
state per `get_action`, transitions of both seats in one replay, and each seat's next state is its
own next turn.

Deviations, all of which make it faster: no evolution (a population of one), an MLP without layer
normalisation for the tutorial's convolutions, no mirrored copies, no reward shaped in Python after
each ply, and one call of `add` for a whole match. The agent plays both seats; the tutorial's
opponent is a frozen copy, which costs as much. Epsilon stays as it is.
"""

from __future__ import annotations

import importlib.metadata
import warnings
from typing import Any, Final

import gymnasium
import numpy as np
from agilerl.algorithms import DQN
from agilerl.components.data import Transition
from agilerl.components.replay_buffer import ReplayBuffer
from agilerl.modules.mlp import EvolvableMLP
from numpy.typing import NDArray
from pettingzoo.classic import connect_four_v3
from turns import BATCH, EPSILON, HIDDEN, LEARNING_RATE, REPLAY, serve

CELLS: Final = 84  # two planes of six rows and seven columns
ACTIONS: Final = 7
FILL: Final = 20_000  # from 16,384 transitions on, sampling costs the same whatever the fill

State = NDArray[np.float32]  # [1, CELLS]


class SelfPlay:
    """One agent on both sides of one board."""

    def __init__(self) -> None:
        self.plies = 0
        self.plies_per_update: int | None = None
        self._environment: Any = connect_four_v3.env()
        self._replay: Any = ReplayBuffer(max_size=REPLAY, device="cpu")
        self._agent: Any = DQN(
            gymnasium.spaces.Box(0, 1, (CELLS,), np.float32),
            gymnasium.spaces.Discrete(ACTIONS),
            batch_size=BATCH,
            lr=LEARNING_RATE,
            tau=0.01,
            double=True,
            actor_network=EvolvableMLP(CELLS, ACTIONS, list(HIDDEN), layer_norm=False),
        )

    def play_match(self) -> None:
        states: list[State] = []
        actions: list[int] = []
        self._environment.reset()
        observation, _, ended, cut, _ = self._environment.last()
        while not (ended or cut):
            state = _flat(observation)
            action = int(
                self._agent.get_action(state, EPSILON, observation["action_mask"][None])[0]
            )
            self._environment.step(action)
            observation, _, ended, cut, _ = self._environment.last()
            states.append(state)
            actions.append(action)
            self.plies += 1
            if self.plies_per_update and self.plies % self.plies_per_update == 0:
                self._agent.learn(self._replay.sample(BATCH))
        mover = (len(actions) - 1) % 2
        self._store(
            states, actions, self._environment.rewards[f"player_{mover}"], _flat(observation)
        )

    def _store(self, states: list[State], actions: list[int], paid: float, end: State) -> None:
        """Every decision of a match; the last of each seat ends, and pays the last mover `paid` and
        the other one as much less.
        """
        plies = len(actions)
        reward, done = np.zeros(plies, np.float32), np.zeros(plies, np.float32)
        reward[-1], reward[-2], done[-2:] = paid, -paid, 1.0
        following = [*states[2:], end, end]
        rows = Transition(
            obs=np.concatenate(states), action=np.array(actions), reward=reward,
            next_obs=np.concatenate(following), done=done, batch_size=[plies],
        )  # fmt: skip
        self._replay.add(rows.to_tensordict())

    def fill(self) -> None:
        """Play until the replay is as full as matters."""
        while len(self._replay) < FILL:
            self.play_match()


def _flat(observation: Any) -> State:
    """Planes before rows and columns, in one row."""
    flat: State = observation["observation"].transpose(2, 0, 1).reshape(1, CELLS).astype(np.float32)
    return flat


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    side = SelfPlay()
    side.fill()
    serve(side, {name: importlib.metadata.version(name) for name in ("agilerl", "pettingzoo")})
