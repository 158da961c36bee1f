"""A small Ludo of one's own, trained against one's own player: `cd examples && python own_ludo.py`.

Each seat races three tokens once around a ring of 28 squares. A five or six starts a token, a six
gives another throw. Who is met goes back to the yard, except on every seventh square.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from sparring import DQNAgent, train_dqn
from sparring.games import GameSpec
from sparring.training.callbacks import EvaluationEvent

TOKENS, RING = 3, 28
HOME = RING + 1  # progress of a token: 0 in the yard, 1 to 28 on the ring, 29 home


class SmallLudo:
    """The environment: one match. Action k moves the mover's k-th token from the front."""

    spec = GameSpec(
        num_players=2, num_actions=TOKENS, observation_shape=(2 * (HOME + 1) + 6,),
        observation_dtype="float32", max_plies=1000, chance=True, zero_sum=True, returns=(-1, 1),
    )  # fmt: skip

    def reset(self, rng: np.random.Generator) -> None:
        self.rng, self.seat, self.tokens = rng, 0, [[0] * TOKENS, [0] * TOKENS]
        self._throw()

    def _throw(self) -> None:
        self.die = int(self.rng.integers(1, 7))
        while not any(self.mask()):  # the other seat throws
            self.seat, self.die = 1 - self.seat, int(self.rng.integers(1, 7))

    def mask(self) -> list[bool]:
        own = self.tokens[self.seat]
        return [self.target(t) > 0 and t not in own[:rank] for rank, t in enumerate(own)]

    def target(self, token: int) -> int:
        """Progress to which the die takes a token; 0 if it cannot move."""
        return 0 if token == HOME else min(token + self.die, HOME) if token else int(self.die > 4)

    def captured(self, target: int) -> int:
        """Progress of the tokens that one of the mover's with progress `target` meets, or -1."""
        square = target - 1 + self.seat * RING // 2
        safe = target == HOME or square % 7 == 0
        return -1 if safe else (square - (1 - self.seat) * RING // 2) % RING + 1

    def moved(self, action: int) -> tuple[list[int], list[int]]:
        """Tokens after a move, the mover's first."""
        own, other = list(self.tokens[self.seat]), self.tokens[1 - self.seat]
        own[action] = self.target(own[action])
        met = self.captured(own[action])
        return sorted(own)[::-1], sorted(0 if token == met else token for token in other)[::-1]

    def step(self, action: int) -> tuple[list[float] | None, bool]:
        self.tokens[self.seat], self.tokens[1 - self.seat] = self.moved(action)
        if min(self.tokens[self.seat]) == HOME:
            return [1.0 - 2 * self.seat, 2 * self.seat - 1.0], True
        self.seat = self.seat if self.die == 6 else 1 - self.seat
        self._throw()
        return None, False

    def observe(self, seat: int) -> np.ndarray[Any, Any]:
        return encode(self.tokens[seat], self.tokens[1 - seat], self.die)

    def after(self, action: int) -> np.ndarray[Any, Any]:
        """What the mover leaves, before the next throw; a six says that this is its own, too."""
        return encode(*self.moved(action), die=6 if self.die == 6 else 0)


def encode(own: list[int], other: list[int], die: int) -> np.ndarray[Any, Any]:
    """The state encoder: how many tokens of each seat are at each progress, and the die."""
    counts = np.bincount([*own, *(HOME + 1 + token for token in other)], minlength=2 * HOME + 2)
    return np.concatenate([counts, np.arange(1, 7) == die], dtype=np.float32)


class Heuristic:
    """The opponent: captures, else comes home, else starts a token, else moves the front one."""

    def choose(self, match: SmallLudo) -> int:
        own, other = match.tokens[match.seat], match.tokens[1 - match.seat]
        worth = {}
        for action in np.flatnonzero(match.mask()).tolist():
            to = match.target(own[action])
            worth[action] = (match.captured(to) in other, to == HOME, own[action] == 0, -action)
        return int(max(worth, key=worth.__getitem__))


def network(spec: GameSpec, hidden: int = 64) -> nn.Module:
    """The value of a position after a move."""
    return nn.Sequential(
        nn.Linear(spec.observation_size, hidden), nn.ReLU(),
        nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1),
    )  # fmt: skip


class Progress:
    def on_evaluation(self, event: EvaluationEvent) -> None:
        won = event.figures["eval/win_rate/own_ludo:Heuristic"]
        print(f"{event.minutes:4.1f} minutes, {event.matches:7,} matches: {won:.3f}", flush=True)


def main(**options: Any) -> DQNAgent:
    torch.save(network(SmallLudo.spec).state_dict(), "start.pt")  # here would be yours
    agent = train_dqn(
        "own_ludo:SmallLudo", preset="quick", policy_kwargs={"network": "own_ludo:network"},
        init_from="start.pt", opponents={"self": 0.7, "own_ludo:Heuristic": 0.3},
        exploration="geometric", exploration_decay=0.98, callbacks=[Progress()], **options,
    )  # fmt: skip
    torch.save(agent.policy().network.state_dict(), "trained.pt")
    return agent


if __name__ == "__main__":
    main()
