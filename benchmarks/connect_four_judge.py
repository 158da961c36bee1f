"""Agents against perfect play at Connect Four, from the first move, in both seats.

    pip install bitbully==0.0.79 bitbully-databases==0.0.2   # optional; licence AGPL-3.0
    python benchmarks/connect_four_judge.py runs/connect_four-1 runs/connect_four-2 --matches 500

The perfect player chooses at random among all moves with the best outcome, so that matches differ.
With `--delay-losses` it plays those moves in lost positions that put the loss off longest, which is
much harder. (Konen's GBG has both players, as AB and AB-DL, to measure such agents.) The first
player wins with perfect play: an agent that moves second loses, and how late is of interest.

As second player an agent can show more after a slip. It plays `minimax:8` from the empty board, and
all positions count in which a move of `minimax:8` made the agent's outcome better. Such a position
is kept if no later move of the agent makes its outcome worse than it was there. Each position
counts once, with the mean over the matches in which it came up.

Intervals are Wilson's. Those of matches hold for all matches against this player, which draws its
moves anew in each; how many of them were distinct tells how much of the game they saw.

bitbully judges where it is installed, else the solver beside this file. The solver needs 0.04 s for
a position with 12 stones and minutes for one with 8, so with it the perfect player makes the moves
of `minimax:8` before 12 stones, and errors and slips count from there on. `--perfect-from 8` asks
for more; the outcomes of early positions are kept from one call to the next (`--cache`).
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import tyro
from connect_four_solver import COLUMNS, ROWS, Outcomes, Solver
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from sparring import games
from sparring.cli.evaluate import load_agent
from sparring.dqn.tree_search import Lookahead
from sparring.errors import InputError, SparringError
from sparring.evaluation import play_matches
from sparring.evaluation.score import wilson_interval
from sparring.games import BatchedGame
from sparring.opponents.found import find_agent
from sparring.opponents.lookahead import agent_player
from sparring.opponents.players import Player
from sparring.opponents.scripted import scripted_player

GAME: Final = "connect_four"
SLIPPING: Final = "minimax:8"
SOLVER_FROM: Final = 12  # stones from which on our own solver is fast enough
INSTALL: Final = "pip install bitbully==0.0.79 bitbully-databases==0.0.2"

_BITS: Final = 1 << (
    (ROWS + 1) * np.arange(COLUMNS, dtype=np.int64) + np.arange(ROWS, dtype=np.int64)[:, None]
)  # [6, 7] of the cells


class Bitbully(Outcomes):
    """Outcomes by bitbully, with its book of all positions with 12 stones."""

    def __init__(self) -> None:
        from bitbully import bitbully_core
        from bitbully_databases import BitBullyDatabases

        self._core = bitbully_core.BitBullyCore(BitBullyDatabases.get_database_path("default"))
        self._board = bitbully_core.BoardCore()
        self._answers: dict[tuple[int, int, int], bool] = {}

    def reaches(self, mover: int, other: int, least: int) -> bool:
        asked = mover, other, least
        if asked not in self._answers:
            board = self._set_up(mover, other)
            self._answers[asked] = bool(
                board.canWin() or self._core.negamax(board, least - 1, least, 0) >= least
            )
        return self._answers[asked]

    def longest(self, mover: int, other: int) -> list[int]:
        """The columns of a lost position that put the loss off longest."""
        scores = self._core.scoreMoves(self._set_up(mover, other))
        return [column for column in range(COLUMNS) if scores[column] == max(scores)]

    def _set_up(self, mover: int, other: int) -> Any:
        self._board.setRawState(
            _in_nines(mover | other), _in_nines(mover), ROWS * COLUMNS - (mover | other).bit_count()
        )
        return self._board


def _in_nines(stones: int) -> int:
    """The stones as bits 9 * column + row."""
    column = (1 << (ROWS + 1)) - 1
    return sum((stones >> (ROWS + 1) * c & column) << 9 * c for c in range(COLUMNS))


class PerfectPlayer:
    """Moves with the best outcome: any of them; in lost positions those that `longest` names, if it
    is given.

    With fewer than `first` stones it plays like `before`.
    """

    name = "perfect"

    def __init__(
        self,
        outcomes: Outcomes,
        longest: Callable[[int, int], list[int]] | None = None,
        *,
        before: Player,
        first: int = 0,
    ) -> None:
        self._outcomes = outcomes
        self._longest = longest
        self._before = before
        self._first = first

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = np.empty(len(slots), np.int64)
        early = game.plies[slots] < self._first
        if early.any():
            actions[early] = self._before.act(game, slots[early], uniforms[early])
        for j in np.flatnonzero(~early).tolist():
            best = self._columns(*stones(game.observation[slots[j]]))
            actions[j] = best[int(uniforms[j, 0] * len(best))]
        return actions

    def _columns(self, mover: int, other: int) -> list[int]:
        if self._longest is not None and not self._outcomes.reaches(mover, other, 0):
            return self._longest(mover, other)
        return self._outcomes.best_columns(mover, other)


def stones(observation: NDArray[np.int8]) -> tuple[int, int]:
    """The mover's stones and the other's, from the planes [2, 6, 7] of an observation."""
    mover, other = (int(_BITS[plane != 0].sum()) for plane in observation)
    return mover, other


@dataclass(frozen=True)
class Decision:
    """One move: who decided, where, what."""

    by_agent: bool
    mover: int
    other: int
    column: int

    @property
    def stones(self) -> int:
        """Number of stones before the move."""
        return (self.mover | self.other).bit_count()


class Recorded:
    """A player whose moves are written down, in `moves` by slot."""

    def __init__(self, player: Player, moves: Mapping[int, list[Decision]], *, agent: bool) -> None:
        self.name = player.name
        self._player = player
        self._moves = moves
        self._agent = agent

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        actions = self._player.act(game, slots, uniforms)
        for slot, action in zip(slots.tolist(), actions.tolist(), strict=True):
            mover, other = stones(game.observation[slot])
            self._moves[slot].append(Decision(self._agent, mover, other, action))
        return actions


@dataclass(frozen=True)
class Played:
    """One match: the agent's seat, what it was paid, all moves after the opening."""

    seat: int
    result: int
    moves: Sequence[Decision]


def play(agent: Player, opponent: Player, *, matches: int, seed: int, opening: int) -> list[Played]:
    """Play so many matches in each seat."""
    moves: dict[int, list[Decision]] = defaultdict(list)
    table = play_matches(
        partial(games.make, GAME),
        [Recorded(agent, moves, agent=True), Recorded(opponent, moves, agent=False)],
        matches=2 * matches,
        seed=seed,
        opening_plies=opening,
        num_slots=2 * matches,  # a slot has one match
    )
    results = np.sign(table.returns[:, 0]).astype(int).tolist()
    return [
        Played(seat, result, moves[slot])
        for slot, (seat, result) in enumerate(zip(table.seat.tolist(), results, strict=True))
    ]


@dataclass(frozen=True)
class Judged:
    """The moves of a match from some stones on, and what the positions are worth to the agent:
    `worth[i]` before move i, `worth[i + 1]` after it.
    """

    moves: Sequence[Decision]
    worth: Sequence[int]

    def errors(self) -> list[int]:
        """Numbers of stones before the agent's moves that lost a win or a draw."""
        return [
            move.stones for i, move in enumerate(self.moves) if self.worth[i + 1] < self.worth[i]
        ]

    def matters(self) -> int:
        """Number of the agent's moves in positions that were not lost."""
        return sum(
            move.by_agent and worth >= 0
            for move, worth in zip(self.moves, self.worth[:-1], strict=True)
        )

    def gifts(self) -> list[tuple[tuple[int, int], bool]]:
        """The positions that moves of the opponent made better for the agent, as stones, and
        whether the agent kept what they are worth.
        """
        return [
            ((self.moves[i].mover, self.moves[i].other), min(self.worth[i:]) == self.worth[i])
            for i in range(1, len(self.moves))
            if self.worth[i] > self.worth[i - 1]
        ]


def judge(match: Played, outcomes: Outcomes, first: int) -> Judged:
    """The match from `first` stones on."""
    moves = [move for move in match.moves if move.stones >= first]
    if not moves:
        return Judged((), ())
    signs = [1 if move.by_agent else -1 for move in moves]
    before = signs[0] * outcomes.value(moves[0].mover, moves[0].other)
    after = [
        sign * outcomes.outcome(move.mover, move.other, move.column)
        for sign, move in zip(signs, moves, strict=True)
    ]
    return Judged(moves, [before, *after])


def against_perfect(matches: Sequence[Played], outcomes: Outcomes, first: int) -> dict[str, Any]:
    """Figures of the matches in one seat."""
    results, judged = (
        [match.result for match in matches],
        [judge(m, outcomes, first) for m in matches],
    )
    errors = Counter(stones for match in judged for stones in match.errors())
    matters = sum(match.matters() for match in judged)
    won, drawn, lost = (results.count(result) for result in (1, 0, -1))
    return {
        "won": won,
        "drawn": drawn,
        "lost": lost,
        "won_share": won / len(results),
        "won95": wilson_interval(won / len(results), len(results)),
        "distinct": len({tuple(match.moves) for match in matches}),
        "plies": sum(match.moves[-1].stones + 1 for match in matches) / len(matches),
        "kept_moves": 1.0 - errors.total() / matters if matters else None,
        "errors_by_stones": dict(sorted(errors.items())),
    }


def after_slips(matches: Sequence[Played], outcomes: Outcomes, first: int) -> dict[str, Any]:
    """Share of the positions given by slips of the opponent that the agent kept."""
    kept: dict[tuple[int, int], list[bool]] = defaultdict(list)
    for match in matches:
        for position, good in judge(match, outcomes, first).gifts():
            kept[position].append(good)
    share = sum(sum(good) / len(good) for good in kept.values()) / len(kept) if kept else None
    return {
        "matches": len(matches),
        "positions": len(kept),
        "kept": share,
        "kept95": wilson_interval(share, len(kept)),
    }


def milliseconds(agent: Player) -> float:
    """Mean time of a move, one position at a time, in matches against `random`."""
    clock = Clock(agent)
    players = [clock, scripted_player("random")]
    play_matches(partial(games.make, GAME), players, matches=8, seed=0, num_slots=1)
    return 1000.0 * clock.seconds / clock.calls


class Clock:
    """A player whose calls are timed, but for the first, which compiles."""

    def __init__(self, player: Player) -> None:
        self.name = player.name
        self._player = player
        self.seconds, self.calls = 0.0, -1

    def act(
        self, game: BatchedGame, slots: NDArray[np.int64], uniforms: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        begun = time.perf_counter()
        actions = self._player.act(game, slots, uniforms)
        self.calls += 1
        self.seconds += (time.perf_counter() - begun) if self.calls else 0.0
        return actions


@dataclass(frozen=True)
class Settings:
    """Agents, matches, and who judges."""

    agents: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Agent files, or directories or names of runs."""
    matches: int = 500
    """In each seat against perfect play."""
    slip_matches: int = 200
    """As second player against minimax:8, whose slips are looked for; 0: none."""
    lookahead: int = 0
    """Plies that the agents look ahead."""
    delay_losses: bool = False
    """In lost positions the perfect player puts the loss off longest (needs bitbully)."""
    opening_plies: int = 0
    """Random plies with which all matches begin."""
    seed: int = 0
    """Of openings, and of choices among equals."""
    perfect_from: int | None = None
    """Stones from which on the perfect player is perfect; None: 0 with bitbully, 12 without."""
    solver: Literal["auto", "bitbully", "own"] = "auto"
    """Who judges: bitbully, or the solver beside this file."""
    cache: Path | None = Path(".cache/connect_four_outcomes.json")
    """File in which our own solver keeps the outcomes of early positions."""
    runs_dir: str = "runs"
    """Directory of runs given by name."""
    json: bool = False
    """Print one JSON object as the last line."""


def find_outcomes(settings: Settings) -> Outcomes:
    """The judge of the settings: bitbully, or the solver beside this file where that is absent."""
    if settings.solver == "own" and not settings.delay_losses:
        return Solver(cache=settings.cache)
    try:
        return Bitbully()
    except ModuleNotFoundError as error:
        if settings.solver == "auto" and not settings.delay_losses:
            return Solver(cache=settings.cache)
        raise InputError(
            f"bitbully is not installed (no module {error.name})", remedy=INSTALL
        ) from None


def load_player(name: str, settings: Settings) -> Player:
    """The greedy player of an agent, which looks ahead as the settings say."""
    agent = load_agent(find_agent(name, settings.runs_dir))
    if agent.spec.game != GAME:
        raise InputError(
            f"{name} plays another game", got=f"an agent for {agent.spec.game}", expected=GAME
        )
    return agent_player(name, agent.policy(), lookahead=Lookahead(settings.lookahead))


def main(settings: Settings) -> dict[str, Any]:
    """Play and judge the matches of all agents; the figures."""
    agents = [load_player(name, settings) for name in settings.agents]
    outcomes = find_outcomes(settings)
    known = isinstance(outcomes, Bitbully)
    first = settings.perfect_from
    if first is None:
        first = 0 if known else SOLVER_FROM
    slipping = scripted_player(SLIPPING, GAME)
    longest = outcomes.longest if settings.delay_losses and isinstance(outcomes, Bitbully) else None
    perfect = PerfectPlayer(outcomes, longest, before=slipping, first=first)
    matches = partial(play, seed=settings.seed, opening=settings.opening_plies)
    rows = {}
    for agent in agents:
        begun = time.perf_counter()
        played = matches(agent, perfect, matches=settings.matches)
        seats = [[match for match in played if match.seat == seat] for seat in (0, 1)]
        figures = {
            name: against_perfect(seat, outcomes, first)
            for name, seat in zip(("first", "second"), seats, strict=True)
        }
        if settings.slip_matches:
            played = matches(agent, slipping, matches=settings.slip_matches)
            second = [match for match in played if match.seat == 1]
            figures["slips"] = after_slips(second, outcomes, first)
        rows[agent.name] = figures | {"milliseconds": milliseconds(agent)}
        seconds = time.perf_counter() - begun
        print(f"{agent.name}: judged in {seconds:.0f} s", file=sys.stderr)
    return {"judge": type(outcomes).__name__.lower(), "perfect_from": first, "agents": rows}


def show(figures: Mapping[str, Any]) -> None:
    """Print the table: a line an agent."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in (
        "", "first:\nwon-drawn-lost", "\nshare won", "\ndistinct", "moves\nkept",
        "second:\nwon-drawn-lost", "\nplies", "slips:\ngiven", "\nkept", "ms a\nmove",
    ):  # fmt: skip
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, row in figures["agents"].items():
        first, second, slips = row["first"], row["second"], row.get("slips")
        table.add_row(
            name,
            _results(first),
            _share(first["won_share"], first["won95"]),
            f"{first['distinct']:,}",
            _share(first["kept_moves"]),
            _results(second),
            f"{second['plies']:.1f}",
            f"{slips['positions']:,}" if slips else "-",
            _share(slips["kept"], slips["kept95"]) if slips else "-",
            f"{row['milliseconds']:.2f}",
        )
    width = 120 + max(len(name) for name in figures["agents"])
    Console(width=width).print(table)
    for name, row in figures["agents"].items():
        errors = row["first"]["errors_by_stones"]
        text = ", ".join(f"{stones}: {number}" for stones, number in errors.items()) or "none"
        print(f"{name}, errors as first player by stones on the board: {text}")


def _results(seat: Mapping[str, Any]) -> str:
    return f"{seat['won']}-{seat['drawn']}-{seat['lost']}"


def _share(share: float | None, interval: tuple[float, float] | None = None) -> str:
    if share is None:
        return "-"
    bounds = "" if interval is None else f" ({interval[0]:.3f}-{interval[1]:.3f})"
    return f"{share:.3f}{bounds}"


if __name__ == "__main__":
    given = tyro.cli(Settings)
    try:
        found = main(given)
    except SparringError as error:
        print(f"connect_four_judge: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    show(found)
    if given.json:
        print(json.dumps(found))
