"""Random matches of each game, ply by ply beside OpenSpiel's: legal actions, mover, position,
rewards, end. 10,000 of them; of Othello 500, or as many as SPARRING_OTHELLO_MATCHES says.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from sparring.conformance.recordings import Trace, record
from sparring.games import make

pyspiel = pytest.importorskip("pyspiel")

MATCHES = 10_000
OTHELLO_MATCHES = int(os.environ.get("SPARRING_OTHELLO_MATCHES", 500))
BATCH = 1_000


def planes(text, shape, upwards):
    """(marks of seat 0, marks of seat 1), from a board as OpenSpiel prints it: x belongs to seat 0,
    and rows go down. A board may have a frame of names of rows and columns.
    """
    lines = [line.replace(" ", "").strip("12345678") for line in text.splitlines()]
    board = "".join(line for line in lines if len(line) == shape[1] and set(line) <= set("xo.-"))
    cells = np.frombuffer(board.encode(), np.uint8).reshape(shape)
    cells = cells[::-1] if upwards else cells
    return np.stack([cells == ord("x"), cells == ord("o")])


def compare(trace: Trace, match: int, game, shape, upwards):
    """Play one match of the trace with OpenSpiel; returns its number of plies."""
    theirs = game.new_initial_state()
    for ply, (frame, actions, after) in enumerate(
        zip(trace.frames, trace.actions, trace.frames[1:], strict=False)
    ):
        seat = theirs.current_player()
        assert frame["seat"][match] == seat
        assert np.flatnonzero(frame["mask"][match]).tolist() == theirs.legal_actions()
        marks = planes(str(theirs), shape, upwards)
        assert np.array_equal(frame["observation"][match], marks if seat == 0 else marks[::-1])
        theirs.apply_action(int(actions[match]))
        assert after["rewards"][match].tolist() == theirs.rewards()
        assert after["terminated"][match] == theirs.is_terminal()
        if theirs.is_terminal():
            return ply + 1
    raise AssertionError("our match ended before theirs")


def compare_all(name, shape, upwards, seed, matches):
    """Compare so many matches; returns their lengths, and what seat 0 was paid."""
    ours, theirs = make(name, min(BATCH, matches)), pyspiel.load_game(name)
    lengths, results = [], []
    for spawned in np.random.SeedSequence(seed).spawn(matches // ours.num_slots):
        keys = np.arange(ours.num_slots, dtype=np.uint64)
        trace = record(ours, keys, np.random.default_rng(spawned))
        lengths += [compare(trace, match, theirs, shape, upwards) for match in range(len(keys))]
        results += np.sum([frame["rewards"][:, 0] for frame in trace.frames], axis=0).tolist()
        assert not trace.frames[-1]["truncated"].any()
    assert len(lengths) == matches
    return lengths, results


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape", "upwards", "seed", "fewest", "most"),
    [("tic_tac_toe", (3, 3), False, 11, 5, 9), ("connect_four", (6, 7), True, 12, 7, 42)],
)
def test_random_matches_are_openspiels(name, shape, upwards, seed, fewest, most):
    lengths, results = compare_all(name, shape, upwards, seed, MATCHES)
    # the seeds reach the shortest and the longest matches, and every result
    assert min(lengths) == fewest
    assert max(lengths) == most
    assert set(results) == {-1, 0, 1}


@pytest.mark.slow
def test_random_matches_of_othello_are_openspiels():
    lengths, results = compare_all("othello", (8, 8), False, 13, OTHELLO_MATCHES)
    assert max(lengths) > 60  # with passes
    assert set(results) == {-1, 0, 1}
