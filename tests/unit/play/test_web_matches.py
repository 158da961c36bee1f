from __future__ import annotations

import numpy as np
import pytest
from tables import CARDS, untrained
from web_tables import web_matches

pytest.importorskip("fastapi", reason="sparring[web] is not installed")
pytest.importorskip("uvicorn", reason="sparring[web] is not installed")

from sparring.dqn.policy import InferencePolicy
from sparring.errors import IllegalAction, InputError
from sparring.games import make
from sparring.opponents.scripted import RandomPlayer
from sparring.play.commands import OpponentChoices
from sparring.play.match import OpenMatch, PlaySession
from sparring.play.web.matches import Played, WebMatches


def after(*moves: int, seed: int = 1, match: int = 1) -> Played:
    return Played(seed, match, moves)


def test_a_position_says_what_can_be_played_and_who_has_moved() -> None:
    shown = web_matches().position(after(4, 0), values=False)
    assert shown["cells"] == [2, 0, 0, 0, 1, 0, 0, 0, 0]
    assert shown["movers"] == [0, 1]
    assert (shown["seat"], shown["over"], shown["winners"]) == (0, False, [])
    assert [one["action"] for one in shown["legal"]] == [1, 2, 3, 5, 6, 7, 8]
    assert all("value" not in one for one in shown["legal"])


def test_a_position_says_what_its_last_move_changed() -> None:
    matches = web_matches("hexapawn:Hexapawn")
    assert matches.position(after(), values=False)["changed"] == []
    shown = matches.position(after(22), values=False)
    assert shown["changed"] == [4, 7]
    assert [move["cells"] for move in shown["legal"]] == [[0, 3], [0, 4], [2, 4], [2, 5]]
    answer = matches.reply(after(22), "agent", values=False)
    assert (
        answer["changed"]
        == shown["legal"][[move["action"] for move in shown["legal"]].index(answer["action"])][
            "cells"
        ]
    )


def test_the_last_position_is_shown_and_pays_the_winner() -> None:
    shown = web_matches().position(after(0, 3, 1, 4, 2), values=True)
    assert shown["cells"] == [1, 1, 1, 2, 2, 0, 0, 0, 0]
    assert (shown["over"], shown["winners"], shown["legal"]) == (True, [0], [])
    assert shown["expects"] == [1.0, -1.0]


def test_a_draw_has_two_winners() -> None:
    shown = web_matches().position(after(4, 0, 2, 6, 3, 5, 1, 7, 8), values=False)
    assert (shown["over"], shown["winners"], shown["expects"]) == (True, [0, 1], [0.0, 0.0])


def test_values_are_the_agents_and_its_expectation_is_the_best_of_them_for_both_seats() -> None:
    policy = untrained()
    shown = web_matches(policy=policy).position(after(4), values=True)
    match = PlaySession(make("tic_tac_toe", 1), policy, RandomPlayer(), seat=0, seed=1)
    match.start(1, 1)
    match.step(4)
    values = match.values()
    assert {one["action"]: one["value"] for one in shown["legal"]} == pytest.approx(
        {action: values[action] for action in match.legal}, abs=1e-4
    )
    best = max(values[action] for action in match.legal)
    assert shown["expects"] == pytest.approx([-best, best], abs=1e-4)


def test_the_answer_is_that_of_the_terminal() -> None:
    """Both faces of a match have the same dice and the same draws of its players."""
    policy = untrained("ludo")
    table = PlaySession(make("ludo", 1), policy, RandomPlayer(), seat=0, seed=7)
    table.begin()
    for _ in range(10):
        table.play(table.legal[0])
    wanted = [ply.action for ply in table.plies]
    matches, moves = web_matches("ludo", policy), list[int]()
    while len(moves) < len(wanted):
        shown = matches.position(after(*moves, seed=7), values=False)
        if shown["seat"] == 0:
            moves.append(shown["legal"][0]["action"])
        else:
            moves.append(matches.reply(after(*moves, seed=7), "random", values=False)["action"])
    assert moves == wanted


def test_a_reply_comes_with_the_position_after_it() -> None:
    matches = web_matches()
    answer = matches.reply(after(4), "agent", values=True)
    assert answer["movers"] == [0, 1]
    again = matches.position(after(4, answer["action"]), values=True)
    assert {key: answer[key] for key in again} == again


def test_only_the_offered_players_reply() -> None:
    """A name could import any module."""
    for name in ("one_ply", "own_players:Last", "agent:../../secret", ""):
        with pytest.raises(InputError, match="unknown player"):
            web_matches().reply(after(), name, values=False)
    with pytest.raises(InputError, match="the match is over"):
        web_matches().reply(after(0, 3, 1, 4, 2), "agent", values=False)


@pytest.mark.parametrize(
    ("moves", "line"),
    [
        ((4, 4), "move 2 of the match: action 4 is not legal"),
        ((9,), "move 1 of the match: got 9, expected a legal action"),
        ((-1,), "move 1 of the match: got -1, expected a legal action"),
        ((0, 3, 1, 4, 2, 5), "move 6 of the match: got 5, expected none, the match is over"),
    ],
)
def test_an_illegal_move_is_refused_and_the_next_question_is_answered(
    moves: tuple[int, ...], line: str
) -> None:
    matches = web_matches()
    for ask in (
        lambda: matches.position(after(*moves), values=False),
        lambda: matches.reply(after(*moves), "agent", values=False),
        lambda: matches.review(after(*moves)),
    ):
        with pytest.raises(IllegalAction, match=line):
            ask()
    assert matches.position(after(4), values=False)["movers"] == [0]


class Judge(InferencePolicy):
    """Values cells by their numbers: 0.1 for cell 1 and so on."""

    def __init__(self) -> None:
        super().__init__(untrained().spec)

    def action_values(self, game, slots):  # type: ignore[no-untyped-def]
        return np.arange(9, dtype=np.float32)[None] / 10


def test_a_review_marks_what_lost_most() -> None:
    """The best cell is always the last free one."""
    review = web_matches(policy=Judge()).review(after(8, 7, 0, 6, 5, 2))
    assert [ply["lost"] for ply in review["plies"]] == pytest.approx([0, 0, 0.6, 0, 0, 0.2])
    assert [ply["worst"] for ply in review["plies"]] == [i in (2, 5) for i in range(6)]
    assert review["plies"][0]["values"] == pytest.approx([0.8, -0.8])
    assert review["plies"][1]["values"] == pytest.approx([-0.7, 0.7])
    assert review["end"] is None


def test_a_review_of_a_finished_match_ends_with_what_it_paid() -> None:
    assert web_matches().review(after(0, 3, 1, 4, 2))["end"] == [1.0, -1.0]


def test_seats_of_many_expect_only_what_follows_from_the_mover() -> None:
    shown = web_matches("ludo(num_players=3)").position(after(), values=True)
    assert sum(value is not None for value in shown["expects"]) == 1
    assert shown["expects"][shown["seat"]] == max(one["value"] for one in shown["legal"])


def test_games_with_hidden_information_are_refused() -> None:
    with pytest.raises(InputError, match=r"hidden information.*leave --web out"):
        web_matches(CARDS)


def test_facts_name_the_game_and_its_players() -> None:
    facts = web_matches("connect_four").facts()
    assert facts["layout"] == {
        "kind": "grid",
        "rows": 6,
        "columns": 7,
        "planes_per_seat": 1,
        "moves": "columns",
        "bottom_up": True,
    }
    assert facts["levels"] == [
        {"name": "agent", "label": "agent"},
        {"name": "random", "label": "random"},
    ]
    assert (facts["game"], facts["seats"], facts["range"]) == ("connect_four", 2, (-1.0, 1.0))


def test_the_game_is_made_at_the_first_question() -> None:
    """So a page is there before its rules are compiled."""
    policy, opened = untrained(), list[OpenMatch]()

    def open_match() -> OpenMatch:
        opened.append(OpenMatch(make("tic_tac_toe", 1), policy))
        return opened[0]

    choices = OpponentChoices(policy, None)
    matches = WebMatches(policy.spec.game_spec, open_match, choices, {"agent": "agent"})
    assert not opened
    matches.facts()
    matches.position(after(4), values=True)
    assert len(opened) == 1
