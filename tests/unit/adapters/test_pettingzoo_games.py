"""PettingZoo's games: rewards, dead agents, masks, seeds, copies, and those that are refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from sparring.errors import ConfigurationError, GameFault, IllegalAction
from sparring.games import is_own, label, make, spec_of

pettingzoo = pytest.importorskip("pettingzoo")

import user_environments  # noqa: E402 -- not before the library is known to be there

from sparring.adapters.pettingzoo import PettingZooMatch  # noqa: E402
from sparring.adapters.pettingzoo_rules import PettingZooRules  # noqa: E402
from sparring.games.names import parse  # noqa: E402

TAKE, STAY, LEAVE = range(3)
ANN, BOB, CID = range(3)

for kind in (
    "Leavers",
    "Maskless",
    "Continuous",
    "Unequal",
    "Together",
    "Broken",
    "Drifting",
    "Locked",
    "Unlimited",
    "Closed",
):
    pettingzoo.register(
        "aec", f"own/{kind.lower()}-v0", entry_point=getattr(user_environments, kind)
    )


def match_of(name, seed=0):
    match = PettingZooMatch(PettingZooRules(parse(f"pettingzoo:{name}")))
    match.reset(np.random.default_rng(seed))
    return match


def begun(name, keys=(0,)):
    game = make(f"pettingzoo:{name}", len(keys))
    game.reset(np.arange(len(keys)), np.array(keys, np.uint64))
    return game


LEAVING = [  # (seat, action, what the ply pays ann, bob and cid), by hand from the rules of Leavers
    (ANN, TAKE, (2, -1, 0)),
    (BOB, STAY, (0, 0, 0)),
    (CID, TAKE, (-1, 0, 2)),
    (ANN, STAY, (0, 0, 0)),
    (BOB, LEAVE, (0, -3, 0)),
    (CID, STAY, (0, 0, 0)),  # bob's step as a dead agent came before, and was no ply
    (ANN, TAKE, (2, 0, -1)),
    (CID, LEAVE, (5, 0, -3)),
]


def test_each_ply_pays_what_it_earned_and_the_dead_take_no_plies():
    game = begun("own/leavers-v0")
    for ply, (seat, action, rewards) in enumerate(LEAVING):
        assert not game.terminated[0]
        assert game.seat[0] == seat
        assert game.plies[0] == ply
        game.step(np.array([action]))
        assert game.rewards[0].tolist() == list(rewards)
    assert game.terminated[0]
    assert game.plies[0] == 8


def test_rewards_sum_to_those_that_last_reports():
    env = pettingzoo.make("aec", "own/leavers-v0")
    env.reset(seed=0)
    actions, totals, heard_when_dead = (
        [action for _, action, _ in LEAVING],
        dict.fromkeys(env.possible_agents, 0),
        {},
    )
    for agent in env.agent_iter():
        _, reward, termination, truncation, _ = env.last()
        totals[agent] += reward
        if termination or truncation:
            heard_when_dead[agent] = reward
            env.step(None)
        else:
            env.step(actions.pop(0))
    assert (
        list(totals.values())
        == np.sum([rewards for _, _, rewards in LEAVING], axis=0).tolist()
        == [8, -4, -2]
    )
    assert heard_when_dead == {
        "bob": -3,
        "cid": -3,
        "ann": 7,
    }  # ann's last turn and the end of the match, in one


def test_masks_from_the_infos():
    game = begun("own/leavers-v0")
    assert game.mask[0].tolist() == [True, True, False]
    for action in (TAKE, STAY, STAY):
        game.step(np.array([action]))
    assert game.mask[0].tolist() == [False, True, True]  # ann took last, and may leave now


def test_one_view_for_all_gets_the_seat():
    game = begun("own/leavers-v0")
    game.step(np.array([TAKE]))
    assert game.observation.dtype == np.float32
    assert game.observation[0].tolist() == [1, 1, 1, 1, 0, 0, *(0, 1, 0)]
    assert game.observe_as(np.array([0]), np.array([CID])).tolist() == [
        [1, 1, 1, 1, 0, 0, *(0, 0, 1)]
    ]


def test_an_environments_own_limit_cuts_as_ours_does():
    """After twelve turns ann would be next: targets bootstrap from what she sees and may do."""
    own, ours = begun("own/leavers-v0"), begun("own/leavers-v0(max_plies=12)")
    endless = begun("own/unlimited-v0(max_plies=12)")
    for ply in range(12):
        for game in (own, ours, endless):
            assert game.plies[0] == ply
            assert not game.truncated[0]
            game.step(np.array([TAKE if ply == 11 else STAY]))
    for game in (own, ours, endless):
        assert game.truncated[0]
        assert not game.terminated[0]
        assert game.seat[0] == ANN
        assert game.mask[0].tolist() == [True, True, True]
        assert np.array_equal(game.observation, endless.observation)
        assert game.rewards[0].tolist() == [-1, 0, 2]
    state = own.get_state()
    own.reset(np.array([0]), np.array([5], np.uint64))
    assert not own.truncated[0]
    own.set_state(state)
    assert own.truncated[0]
    assert own.mask[0].all()


def test_a_cut_without_a_legal_action_is_an_end():
    game = begun("own/closed-v0")
    for _ in range(12):
        game.step(np.array([STAY]))
    assert game.terminated[0]
    assert not game.truncated[0]
    assert not game.rewards.any()


def test_a_turn_at_the_limit_that_ends_the_match_by_the_rules_is_an_end():
    game = begun("own/leavers-v0")
    for action in (STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, LEAVE, LEAVE):
        game.step(np.array([action]))
    assert game.terminated[0]
    assert game.rewards[0].tolist() == [5, 0, -3]


def test_the_loser_is_paid_with_the_winner():
    game = begun("classic/tictactoe-v3")
    for action in (0, 3, 1, 4, 2):
        assert not game.rewards.any()
        game.step(np.array([action]))
    assert game.rewards.tolist() == [[1, -1]]
    assert game.terminated[0]


def test_no_illegal_action_reaches_the_environment():
    env = pettingzoo.make("aec", "classic/tictactoe-v3")
    env.reset(seed=0)
    env.step(4)
    env.step(4)
    assert env.rewards == {
        "player_1": 0,
        "player_2": -1,
    }  # what it would do: the match is over, and the other has won nothing
    game = begun("classic/tictactoe-v3")
    game.step(np.array([4]))
    with pytest.raises(IllegalAction, match=r"expected one of \[0, 1, 2, 3, 5, 6, 7, 8\]"):
        game.step(np.array([4]))
    assert not game.terminated[0]
    assert not game.rewards.any()
    game.step(np.array([0]))
    assert game.plies[0] == 2


def test_cards_follow_from_the_key():
    first, again, other = (
        begun("classic/leduc_holdem-v4", keys) for keys in ([1, 2, 3], [1, 2, 3], [4, 5, 6])
    )
    assert np.array_equal(first.observation, again.observation)
    assert np.array_equal(first.seat, again.seat)
    assert not np.array_equal(first.observation, other.observation)
    hands = begun("classic/leduc_holdem-v4", range(300)).observation[:, :3]
    assert (
        hands.sum(axis=0).min() > 75
    )  # jacks, queens and kings alike: 100 expected, a standard deviation is 8
    assert hands.sum() == 300


def test_planes_come_first():
    game = begun("classic/connect_four-v3")
    assert game.spec.observation_shape == (2, 6, 7)
    assert game.spec.observation_dtype == "int8"
    game.step(np.array([3]))
    assert np.argwhere(game.observation[0]).tolist() == [
        [1, 5, 3]
    ]  # a stone of the other player, at the bottom of column 3


def test_boards_of_go_of_two_sizes_side_by_side():
    """PettingZoo keeps the size of the board for the whole process."""
    small, large = (
        begun("classic/go-v5(board_size=3,max_plies=40)"),
        begun("classic/go-v5(board_size=5,max_plies=40)"),
    )
    for _ in range(4):
        for game in (small, large):
            game.step(game.mask.argmax(axis=1))
    assert small.observation.shape == (1, 17, 3, 3)
    assert small.mask[0].tolist() == [False] * 4 + [True] * 6
    assert large.mask[0].tolist() == [False] * 4 + [True] * 22


@pytest.mark.parametrize(
    ("name", "duplicates"),
    [
        ("classic/tictactoe-v3", True),
        ("classic/connect_four-v3", True),
        ("classic/go-v5(board_size=3)", True),
        ("classic/chess-v6", True),
        ("classic/leduc_holdem-v4", True),
        ("classic/texas_holdem-v4", True),
        ("classic/hanabi-v5", True),
        ("own/leavers-v0", True),
        ("own/locked-v0", False),  # played again instead
    ],
)
def test_copies_go_on_by_themselves(name, duplicates):
    match, rng = match_of(name, seed=5), np.random.default_rng(6)
    assert match._rules.duplicates == duplicates

    def sight(of):
        return (
            of.seat,
            *(of.observe(seat).tolist() for seat in range(of.spec.num_players)),
            of.mask().tolist(),
        )

    for _ in range(3):
        twin, before, action = (
            match.copy(),
            sight(match),
            int(rng.choice(np.flatnonzero(match.mask()))),
        )
        assert sight(twin) == before
        outcome = twin.step(action)
        assert sight(match) == before
        assert match.step(action) == outcome
        if outcome[1]:
            break
        assert sight(match) == sight(twin)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "classic/connect_four-v3",
            {
                "max_plies": 42,
                "zero_sum": True,
                "returns": (-1, 1),
                "chance": False,
                "hidden_information": False,
            },
        ),
        (
            "classic/chess",
            {"max_plies": 1000, "zero_sum": True, "num_actions": 4672},
        ),  # the newest version
        ("classic/go-v5(board_size=3,max_plies=20)", {"max_plies": 20, "num_actions": 10}),
        (
            "classic/leduc_holdem-v4",
            {
                "zero_sum": True,
                "chance": True,
                "hidden_information": True,
                "observation_shape": (36,),
            },
        ),
        (
            "classic/hanabi-v5",
            {
                "zero_sum": False,
                "chance": True,
                "hidden_information": True,
                "observation_dtype": "float32",
            },
        ),
        (
            "own/leavers-v0",
            {
                "zero_sum": False,
                "chance": True,
                "hidden_information": True,
                "max_plies": 1000,
                "num_players": 3,
            },
        ),
        (
            "own/leavers-v0(chance=False,hidden_information=False)",
            {"chance": False, "hidden_information": False},
        ),
    ],
)
def test_what_games_declare(name, facts):
    spec = spec_of(f"pettingzoo:{name}")
    assert {key: getattr(spec, key) for key in facts} == facts


def test_words():
    game = begun("classic/connect_four-v3")
    game.step(np.array([3]))
    assert game.text(0) == "player_1 to move\n" + ".......\n" * 5 + "...2..."
    assert begun("classic/chess-v6").text(0).endswith("P P P P P P P P\nR N B Q K B N R")


def test_observations_that_become_finer_are_a_fault():
    game = begun("own/drifting-v0")
    for _ in range(3):
        game.step(np.array([STAY]))
    with pytest.raises(GameFault, match="int8"):
        game.step(np.array([STAY]))


@pytest.mark.parametrize(
    "name",
    [
        "user_environments:Leavers",
        "user_environments:made_leavers",
        "pettingzoo:user_environments:own/leaving-v0",
    ],
)
def test_an_environment_of_ones_own(name):
    assert is_own(name)  # so it is not imported by reading an agent file
    game = make(f"{name}(max_plies=5,chance=false)", 1)
    assert game.spec.name == f"{name}(chance=false,max_plies=5)"
    assert (game.spec.num_players, game.spec.max_plies, game.spec.chance) == (3, 5, False)
    game.reset(np.array([0]), np.array([1], np.uint64))
    game.step(np.array([TAKE]))
    assert game.rewards[0].tolist() == [2, -1, 0]
    assert label(name) in ("Leavers", "made_leavers", "leaving-v0")


def test_the_class_of_an_environment_is_a_game():
    assert make(user_environments.Leavers, 2).spec.name == "user_environments:Leavers"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pettingzoo:user_environments:own/leavin-v0", "did you mean 'own/leaving-v0'?"),
        ("pettingzoo:no_such_module:own/leaving-v0", "no such module for pettingzoo:no_such_mod"),
        ("pettingzoo:__main__:own/leaving-v0", "put what registers the game in a module"),
        ("pettingzoo:my_own-v0", "pettingzoo:my_module:my_env-v0 if my_module registers it"),
        ("user_environments:Together", "got agents that move at the same time"),
        ("user_environments:Leavers(size=3)", "unexpected keyword argument 'size'"),
    ],
)
def test_environments_that_cannot_be_made(name, message):
    with pytest.raises(ConfigurationError) as caught:
        make(name, 1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own/together-v0", "got agents that move at the same time"),
        (
            "own/maskless-v0",
            "got no action_mask, expected the legal actions, in the observation or in infos",
        ),
        ("own/continuous-v0", "got actions in Box(0.0, 1.0, (2,), float32), expected Discrete(n)"),
        ("own/unequal-v0", "got observations of float64 (5,) and float64 (6,)"),
        ("own/broken-v0", "got KeyError in a trial match: 'no such field'"),
        (
            "classic/conect_four-v3",
            "PettingZoo has no such game: got 'classic/conect_four-v3'; "
            "did you mean 'classic/connect_four-v3'?",
        ),
        ("classic/chess-v5", "did you mean 'classic/chess-v6'?"),
        ("atari/pong-v3", "pip install 'pettingzoo[atari]'"),
        ("classic/go-v5(boardsize=5)", "unexpected keyword argument 'boardsize'"),
        (
            "classic/go-v5(max_plies=none)",
            "max_plies of pettingzoo:classic/go-v5: got none, expected an integer, at least 1",
        ),
        (
            "classic/go-v5(chance=2)",
            "chance of pettingzoo:classic/go-v5: got 2, expected True or False",
        ),
    ],
)
def test_what_is_refused(name, message):
    with pytest.raises(ConfigurationError) as caught:
        make(f"pettingzoo:{name}", 1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_library(monkeypatch):
    for module in ("pettingzoo", "pettingzoo_copies", "pettingzoo_rules"):
        monkeypatch.delitem(sys.modules, f"sparring.adapters.{module}")
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sparring\[pettingzoo\]'") as caught:
        make("pettingzoo:classic/chess-v6", 1)
    assert "\n" not in str(caught.value)
