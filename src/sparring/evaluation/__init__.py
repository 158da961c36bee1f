"""Evaluation of players: batched matches with varied openings, scores with intervals, exhaustive
search of small games.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparring.evaluation.exhaustive import ExhaustiveResult, SeatLines, exhaustive_losses
from sparring.evaluation.matches import (
    GameCache,
    PlayedMatches,
    default_opening_plies,
    play_matches,
)
from sparring.evaluation.score import Score, SoloScore, score_matches, score_solo
from sparring.games import spec_of
from sparring.opponents.players import Player
from sparring.opponents.roster import players_of

__all__ = [
    "ExhaustiveResult",
    "GameCache",
    "PlayedMatches",
    "Score",
    "SeatLines",
    "SoloScore",
    "evaluate",
    "exhaustive_losses",
    "play_matches",
    "score_matches",
]


def evaluate(
    agent_player: Player,
    game: str | GameCache,
    opponents: Sequence[str | object] | Mapping[str, Player],
    *,
    matches: int,
    seed: int,
    opening_plies: int | None = None,
) -> dict[str, Any]:
    """Results of `agent_player` against each of the `opponents`: `{"opponents": {NAME: {"matches",
    "wins", ..., "mean_return", ...}}}`, the fields of `Score`.

    `opponents` are names of scripted players, `module:Class` or `agent:RUN`, or players of your own
    as classes or objects; or players by name that are made already.

    An opponent takes all seats but the agent's. All opponents play from the same openings of
    `opening_plies` random plies (None: `matches.default_opening_plies`), so that their results can
    be compared. A game for one player has no opponents: every player, the agent first, plays
    alone from the same openings, `{"players": {NAME: {"matches", "mean_return", ...}}}`, the
    fields of `SoloScore`.
    """
    cache = GameCache(spec_of(game)) if isinstance(game, str) else game
    spec = cache.spec
    by_name = opponents if isinstance(opponents, Mapping) else players_of(opponents, spec, cache)
    plies = default_opening_plies(spec) if opening_plies is None else opening_plies

    def play(*players: Player) -> PlayedMatches:
        return play_matches(cache, players, matches=matches, seed=seed, opening_plies=plies)

    if spec.num_players == 1:
        alone = {agent_player.name: agent_player, **by_name}
        return {"players": {name: score_solo(play(p)).as_dict() for name, p in alone.items()}}
    scores = {
        name: score_matches(play(agent_player, *[opponent] * (spec.num_players - 1))).as_dict()
        for name, opponent in by_name.items()
    }
    return {"opponents": scores}
