"""Ludo for two, trained as Sparring's predecessor did, to compare the speed of both on the same
machine.

    python benchmarks/naive.py --seconds 20
    python benchmarks/naive.py --seconds 20 --workers 2 --json

A pool of worker processes plays one match at a time and asks the network for one state at a time.
Rounds block: every worker plays `episodes_per_batch` matches of the agent against itself,
epsilon-greedily, and sends pickled trajectories back; then the main process learns, one update of
64 transitions a match, while the workers wait, and sends the weights as a dictionary of arrays to
all of them. The replay is a deque of transitions. Each process has one torch thread: without that
this way is several times slower.

It is given a fair chance. Ludo is the compiled one of Sparring, the network an MLP of 233 thousand
parameters, the optimizer is fused, and the defaults are those with which it is fastest on two
cores. Start-up and the first rounds do not count. With `--json` the last line is one object:
{"plies_per_s", "episodes_per_min", "updates_per_s", "workers", "plies_per_match"}.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.pool import Pool
from typing import Any, Final

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor, nn

from sparring import games
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network

GAME: Final = "ludo"
NETWORK: Final = PolicySpec(GAME, NetworkSpec("mlp", {"net_arch": [400, 256]}))
EPSILON: Final = 0.1
GAMMA: Final = 0.99
LEARNING_RATE: Final = 1e-3
BATCH: Final = 64
BUFFER: Final = 100_000
TARGET_INTERVAL: Final = 500  # updates
WARM_UP: Final = 5  # rounds

Array = NDArray[Any]
Weights = dict[str, Array]
Step = tuple[Array, Array, int, float]  # observation, mask of legal actions, action, reward
Trajectory = list[Step]  # the decisions of one seat in one match
Transition = tuple[
    Array, int, float, Array, Array, float
]  # observation, action, reward, next observation, next mask, 1 if it goes on


@dataclass(frozen=True)
class Settings:
    """Workers, batch and length of the measurement."""

    seconds: float = 20.0
    """Time that counts."""
    workers: int = 2
    """Processes that play."""
    episodes_per_batch: int = 32
    """Matches of each worker in a round."""
    json: bool = False
    """Print one JSON object as the last line."""


class Actor:
    """State of one worker process: a match, a network, a random generator."""

    def __init__(self) -> None:
        self.game = games.make(GAME, 1)
        self.network = build_network(NETWORK).eval()
        self.rng = np.random.default_rng()

    def match(self) -> tuple[list[Trajectory], int]:
        """Play one match to its end: the trajectories of both seats, and the plies."""
        game, slot, action = self.game, np.zeros(1, np.int64), np.zeros(1, np.int64)
        game.reset(slot, self.rng.integers(2**63, size=1, dtype=np.uint64))
        seats: list[Trajectory] = [[] for _ in range(game.spec.num_players)]
        while not (game.terminated[0] or game.truncated[0]):
            seat, observation, mask = (
                int(game.seat[0]),
                game.observation[0].copy(),
                game.mask[0].copy(),
            )
            action[0] = self.choose(observation, mask)
            game.step(action)
            seats[seat].append((observation, mask, int(action[0]), 0.0))
        for trajectory, paid in zip(
            seats, game.rewards[0], strict=True
        ):  # Ludo pays at the end only
            if trajectory:
                trajectory[-1] = (*trajectory[-1][:3], float(paid))
        return seats, int(game.plies[0])

    def choose(self, observation: Array, mask: Array) -> int:
        """Epsilon-greedy among the legal actions."""
        if self.rng.random() < EPSILON:
            return int(self.rng.choice(np.flatnonzero(mask)))
        with torch.inference_mode():
            q = self.network(torch.from_numpy(observation[None]))[0].numpy()
        return int(np.where(mask, q, -np.inf).argmax())


def start_worker() -> None:
    """One torch thread in each process: more of them fight for the cores."""
    global ACTOR
    torch.set_num_threads(1)
    ACTOR = Actor()


def play(order: tuple[Weights, int]) -> tuple[list[Trajectory], int]:
    """One worker's part of a round: take over the weights, play so many matches; all trajectories,
    and the plies.
    """
    weights, matches = order
    ACTOR.network.load_state_dict(
        {name: torch.from_numpy(value) for name, value in weights.items()}
    )
    trajectories, plies = [], 0
    for _ in range(matches):
        seats, length = ACTOR.match()
        trajectories += seats
        plies += length
    return trajectories, plies


class Learner:
    """Double DQN with a target network, Adam and a uniformly sampled deque."""

    def __init__(self, spec: PolicySpec = NETWORK) -> None:
        self.policy, self.target = build_network(spec), build_network(spec)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=LEARNING_RATE, fused=True)
        self.replay: deque[Transition] = deque(maxlen=BUFFER)
        self.updates = 0

    def weights(self) -> Weights:
        """The policy's parameters by name."""
        return {name: value.numpy().copy() for name, value in self.policy.state_dict().items()}

    def add(self, trajectory: Trajectory) -> None:
        """Each decision leads to the same seat's next one; the last one ends."""
        for k, (observation, _, action, reward) in enumerate(trajectory):
            last = k + 1 == len(trajectory)
            following, mask = trajectory[k if last else k + 1][:2]
            self.replay.append((observation, action, reward, following, mask, float(not last)))

    def update(self) -> None:
        """One gradient step on `BATCH` transitions."""
        columns = zip(*random.sample(self.replay, BATCH), strict=True)
        observation, action, reward, following, mask, goes_on = (
            torch.from_numpy(np.stack(column)) for column in columns
        )
        goal = self.targets(reward.float(), following, mask, goes_on.float())
        chosen = self.policy(observation).gather(1, action[:, None])[:, 0]
        loss = nn.functional.huber_loss(chosen, goal)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.updates += 1
        if self.updates % TARGET_INTERVAL == 0:
            self.target.load_state_dict(self.policy.state_dict())

    def targets(self, reward: Tensor, following: Tensor, mask: Tensor, goes_on: Tensor) -> Tensor:
        """Double DQN: the policy chooses the best legal action, the target network says what it is
        worth. [B]
        """
        with torch.no_grad():
            best = self.policy(following).masked_fill(~mask, -torch.inf).argmax(1, keepdim=True)
            value: Tensor = self.target(following).gather(1, best)[:, 0]
            return reward + GAMMA * goes_on * value


def play_round(pool: Pool, learner: Learner, settings: Settings) -> int:
    """All play, then the main process learns; the plies of the round."""
    orders = [(learner.weights(), settings.episodes_per_batch)] * settings.workers
    total = 0
    for trajectories, plies in pool.map(play, orders, chunksize=1):
        for trajectory in trajectories:
            learner.add(trajectory)
        total += plies
    for _ in range(settings.workers * settings.episodes_per_batch):
        learner.update()
    return total


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    learner, matches_per_round = Learner(), settings.workers * settings.episodes_per_batch
    with multiprocessing.get_context("spawn").Pool(settings.workers, start_worker) as pool:
        for _ in range(WARM_UP):
            play_round(pool, learner, settings)
        rounds = plies = 0
        begun = time.perf_counter()
        while (seconds := time.perf_counter() - begun) < settings.seconds:
            plies += play_round(pool, learner, settings)
            rounds += 1
    matches = rounds * matches_per_round
    result = {
        "plies_per_s": round(plies / seconds, 1),
        "episodes_per_min": round(60.0 * matches / seconds, 1),
        "updates_per_s": round(matches / seconds, 2),
        "workers": settings.workers,
        "plies_per_match": round(plies / matches, 1),
    }
    print(
        json.dumps(result)
        if settings.json
        else "\n".join(f"{name:18}{value:>12,}" for name, value in result.items())
    )


ACTOR: Actor  # of this worker process; `start_worker` makes it

if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
