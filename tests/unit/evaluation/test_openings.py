from __future__ import annotations

from itertools import pairwise

import numpy as np
from toy_game import AGAIN, MAX_PLIES, PASS, WIN, Always, ToyGame

from sparring.evaluation.matches import TRIES, draw_openings, opening_actions, play_matches


def played(game, openings):
    """The moves of each opening, laid out one at a time."""
    lines = []
    for key, plies in zip(openings.keys, openings.plies, strict=True):
        game.reset(np.array([0]), np.array([key]))
        for _ in range(plies):
            actions = np.full(game.num_slots, -1)
            actions[:1] = opening_actions(game, np.array([0]), np.array([key]))
            game.step(actions)
        assert not game.terminated[0]
        lines.append(tuple(action for _, action in game.lines[0]))
    return lines


def test_openings_leave_the_match_open_and_differ():
    openings = draw_openings(ToyGame(7), 200, plies=2, base=5)
    lines = played(ToyGame(1), openings)
    assert WIN not in {action for line in lines for action in line}
    # Two plies that do not end the match: four lines, each a quarter of 200 (standard deviation
    # 6.1), within four deviations.
    for line in [(PASS, PASS), (PASS, AGAIN), (AGAIN, PASS), (AGAIN, AGAIN)]:
        assert abs(lines.count(line) - 50) < 25


def test_openings_do_not_depend_on_the_number_of_slots():
    one, many = (draw_openings(ToyGame(slots), 50, plies=3, base=5) for slots in (3, 64))
    np.testing.assert_array_equal(one.keys, many.keys)
    np.testing.assert_array_equal(one.plies, many.plies)
    other = draw_openings(ToyGame(3), 50, plies=3, base=6)
    assert not np.array_equal(one.keys, other.keys)


def test_openings_shorten_where_the_match_would_be_over():
    # Eight plies always end a match of this game, by a win or by the cut; seven are survived with
    # chance (2/3) ** 7 = 0.058.
    openings = draw_openings(ToyGame(64), 300, plies=MAX_PLIES, base=1)
    assert openings.plies.max() < MAX_PLIES
    assert openings.plies.min() >= 0
    lines = played(ToyGame(1), openings)
    assert [len(line) for line in lines] == openings.plies.tolist()
    # A length L is reached when all longer ones, tried once each, have failed.
    missed = 1.0
    for length, shorter in pairwise(range(MAX_PLIES - 1, 2, -1)):
        expected = 300 * missed * (2 / 3) ** length
        assert abs((openings.plies == length).sum() - expected) < 4 * np.sqrt(expected) + 1, (
            length,
            shorter,
        )
        missed *= 1 - (2 / 3) ** length


def test_a_hopeless_length_is_tried_a_bounded_number_of_times():
    class Stubborn(ToyGame):
        """Any ply ends the match."""

        def _play(self, slot, action):
            super()._play(slot, WIN)

    game = Stubborn(4)
    openings = draw_openings(game, 4, plies=3, base=0)
    assert openings.plies.tolist() == [0, 0, 0, 0]
    assert len(game.log) == 4 * (
        TRIES + 2
    )  # full length TRIES times, then lengths 2 and 1; length 0 needs no trial


def test_rotations_share_their_opening():
    seen = {}

    def make_game(num_slots):
        seen["game"] = ToyGame(num_slots, num_players=3)
        return seen["game"]

    quiet = [Always(PASS), Always(PASS), Always(PASS)]
    table = play_matches(make_game, quiet, matches=30, seed=3, opening_plies=3)
    lines = {}
    for key, line in seen["game"].log:
        if len(line) == MAX_PLIES:
            lines.setdefault(key, []).append(line)
    assert sorted(map(len, lines.values())) == [3] * 10
    assert all(len(set(group)) == 1 for group in lines.values())
    assert len({group[0][:3] for group in lines.values()}) > 3
    assert table.truncated.all()
