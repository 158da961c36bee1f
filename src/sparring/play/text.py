"""A sitting as plain lines: the position, the moves, the Q-values, the result, the score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from numpy.typing import NDArray

from sparring import games
from sparring.play.match import Ply, Sitting

MANY: Final = 20  # more moves than this are not listed one by one
_LINE: Final = 76
# of the seats, on the boards of these games
_MARKS: Final = {"connect_four": "XO", "tic_tac_toe": "XO", "ludo": "ABCD"}


def position(sitting: Sitting) -> str:
    """The board; in a game with hidden information only the person's view, until the end."""
    if not sitting.game.spec.hidden_information or sitting.over:
        return sitting.game.text(0)
    numbers = numbers_text(sitting.game.observation[0])
    return f"The observation of seat {sitting.seat} (the rest is hidden):\n{numbers}"


def numbers_text(observation: NDArray[Any]) -> str:
    """An observation as numbers, "." for 0: a vector in lines, a matrix as it is, more dimensions
    as one matrix after another.
    """
    words = [f"{number:.4g}" if number else "." for number in observation.ravel().tolist()]
    width = max(map(len, words))
    padded = [f"{word:>{width}}" for word in words]
    if observation.ndim < 2:
        per_line = max(1, (_LINE + 1) // (width + 1))
        return "\n".join(_rows(padded, per_line))
    height, columns = observation.shape[-2:]
    rows = list(_rows(padded, columns))
    return "\n\n".join(
        "\n".join(rows[begin : begin + height]) for begin in range(0, len(rows), height)
    )


def _rows(words: list[str], per_line: int) -> Iterator[str]:
    for begin in range(0, len(words), per_line):
        yield " ".join(words[begin : begin + per_line])


def ranges(actions: Iterable[int]) -> str:
    """Numbers in order, neighbours joined: "0-3, 5"."""
    runs: list[list[int]] = []
    for action in actions:
        if runs and action == runs[-1][-1] + 1:
            runs[-1].append(action)
        else:
            runs.append([action])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def places(sitting: Sitting) -> str:
    """The seats of both sides, with their letters on the board."""
    marks = _MARKS.get(game_label(sitting), "")
    seats = [
        f"{seat} ({marks[seat]})" if marks else str(seat)
        for seat in range(sitting.game.spec.num_players)
    ]
    others = seats[: sitting.seat] + seats[sitting.seat + 1 :]
    *first, last = others
    theirs = f"seats {', '.join(first)} and {last}" if first else f"seat {last}"
    return f"You have seat {seats[sitting.seat]}, {sitting.opponent.name} has {theirs}."


def game_label(sitting: Sitting) -> str:
    """The name of a built-in game without its arguments; "" for other games."""
    name = sitting.game.spec.name
    return games.label(name) if games.is_built_in(name) else ""


def in_words(sitting: Sitting, action: int) -> str:
    """The game's text for a legal action; "" if that is only its number."""
    said = sitting.game.action_text(0, action)
    return "" if said == str(action) else said


def moves(sitting: Sitting, *, at_most: int | None = None) -> list[str]:
    """The legal moves, a line for each where the game has words for them, unless there are more
    than `at_most`.
    """
    legal = sitting.legal
    if at_most is not None and len(legal) > at_most:
        return [f"You have {len(legal)} moves; type moves to list them, values for their Q-values."]
    if not any(in_words(sitting, action) for action in legal):
        return [f"Your moves: {ranges(legal)}"]
    width = len(str(legal[-1]))
    return [f"  {action:>{width}}  {in_words(sitting, action)}" for action in legal]


def values(sitting: Sitting) -> list[str]:
    """The agent's Q-value of each legal move, the best marked; of many moves the best ones."""
    found, best, legal = sitting.values(), sitting.best(), sitting.legal
    some = ""
    if len(legal) > MANY:
        some = f", {MANY} of {len(legal)}"
        legal = sorted(legal, key=lambda action: -found[action])[:MANY]
    lines = [f"The agent's Q-values for your moves{some} (* = best):"]
    width = max(len(str(action)) for action in legal)
    for action in legal:
        mark = "*" if action == best else " "
        lines.append(
            f"{mark} {action:>{width}}  {found[action]:+.3f}  {in_words(sitting, action)}".rstrip()
        )
    return lines


def plies(sitting: Sitting, made: Iterable[Ply], *, with_values: bool = False) -> list[str]:
    """The others' decisions, a line each; of a game with hidden information, while the match goes
    on, only that they were made.
    """
    hidden = sitting.game.spec.hidden_information and not sitting.over
    lines = []
    for ply in made:
        value = f"  [{ply.value:+.3f}]" if with_values else ""
        what = "has decided" if hidden else f"plays {ply.text}{value}"
        lines.append(f"{who(sitting, ply.seat, ply.by or 'you')} {what}")
    return lines


def who(sitting: Sitting, seat: int, name: str) -> str:
    """A player by name; with its seat where that could be several."""
    return name if sitting.game.spec.num_players == 2 else f"seat {seat} ({name})"


def end(sitting: Sitting) -> list[str]:
    """The result of the match, with the person's return, and the score so far."""
    result, winners = sitting.results[-1], sitting.winners()
    names = " and ".join(
        "you" if seat == result.seat else who(sitting, seat, result.opponent) for seat in winners
    )
    told = {
        "won": "You win",
        "lost": f"{names} win{'s' if len(winners) == 1 else ''}",
        "drawn": "Draw"
        if len(winners) == sitting.game.spec.num_players
        else f"{names} share the win",
    }
    cut = (
        f", cut at the limit of {sitting.game.spec.max_plies} plies"
        if sitting.game.truncated[0]
        else ""
    )
    amount = float(sitting.returns[result.seat].round(3)) + 0.0
    returned = f" (you: {amount:+g})" if result.outcome == "lost" else f" ({amount:+g})"
    return [
        f"{told[result.outcome]}{returned if amount else ''}{cut}.",
        *score(sitting),
    ]


def score(sitting: Sitting) -> list[str]:
    """The person's results so far, by opponent."""
    counts = Counter((result.opponent, result.outcome) for result in sitting.results)
    lines = []
    for opponent in dict.fromkeys(result.opponent for result in sitting.results):
        figures = ", ".join(
            f"{counts[opponent, outcome]} {outcome}" for outcome in ("won", "drawn", "lost")
        )
        lines.append(f"Your score against {opponent}: {figures}")
    return lines or ["No match is finished yet."]
