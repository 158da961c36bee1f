"""Answers about matches, as JSON, without HTTP.

The server keeps no match. A page sends the seed, the number and the actions of its match each time,
and they are replayed here: undo is a shorter list, another tab another list, and there is no
session to steal, to lose or to count.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from sparring.errors import IllegalAction, InputError
from sparring.games import board_style
from sparring.games.drawings import cells_of_moves, changed_cells, drawing, layout
from sparring.games.spec import GameSpec
from sparring.opponents.players import Player
from sparring.play.commands import OpponentChoices
from sparring.play.match import OpenMatch

_MARKED: Final = 3  # moves of a match that are marked as its worst
_NOTICEABLE: Final = 0.05  # of the range of values: what a marked move loses at least


@dataclass(frozen=True)
class Played:
    """A match up to a position: its seed, its number from 1 on, its actions."""

    seed: int
    match: int
    moves: Sequence[int]


class WebMatches:
    """Answers for a page about matches of the game `spec`; `levels` are the names of the players
    that it may ask for, with what it calls them. Threads take turns.

    The first answer calls `open_match`, so that a page can be there before rules are compiled.
    Raises `InputError` for a game that a page cannot show.
    """

    def __init__(
        self,
        spec: GameSpec,
        open_match: Callable[[], OpenMatch],
        choices: OpponentChoices,
        levels: Mapping[str, str],
    ) -> None:
        _check_game(spec)
        self._spec = spec
        self._open_match = open_match
        self._choices = choices
        self._levels = dict(levels)
        self._players: dict[str, Player] = {}
        self._lock = threading.Lock()

    def facts(self) -> dict[str, Any]:
        """All that stays the same: the game, its seats, how it is drawn, the players."""
        spec = self._spec
        with self._lock:
            drawn = layout(self._match.game)
        return {
            "game": spec.name,
            "seats": spec.num_players,
            "marks": board_style(spec.name).marks,
            "chance": spec.chance,
            "range": spec.value_range,
            "layout": drawn,
            "levels": [{"name": name, "label": label} for name, label in self._levels.items()],
        }

    def position(self, played: Played, *, values: bool) -> dict[str, Any]:
        """The position; with `values`, what each legal action is worth to the seat to move."""
        with self._lock:
            before, movers = self._replayed(played)
            return self._shown(before, movers, values=values)

    def reply(self, played: Played, player: str, *, values: bool) -> dict[str, Any]:
        """The action of a player that has the seat to move, and the position after it. Raises
        `InputError` for a player that is not one of the levels, and after the end.
        """
        if player not in self._levels:
            expected = f"one of {', '.join(self._levels)}"
            raise InputError("unknown player", got=repr(player[:40]), expected=expected)
        with self._lock:
            _, movers = self._replayed(played)
            if self._match.over:
                raise InputError("the match is over: nobody moves")
            if player not in self._players:
                self._players[player] = self._choices.player(player)
            action = self._match.choice(self._players[player])
            before = drawing(self._match.game, 0)
            movers.append(int(self._match.game.seat[0]))
            self._match.step(action)
            return {"action": action, **self._shown(before, movers, values=values)}

    def review(self, played: Played) -> dict[str, Any]:
        """Every ply with the seats' values before it and what its action lost, in the agent's eyes;
        the worst ones are marked.
        """
        plies = list[dict[str, Any]]()
        with self._lock:
            match = self._match
            match.start(played.seed, played.match)
            for number, action in enumerate(played.moves):
                self._check(action, number)
                values = self._of_legal()
                best = max(values.values())
                plies.append(
                    {
                        "seat": int(match.game.seat[0]),
                        "text": match.game.action_text(0, action),
                        "values": self._by_seat(best),
                        "lost": round(best - values[action], 4),
                        "worst": False,
                    }
                )
                match.step(action)
            end = match.returns.tolist() if match.over else None
        for ply in self._worst(plies):
            ply["worst"] = True
        return {"plies": plies, "end": end}

    @cached_property
    def _match(self) -> OpenMatch:
        """The match that all answers are about, in turn; only for the holder of the lock."""
        return self._open_match()

    def _replayed(self, played: Played) -> tuple[dict[str, Any], list[int]]:
        """Set up the position; the drawing before its last move, and the seats that made all."""
        match, movers = self._match, list[int]()
        match.start(played.seed, played.match)
        before = drawing(match.game, 0)
        for number, action in enumerate(played.moves):
            self._check(action, number)
            if number == len(played.moves) - 1:
                before = drawing(match.game, 0)
            movers.append(int(match.game.seat[0]))
            match.step(action)
        return before, movers

    def _check(self, action: int, number: int) -> None:
        """A negative action would leave the match as it is."""
        match = self._match
        if match.over or not 0 <= action < match.game.spec.num_actions:
            legal = "none, the match is over" if match.over else "a legal action"
            raise IllegalAction(f"move {number + 1} of the match: got {action}, expected {legal}")
        if not match.game.mask[0, action]:
            raise IllegalAction(f"move {number + 1} of the match: action {action} is not legal")

    def _shown(self, before: dict[str, Any], movers: list[int], *, values: bool) -> dict[str, Any]:
        match, game = self._match, self._match.game
        worth = {} if match.over else self._of_legal()
        now, cells = drawing(game, 0), {} if match.over else cells_of_moves(game, 0)
        legal = [
            {
                "action": action,
                "text": game.action_text(0, action),
                **({"value": worth[action]} if values else {}),
                **({"cells": cells[action]} if cells else {}),
            }
            for action in match.legal
        ]
        return {
            **now,
            "changed": changed_cells(before, now),
            "movers": movers,
            "seat": int(game.seat[0]),
            "over": match.over,
            "cut": bool(game.truncated[0]),
            "legal": legal,
            "expects": self._by_seat(max(worth.values())) if worth else match.returns.tolist(),
            "winners": match.winners() if match.over else [],
        }

    def _of_legal(self) -> dict[int, float]:
        """Q-values of the legal actions."""
        values = self._match.values()
        return {action: round(float(values[action]), 4) for action in self._match.legal}

    def _by_seat(self, value: float) -> list[float | None]:
        """The expectation of each seat if the one to move expects `value`; None where that does not
        follow from it.
        """
        game = self._match.game
        others = -value if game.spec.allows_zero_sum_bootstrap else None
        expected = [others] * game.spec.num_players
        expected[int(game.seat[0])] = value
        return expected

    def _worst(self, plies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lowest, highest = self._spec.value_range or (-1.0, 1.0)
        least = _NOTICEABLE * (highest - lowest)
        bad = [ply for ply in plies if ply["lost"] >= least]
        order = np.argsort([-ply["lost"] for ply in bad], kind="stable")
        return [bad[index] for index in order[:_MARKED]]


def _check_game(spec: GameSpec) -> None:
    """Raise `InputError` for a game that a page cannot show: its address holds all moves."""
    if spec.hidden_information:
        raise InputError(
            f"--web: {spec.name} has hidden information",
            expected="a game in which all seats see the same",
            remedy="leave --web out to play in the terminal",
        )
