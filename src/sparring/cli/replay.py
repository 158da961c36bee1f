"""`sparring replay`: a match in which a game or a player failed, played again from its file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparring.errors import GameFault, InputError
from sparring.games import BatchedGame, is_built_in, make
from sparring.games.faults import Position, is_of_trial, play_again, read_fault


def replay(path: Path, game: str | None) -> dict[str, Any]:
    """Play the match of a fault file and print it; return the JSON object of `sparring replay`.

    `game` is the game to play, by default the one that the file names. Raises `InputError` for a
    missing file or game, and `GameError` where the moves do not fit the game.
    """
    record = read_fault(path)
    batch = make(_game_of(path, record, game), 1)
    name = batch.spec.name
    _print_header(record, name)
    moves = {"actions": record["actions"], "tried": record.get("tried", [])}
    figures = {
        "file": str(path),
        "game": name,
        "key": record["key"],
        **moves,
        "recorded": record["cause"],
    }
    fault = _play(batch, record)
    if fault is None and "player" in record:
        print(f"\n{record['traceback'].rstrip() or record['cause']}")
        print(f"\nHere the player {record['player']} failed, which is not asked again.")
        return {**figures, "player": record["player"], "again": False, "cause": None}
    if fault is None:
        print("\nThe match now plays to its end: the game no longer fails here.")
        return {**figures, "again": False, "cause": None}
    same = all(fault.record[part] == record[part] for part in ("during", "cause"))
    print(f"\n{fault.record['traceback'].rstrip() or fault.record['cause']}")
    print(f"\nThe game fails {'again' if same else 'in another way'}: {fault}")
    return {**figures, "again": True, "cause": fault.record["cause"]}


def _game_of(path: Path, record: Mapping[str, Any], given: str | None) -> str:
    """The game to play. A file never causes an import: the caller names a game of a user."""
    if given is not None:
        return given
    name = str(record["game"])
    if not is_built_in(name):
        remedy = f"sparring replay {shlex.quote(str(path))} --game {shlex.quote(name)}"
        raise InputError(
            f"{path} needs a game that does not come with Sparring",
            got=name,
            remedy=f"allow importing it: {remedy}",
        )
    return name


def _print_header(record: Mapping[str, Any], name: str) -> None:
    played = "" if name == record["game"] else f", played as {name}"
    print(f"game   {record['game']}{played}")
    print(f"match  key {record['key']}, {len(record['actions'])} plies")
    print(f"then   {record['cause']} in {record['during']}{_on_a_copy(record)}\n")


def _on_a_copy(record: Mapping[str, Any]) -> str:
    if not is_of_trial(record):
        return ""
    tried = record.get("tried")
    return (
        f", while action {', then '.join(map(str, tried))} was tried on a copy"
        if tried
        else ", while moves were tried on a copy"
    )


def _play(game: BatchedGame, record: Mapping[str, Any]) -> GameFault | None:
    """Print every move and the last position that the game could show; return the fault, if any."""
    last: Position | None = None
    fault = None
    try:
        for last in play_again(game, record):
            if last.action is not None:
                print(f"ply {last.plies}  seat {last.seat}  {last.action}")
    except GameFault as error:
        fault = error
    if last is not None:
        print(f"\n{_where(last, record)}:\n{last.text}")
    return fault


def _where(last: Position, record: Mapping[str, Any]) -> str:
    if last.action is not None:
        return "before the last move"
    if "player" in record:
        return "where the player was asked"
    return "where moves are tried" if is_of_trial(record) else "the end"
