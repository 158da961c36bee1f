"""Games of other libraries: whether they pass `sparring check-game`, and random play through the
batched protocol, beside the same play in the library's own loop.

    python benchmarks/adapters.py
    python benchmarks/adapters.py --games openspiel:chess --matches 0 --json

With `--matches 64` all games take five and a half minutes of one core, most of them for the checks,
which `--matches 0` leaves out.

Both sides do the same work for each ply: the position, the mover's observation as a float or
integer array, the mask as an array, and a uniformly random legal action; new matches begin at once.
Ours plays 256 matches side by side. OpenSpiel's loop asks a state for `observation_tensor` and
`legal_actions_mask`, and samples chance; PettingZoo's is `agent_iter` and `last`, or `step` of a
parallel environment; Gymnasium's and RLCard's are `reset` and `step`. Where several seats move at
the same time, each choice is a ply. Both run on one thread of this process, in turn, and rates are
medians per second of processor time, which other programs disturb less than the clock's.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import gymnasium
import numpy as np
import pettingzoo
import pyspiel
import rlcard
import tyro

from sparring import conformance
from sparring.bench.games import random_play
from sparring.games import make
from sparring.games.names import GameName, parse

SLOTS: Final = 256
OURS: Final = (
    "max_plies",
    "chance",
    "hidden_information",
    "zero_sum",
)  # arguments that are not the library's

GAMES: Final = (
    "openspiel:tic_tac_toe",
    "openspiel:connect_four",
    "openspiel:othello",
    "openspiel:hex(board_size=5)",
    "openspiel:breakthrough",
    "openspiel:go(board_size=5)",
    "openspiel:go",
    "openspiel:chess",
    "openspiel:backgammon",
    "openspiel:kuhn_poker",
    "openspiel:leduc_poker",
    "openspiel:liars_dice",
    "openspiel:hanabi",
    "openspiel:goofspiel",
    "openspiel:oshi_zumo",
    "pettingzoo:classic/tictactoe-v3",
    "pettingzoo:classic/connect_four-v3",
    "pettingzoo:classic/go-v5(board_size=5)",
    "pettingzoo:classic/chess-v6",
    "pettingzoo:classic/leduc_holdem-v4",
    "pettingzoo:classic/texas_holdem-v4",
    "pettingzoo:classic/texas_holdem_no_limit-v6",
    "pettingzoo:classic/hanabi-v5",
    "pettingzoo:classic/rps-v2",
    "gymnasium:CartPole-v1",
    "gymnasium:MountainCar-v0",
    "gymnasium:Acrobot-v1",
    "gymnasium:FrozenLake-v1",
    "gymnasium:Taxi-v4",
    "gymnasium:Blackjack-v1",
    "rlcard:blackjack",
    "rlcard:leduc-holdem",
    "rlcard:limit-holdem",
    "rlcard:no-limit-holdem",
    "rlcard:uno",
    "rlcard:gin-rummy",
    "rlcard:mahjong",
)


@dataclass(frozen=True)
class Settings:
    """Games and lengths of the measurement."""

    games: tuple[str, ...] = GAMES
    """Names of games of OpenSpiel, PettingZoo, Gymnasium and RLCard."""
    matches: int = 256
    """Random matches of each check, as many as `sparring check-game` plays; 0: no checks."""
    runs: int = 5
    """Repetitions of each side."""
    seconds: float = 0.5
    """Processor time of each repetition."""
    json: bool = False
    """Print one JSON object, {game: {"check", "ours", "original", "ratio"}}, as the last line."""


def main(settings: Settings) -> None:
    report = {}
    print(f"{'plies/s':44}{'check-game':>12}{'ours':>12}{'original':>12}{'ratio':>8}")
    for name in settings.games:
        check = checked(name, settings.matches)
        ours, original = compared(settings, parse(name))
        report[name] = {
            "check": check,
            "ours": round(ours, 1),
            "original": round(original, 1),
            "ratio": round(ours / original, 3),
        }
        rates = f"{ours:>12,.0f}{original:>12,.0f}{ours / original:>8.2f}"
        print(f"{name:44}{check:>12}{rates}", flush=True)
    if settings.json:
        print(json.dumps(report))


def checked(name: str, matches: int) -> str:
    if not matches:
        return "-"
    found = conformance.check(partial(make, name), name, matches=matches)
    return "passes" if found.passed else f"{len(found.findings)} findings"


def compared(settings: Settings, name: GameName) -> tuple[float, float]:
    """(ours, the library's own) in plies a second; the sides take turns, so that both see the same
    machine.
    """
    sides = (
        random_play(str(name), SLOTS),
        own_loop(name),
    )
    rates: list[list[float]] = [[], []]
    for step in (*sides, *(side for _ in range(settings.runs) for side in sides)):
        done, begun = 0, time.process_time()
        while time.process_time() - begun < settings.seconds:
            done += step()
        rates[sides.index(step)].append(done / (time.process_time() - begun))
    ours, original = (
        statistics.median(measured[1:]) for measured in rates
    )  # the first one is for caches
    return ours, original


def own_loop(name: GameName) -> Callable[[], int]:
    """As many plies in the library's own loop, one match after the other."""
    arguments = {key: value for key, value in name.arguments.items() if key not in OURS}
    endless = LOOPS[name.scheme](name.target, arguments, random.Random(0))
    return lambda: sum(itertools.islice(endless, SLOTS))


def openspiel_plies(target: str, arguments: dict[str, Any], rng: random.Random) -> Iterator[int]:
    game = pyspiel.load_game(str(GameName("", target, arguments)))
    while True:
        state = game.new_initial_state()
        while not state.is_terminal():
            if state.is_chance_node():
                outcomes, probabilities = zip(*state.chance_outcomes(), strict=True)
                state.apply_action(rng.choices(outcomes, probabilities)[0])
                continue
            together = state.is_simultaneous_node()
            movers = range(game.num_players()) if together else [state.current_player()]
            choices = []
            for seat in movers:
                np.array(state.observation_tensor(seat), np.float32)
                np.array(state.legal_actions_mask(seat), np.bool_)
                choices.append(rng.choice(state.legal_actions(seat)))
                yield 1
            state.apply_actions(choices) if together else state.apply_action(choices[0])
        state.returns()


def pettingzoo_plies(target: str, arguments: dict[str, Any], rng: random.Random) -> Iterator[int]:
    parallel = target in pettingzoo.parallel_registry
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Gymnasium's, about PettingZoo's own spaces
        env: Any = pettingzoo.make("parallel" if parallel else "aec", target, **arguments)
    return parallel_plies(env, rng) if parallel else aec_plies(env, rng)


def aec_plies(env: Any, rng: random.Random) -> Iterator[int]:
    while True:
        env.reset(seed=rng.randrange(2**31))
        for _ in env.agent_iter():
            observation, _, termination, truncation, _ = env.last()
            if termination or truncation:
                env.step(None)
                continue
            env.step(int(rng.choice(np.flatnonzero(observation["action_mask"]))))
            yield 1


def parallel_plies(env: Any, rng: random.Random) -> Iterator[int]:
    while True:
        env.reset(seed=rng.randrange(2**31))
        while env.agents:
            yield len(env.agents)
            env.step({who: rng.randrange(env.action_space(who).n) for who in env.agents})


def gymnasium_plies(target: str, arguments: dict[str, Any], rng: random.Random) -> Iterator[int]:
    env: Any = gymnasium.make(target, disable_env_checker=True, **arguments)
    while True:
        env.reset(seed=rng.randrange(2**31))
        ended = False
        while not ended:
            _, _, terminated, truncated, _ = env.step(rng.randrange(env.action_space.n))
            ended = terminated or truncated
            yield 1


def rlcard_plies(target: str, arguments: dict[str, Any], rng: random.Random) -> Iterator[int]:
    env = rlcard.make(target, config={"seed": 0, **arguments})
    while True:
        state, _ = env.reset()
        while not env.is_over():
            mask = np.zeros(env.num_actions, np.bool_)
            mask[list(state["legal_actions"])] = True
            state, _ = env.step(rng.choice(list(state["legal_actions"])))
            yield 1
        env.get_payoffs()


LOOPS: Final = {
    "openspiel": openspiel_plies,
    "pettingzoo": pettingzoo_plies,
    "gymnasium": gymnasium_plies,
    "rlcard": rlcard_plies,
}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
