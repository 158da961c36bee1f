"""Opponents by name, those from outside above all: players of users, `module:Class`, and agents,
`agent:RUN`.

Of a run, the main process reads the agents and hands their weights out; players of users are
imported wherever they play.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sparring.dqn.agent import DQNAgent
from sparring.errors import ConfigurationError, shown
from sparring.games import BatchedGame, GameSpec
from sparring.games.names import parse
from sparring.games.user_objects import name_of
from sparring.opponents.agents import AgentWeights, load_kept, load_opponent
from sparring.opponents.names import is_agent, lookahead_of
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.scripted import scripted_player
from sparring.opponents.user_players import (
    UserPlayer,
    has_method,
    is_user_player,
    make_user_player,
    try_out,
)

MakeGame = Callable[[int], BatchedGame]


def can_be_named(opponent: object) -> bool:
    """Return whether this may stand for an opponent: a name, a class, an object of one."""
    return isinstance(opponent, str) or callable(opponent) or has_method(opponent)


def opponent_name(opponent: str | object) -> str:
    """Return the one spelling of an opponent's name; `opponent` may also be a class of a user, or
    what else `games.name_of` takes.
    """
    if not can_be_named(opponent):
        raise ConfigurationError(
            "opponent", got=shown(opponent), expected="a name, or a class of your own"
        )
    name = name_of(opponent, what="player")
    return str(parse(name)) if is_user_player(name) else name


@dataclass(frozen=True)
class Roster:
    """The opponents from outside of a run: players of users by name, agents with their weights.
    Plain values that travel to workers.
    """

    classes: tuple[str, ...] = ()
    agents: Mapping[str, AgentWeights] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.classes, *self.agents)

    def player(self, name: str, *, epsilon: float = 0.0, bfloat16: bool = False) -> Player:
        """Make the player of that name, or else the scripted one; `epsilon` is that of agents."""
        if name in self.agents:
            return self.agents[name].player(name, epsilon=epsilon, bfloat16=bfloat16)
        return make_user_player(name) if name in self.classes else scripted_player(name)

    def try_out(self, make_game: MakeGame) -> None:
        """See `user_players.try_out`."""
        try_out([make_user_player(name) for name in self.classes], make_game)


NOBODY: Final = Roster()


def load_roster(
    names: Collection[str],
    game: GameSpec,
    *,
    runs_dir: str = "runs",
    network: str | None = None,
    kept: Path | None = None,
) -> Roster:
    """Return those of `names` that are from outside; `kept` is a folder that may have copies of the
    agents. Raises `InputError` for an agent that does not exist or does not play the game.
    """
    classes = tuple(sorted(name for name in names if is_user_player(name)))
    load = load_opponent if kept is None else functools.partial(load_kept, kept)
    agents = {
        name: load(name, game, runs_dir=runs_dir, network=network)
        for name in sorted(names)
        if is_agent(name)
    }
    return Roster(classes, agents)


def players_of(
    opponents: Iterable[str | object],
    game: GameSpec,
    make_game: MakeGame,
    *,
    runs_dir: str = "runs",
    network: str | None = None,
) -> dict[str, Player]:
    """Make opponents that play in this process, by name: of names, of classes of users, of objects
    of these classes, or of agents.

    Raises `InputError` for one that does not exist or cannot play the game.
    """
    players: dict[str, Player] = {}
    for opponent in opponents:
        if isinstance(opponent, str | type | functools.partial) or inspect.isfunction(opponent):
            player = _by_name(opponent_name(opponent), game, runs_dir, network)
        else:
            player = _of_object(opponent)
            if player.name in players:
                remedy = "name them, or pass functools.partial(Class, argument=value)"
                raise ConfigurationError(
                    "two opponents of one name", got=player.name, remedy=remedy
                )
        players[player.name] = player
    try_out([player for player in players.values() if isinstance(player, UserPlayer)], make_game)
    return players


def _of_object(opponent: object) -> Player:
    if isinstance(opponent, DQNAgent):
        return NetworkPlayer("other agent", opponent.policy())
    if isinstance(opponent, NetworkPlayer):
        return opponent
    return UserPlayer(f"{type(opponent).__module__}:{type(opponent).__qualname__}", opponent)


def _by_name(name: str, game: GameSpec, runs_dir: str, network: str | None) -> Player:
    if plies := lookahead_of(name):
        raise ConfigurationError(
            f"opponent {name}",
            got="the agent in training",
            expected="an opponent for a command",
            remedy=f"--lookahead {plies} lets the agent itself look ahead; a run of that name is "
            f"agent:runs/{plies}",
        )
    if is_agent(name):
        return load_opponent(name, game, runs_dir=runs_dir, network=network).player(name)
    return make_user_player(name) if is_user_player(name) else scripted_player(name, game.name)
