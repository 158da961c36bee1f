"""OpenSpiel's games: chance, rewards, tensors, limits, and the games that are refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from sparring.errors import ConfigurationError
from sparring.games import make, spec_of
from sparring.games import spec as spec_module

pyspiel = pytest.importorskip("pyspiel")

from sparring.adapters import openspiel_rules  # noqa: E402
from sparring.adapters.openspiel import ApartMatch, OpenSpielMatch  # noqa: E402
from sparring.adapters.openspiel_rules import OpenSpielRules, sampled  # noqa: E402
from sparring.games.afterstates import afterstates_of  # noqa: E402
from sparring.games.names import parse  # noqa: E402


def match_of(name, seed=0):
    match = OpenSpielMatch(OpenSpielRules(parse(f"openspiel:{name}")))
    match.reset(np.random.default_rng(seed))
    return match


class Draws:
    """A stand-in for a generator, with the draws given."""

    def __init__(self, *draws):
        self.draws = list(draws)

    def random(self):
        return self.draws.pop(0)


@pytest.mark.parametrize(
    ("chances", "draw", "expected"),
    [
        ([(4, 0.25), (5, 0.75)], 0.0, 4),
        ([(4, 0.25), (5, 0.75)], 0.2499, 4),
        ([(4, 0.25), (5, 0.75)], 0.25, 5),
        ([(4, 0.0), (5, 1.0)], 0.0, 5),  # impossible outcomes never happen
        ([(4, 0.5), (5, 0.0), (6, 0.5)], 0.5, 6),
        ([(4, 0.3), (5, 0.7 - 1e-12), (6, 0.0)], 1 - 1e-16, 5),  # past the rounded sum
    ],
)
def test_an_outcome_of_chance(chances, draw, expected):
    assert sampled(chances, Draws(draw)) == expected


def test_chance_is_sampled_before_the_first_decision_and_after_moves():
    match = match_of("leduc_poker")
    assert [node.player for node in match._state.full_history()] == [-1, -1]  # two private cards
    assert match.seat == 0
    for _ in range(2):
        match.step(1)  # both check
    assert [node.player for node in match._state.full_history()] == [-1, -1, 0, 1, -1]
    assert match.seat == 0


def test_dice_come_up_as_often_as_they_should():
    game = make("openspiel:pig", 1)
    rolls = []
    for key in range(600):
        game.reset(np.array([0]), np.array([key], np.uint64))
        game.step(np.array([0]))
        rolls.append(game._matches[0]._state.full_history()[-1].action)
    counts = np.bincount(rolls, minlength=6)
    assert counts.sum() == 600
    assert counts.min() > 65  # of 100 expected; a standard deviation is 9
    assert counts.max() < 135


def test_rewards_that_stay_through_chance_are_paid_once():
    """In hanabi the card drawn after a play is a chance node, at which `rewards()` still shows what
    the play earned.
    """
    match = match_of("hanabi", seed=3)
    ours, at_every_node, ended = 0.0, 0.0, False
    while not ended and ours == 0:
        action = int(np.flatnonzero(match.mask())[5])  # plays its first card
        before = len(match._state.full_history())
        rewards, ended = match.step(action)
        ours += rewards[0]
        replayed = match._state.get_game().new_initial_state()
        for number, node in enumerate(match._state.full_history()):
            replayed.apply_action(node.action)
            at_every_node += replayed.rewards()[0] if number >= before else 0
    assert ours == match._state.returns()[0] == 1
    assert at_every_node == 2


def test_tensors_alike_for_all_seats_get_the_seat():
    match = match_of("tic_tac_toe")
    assert match.spec.observation_shape == (4, 3, 3)
    match.step(4)
    tensors = [np.array(match._state.observation_tensor(seat)).reshape(3, 3, 3) for seat in (0, 1)]
    assert np.array_equal(*tensors)
    for seat in (0, 1):
        seen = match.observe(seat)
        assert seen.dtype == np.float32
        assert np.array_equal(seen[:3], tensors[0])
        assert np.all(seen[3] == seat)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("kuhn_poker", (7,)),  # two entries name the player
        ("kuhn_poker(players=3)", (10,)),
        ("backgammon", (201,)),  # shows whose checkers are whose, but not the direction of play
        (
            "dark_hex(board_size=3)",
            (82,),
        ),  # own stones differ; an empty board does not say whose it is
        ("euchre", (939,)),  # 935 entries of an information state, four seats
        ("pig", (5, 101)),  # and whether chance comes next
        ("hex(board_size=3)", (10, 3, 3)),
        ("catch", (10, 5)),  # one player
    ],
)
def test_where_the_seat_is_added(name, shape):
    assert spec_of(f"openspiel:{name}").observation_shape == shape


def test_a_game_without_observation_tensors_shows_information_states():
    match = match_of("euchre")
    state = np.array(match._state.information_state_tensor(match.seat), np.float32)
    assert np.array_equal(match.observe(match.seat)[: len(state)], state)
    assert match.observe(match.seat)[len(state) :].tolist() == [
        seat == match.seat for seat in range(4)
    ]


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "chess",
            {
                "max_plies": 2000,
                "returns": (-1, 1),
                "zero_sum": True,
                "chance": False,
                "hidden_information": False,
            },
        ),
        ("chess(max_plies=300)", {"max_plies": 300}),
        ("chess(max_plies=5000)", {"max_plies": 5000}),
        ("go(board_size=5,komi=7)", {"max_plies": 50, "num_actions": 26}),
        ("go(board_size=5,max_plies=99)", {"max_plies": 50}),
        (
            "kuhn_poker",
            {
                "max_plies": 3,
                "returns": (-2, 2),
                "zero_sum": True,
                "chance": True,
                "hidden_information": True,
            },
        ),
        (
            "hanabi",
            {"returns": None, "zero_sum": False, "hidden_information": True},
        ),  # loses again what it was paid before
        ("bargaining", {"returns": (0, 10), "zero_sum": False}),
        ("nim(pile_sizes=5)", {"num_actions": 6, "impartial": False}),
        (
            "turn_based_simultaneous_game(game=goofspiel(num_cards=4))",
            {"num_actions": 4, "hidden_information": True},
        ),
    ],
)
def test_what_games_declare(name, facts):
    spec = spec_of(f"openspiel:{name}")
    assert {key: getattr(spec, key) for key in facts} == facts


def test_matches_are_cut():
    game = make("openspiel:othello(max_plies=3)", 1)
    game.reset(np.array([0]), np.array([1], np.uint64))
    for _ in range(3):
        assert not game.truncated[0]
        game.step(game.mask.argmax(axis=1))
    assert game.truncated[0]
    assert game.mask[0].any()


def test_a_copy_goes_on_by_itself():
    match = match_of("pig", seed=1)
    match.step(0)
    before = str(match)
    twin, other = match.copy(), match.copy()
    for _ in range(3):
        twin.step(0)
        other.step(0)
    assert str(match) == before
    assert str(twin) == str(other)  # copies draw what the match itself would draw
    for _ in range(3):
        match.step(0)
    assert str(match) == str(twin)


def test_words():
    match = match_of("tic_tac_toe")
    match.step(4)
    assert str(match) == "...\n.x.\n..."
    assert match.action_text(0) == "o(0,0)"


class StateOfQuoridor:
    """With four players, texts of quoridor hold bytes that are not UTF-8."""

    def __str__(self):
        return b"wall \xb7".decode()

    def action_to_string(self, seat, action):
        return b"\xb7 right".decode()


def test_words_that_are_not_utf_8():
    match = match_of("tic_tac_toe")
    match._state = StateOfQuoridor()
    assert str(match) == "wall \N{REPLACEMENT CHARACTER}"
    assert match.action_text(0) == "\N{REPLACEMENT CHARACTER} right"


def test_a_game_that_a_module_of_ones_own_registers(monkeypatch, tmp_path):
    code = "import pyspiel; pyspiel.load_game('tic_tac_toe')"
    (tmp_path / "registers_games.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    game = make("openspiel:registers_games:tic_tac_toe", 1)
    assert game.spec.name == "openspiel:registers_games:tic_tac_toe"
    assert "registers_games" in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "conect_four",
            "OpenSpiel has no such game: got 'conect_four'; did you mean 'connect_four'?",
        ),
        ("mfg_garnet", "got a mean-field game"),
        ("tarok", "got chance that the game samples itself"),
        ("cribbage", "got no observation tensor and no information-state tensor"),
        ("crossword", "got OpenSpiel's error: ObservationTensorShape unimplemented."),
        (
            "go(boardsize=5)",
            "go has no such parameter: got boardsize, expected one of board_size, ",
        ),
        ("go(boardsize=5)", "did you mean 'board_size'?"),
        ("go(board_size=large)", "board_size of go: got large, expected a value like 19"),
        (
            "go(max_plies=0)",
            "max_plies of openspiel:go: got 0, expected an integer, at least 1",
        ),
        ("kuhn_poker(players=20)", "OpenSpiel cannot make openspiel:kuhn_poker(players=20)"),
        ("turn_based_simultaneous_game(game=gofspiel)", "did you mean 'goofspiel'?"),
    ],
)
def test_what_is_refused(name, message):
    with pytest.raises(ConfigurationError) as caught:
        make(f"openspiel:{name}", 1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_library(monkeypatch):
    for module in ("openspiel", "openspiel_rules"):
        monkeypatch.delitem(sys.modules, f"sparring.adapters.{module}")
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sparring\[openspiel\]'") as caught:
        make("openspiel:go", 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["dots_and_boxes(num_rows=1000,num_cols=1000)", "deep_sea(size=9000)"]
)
def test_games_too_large_for_the_memory_are_refused_before_they_are_built(monkeypatch, name):
    monkeypatch.setattr(spec_module, "_physical_memory", lambda: 16.0 * 2**30)
    monkeypatch.setattr(openspiel_rules, "_observer", None)
    with pytest.raises(ConfigurationError, match="too large for the memory of this machine"):
        make(f"openspiel:{name}", 1)


def afterstates_of_all(game):
    return afterstates_of(game, np.arange(game.num_slots))


def begun(name, num_slots=1):
    game = make(f"openspiel:{name}", num_slots)
    game.reset(np.arange(num_slots), np.arange(num_slots, dtype=np.uint64))
    return game


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("backgammon", "next"),
        ("pig", "next"),
        ("maedn(players=4)", "mover"),
        ("2048", "mover"),
        ("banqi", ""),  # before a piece is turned the tensor does not say which one
        ("leduc_poker", ""),  # hidden cards
        ("hex(board_size=3)", "next"),
    ],
)
def test_positions_before_chance_are_offered_where_tensors_show_them(name, view):
    assert spec_of(f"openspiel:{name}").afterstates == view


def test_in_backgammon_the_other_seat_sees_the_board_before_its_dice():
    game, rng = begun("backgammon", 3), np.random.default_rng(0)
    for _ in range(30):
        after = afterstates_of_all(game)
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in game.mask])
        for slot, action in enumerate(actions.tolist()):
            state, mover = game.lent(slot)[0]._state, game.seat[slot]
            child = state.child(action)
            seat = 1 - mover if child.is_chance_node() else child.current_player()
            assert after.seat[slot, action] == seat  # the mover's own before the rest of a double
            shown = after.observation[after.row[slot, action]]
            assert shown.tolist() == [*child.observation_tensor(seat), seat]
            assert not child.is_chance_node() or not shown[198:200].any()  # no dice
        before = [game.lent(slot)[0]._state.history() for slot in range(3)]
        game.step(actions)
        for slot, history in enumerate(before):  # and looking has drawn nothing
            now = game.lent(slot)[0]._state.history()
            assert now[: len(history) + 1] == [*history, actions[slot]]


def pig_values(game):
    """{state: seat 0's value of the best play}, by value iteration; states are named by their
    text, chance nodes with the move before them.
    """
    states, open_states = {}, [game.new_initial_state()]
    while open_states:
        state = open_states.pop()
        if key_of(state) not in states:
            states[key_of(state)] = state
            open_states += [] if state.is_terminal() else map(state.child, state.legal_actions())
    values = dict.fromkeys(states, 0.0)
    for _ in range(400):
        for key, state in states.items():
            values[key] = value_of(state, values)
    return states, values


def key_of(state):
    return str(state), state.current_player()


def value_of(state, values):
    if state.is_terminal():
        return state.returns()[0]
    if state.is_chance_node():
        return sum(p * values[key_of(state.child(face))] for face, p in state.chance_outcomes())
    following = [values[key_of(state.child(action))] for action in state.legal_actions()]
    return max(following) if state.current_player() == 0 else min(following)


def test_positions_of_pig_that_look_alike_have_one_value():
    """The tensor at a chance node is that of a decision; who comes next, and chance, tell them
    apart, so that a function of what is shown can be exact.
    """
    rules = OpenSpielRules(parse("openspiel:pig(winscore=6,diceoutcomes=3)"))
    states, values = pig_values(rules.game)
    match, shown = ApartMatch(rules), {}
    for state in states.values():
        if state.current_player() < 0:
            continue
        match._state, match.seat, match._returns = state, state.current_player(), state.returns()
        for action in state.legal_actions():
            copy, rewards, ended = match.copied_before_chance(action)
            value = values[key_of(state.child(action))]
            assert ended == (rewards is not None) == state.child(action).is_terminal()
            if ended:
                assert rewards[0] == value
            else:
                own = value if copy.seat == 0 else -value
                shown.setdefault(copy.observe(copy.seat).tobytes(), []).append(own)
    assert len(shown) > 100
    assert max(max(own) - min(own) for own in shown.values()) < 1e-6


def test_moves_at_the_same_time_are_plies_on_one_state():
    """Nobody sees another's choice, and all are played with the last one."""
    game = make("openspiel:goofspiel(num_cards=4,points_order=descending)", 1)
    assert game.spec.hidden_information
    assert game.spec.max_plies == 8
    game.reset(np.array([0]), np.array([1], np.uint64))
    before = game.observe_as(np.array([0, 0]), np.array([0, 1]))
    assert game.seat[0] == 0
    game.step(np.array([3]))
    assert (game.seat[0], game.plies[0]) == (1, 1)
    assert game.mask[0].all()
    assert np.array_equal(game.observe_as(np.array([0, 0]), np.array([0, 1])), before)
    assert not game.rewards.any()
    game.step(np.array([0]))
    assert game.seat[0] == 0
    assert game.mask[0].tolist() == [True, True, True, False]
    for actions in ((2, 3), (1, 2), (0, 1)):  # the last card is played by itself
        if game.terminated[0]:
            break
        for action in actions:
            game.step(np.array([action]))
    assert game.terminated[0]
    assert game.rewards[0].tolist() == [-1, 1]


def test_a_copy_keeps_the_choices_that_were_made():
    game = make("openspiel:matrix_rps", 1)
    game.reset(np.array([0]), np.array([1], np.uint64))
    game.step(np.array([0]))
    match, _ = game.lent(0)
    assert match.copy().step(1) == ([-1, 1], True)
    assert match.copy().step(2) == ([1, -1], True)
    state = game.get_state()
    game.step(np.array([0]))
    game.set_state(state)
    game.step(np.array([1]))
    assert game.rewards[0].tolist() == [-1, 1]


def test_three_choose_at_the_same_time_from_their_own_actions():
    game = make("openspiel:matching_pennies_3p", 1)
    game.reset(np.array([0]), np.array([1], np.uint64))
    for seat in range(3):
        assert game.seat[0] == seat
        game.step(np.array([0]))
    assert game.rewards[0].tolist() == [1, 1, -1]
