"""Text of a play session: the position, the moves, the Q-values, the result, the score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from numpy.typing import NDArray

from sparring import games
from sparring.play.match import PlaySession, Ply, Result

MANY: Final = 20  # more moves are not listed one by one
_LINE_WIDTH: Final = 76


def position(session: PlaySession) -> str:
    """The board; with hidden information only the person's view, until the match is over."""
    if not session.game.spec.hidden_information or session.over:
        return session.game.text(0)
    numbers = numbers_text(session.game.observation[0])
    return f"The observation of seat {session.seat} (the rest is hidden):\n{numbers}"


def numbers_text(observation: NDArray[Any]) -> str:
    """An observation as numbers, "." for 0: a vector in lines, a matrix in rows, more dimensions as
    one matrix after another.
    """
    words = [f"{number:.4g}" if number else "." for number in observation.ravel().tolist()]
    width = max(map(len, words))
    padded = [f"{word:>{width}}" for word in words]
    if observation.ndim < 2:
        per_line = max(1, (_LINE_WIDTH + 1) // (width + 1))
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


def places(session: PlaySession) -> str:
    """The seats of both sides, with their marks on the board."""
    marks = games.board_style(session.game.spec.name).marks
    seats = [
        f"{seat} ({marks[seat]})" if marks else str(seat)
        for seat in range(session.game.spec.num_players)
    ]
    others = seats[: session.seat] + seats[session.seat + 1 :]
    if not others:
        return "You play alone: this game has one player."
    *first, last = others
    theirs = f"seats {', '.join(first)} and {last}" if first else f"seat {last}"
    return f"You have seat {seats[session.seat]}, {session.opponent.name} has {theirs}."


def in_words(session: PlaySession, action: int) -> str:
    """The game's text of a legal action; "" if that is only its number."""
    words = session.game.action_text(0, action)
    return "" if words == str(action) else words


def moves(session: PlaySession, *, limit: int | None = None) -> list[str]:
    """The legal moves, a line for each where the game has text for them; more than `limit` only as
    a number.
    """
    legal = session.legal
    if limit is not None and len(legal) > limit:
        return [f"You have {len(legal)} moves; type moves to list them, values for their Q-values."]
    if not any(in_words(session, action) for action in legal):
        return [f"Your moves: {ranges(legal)}"]
    width = len(str(legal[-1]))
    return [f"  {action:>{width}}  {in_words(session, action)}" for action in legal]


def values(session: PlaySession) -> list[str]:
    """The agent's Q-value of each legal move, the best marked; of many moves the best ones."""
    found, best, legal = session.values(), session.best(), session.legal
    some = ""
    if len(legal) > MANY:
        some = f", {MANY} of {len(legal)}"
        legal = sorted(legal, key=lambda action: -found[action])[:MANY]
    lines = [f"The agent's Q-values for your moves{some} (* = best):"]
    width = max(len(str(action)) for action in legal)
    for action in legal:
        mark = "*" if action == best else " "
        lines.append(
            f"{mark} {action:>{width}}  {found[action]:+.3f}  {in_words(session, action)}".rstrip()
        )
    return lines


def plies(session: PlaySession, made: Iterable[Ply], *, with_values: bool = False) -> list[str]:
    """Decisions, a line for each; with hidden information, while the match lasts, without the
    actions.
    """
    hidden = session.game.spec.hidden_information and not session.over
    lines = []
    for ply in made:
        value = f"  [{ply.value:+.3f}]" if with_values else ""
        action = "has decided" if hidden else f"plays {ply.text}{value}"
        lines.append(f"{player_name(session, ply.seat, ply.by or 'you')} {action}")
    return lines


def player_name(session: PlaySession, seat: int, name: str) -> str:
    """The name of a player; with its seat where one player may have several."""
    return name if session.game.spec.num_players == 2 else f"seat {seat} ({name})"


def end(session: PlaySession) -> list[str]:
    """The result of the match, with the person's return, and the score so far."""
    result = session.results[-1]
    amount = _amount(result.amount)
    if result.outcome == "alone":
        return [f"The match is over. Your return: {amount}.", *score(session)]
    yours = f"you: {amount}" if result.outcome in ("lost", "cut") else amount
    returned = f" ({yours})" if float(amount) else ""
    return [f"{_outcome(session)}{returned}.", *score(session)]


def _amount(value: float) -> str:
    return f"{round(value, 3) + 0.0:+g}"


def _outcome(session: PlaySession) -> str:
    result, winners = session.results[-1], session.winners()
    if result.outcome == "won":
        return "You win"
    if result.outcome == "cut":
        return f"The match was cut at the limit of {session.game.spec.max_plies} plies"
    if len(winners) == session.game.spec.num_players:
        return "Draw"
    names = " and ".join(
        "you" if seat == result.seat else player_name(session, seat, result.opponent)
        for seat in winners
    )
    if result.outcome == "drawn":
        return f"{names} share the win"
    return f"{names} win{'s' if len(winners) == 1 else ''}"


def score(session: PlaySession) -> list[str]:
    """The person's results so far, by opponent."""
    by_opponent: dict[str, list[Result]] = {}
    for result in session.results:
        by_opponent.setdefault(result.opponent, []).append(result)
    lines = [_score_line(opponent, results) for opponent, results in by_opponent.items()]
    return lines or ["No match is finished yet."]


def _score_line(opponent: str, results: list[Result]) -> str:
    """Counts of outcomes; the mean return where an outcome has paid several amounts."""
    mean = f"mean return {_amount(sum(result.amount for result in results) / len(results))}"
    if results[0].outcome == "alone":
        return f"Your score: {len(results)} played, {mean}"
    counts: Counter[str] = Counter(result.outcome for result in results)
    figures = [f"{counts[outcome]} {outcome}" for outcome in ("won", "drawn", "lost")]
    if counts["cut"]:
        figures.append(f"{counts['cut']} cut")
    if len({(result.outcome, result.amount) for result in results}) > len(counts):
        figures.append(mean)
    return f"Your score against {opponent}: {', '.join(figures)}"
