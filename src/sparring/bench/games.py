"""Plies a second of random play: the games alone, without any network, on one core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from sparring import games
from sparring.bench.measure import Cases, Settings, Side, case, repeated, turns
from sparring.errors import ConfigurationError
from sparring.games.rng import EXPLORATION, uniforms
from sparring.opponents.scripted import RandomPlayer

SLOTS: Final = (256, 1024)  # matches side by side, of a built-in game
ADAPTED_SLOTS: Final = 256
ADAPTED: Final = (
    "openspiel:connect_four",
    "openspiel:backgammon",
    "openspiel:leduc_poker",
    "pettingzoo:classic/connect_four-v3",
    "pettingzoo:classic/leduc_holdem-v4",
)
_SHARE: Final = 0.3  # of a slice: there are many sides, and none is compared with another


def measure(settings: Settings) -> Cases:
    """Every built-in game, for each number of its players, and some games of each installed
    library.
    """
    seconds = settings.shorter(_SHARE).seconds
    sides = {
        f"{name}_{slots}": repeated(random_play(name, slots), seconds)
        for name in _built_in()
        for slots in SLOTS
    }
    sides |= _adapted(settings, seconds)
    rates = turns(sides, settings.slices)
    return {name: case(rates[name], "plies/s") for name in sides}


def _built_in() -> Iterator[str]:
    for name in games.names():
        for players in games.player_numbers(name):
            yield games.with_players(name, players).name


def _adapted(settings: Settings, seconds: float) -> dict[str, Side]:
    """The sides of games whose library is installed; a note names the others."""
    sides = {}
    for name in ADAPTED:
        try:
            sides[name] = repeated(random_play(name, ADAPTED_SLOTS), seconds)
        except ConfigurationError as error:
            settings.note(f"games: {name} skipped: {error}")
    return sides


def random_play(name: str, num_slots: int) -> Callable[[], int]:
    """A function that plays one tick of all matches with the scripted random player and returns the
    number of plies; finished slots start a new match at once.
    """
    game, player, slots = games.make(name, num_slots), RandomPlayer(), np.arange(num_slots)
    keys = np.arange(num_slots, dtype=np.uint64)
    game.reset(slots, keys)

    def step() -> int:
        game.step(player.act(game, slots, uniforms(keys, game.plies, EXPLORATION, 2)))
        ended = np.flatnonzero(game.terminated | game.truncated)
        keys[ended] += np.uint64(num_slots)
        game.reset(ended, keys[ended])
        return num_slots

    return step
