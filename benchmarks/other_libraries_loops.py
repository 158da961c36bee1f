"""Matches of an agent against random players in the loops of other libraries, with their random
players and our wrappers, beside matches by `sparring evaluate`: mean returns must agree.

    python benchmarks/other_libraries_loops.py
    python benchmarks/other_libraries_loops.py --agents rlcard:leduc-holdem=runs/leduc

Without `--agents` it trains an agent of each game for half a minute. Both sides play from the start
of the game, each seat equally often. Intervals of 95 % are 1.96 standard errors; "z" is the
difference in standard errors, beyond 1.96 in one of 20 rows by chance alone.
"""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pettingzoo
import pyspiel
import rlcard
import torch
import tyro
from numpy.typing import NDArray
from open_spiel.python import rl_environment
from open_spiel.python.algorithms.evaluate_bots import evaluate_bots
from open_spiel.python.algorithms.random_agent import RandomAgent
from open_spiel.python.bots.uniform_random import UniformRandomBot
from rlcard.agents import RandomAgent as RLCardRandomAgent

from sparring import DQNAgent, train_dqn
from sparring.adapters.openspiel_agent import OpenSpielAgent, OpenSpielBot
from sparring.adapters.pettingzoo_policy import PettingZooPolicy
from sparring.adapters.rlcard_agent import RLCardAgent
from sparring.evaluation import play_matches
from sparring.games import make
from sparring.games.names import GameName, parse
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.scripted import RandomPlayer

GAMES: Final = {  # with settings of training
    "openspiel:hex(board_size=4)": {"afterstates": "on"},
    "openspiel:pig(horizon=100)": {},
    "openspiel:goofspiel(num_cards=5)": {},
    "pettingzoo:classic/tictactoe-v3": {},
    "pettingzoo:classic/leduc_holdem-v4": {},
    "rlcard:leduc-holdem": {},
    "rlcard:blackjack": {},
}


@dataclass(frozen=True)
class Settings:
    """Games, agents and lengths of the comparison."""

    games: tuple[str, ...] = tuple(GAMES)
    """Names of games of OpenSpiel, PettingZoo and RLCard."""
    agents: tuple[str, ...] = ()
    """Agent files as GAME=FILE; the agents of other games are trained."""
    matches: int = 2000
    """Matches of each side."""
    minutes: float = 0.5
    """Length of a training."""


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    files = dict(entry.rsplit("=", 1) for entry in settings.agents)
    print(f"{'mean return':36}{'loop':22}{'in its own loop':>20}{'sparring':>20}{'z':>7}")
    for name in settings.games:
        agent = loaded(files[name], name) if name in files else trained(name, settings.minutes)
        ours = sparring_returns(agent, settings.matches)
        for loop, play in LOOPS[parse(name).scheme].items():
            theirs = np.fromiter(play(agent, parse(name), settings.matches), np.float64)
            print(f"{name:36}{loop:22}{row(theirs, ours)}", flush=True)


def trained(name: str, minutes: float) -> DQNAgent:
    with tempfile.TemporaryDirectory() as runs:
        agent = train_dqn(
            name, preset="quick", max_minutes=minutes, num_workers=1, runs_dir=runs, **GAMES[name]
        )
        agent.save(Path(runs) / "agent.safetensors")  # so that files are what is tried
        return loaded(str(Path(runs) / "agent.safetensors"), name)


def loaded(file: str, name: str) -> DQNAgent:
    path = Path(file)
    return DQNAgent.load(path / "best.safetensors" if path.is_dir() else path, game=name)


def sparring_returns(agent: DQNAgent, matches: int) -> NDArray[np.float64]:
    others = [RandomPlayer()] * (agent.game.num_players - 1)
    players: list[Player] = [NetworkPlayer("agent", agent.policy()), *others]
    table = play_matches(
        partial(make, agent.spec.game), players, matches=matches, seed=1, opening_plies=0
    )
    return table.returns[:, 0]


def row(theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> str:
    errors = [float(side.std(ddof=1)) / len(side) ** 0.5 for side in (theirs, ours)]
    shown = "".join(
        f"{f'{side.mean():.3f} +- {1.96 * error:.3f}':>20}"
        for side, error in zip((theirs, ours), errors, strict=True)
    )
    return f"{shown}{(theirs.mean() - ours.mean()) / max(np.hypot(*errors), 1e-12):>7.2f}"


def bots_loop(agent: DQNAgent, name: GameName, matches: int) -> Iterator[float]:
    game, rng = openspiel_game(name), np.random.default_rng(2)
    seats = range(game.num_players())
    ours = [OpenSpielBot(agent, seat) for seat in seats]
    for match in range(matches):
        seat = match % len(seats)
        bots = [ours[s] if s == seat else UniformRandomBot(s, rng) for s in seats]
        yield float(evaluate_bots(game.new_initial_state(), bots, rng)[seat])


def rl_loop(agent: DQNAgent, name: GameName, matches: int) -> Iterator[float]:
    np.random.seed(3)  # noqa: NPY002 (what OpenSpiel's random agents use)
    env = rl_environment.Environment(
        openspiel_game(name),
        include_full_state=True,
        chance_event_sampler=rl_environment.ChanceEventSampler(4),
    )
    seats = range(env.num_players)
    ours = [OpenSpielAgent(agent, seat) for seat in seats]
    others = [RandomAgent(seat, env.action_spec()["num_actions"]) for seat in seats]
    for match in range(matches):
        seat = match % len(seats)
        agents = [*others[:seat], ours[seat], *others[seat + 1 :]]
        time_step = env.reset()
        while not time_step.last():
            movers = (
                seats
                if time_step.is_simultaneous_move()
                else [time_step.observations["current_player"]]
            )
            steps = [agents[s].step(time_step, is_evaluation=True) for s in movers]
            time_step = env.step([step.action for step in steps])
        yield float(env.get_state.returns()[seat])


def pettingzoo_loop(agent: DQNAgent, name: GameName, matches: int) -> Iterator[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Gymnasium's, about PettingZoo's own spaces
        env = pettingzoo.make("aec", name.target, **library_arguments(name))
    policy, rng = PettingZooPolicy(agent), random.Random(5)
    for match in range(matches):
        env.reset(seed=rng.randrange(2**31))
        ours = env.possible_agents[match % len(env.possible_agents)]
        paid = 0.0
        for who in env.agent_iter():
            observation, reward, terminated, truncated, info = env.last()
            paid += float(reward) if who == ours else 0.0
            if terminated or truncated:
                action = None
            elif who == ours:
                action = policy(observation, who, info)
            else:
                action = rng.choice(np.flatnonzero(observation["action_mask"]).tolist())
            env.step(action)
        yield paid
    env.close()


def rlcard_loop(agent: DQNAgent, name: GameName, matches: int) -> Iterator[float]:
    env = rlcard.make(name.target, config={"seed": 6, **library_arguments(name)})
    seats = range(env.num_players)
    ours = [RLCardAgent(agent, seat) for seat in seats]
    for match in range(matches):
        seat = match % len(seats)
        env.set_agents(
            [ours[s] if s == seat else RLCardRandomAgent(env.num_actions) for s in seats]
        )
        yield float(env.run(is_training=False)[1][seat])


def openspiel_game(name: GameName) -> Any:
    return pyspiel.load_game(str(GameName("", name.target, library_arguments(name))))


def library_arguments(name: GameName) -> dict[str, Any]:
    return {key: value for key, value in name.arguments.items() if key != "max_plies"}


LOOPS: Final[dict[str, dict[str, Callable[[DQNAgent, GameName, int], Iterator[float]]]]] = {
    "openspiel": {"evaluate_bots": bots_loop, "rl_environment": rl_loop},
    "pettingzoo": {"agent_iter": pettingzoo_loop},
    "rlcard": {"env.run": rlcard_loop},
}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
