"""OpenSpiel's PyTorch DQN plays Connect Four against itself; `turns.py` says how it is driven.

    echo '{"plies_per_update": 64, "threads": 1, "seconds": 10}' | python openspiel_dqn.py

The form is that of OpenSpiel's own example (breakthrough_dqn.py): one agent for each seat, each
with its own network and replay, one match at a time through `rl_environment`, one state per forward
pass.

Deviations: `learn` is called from here, in turn for the two agents, because the agents' own period
counts the steps that end a match too, and would give an update every 53 plies for 64. Adam instead
of plain gradient descent. Epsilon stays as it is.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any, Final

from open_spiel.python import rl_environment
from open_spiel.python.pytorch.dqn import DQN
from turns import BATCH, EPSILON, HIDDEN, LEARNING_RATE, REPLAY, serve

NEVER: Final = 10**12  # steps until the agents learn by themselves


class SelfPlay:
    """Two agents at one board."""

    def __init__(self) -> None:
        self.plies = 0
        self.plies_per_update: int | None = None
        self._environment: Any = rl_environment.Environment("connect_four")
        self._agents = [_agent(self._environment, seat) for seat in range(2)]

    def play_match(self) -> None:
        time_step = self._environment.reset()
        while not time_step.last():
            mover = self._agents[time_step.observations["current_player"]]
            time_step = self._environment.step([mover.step(time_step).action])
            self.plies += 1
            if self.plies_per_update and self.plies % self.plies_per_update == 0:
                self._agents[self.plies // self.plies_per_update % 2].learn()
        for agent in self._agents:  # both see how it ended
            agent.step(time_step)

    def fill(self) -> None:
        """Play until both replays are full: sampling costs the more, the more there is to sample
        from.
        """
        while any(
            agent.replay_buffer is None or len(agent.replay_buffer) < REPLAY
            for agent in self._agents
        ):
            self.play_match()


def _agent(environment: Any, seat: int) -> Any:
    return DQN(
        player_id=seat,
        state_representation_size=environment.observation_spec()["info_state"][0],
        num_actions=environment.action_spec()["num_actions"],
        hidden_layers_sizes=list(HIDDEN),
        batch_size=BATCH,
        replay_buffer_capacity=REPLAY,
        learning_rate=LEARNING_RATE,
        learn_every=NEVER,
        epsilon_start=EPSILON,
        epsilon_end=EPSILON,
        optimizer_str="adam",
        loss_str="huber",
        seed=seat,
    )


if __name__ == "__main__":
    side = SelfPlay()
    side.fill()
    serve(side, {"open_spiel": importlib.metadata.version("open_spiel")})
