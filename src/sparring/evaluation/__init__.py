"""Judging players: batched matches with varied openings, scores with intervals, exhaustive search
of small games.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparring.evaluation.exhaustive import ExhaustiveResult, SeatLines, exhaustive_losses
from sparring.evaluation.matches import KeptGames, PlayedMatches, play_matches, usual_plies
from sparring.evaluation.score import Score, score_matches
from sparring.games import spec_of
from sparring.opponents.players import Player
from sparring.opponents.scripted import scripted_player

__all__ = [
    "ExhaustiveResult",
    "KeptGames",
    "PlayedMatches",
    "Score",
    "SeatLines",
    "evaluate",
    "exhaustive_losses",
    "play_matches",
    "score_matches",
]


def evaluate(
    agent_player: Player,
    game: str | KeptGames,
    opponents: Sequence[str],
    *,
    matches: int,
    seed: int,
    opening_plies: int | None = None,
) -> dict[str, Any]:
    """`agent_player` against each of the scripted `opponents`: `{"opponents": {NAME: {"matches",
    "wins", …, "score", …}}}`.

    An opponent takes all seats but the agent's. All opponents are met from the same openings of
    `opening_plies` random plies (None: `matches.usual_plies`), so that their figures compare.
    """
    kept = KeptGames(spec_of(game)) if isinstance(game, str) else game
    spec = kept.spec
    players_by_name = {
        name: scripted_player(name, spec.name) for name in opponents
    }  # all of them first: a misspelt name costs no match
    plies = usual_plies(spec) if opening_plies is None else opening_plies
    scores = {}
    for name, opponent in players_by_name.items():
        players = [agent_player, *[opponent] * (spec.num_players - 1)]
        table = play_matches(kept, players, matches=matches, seed=seed, opening_plies=plies)
        scores[name] = score_matches(table).as_dict()
    return {"opponents": scores}
