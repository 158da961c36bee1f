"""`sparring tournament`: who takes part, what they are called, and what came of it as plain
figures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparring import games
from sparring.cli.agents import FoundAgent
from sparring.cli.evaluate import load_agent
from sparring.dqn.agent import DQNAgent
from sparring.errors import InputError
from sparring.evaluation.matches import usual_plies
from sparring.evaluation.tournament import Tournament, play_tournament, standings
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.scripted import baseline_opponents, scripted_player
from sparring.play.commands import Choices

ZERO: Final = "random"  # whose rating is 0; it always takes part
_OF_RUNS: Final = ("best.safetensors", "last.safetensors")


def compete(
    found: Sequence[FoundAgent],
    opponents: Sequence[str],
    *,
    snapshots: bool,
    matches: int,
    seed: int,
    picture: Path | None,
) -> dict[str, Any]:
    """Play a round robin; `{"game", "agents", "matches", "players": [...], "payoff": {...}}`, the
    strongest player first.

    Without `opponents` the baseline opponents of the game take part. Writes the payoff matrix to
    `picture`, if that is given.
    """
    if picture is not None:
        _check_picture(picture)
    agents = _load(found)
    spec = next(iter(agents.values()))[1].game
    game = spec.name
    players: dict[str, Player] = {
        name: scripted_player(name, game)
        for name in (ZERO, *(opponents or baseline_opponents(game)))
    }
    players |= _entrants(agents, snapshots=snapshots)
    plies = usual_plies(spec)
    played = play_tournament(
        partial(games.make, game), players, matches=matches, seed=seed, opening_plies=plies
    )
    table = standings(played, ZERO)
    figures = {
        "game": game,
        "agents": {name: str(where.path) for name, (where, _) in agents.items()},
        "matches": played.matches,
        "players": table,
        "payoff": _payoff(played, [row["name"] for row in table]),
    }
    if picture is not None:
        _draw(picture, played, figures)
    return figures


def _load(found: Sequence[FoundAgent]) -> dict[str, tuple[FoundAgent, DQNAgent]]:
    """The agents by unique names; raises `InputError` for one that was given twice, and unless all
    play the same game.
    """
    names = entrant_names([where.path for where in found])
    agents = {name: (where, load_agent(where)) for name, where in zip(names, found, strict=True)}
    played = {name: agent.spec.game for name, (_, agent) in agents.items()}
    if len(set(played.values())) > 1:
        got = ", ".join(f"{name} of {game}" for name, game in played.items())
        raise InputError("agents of different games", got=got, expected="one game in a tournament")
    return agents


def entrant_names(paths: Sequence[Path]) -> list[str]:
    """Short unique names: of a run's agent the run's, else the file's; the path where two would be
    the same, or a scripted player's.
    """
    real = [path.resolve() for path in paths]
    for path, times in Counter(real).items():
        if times > 1:
            raise InputError(
                "an agent is given more than once", got=str(path), expected="each agent once"
            )
    short = [path.parent.name if path.name in _OF_RUNS else path.stem for path in real]
    return [
        str(path) if short.count(name) > 1 or _is_scripted(name) else name
        for name, path in zip(short, paths, strict=True)
    ]


def _is_scripted(name: str) -> bool:
    try:
        scripted_player(name)
    except InputError:
        return False
    return True


def _entrants(
    agents: Mapping[str, tuple[FoundAgent, DQNAgent]], *, snapshots: bool
) -> dict[str, Player]:
    """The agents, and if wanted the snapshots of their runs' newest checkpoints behind each."""
    players: dict[str, Player] = {}
    folders: set[Path] = set()
    for name, (where, agent) in agents.items():
        policy, folder = agent.policy(), where.path.resolve().parent
        players[name] = NetworkPlayer(name, policy)
        if (
            snapshots and (folder / "checkpoints").is_dir() and folder not in folders
        ):  # a run's best and last share its snapshots
            folders.add(folder)
            players |= {
                f"{name}/{player.name}": player for player in Choices(policy, folder).snapshots()
            }
    if snapshots and not folders:
        got = ", ".join(str(where.path) for where, _ in agents.values())
        raise InputError(
            "--snapshots", got=got, expected="an agent of a run with a checkpoint, which has them"
        )
    return players


def _payoff(played: Tournament, order: Sequence[str]) -> dict[str, Any]:
    """The scores of the players of rows against those of columns in that order, None on the
    diagonal.
    """
    index = [played.names.index(name) for name in order]
    scores, bounds = (
        played.scores()[np.ix_(index, index)],
        played.intervals95()[np.ix_(index, index)],
    )
    return {
        "names": list(order),
        "seats": played.seats,
        "scores": [
            [None if math.isnan(score) else score for score in row] for row in scores.tolist()
        ],
        "interval95": [
            [None if math.isnan(pair[0]) else pair for pair in row] for row in bounds.tolist()
        ],
    }


def _check_picture(picture: Path) -> None:
    """Before anything is played: that a picture can be drawn, and has somewhere to go."""
    if picture.suffix != ".png" or not picture.parent.is_dir():
        raise InputError(
            "--picture",
            got=str(picture),
            expected="a file that ends in .png, in a folder that is there",
        )
    import sparring.plot.style  # noqa: F401  tells in one line that matplotlib is not here


def _draw(picture: Path, played: Tournament, figures: Mapping[str, Any]) -> None:
    from sparring.plot.payoff import save_payoff

    names = figures["payoff"]["names"]
    index = [played.names.index(name) for name in names]
    save_payoff(
        picture, names, played.scores()[np.ix_(index, index)], [row["rating"] for row in figures["players"]],
        title=f"Tournament of {figures['game']}", fair=1.0 / played.seats,
        note=f"score of the row in {played.matches} matches against the column, %",
    )  # fmt: skip
