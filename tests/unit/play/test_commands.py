from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from tables import CARDS, board, conversation

from sparring.play.commands import Part


def said(parts: Sequence[Part]) -> str:
    return "\n".join(part.text for part in parts)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "4",
            "4 is not a legal move here (legal: 0-2, 5-8)",
        ),  # where the person's own mark is
        ("9", "9 is not a legal move here (legal: 0-2, 5-8)"),
        (
            "-1",
            "not understood: got '-1', expected a move (legal: 0-2, 5-8) or a command; "
            "type help for the commands",
        ),
        (
            "999999999999",
            "not understood: got '999999999999', expected a move (legal: 0-2, 5-8) or a command",
        ),
        (
            "opponent " + "9" * 5000,
            "not understood: got 'opponent 999999999999999999999...', expected a move",
        ),
        ("9" * 5000, "not understood: got '999999999999999999999999999999...', expected a move"),
        ("٤", "not understood: got '٤', expected a move"),
        ("4.0", "not understood: got '4.0', expected a move"),
        ("3 5", "not understood: got '3 5', expected a move"),
        (
            "valeus",
            "not understood: got 'valeus', expected a move (legal: 0-2, 5-8) or a command; "
            "did you mean 'values'?",
        ),
        ("values yes", "values: got 'yes', expected nothing, on or off"),
        ("back 2", "moves to take back: got 2, expected 1 to 1"),
        ("back 0", "moves to take back: got 0, expected 1 to 1"),
        ("back two", "back: got 'two', expected nothing or a whole number"),
        ("swap 2", "seat: got 2, expected 0 to 1"),
        ("swap -1", "swap: got '-1', expected nothing or a whole number"),
        (
            "opponent anybody",
            "unknown opponent: got 'anybody', expected one of agent, random, one_ply",
        ),
        (
            "opponent snapshot:3",
            "only agents in a run directory have snapshots",
        ),
        ("new match", "new takes no argument: got 'match'"),
        ("quit now", "quit takes no argument"),
        ("yes", "not understood: got 'yes'"),  # no match is over
        ("\x00\x1b[2J", "not understood: got '\\x00\\x1b[2J'"),
    ],
)
def test_wrong_input_is_one_line_and_changes_nothing(line: str, words: str) -> None:
    talk, table = conversation()
    talk.answer("4")
    before, plies = table.game.get_state(), list(table.plies)
    [part] = talk.answer(line)
    assert part.kind == "wrong"
    assert words in part.text
    assert "\n" not in part.text
    assert len(part.text) < 200
    assert all(np.array_equal(before[name], now) for name, now in table.game.get_state().items())
    assert (table.plies, table.seat, table.opponent.name, talk.left) == (plies, 0, "random", False)


def test_a_move_is_played_and_the_answer_shown() -> None:
    talk, table = conversation()
    lines, position, moves = talk.answer("  4 ")
    assert board(table)[1][1] == 1
    assert lines.text == f"random plays {table.plies[1].action}"
    assert position.kind == "board"
    assert re.fullmatch(r"Your moves: [0-8, -]+", moves.text)
    assert talk.prompt == "your move: "


def finish(seat: int = 0) -> tuple:
    """A conversation whose first match is over."""
    talk, table = conversation(seat=seat)
    while not table.over:
        parts = talk.answer(str(table.legal[0]))
    return talk, table, parts


def test_the_end_says_who_won_and_the_score_and_offers_another_match() -> None:
    talk, table, parts = finish()
    outcome = table.results[0].outcome
    counts = ", ".join(f"{int(outcome == name)} {name}" for name in ("won", "drawn", "lost"))
    text = {"won": "You win (+1).", "drawn": "Draw.", "lost": "random wins (you: -1)."}[outcome]
    assert parts[-1].text == f"{text}\nYour score against random: {counts}"
    assert talk.prompt == "another match? (yes, no, or a command) "
    assert talk.farewell()[0].text == f"Your score against random: {counts}"


@pytest.mark.parametrize("line", ["", "yes", "Y", "new"])
def test_another_match(line: str) -> None:
    talk, table, _ = finish()
    assert said(talk.answer(line)).startswith("You have seat 0 (X), random has seat 1 (O).")
    assert (table.over, board(table), len(table.results)) == (False, [[0] * 3] * 3, 1)


@pytest.mark.parametrize("line", ["no", "n", "quit", "q", "exit"])
def test_no_other_match(line: str) -> None:
    talk, _, _ = finish()
    assert talk.answer(line) == []
    assert talk.left


@pytest.mark.parametrize("line", ["values", "hint", "moves"])
def test_what_needs_a_turn_says_so_after_the_end(line: str) -> None:
    talk, _, _ = finish()
    [part] = talk.answer(line)
    assert part == Part("wrong", "the match is over; type new for another, or back")
    assert not talk.left


def test_a_number_after_the_end_is_not_a_move() -> None:
    talk, table, _ = finish()
    [part] = talk.answer("3")
    assert (part.kind, len(table.results)) == ("wrong", 1)
    assert "expected yes, no or a command" in part.text


def test_back_after_the_end_goes_on_with_the_match() -> None:
    talk, table, _ = finish()
    assert said(talk.answer("undo")).startswith("Taken back.\n")
    assert (table.over, table.results) == (False, [])
    assert talk.farewell() == []


def test_values_name_every_legal_move_and_mark_the_best() -> None:
    talk, table = conversation()
    talk.answer("4")
    values, best = table.values(), table.best()
    lines = said(talk.answer("values")).splitlines()
    assert lines[0] == "The agent's Q-values for your moves (* = best):"
    assert lines[1:] == [
        f"{'*' if action == best else ' '} {action}  {values[action]:+.3f}"
        for action in table.legal
    ]
    assert said(talk.answer("hint")) == f"The agent would play {best}: {values[best]:+.3f}"


def test_values_at_every_turn_until_they_are_switched_off() -> None:
    talk, table = conversation(show_values=True)
    parts = talk.answer("4")
    assert re.fullmatch(r"random plays \d  \[[+-]\d\.\d{3}\]", parts[0].text)
    assert parts[-1].text.startswith("The agent's Q-values")
    assert said(talk.answer("values off")) == "Q-values are shown only on request."
    parts = talk.answer(str(table.legal[0]))
    assert "[" not in parts[0].text
    assert parts[-1].text.startswith("Your moves")
    talk.answer("values on")
    assert talk.answer(str(table.legal[0]))[-1].text.startswith("The agent's Q-values")


def test_swapping_seats_lets_the_opponent_move() -> None:
    talk, table = conversation()
    assert said(talk.answer("swap")).startswith(
        "You have seat 1 (O), random has seat 0 (X).\nrandom plays "
    )
    assert (table.seat, len(table.plies)) == (1, 1)
    assert said(talk.answer("swap 0")).startswith(
        "You have seat 0 (X), random has seat 1 (O).\nrandom plays "
    )


def test_swapping_after_the_end_is_for_the_next_match() -> None:
    talk, table, _ = finish()
    assert said(talk.answer("swap")) == "You have seat 1 (O), random has seat 0 (X)."
    assert said(talk.answer("")).startswith(
        "You have seat 1 (O), random has seat 0 (X).\nrandom plays "
    )
    assert table.results[0].opponent == "random"


def test_another_opponent_and_a_score_for_each() -> None:
    talk, table, _ = finish()
    assert said(talk.answer("opponent")).splitlines() == [
        "You play against random. Available:",
        "  agent",
        "  random",
        "  one_ply",
        "  minimax:D",
        "  mcts:N",
        "  module:Class",
        "  agent:RUN",
    ]
    assert said(talk.answer("opponent one_ply")) == "Your opponent is now one_ply."
    talk.answer("new")
    while not table.over:
        talk.answer(str(table.legal[0]))
    assert [line.partition(":")[0] for line in said(talk.answer("score")).splitlines()] == [
        "Your score against random",
        "Your score against one_ply",
    ]


def test_help_names_every_command() -> None:
    talk, _ = conversation()
    text = said(talk.answer("help"))
    assert all(re.search(rf"^{word}\b", text, re.MULTILINE) for word in talk._commands)
    assert all(len(line) < 80 for line in text.splitlines())


def test_an_empty_line_shows_the_board_and_plays_where_there_is_no_choice() -> None:
    talk, table = conversation()
    assert talk.answer(" ")[0].kind == "board"
    assert table.plies == []
    talk, table = conversation("ludo")  # seat 0 can only leave the yard
    assert (table.legal, talk.prompt) == ([0], "your move (Enter: 0): ")
    talk.answer("")
    assert (table.plies[0].by, table.plies[0].text) == (None, "token 0: yard -> 1")


def test_a_game_with_action_texts_accepts_and_shows_them() -> None:
    talk, table = conversation(CARDS)
    assert talk.answer("moves")[0].text == "  0  keep\n  1  draw"
    assert re.search(r"[*] [01]  [+-]\d\.\d{3}  (keep|draw)", said(talk.answer("values")))
    assert talk.answer("swap 3")[0].text == "seat: got 3, expected 0 to 2"
    talk.answer("DRAW")
    assert (table.plies[0].action, table.plies[0].by) == (1, None)


def test_hidden_cards_are_shown_to_their_seat_only_until_the_match_is_over() -> None:
    talk, table = conversation(CARDS, seat=1)
    cards = [int(word) for word in table.game.text(0).split() if word.isdecimal()]
    assert len(set(cards)) == 3
    shown = said(talk.answer("board"))
    assert shown.startswith("The observation of seat 1 (the rest is hidden):\n")
    assert re.findall(r"\d+", shown.partition("\n")[2].partition("\n")[0]) == [str(cards[1]), "1"]
    assert not any(re.search(rf"\b{cards[seat]}\b", shown.partition("\n")[2]) for seat in (0, 2))
    again = said(talk.answer("back")), said(talk.answer("values on"))
    assert again[0].startswith("nothing to take back")
    end = said(talk.answer("keep"))
    assert "plays" in end.splitlines()[0]  # it is over, and everything may be shown
    assert " ".join(f"card {card}" for card in cards) in end or table.plies[2].action == 1


def test_hidden_decisions_of_others_are_not_shown() -> None:
    talk, _ = conversation(CARDS, seat=1)
    text = said(talk._changes(0))
    assert "seat 0 (random) has decided" in text
    assert "plays" not in text
    assert said(talk.answer("1")).splitlines()[0].startswith("seat 2 (random) plays ")


def test_take_back_of_chance_says_that_it_comes_again_and_it_does() -> None:
    talk, table = conversation(CARDS)
    talk.answer("1")
    first = table.game.text(0)
    assert said(talk.answer("back")).startswith("Taken back. The same dice will come again.")
    talk.answer("1")
    assert table.game.text(0) == first


def test_words_that_differ_in_capitals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a pawn's bc3 and a bishop's Bc3."""
    talk, table = conversation()
    monkeypatch.setattr(
        table.game,
        "action_text",
        lambda slot, action: {1: "bc3", 2: "Bc3", 3: "no  good"}.get(action, str(action)),
    )
    assert [talk._action(line) for line in ("bc3", "Bc3", "BC3", "No good")] == [1, 2, None, 3]


def test_many_moves_are_not_all_named_in_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    talk, table = conversation()
    monkeypatch.setattr(type(table), "legal", property(lambda self: list(range(100, 150, 2))))
    [part] = talk.answer("7")
    assert part.text == "7 is not a legal move here (type moves for the list)"
