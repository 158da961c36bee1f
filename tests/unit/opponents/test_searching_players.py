"""Minimax and mcts: the games that they play, equal moves in all kinds of games, and faults in a
search.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lines_of_play import played, random_lines
from misplayed_rules import SPEC, WRONG

from sparring.config.sources import build_config
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError, GameFault
from sparring.games import make, tic_tac_toe
from sparring.games.compiled.game import CompiledGame
from sparring.games.faults import play_again
from sparring.games.python.game import LoopedGame
from sparring.games.spec import BatchedGame
from sparring.opponents.pool import check_shares
from sparring.opponents.scripted import is_scripted, scripted_player, search_forms
from sparring.rollout import rollout_worker

TIC_TAC_TOE = "sparring.games.tic_tac_toe"
KEYS = np.arange(40, dtype=np.uint64) + 7


class Rules:
    """A Match of the rules of a module."""

    spec = tic_tac_toe.SPEC
    rules: Any = tic_tac_toe

    def reset(self, rng: np.random.Generator) -> None:
        self.state = np.zeros(1, self.rules.STATE)[0]
        self.seat = 0

    def mask(self) -> Any:
        mask = np.zeros(self.spec.num_actions, np.bool_)
        self.rules.legal(self.state, mask)
        return mask

    def observe(self, seat: int) -> Any:
        return np.zeros(self.spec.observation_shape, self.spec.observation_dtype)

    def step(self, action: int) -> Any:
        rewards = np.zeros(2)
        ended = bool(self.rules.play(self.state, action, rewards, None))
        self.seat = int(self.state["seat"])
        return rewards, ended


@pytest.mark.parametrize("plies", [0, 2, 5])
def test_all_kinds_of_games_give_the_same(plies: int) -> None:
    lines = random_lines(TIC_TAC_TOE, len(KEYS), plies)[: 40 if plies else 4]
    found = []
    for game in (
        CompiledGame(TIC_TAC_TOE, len(lines)),
        CompiledGame(TIC_TAC_TOE, len(lines), interpreted=True),
        LoopedGame("rules", Rules, len(lines)),
    ):
        slots = played(game, lines)
        best = [game.best_moves(slots, depth).tolist() for depth in (1, 2, 4)]
        visited = [
            game.most_visited(slots, playouts, KEYS[slots]).tolist() for playouts in (1, 30, 100)
        ]
        found.append((best, visited))
    assert found[0] == found[1]
    assert found[0] == found[2]


@pytest.mark.parametrize("name", ["minimax:2", "mcts:200"])
@pytest.mark.parametrize(
    "make_game", [lambda n: make("tic_tac_toe", n), lambda n: LoopedGame("rules", Rules, n)]
)
def test_only_the_slots_that_are_asked_about_matter(name: str, make_game: Any) -> None:
    """Slots in any order, one of them over; the matches are left as they are."""
    game: BatchedGame = make_game(4)
    played(game, [[0, 3, 1, 4], [1, 0, 4, 2], [0, 8, 1], [0, 3, 1, 4, 2]])
    before = game.get_state()
    slots = np.array([2, 0, 3, 1, 0])
    for draw in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        assert scripted_player(name).act(game, slots, np.full((5, 2), draw)).tolist() == [
            2,
            2,
            -1,
            7,
            2,
        ]
    after = game.get_state()
    assert all(np.array_equal(before[part], after[part]) for part in before)


class Cut(Rules):
    spec = SPEC


@pytest.mark.parametrize("name", ["minimax:3", "mcts:5"])
def test_a_match_that_was_cut_still_has_legal_moves(name: str) -> None:
    for game in (
        CompiledGame("tangled_rules", 30),
        CompiledGame("tangled_rules", 30, interpreted=True),
    ):
        slots = played(game, random_lines("tangled_rules", 30, 7))
        cut = slots[game.truncated]
        assert len(cut) > 5
        assert game.mask[
            cut, scripted_player(name).act(game, cut, np.full((len(cut), 2), 0.3))
        ].all()


def test_names() -> None:
    for name in ("minimax:1", "minimax:12", "mcts:1", "mcts:100000"):
        assert scripted_player(name).name == scripted_player(name, "connect_four").name == name
        assert is_scripted(name, "connect_four")
    for name in (
        "minimax:0",
        "minimax:13",
        "minimax:04",
        "minimax:",
        "minimax:x",
        "minimax:-1",
        "minimax:4:4",
        "minimax:²",
    ):
        with pytest.raises(
            ConfigurationError,
            match=r"^opponent minimax: got '.*', expected minimax:1 to minimax:12$",
        ):
            scripted_player(name)
        with pytest.raises(ConfigurationError, match="expected minimax:1 to minimax:12"):
            check_shares({name: 1.0}, "connect_four", 4)
    for name in ("mcts:0", "mcts:100001", "mcts:1e3", f"mcts:{10**4000}"):
        with pytest.raises(ConfigurationError, match="expected mcts:1 to mcts:100000"):
            scripted_player(name)
    with pytest.raises(
        ConfigurationError,
        match=r"unknown opponent: got minimax, expected one of random, .*, minimax:D, mcts:N",
    ):
        scripted_player("minimax", "connect_four")
    assert build_config(overrides={"opponents": {"minimax:4": 0.1, "mcts:20": 0.1}}).opponents == {
        "minimax:4": 0.1,
        "mcts:20": 0.1,
    }


class TwoForOne(Rules):
    """Rewards of which nobody says that they cancel."""

    spec = SPEC.__class__(
        num_players=2,
        num_actions=9,
        observation_shape=(2, 3, 3),
        observation_dtype="int8",
        max_plies=9,
    )


class Many:
    """The batched protocol as a class may offer it, without searches."""

    def __init__(self, num_slots: int) -> None:
        self._game = make("tic_tac_toe", num_slots)
        self.spec = self._game.spec
        self.step, self.reset, self.win_or_block = (
            self._game.step,
            self._game.reset,
            self._game.win_or_block,
        )
        self.get_state, self.num_slots = self._game.get_state, num_slots


@pytest.mark.parametrize(
    ("game", "line"),
    [
        (
            "ludo(num_players=2)",
            r"minimax:2 cannot search in ludo: got chance, expected two players, "
            r"zero_sum=True, no chance, ",
        ),
        (
            "ludo(num_players=3)",
            r"minimax:2 cannot search in ludo\(num_players=3\): got 3 players, chance, "
            r"expected two players, ",
        ),
        (
            f"{__name__}:TwoForOne",
            r"minimax:2 cannot search in .*TwoForOne: got zero_sum=False, expected two players, ",
        ),
        (
            f"{__name__}:Many",
            r"minimax:2 cannot search in .*Many: got a class that plays many matches; it "
            r"needs compiled rules, or a class that ",
        ),
    ],
)
def test_games_that_cannot_be_searched_are_refused(game: str, line: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{line}"):
        scripted_player("minimax:2", game)
    with pytest.raises(ConfigurationError, match=f"^{line}"):
        check_shares({"self": 1.0, "minimax:2": 0.1}, game, 4)
    table = make(game, 1)
    with pytest.raises(ConfigurationError, match=f"^{line}"):
        scripted_player("minimax:2").act(table, np.zeros(1, np.int64), np.zeros((1, 2)))


def test_search_is_offered_where_it_is_allowed() -> None:
    assert search_forms("connect_four") == search_forms("my:ludo") == ("minimax:D", "mcts:N")
    assert search_forms("ludo") == ()


def test_in_training_they_are_opponents_like_others() -> None:
    spec = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]}))
    weights = InferencePolicy(spec).get_weights()
    first, again = (
        rollout_worker(spec, weights, n_episodes=30, opponents=("minimax:2", "mcts:10"), seed=3)
        for _ in range(2)
    )
    assert first.transitions.tobytes() == again.transitions.tobytes()
    assert set(first.results["players"].ravel().tolist()) == {0, 1, 2}


def misplayed(kind: str) -> BatchedGame:
    if kind == "match":
        return LoopedGame(
            "m:Misplayed",
            type("Misplayed", (Rules,), {"spec": SPEC, "rules": __import__("misplayed_rules")}),
            1,
        )
    return CompiledGame("misplayed_rules", 1, interpreted=kind == "interpreted")


@pytest.mark.parametrize("kind", ["compiled", "interpreted", "match"])
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", ["minimax:4", "mcts:500"])
def test_what_goes_wrong_in_a_search_goes_wrong_in_play(kind: str, wrong: str, name: str) -> None:
    """The record of the fault is that of a match in which the moves that were tried were made;
    nothing else is needed to see it.
    """
    game = misplayed(kind)
    played(game, [[list(WRONG).index(wrong), 0]])
    with pytest.raises(GameFault, match=WRONG[wrong]) as raised:
        scripted_player(name).act(game, np.zeros(1, np.int64), np.full((1, 2), 0.4))
    record = raised.value.record
    assert record["actions"][:2] == [list(WRONG).index(wrong), 0]
    assert "tried" not in record
    with pytest.raises(GameFault) as again:
        list(play_again(misplayed(kind), record))
    assert again.value.record == record
