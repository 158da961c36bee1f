from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from othello_players import DiscsAndMobility

from sparring.evaluation import play_matches, score_matches
from sparring.games import make
from sparring.games import othello as rules
from sparring.opponents.scripted import scripted_player
from sparring.opponents.user_players import UserPlayer

START = {"d4": "O", "e5": "O", "e4": "X", "d5": "X"}
# Lines of play up to such depths, known from published counts of the rules.
LINES_OF_PLAY = {1: 4, 2: 12, 3: 56, 4: 244, 5: 1_396, 6: 8_200}


def cell(name):
    """The action of a cell such as d3: column d, third row from the top."""
    return 8 * (int(name[1]) - 1) + "abcdefgh".index(name[0])


def position(discs, seat=0):
    """The state with `discs`, the sign of each cell, and `seat` to move; X belongs to seat 0."""
    state = np.zeros(1, rules.STATE)[0]
    state["seat"] = seat
    planes = np.zeros((2, 64), np.int8)
    for name, sign in discs.items():
        planes["XO".index(sign) ^ seat, cell(name)] = 1
    rules.place(state, planes.reshape(2, 8, 8))
    return state


def discs_of(state):
    black, white = map(int, state["discs"])
    return {
        f"{'abcdefgh'[c % 8]}{c // 8 + 1}": "X" if black >> c & 1 else "O"
        for c in range(64)
        if (black | white) >> c & 1
    }


def legal(state):
    mask = np.zeros(65, bool)
    rules.legal(state, mask)
    return [rules.action_text(state, action) for action in np.flatnonzero(mask).tolist()]


def play(state, *names):
    """Play cells and passes; returns what the last one paid, and whether it ended the match."""
    ended = False
    for name in names:
        assert not ended
        assert name in legal(state)
        rewards = np.zeros(2, np.float32)
        ended = bool(rules.play(state, 64 if name == "pass" else cell(name), rewards, None))
    return rewards.tolist(), ended


def started():
    state = np.zeros(1, rules.STATE)[0]
    rules.start(state, None)
    return state


def lines_of_play(depth):
    """Their number, played by the compiled rules in one batch for each ply."""
    lines = [[]]
    for _ in range(depth):
        game = make("othello", len(lines))
        game.reset(np.arange(len(lines)), np.zeros(len(lines), np.uint64))
        for moves in zip(*lines, strict=True):
            game.step(np.array(moves))
        lines = [[*line, a] for line, mask in zip(lines, game.mask, strict=True)
                 for a in np.flatnonzero(mask).tolist()]  # fmt: skip
    return len(lines)


def test_black_begins_with_one_of_four_moves():
    state = started()
    assert discs_of(state) == START
    assert state["seat"] == 0
    assert legal(state) == ["d3", "c4", "f5", "e6"]


def test_the_start_is_the_position_that_its_discs_give():
    assert position(START) == started()


def test_a_move_turns_what_it_encloses_and_the_other_seat_is_next():
    state = started()
    assert play(state, "d3") == ([0, 0], False)
    assert discs_of(state) == {**START, "d3": "X", "d4": "X"}
    assert state["seat"] == 1
    assert legal(state) == ["c3", "e3", "c5"]


@pytest.mark.parametrize("seat", [0, 1])
def test_a_move_turns_rows_in_all_eight_directions(seat):
    mine, theirs = "XO"[seat], "OX"[seat]
    # around d4: up d3 d2, down d5, left c4 b4, right e4 f4, and the four diagonals
    between = ["d3", "d2", "d5", "c4", "b4", "e4", "f4", "c3", "b2", "e5", "c5", "b6", "e3", "f2"]
    ends = ["d1", "d6", "a4", "g4", "a1", "f6", "a7", "g1"]
    state = position(dict.fromkeys(between, theirs) | dict.fromkeys(ends, mine), seat)
    play(state, "d4")
    assert discs_of(state) == dict.fromkeys([*between, *ends, "d4"], mine)


@pytest.mark.parametrize("length", range(1, 7))
def test_rows_of_one_to_six_discs_turn(length):
    """Along every line of the board, both ways, from its very edge."""
    board = np.arange(64).reshape(8, 8)
    for turn in range(4):
        turned = np.rot90(board, turn)
        for line in (*turned, *(turned.diagonal(offset) for offset in range(-6, 7))):
            names = [rules.action_text(None, int(c)) for c in line[: length + 2]]
            if len(names) < length + 2:
                continue
            first, *between, last = names
            state = position({**dict.fromkeys(between, "O"), last: "X"})
            assert legal(state) == [first]
            play(state, first)
            assert discs_of(state) == dict.fromkeys(names, "X")


def test_a_row_without_an_own_disc_at_its_end_does_not_turn():
    state = position({"b1": "O", "c1": "O", "a2": "O", "a3": "X", "d1": "O"})
    play(state, "a1")
    assert discs_of(state) == {
        "a1": "X", "a2": "X", "a3": "X", "b1": "O", "c1": "O", "d1": "O"
    }  # fmt: skip


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        # along the rows: g3 h3 | a4 b4
        ("g3", "h3"), ("a4", "h3"), ("h3", "a4"), ("b4", "a4"),
        # along the diagonals: g2 h3 | a5 b6 and b1 a2 | h2 g3
        ("g2", "h3"), ("a5", "h3"), ("h3", "a5"), ("b6", "a5"),
        ("b1", "a2"), ("h2", "a2"), ("a2", "h2"), ("g3", "h2"),
        # up and down: d7 d8 | d1 d2
        ("d7", "d8"), ("d1", "d8"), ("d8", "d1"), ("d2", "d1"),
    ],
)  # fmt: skip
def test_rows_do_not_go_on_at_the_other_edge(mine, theirs, seat):
    assert legal(position({mine: "XO"[seat], theirs: "OX"[seat]}, seat)) == ["pass"]


def test_who_cannot_move_passes_and_nothing_else():
    state = position({"a1": "X", "b1": "X", "c1": "O"}, seat=1)
    assert legal(state) == ["pass"]
    assert play(state, "pass") == ([0, 0], False)
    assert state["seat"] == 0
    assert legal(state) == ["d1"]


def test_there_is_no_pass_while_there_is_a_move():
    assert "pass" not in legal(started())


def test_the_match_ends_when_neither_can_move_though_cells_are_empty():
    state = position({"a1": "X", "b1": "O"})
    assert play(state, "c1") == ([1, -1], True)


@pytest.mark.parametrize("seat", [0, 1])
def test_who_has_more_discs_wins_whoever_moved_last(seat):
    mine, theirs = "XO"[seat], "OX"[seat]
    far = dict.fromkeys([f"{column}8" for column in "abcdefgh"], theirs)
    state = position({"a1": mine, "b1": theirs, **far}, seat)
    rewards, ended = play(state, "c1")
    assert ended
    assert rewards == ([-1, 1] if seat == 0 else [1, -1])


def test_equal_numbers_are_a_draw():
    far = dict.fromkeys(["f8", "g8", "h8"], "O")
    assert play(position({"a1": "X", "b1": "O", **far}), "c1") == ([0, 0], True)


@pytest.mark.parametrize("depth", LINES_OF_PLAY)
def test_lines_of_play_from_the_start_are_as_many_as_published(depth):
    assert lines_of_play(depth) == LINES_OF_PLAY[depth]


def test_pictures_name_the_cells_and_the_moves():
    assert rules.text(started()).splitlines()[:6] == [
        "   a  b  c  d  e  f  g  h",
        "1  .  .  .  .  .  .  .  .",
        "2  .  .  .  .  .  .  .  .",
        "3  .  .  . 19  .  .  .  .",
        "4  .  . 26  O  X  .  .  .",
        "5  .  .  .  X  O 37  .  .",
    ]
    assert [rules.action_text(None, action) for action in (0, 19, 63, 64)] == [
        "a1", "d3", "h8", "pass"
    ]  # fmt: skip


def test_the_observation_is_the_movers_view():
    observation = np.zeros((2, 8, 8), np.int8)
    state = started()
    play(state, "d3")  # seat 1 to move
    rules.observe(state, observation)
    assert np.argwhere(observation).tolist() == [
        [0, 4, 4], [1, 2, 3], [1, 3, 3], [1, 3, 4], [1, 4, 3]
    ]  # fmt: skip
    assert observation.max() == 1


def test_all_seven_symmetries_are_declared():
    actions = {symmetry.action for symmetry in rules.SPEC.symmetries}
    assert len(actions - {tuple(range(65))}) == 7
    assert {action[64] for action in actions} == {64}


def test_moves_and_their_effects_are_alike_in_all_images_of_a_position():
    game, rng = make("othello", 1), np.random.default_rng(3)
    game.reset(np.arange(1), np.zeros(1, np.uint64))
    for _ in range(40):
        before, mask = game.observation[0].ravel().copy(), game.mask[0].copy()
        action = int(rng.choice(np.flatnonzero(mask)))
        game.step(np.array([action]))
        for symmetry in rules.SPEC.symmetries:
            image = np.zeros(1, rules.STATE)[0]
            rules.place(image, before[list(symmetry.observation)].reshape(2, 8, 8))
            seen = np.zeros(65, bool)
            rules.legal(image, seen)
            assert seen.tolist() == mask[list(symmetry.action)].tolist()
            rules.play(image, symmetry.action.index(action), np.zeros(2), None)
            after = np.zeros((2, 8, 8), np.int8)
            rules.observe(image, after)
            expected = game.observation[0].ravel()[list(symmetry.observation)]
            assert after.ravel().tolist() == expected.tolist()


def test_the_fixed_player_of_discs_and_mobility_beats_random():
    """Agents are measured against it."""
    players = [UserPlayer("fixed", DiscsAndMobility()), scripted_player("random")]
    table = play_matches(partial(make, "othello"), players, matches=60, seed=0, opening_plies=4)
    assert score_matches(table).score > 0.9
