"""Random play of adapted games through the batched protocol, beside the same play in the library's
own loop.

    python benchmarks/adapters.py
    python benchmarks/adapters.py --games openspiel:chess --json

The first plays all games and takes about two minutes on an idle core.

Both sides do the same work for each ply: the position, the mover's observation as a float or
integer array, the mask as an array, and a uniformly random legal action; new matches begin at once.
Ours plays 256 matches side by side. OpenSpiel's loop asks a state for `observation_tensor` and
`legal_actions_mask`, and samples chance; PettingZoo's is `agent_iter` and `last`. Both run on one
thread of this process, in turn, and rates are medians per second of processor time, which other
programs disturb less than the clock's.
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
from typing import Any, Final

import numpy as np
import pettingzoo
import pyspiel
import tyro

from sparring.bench.games import random_play
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
    "pettingzoo:classic/tictactoe-v3",
    "pettingzoo:classic/connect_four-v3",
    "pettingzoo:classic/go-v5(board_size=5)",
    "pettingzoo:classic/chess-v6",
    "pettingzoo:classic/leduc_holdem-v4",
    "pettingzoo:classic/texas_holdem-v4",
    "pettingzoo:classic/texas_holdem_no_limit-v6",
    "pettingzoo:classic/hanabi-v5",
)


@dataclass(frozen=True)
class Settings:
    """Games and lengths of the measurement."""

    games: tuple[str, ...] = GAMES
    """Names of games of OpenSpiel and PettingZoo."""
    runs: int = 5
    """Repetitions of each side."""
    seconds: float = 0.5
    """Processor time of each repetition."""
    json: bool = False
    """Print one JSON object, {game: {"ours", "original", "ratio"}}, as the last line."""


def main(settings: Settings) -> None:
    report = {}
    print(f"{'plies/s':44}{'ours':>12}{'original':>12}{'ratio':>8}")
    for name in settings.games:
        ours, original = compared(settings, parse(name))
        report[name] = {
            "ours": round(ours, 1),
            "original": round(original, 1),
            "ratio": round(ours / original, 3),
        }
        print(f"{name:44}{ours:>12,.0f}{original:>12,.0f}{ours / original:>8.2f}", flush=True)
    if settings.json:
        print(json.dumps(report))


def compared(settings: Settings, name: GameName) -> tuple[float, float]:
    """(ours, the library's own) in plies a second; the sides take turns, so that both see the same
    machine.
    """
    sides = (
        random_play(str(name), SLOTS),
        (openspiel_loop if name.scheme == "openspiel" else pettingzoo_loop)(name),
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


def openspiel_loop(name: GameName) -> Callable[[], int]:
    """As many plies of OpenSpiel's matches, one after the other."""
    game = pyspiel.load_game(str(GameName("", name.target, library_arguments(name))))
    rng = random.Random(0)

    def plies() -> Iterator[int]:
        while True:
            state = game.new_initial_state()
            while not state.is_terminal():
                if state.is_chance_node():
                    outcomes, probabilities = zip(*state.chance_outcomes(), strict=True)
                    state.apply_action(rng.choices(outcomes, probabilities)[0])
                    continue
                np.array(state.observation_tensor(), np.float32)
                np.array(state.legal_actions_mask(), np.bool_)
                state.apply_action(rng.choice(state.legal_actions()))
                yield 1
            state.returns()

    endless = plies()
    return lambda: sum(itertools.islice(endless, SLOTS))


def pettingzoo_loop(name: GameName) -> Callable[[], int]:
    """As many plies of PettingZoo's matches, one after the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Gymnasium's, about PettingZoo's own spaces
        env = pettingzoo.make("aec", name.target, **library_arguments(name))
    rng = random.Random(0)

    def plies() -> Iterator[int]:
        while True:
            env.reset(seed=rng.randrange(2**31))
            for _ in env.agent_iter():
                observation, _, termination, truncation, _ = env.last()
                if termination or truncation:
                    env.step(None)
                    continue
                env.step(int(rng.choice(np.flatnonzero(observation["action_mask"]))))
                yield 1

    endless = plies()
    return lambda: sum(itertools.islice(endless, SLOTS))


def library_arguments(name: GameName) -> dict[str, Any]:
    return {key: value for key, value in name.arguments.items() if key not in OURS}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
