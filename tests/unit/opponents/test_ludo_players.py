"""Ludo's own players against their documented order, written slowly over the slow rules, on
positions from random matches.
"""

from __future__ import annotations

import importlib
import random
from typing import Any

import numpy as np
import pytest

from sparring.games import make
from sparring.opponents.scripted import scripted_player

GAMES = {2: "ludo", 3: "ludo(num_players=3)", 4: "ludo(num_players=4)"}
RAW = {players: f"ludo(num_players={players},observation=raw)" for players in GAMES}
CAPTURES, HOME, LEAVES_YARD, SAFETY, DANGER_NOW, DANGER_THERE = range(6)
MATCHES = 60


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The slow rules, which stand beside the tests of the games."""
    return importlib.import_module("ludo_reference")


def reason(match: Any, rank: int) -> int:
    """The place in the greedy order of the first thing that the move offers."""
    move = match.move(rank)
    leaves_danger = move[DANGER_NOW] and not move[DANGER_THERE]
    return [*move[: SAFETY + 1], leaves_danger, True].index(True)


def greedy(match: Any) -> int:
    return min(match.legal, key=lambda rank: (reason(match, rank), rank))


def racer(match: Any) -> int:
    return match.legal[0]


SLOW = {"ludo:greedy": greedy, "ludo:racer": racer}


@pytest.mark.full
@pytest.mark.parametrize("num_players", GAMES)
def test_the_players_keep_their_order(reference: Any, num_players: int) -> None:
    """In slots in any order, whatever the draws, and whether or not the observation shows facts."""
    rng, numpy_rng = random.Random(num_players), np.random.default_rng(num_players)
    keys = numpy_rng.integers(2**64, size=MATCHES, dtype=np.uint64)
    game, raw = (make(name, MATCHES) for name in (GAMES[num_players], RAW[num_players]))
    for one in (game, raw):
        one.reset(np.arange(MATCHES), keys)
    matches = [reference.Match(num_players, reference.throws_of(key)) for key in keys.tolist()]
    reasons, choices = set(), 0
    while live := [
        slot for slot, match in enumerate(matches) if not (match.terminated or match.truncated)
    ]:
        rng.shuffle(live)
        for name, slow in SLOW.items():
            chosen = scripted_player(name).act(
                game, np.array(live), numpy_rng.random((len(live), 2))
            )
            assert chosen.dtype == np.int64
            unseen = scripted_player(name).act(
                raw, np.array(live), numpy_rng.random((len(live), 2))
            )
            assert unseen.tolist() == chosen.tolist()
            for slot, action in zip(live, chosen.tolist(), strict=True):
                assert action == slow(matches[slot]), (
                    name,
                    matches[slot].tokens,
                    matches[slot].seat,
                    matches[slot].throw,
                )
        actions = np.full(MATCHES, -1)
        for slot in live:
            match = matches[slot]
            reasons.add(reason(match, greedy(match)))
            choices += greedy(match) != racer(match)
            actions[slot] = rng.choice(match.legal)
            match.play(int(actions[slot]))
        game.step(actions)
        raw.step(actions)
    assert reasons == set(range(6))
    assert choices > 1000


# Tokens of seat 0 and seat 1, the throw, the choice. Square s is progress s + 1 of seat 0, s + 27
# (or s - 25 from square 26 on) of seat 1.
ORDER = {
    "captures before coming home": ([55, 14, 0, 0], [42, 0, 0, 0], 2, 1),
    "comes home before leaving the yard": ([51, 30, 0, 0], [0, 0, 0, 0], 6, 0),
    "leaves the yard before reaching safety": ([50, 3, 0, 0], [0, 0, 0, 0], 6, 2),
    "reaches safety before leaving danger": ([33, 6, 0, 0], [3, 0, 0, 0], 3, 1),
    "leaves danger before moving the front token": ([48, 16, 0, 0], [37, 0, 0, 0], 3, 1),
    "does not leave danger for danger": ([49, 16, 0, 0], [41, 0, 0, 0], 2, 0),
    "else moves the front token": ([40, 16, 3, 0], [0, 0, 0, 0], 3, 0),
    "the front one of two that capture": ([18, 14, 0, 0], [42, 46, 0, 0], 2, 0),
    "the front one of those that can move": ([57, 55, 16, 3], [0, 0, 0, 0], 3, 2),
}


@pytest.mark.parametrize(("own", "other", "throw", "choice"), ORDER.values(), ids=ORDER)
def test_greedy_by_hand(own: list[int], other: list[int], throw: int, choice: int) -> None:
    game = make("ludo", 1)
    game.reset(np.zeros(1, np.int64), np.zeros(1, np.uint64))
    state = game.get_state()
    state["states"]["progress"][0] = np.sort([own, other], axis=1)[:, ::-1]
    state["states"]["seat"], state["states"]["roll"], state["states"]["sixes"] = (
        0,
        throw,
        int(throw == 6),
    )
    game.set_state(state)
    assert scripted_player("ludo:greedy").act(
        game, np.zeros(1, np.int64), np.zeros((1, 2))
    ).tolist() == [choice]


def test_where_nothing_is_legal_the_answer_is_no_action() -> None:
    for game in (make(GAMES[2], 1), make(RAW[2], 1)):  # no match has begun
        for name in SLOW:
            acted = scripted_player(name).act(game, np.zeros(3, np.int64), np.zeros((3, 2)))
            assert acted.tolist() == [-1] * 3
