"""`sparring tournament`: entrants, their names, and the results as plain figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring import games
from sparring.cli.evaluate import load_agent
from sparring.dqn.agent import DQNAgent
from sparring.dqn.tree_search import NO_LOOKAHEAD, Lookahead
from sparring.errors import InputError
from sparring.evaluation import GameCache, play_matches
from sparring.evaluation.matches import default_opening_plies
from sparring.evaluation.score import score_solo
from sparring.evaluation.tournament import Tournament, play_tournament, standings
from sparring.games import GameSpec
from sparring.opponents.found import FoundAgent
from sparring.opponents.lookahead import agent_player
from sparring.opponents.players import Player
from sparring.opponents.roster import players_of
from sparring.opponents.scripted import baseline_opponents, scripted_player
from sparring.play.commands import OpponentChoices

ZERO: Final = "random"  # always takes part; its rating is 0
_OF_RUNS: Final = ("best.safetensors", "last.safetensors")


def compete(
    found: Sequence[FoundAgent],
    opponents: Sequence[str],
    *,
    snapshots: bool,
    matches: int,
    seed: int,
    picture: Path | None,
    lookahead: Lookahead = NO_LOOKAHEAD,
    runs_dir: str = "runs",
) -> dict[str, Any]:
    """Play a round robin; `{"game", "agents", "matches", "players": [...], "payoff": {...}}`, the
    strongest player first. In a game for one player each plays alone, and there is no payoff.

    Without `opponents` the baseline opponents of the game take part. Writes the payoff matrix to
    `picture`, if that is given.
    """
    agents = _load(found)
    spec = next(iter(agents.values()))[1].game
    game = spec.name
    if picture is not None:
        _check_picture(picture, spec)
    players = players_of(
        (ZERO, *(opponents or baseline_opponents(game))),
        spec,
        GameCache(spec),
        runs_dir=runs_dir,
        network=found[0].network,
    )
    players |= _entrants(agents, snapshots=snapshots, lookahead=lookahead)
    plies = default_opening_plies(spec)
    files = {name: str(where.path) for name, (where, _) in agents.items()}
    if spec.num_players == 1:
        rows = _play_alone(spec, players, matches=matches, seed=seed, opening_plies=plies)
        return {"game": game, "agents": files, "matches": matches, "players": rows}
    played = play_tournament(
        partial(games.make, game), players, matches=matches, seed=seed, opening_plies=plies
    )
    ratings = None if played.graded else played.ratings(ZERO)
    if picture is not None:
        from sparring.cli.plot import draw_payoff

        draw_payoff(picture, played, ratings, f"Tournament of {game}")
    table = standings(played, ratings)
    return {
        "game": game,
        "agents": files,
        "matches": played.matches,
        "cut": played.cut,
        "graded": played.graded,
        "players": table,
        "payoff": _payoff(played, [row["name"] for row in table]),
    }


def _play_alone(
    spec: GameSpec, players: Mapping[str, Player], **options: int
) -> list[dict[str, Any]]:
    """Rows of a game for one player: every player from the same openings, by mean return."""
    cache = GameCache(spec)
    scores = {name: score_solo(play_matches(cache, [p], **options)) for name, p in players.items()}
    rows = [{"name": name, **score.as_dict()} for name, score in scores.items()]
    return sorted(rows, key=lambda row: -row["mean_return"])


def _load(found: Sequence[FoundAgent]) -> dict[str, tuple[FoundAgent, DQNAgent]]:
    """The agents by unique names; raises `InputError` for an agent given twice, and for agents of
    different games.
    """
    names = entrant_names([where.path for where in found])
    agents = {name: (where, load_agent(where)) for name, where in zip(names, found, strict=True)}
    played = {name: agent.spec.game for name, (_, agent) in agents.items()}
    if len(set(played.values())) > 1:
        got = ", ".join(f"{name} of {game}" for name, game in played.items())
        raise InputError("agents of different games", got=got, expected="one game in a tournament")
    return agents


def entrant_names(paths: Sequence[Path]) -> list[str]:
    """Short unique names: the run's for the agent of a run, else the file's; the path where that
    is not unique or the name of a scripted player.
    """
    real = [path.resolve() for path in paths]
    for path, times in Counter(real).items():
        if times > 1:
            raise InputError(
                "agent given more than once", got=str(path), expected="each agent once"
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
    agents: Mapping[str, tuple[FoundAgent, DQNAgent]], *, snapshots: bool, lookahead: Lookahead
) -> dict[str, Player]:
    """The agents, and with `snapshots` also the snapshots in the newest checkpoint of each run."""
    players: dict[str, Player] = {}
    runs: set[Path] = set()  # the best and the last agent of a run share its snapshots
    for name, (where, agent) in agents.items():
        policy, run = agent.policy(), where.path.resolve().parent
        players[name] = agent_player(name, policy, lookahead=lookahead)
        if snapshots and (run / "checkpoints").is_dir() and run not in runs:
            runs.add(run)
            stored = OpponentChoices(policy, run).snapshots()
            players |= {f"{name}/{player.name}": player for player in stored}
    if snapshots and not runs:
        got = ", ".join(str(where.path) for where, _ in agents.values())
        raise InputError("--snapshots", got=got, expected="an agent of a run with a checkpoint")
    return players


def _payoff(played: Tournament, order: Sequence[str]) -> dict[str, Any]:
    """Results of the players of rows against those of columns, in `order`; None on the diagonal."""
    index = [played.names.index(name) for name in order]

    def cells(values: NDArray[np.float64]) -> list[list[Any]]:
        rows: list[list[Any]] = values[np.ix_(index, index)].tolist()
        for i, row in enumerate(rows):
            row[i] = None
        return rows

    return {
        "names": list(order),
        "seats": played.seats,
        "scores": cells(played.scores()),
        "interval95": cells(played.intervals95()),
        "mean_returns": cells(played.mean_returns()),
        "return_interval95": cells(played.return_intervals95()),
    }


def _check_picture(picture: Path, spec: GameSpec) -> None:
    """Check, before anything is played, that the picture can be drawn and has a folder."""
    if spec.num_players == 1:
        raise InputError("--picture: a game for one player has no payoff matrix")
    if picture.suffix != ".png" or not picture.parent.is_dir():
        raise InputError(
            "--picture",
            got=str(picture),
            expected="a file that ends in .png, in an existing folder",
        )
    import sparring.plot.style  # noqa: F401  an error of one line where matplotlib is missing
