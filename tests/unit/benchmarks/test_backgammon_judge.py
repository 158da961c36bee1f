"""benchmarks/backgammon_judge.py: PubEval's inputs are Tesauro's, the turns of gnubg are among
those that our rules allow, and a missing judge is said in one line.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring.errors import InputError
from sparring.games import make
from sparring.games.backgammon import rules
from sparring.games.compiled.turns import whole_turns

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
HAS_GNUBG = shutil.which("gnubg", path=f"{os.environ.get('PATH', '')}:/usr/games") is not None


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import backgammon_turns

    return backgammon_turns


@pytest.fixture
def gnubg(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import gnubg_bridge

    return gnubg_bridge


def counts(own: dict[int, int], other: dict[int, int]) -> np.ndarray:
    """One position by places: 0 off, 25 the bar, each seat by its own numbers."""
    both = np.zeros((1, 2, 26), np.int64)
    for seat, places in enumerate((own, other)):
        for place, count in places.items():
            both[0, seat, place] = count
    return both


def played(plies: int, matches: int = 64) -> Any:
    """Random matches after so many plies."""
    game, rng = make("backgammon(scoring=full)", matches), np.random.default_rng(plies)
    game.reset(np.arange(matches), np.arange(matches, dtype=np.uint64))
    for _ in range(plies):
        actions = (rng.random(game.mask.shape) * game.mask).argmax(axis=1)
        game.step(np.where(game.terminated, -1, actions))
    return game


def test_checkers_are_read_from_observations(turns: Any) -> None:
    state = np.zeros(1, rules.STATE)[0]
    state["checkers"][0, [25, 13, 6, 0]] = 1, 5, 2, 7
    state["checkers"][1, [25, 4, 1]] = 2, 9, 4
    state["dice"][0] = 3
    observation = np.zeros((1, 210), np.int8)
    rules.observe(state, observation[0])
    assert (turns.checkers(observation)[0] == state["checkers"]).all()


def test_inputs_of_pubeval_are_those_of_its_author(turns: Any) -> None:
    position = counts({24: 1, 13: 6, 8: 3, 6: 2, 0: 3}, {25: 2, 2: 1, 11: 2, 20: 1, 6: 9})
    inputs = turns.pubeval_inputs(position)[0]
    expected = {
        1: 1.0,  # a single checker on 24
        5: 1.0,  # the other's single checker on our 23, its 2
        5 * 11 + 2: 1.0, 5 * 11 + 4: 1.5,  # six on 13
        5 * 16 + 2: 1.0, 5 * 16 + 3: 1.0,  # three on 8
        5 * 18 + 2: 1.0,  # two on 6
        5 * 19 + 0: 1.0,  # the other's single checker on our 5, its 20
        120: 1.0, 121: 0.2,
    }  # fmt: skip
    assert {k: inputs[k] for k in np.flatnonzero(inputs)} == expected


def test_a_race_has_no_checker_to_pass(turns: Any) -> None:
    assert turns.is_race(counts({12: 1, 3: 14}, {12: 2, 1: 13})).tolist() == [True]
    assert turns.is_race(counts({12: 1, 3: 14}, {14: 2, 1: 13})).tolist() == [False]
    assert turns.is_race(counts({1: 2}, {25: 1, 2: 14})).tolist() == [False]


def test_pubeval_chooses_by_contact_before_the_turn(turns: Any) -> None:
    contact, race = np.zeros(122), np.zeros(122)
    contact[121], race[121] = 15.0, -15.0  # a checker off is worth 1, or costs 1
    before = np.zeros((2, 210), np.int8)
    after = np.zeros((2, 210), np.int8)
    for row, other in enumerate(({24: 2, 1: 13}, {1: 15})):
        state = np.zeros(1, rules.STATE)[0]
        state["checkers"][:] = counts({3: 13, 0: 2}, other)[0]
        state["dice"][0] = 1
        rules.observe(state, before[row])
        state["seat"], state["dice"][0] = 1, 0
        rules.observe(state, after[row])
    found = turns.Ends(before, np.arange(2), after)
    assert turns.PubEval(contact, race)(found).tolist() == [2.0, -2.0]


def test_a_turn_player_plays_the_turn_that_is_worth_most_in_both_seats(turns: Any) -> None:
    """Worth is the number of the other seat's checkers on the bar, then own pips, so the best is
    known.
    """

    def score(found: Any) -> np.ndarray:
        after = turns.checkers(found.after)
        return 1000.0 * after[:, 0, 25] - after[:, 1] @ np.arange(26)

    game = played(30)
    slots, player = np.arange(64), turns.TurnPlayer("hits", score)
    found = whole_turns(game, slots)
    values = score(turns.Ends(game.observation, found.root, found.observation))
    best = [values[found.root == slot].max() for slot in slots]
    seats, done = game.seat.copy(), {}
    for _ in range(4):
        playing = np.array([slot for slot in slots if slot not in done])
        if not len(playing):
            break
        actions = np.full(64, -1)
        actions[playing] = player.act(game, playing, np.zeros((len(playing), 2)))
        after = game.afterstates(playing)
        for j, slot in enumerate(playing.tolist()):
            shown = after.observation[after.row[j, actions[slot]]]
            if not shown[rules.AT_DICE :].any():
                done[slot] = turns.checkers(shown[None])
        game.step(actions)
    assert set(done) == set(slots.tolist())
    assert set(seats.tolist()) == {0, 1}
    ends = np.concatenate([done[slot] for slot in slots.tolist()])
    reached = 1000.0 * ends[:, 0, 25] - ends[:, 1] @ np.arange(26)
    assert reached.tolist() == best


def test_weights_of_pubeval_are_read_by_name(turns: Any, tmp_path: Path) -> None:
    file = tmp_path / "pubeval.c"
    tables = {"c": [0.5] * 121 + [-1.25], "r": [0.25] * 122}
    text = "".join(
        f"static const float w{name}[122] = {{\n{', '.join(map(str, table))}\n}};\n"
        for name, table in tables.items()
    )
    file.write_text(text)
    found = turns.read_pubeval(file)._weights
    assert found.tolist() == list(tables.values())
    file.write_text(text.replace("-1.25", ""))
    with pytest.raises(InputError, match=r"no weights of PubEval in .*expected tables wc and wr"):
        turns.read_pubeval(file)


def test_without_gnubg_the_judge_says_so_in_one_line(
    gnubg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gnubg.shutil, "which", lambda name, path: None)
    with pytest.raises(InputError, match=r"^gnubg is not installed; apt-get install gnubg$"):
        gnubg.Gnubg()


@pytest.mark.skipif(not HAS_GNUBG, reason="needs gnubg (apt-get install gnubg)")
def test_the_turns_of_gnubg_are_among_ours(turns: Any, gnubg: Any) -> None:
    """Opening throws are played as every expert does; a double, hits, the bar and bearing off as
    our rules do.
    """
    judge = gnubg.Gnubg(processes=1)
    start = {24: 2, 13: 5, 8: 3, 6: 5}
    try:
        after = judge.played(
            np.concatenate([counts(start, start)] * 3), np.array([[3, 1], [6, 5], [6, 1]])
        )
        for game in (played(0), played(37), played(121)):
            left = game.observation[:, rules.AT_DICE :]
            slots = np.flatnonzero((left.sum(axis=1) == 4) | ((left == 1).sum(axis=1) == 2))
            found = whole_turns(game, slots)
            found = found.only(~np.isin(found.root, found.root[found.ended]))
            chosen = judge(turns.Ends(game.observation[slots], found.root, found.observation))
            assert np.unique(found.root[chosen > 0]).tolist() == np.unique(found.root).tolist()
    finally:
        judge.close()
    assert (after[0, 0] - counts(start, {})[0, 0])[[5, 6, 8]].tolist() == [2, -1, -1]
    assert (after[1, 0] - counts(start, {})[0, 0])[[13, 24]].tolist() == [1, -1]
    assert (after[2, 0] - counts(start, {})[0, 0])[[7, 8, 13]].tolist() == [2, -1, -1]
