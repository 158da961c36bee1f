"""Gymnasium's environments: observations, actions, masks, cuts, and those that are refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from sparring.errors import ConfigurationError, GameFault
from sparring.games import is_own, make, spec_of

pytest.importorskip("gymnasium")

import user_gymnasium

LEFT, RIGHT = range(2)


def begun(name, key=1):
    game = make(name if ":" in name else f"user_gymnasium:{name}", 1)
    game.reset(np.array([0]), np.array([key], np.uint64))
    return game


def step(game, action):
    """(reward, terminated, truncated) of one step."""
    game.step(np.array([action]))
    return float(game.rewards[0, 0]), bool(game.terminated[0]), bool(game.truncated[0])


def test_numbers_are_one_hot_and_actions_begin_at_0():
    game = begun("Strip")
    assert game.observation[0].tolist() == [0, 0, 1, 0, 0]
    assert game.spec.observation_dtype == "int8"
    assert step(game, RIGHT) == (0, False, False)
    assert game.observation[0].tolist() == [0, 0, 0, 1, 0]
    assert step(game, RIGHT) == (1, True, False)


def test_a_cut_shows_the_position_from_which_targets_bootstrap():
    game = begun("Strip")
    for action in (LEFT, RIGHT, LEFT, RIGHT, RIGHT):
        assert step(game, action) == (0, False, False)
    assert step(game, LEFT) == (0, False, True)
    assert game.observation[0].tolist() == [0, 0, 1, 0, 0]
    assert game.mask[0].all()


def test_an_end_in_the_last_step_is_an_end():
    game = begun("Strip")
    for action in (LEFT, RIGHT, LEFT, RIGHT, LEFT):
        step(game, action)
    assert step(game, LEFT) == (-1, True, False)


def test_the_limit_of_a_registered_environment_cuts():
    name = "gymnasium:user_gymnasium:own/strip-v0"
    assert spec_of(name).max_plies == 4
    assert spec_of(f"{name}(max_plies=3)").max_plies == 3
    assert spec_of(f"{name}(max_plies=9)").max_plies == 4
    assert spec_of(f"{name}(max_episode_steps=5)").max_plies == 5
    game = begun(name)
    for action in (LEFT, RIGHT, LEFT):
        assert step(game, action) == (0, False, False)
    assert step(game, RIGHT) == (0, False, True)


def test_masks_in_the_observation_and_in_the_info():
    for name, seen in (("Masked", [3.0]), ("InInfo", [0, 0, 0, 1, 0])):
        game = begun(name)
        assert game.mask[0].tolist() == [True, True]
        step(game, RIGHT)
        assert game.mask[0].tolist() == [False, True]
        assert game.observation[0].tolist() == seen


def test_several_entries_are_one_vector():
    game = begun("Parts")
    assert game.spec.observation_shape == (3 + 2 + 2 + 3,)
    assert game.observation[0].tolist() == [0, 1, 0, *(1, 0), *(0, 1), *(1, 0, 0)]


def test_pixels_are_planes_from_0_to_1():
    game = begun("Pixels")
    assert (game.spec.observation_shape, game.spec.observation_dtype) == ((3, 4, 5), "float32")
    assert np.argwhere(game.observation[0]).tolist() == [[2, 1, 2]]
    assert game.observation[0].max() == 1.0
    game = begun("Grey")
    assert game.spec.observation_shape == (1, 4, 5)
    assert np.allclose(game.observation, 0.2)


def test_text_is_that_of_the_environment():
    game = begun("Strip")
    step(game, RIGHT)
    assert game.text(0) == "...o."
    assert begun("gymnasium:CartPole-v1").text(0).startswith("[")


def test_chance_follows_from_the_key():
    first, again, other = (begun("gymnasium:CartPole-v1", key) for key in (1, 1, 2))
    assert np.array_equal(first.observation, again.observation)
    assert not np.array_equal(first.observation, other.observation)
    for action in (0, 1, 1):
        step(first, action)
    again.set_state(first.get_state())
    assert np.array_equal(first.observation, again.observation)


def test_a_copy_goes_on_by_itself():
    game = begun("gymnasium:CartPole-v1")
    step(game, 1)
    match, _ = game.lent(0)
    twin = match.copy()
    assert np.array_equal(twin.observe(0), match.observe(0))
    twin.step(0)
    assert np.array_equal(game.observation[0], match.observe(0))
    assert not np.array_equal(twin.observe(0), match.observe(0))


@pytest.mark.parametrize(
    "name",
    [
        "user_gymnasium:Strip",
        "user_gymnasium:made_strip",
        "gymnasium:user_gymnasium:own/strip-v0",
    ],
)
def test_an_environment_of_ones_own(name):
    assert is_own(name)  # so it is not imported by reading an agent file
    game = make(f"{name}(max_plies=3)", 1)
    assert game.spec.name == f"{name}(max_plies=3)"
    assert (game.spec.num_players, game.spec.max_plies) == (1, 3)


def test_the_class_of_an_environment_is_a_game():
    assert make(user_gymnasium.Strip, 2).spec.name == "user_gymnasium:Strip"


def test_fractions_where_integers_were_declared_are_a_fault():
    with pytest.raises(GameFault, match="float64"):
        begun("Liar")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "gymnasium:Pendulum-v1",
            "gymnasium:Pendulum-v1 is not supported: got continuous actions, Box(-2.0, 2.0, (1,), "
            "float32), expected Discrete(n) actions",
        ),
        ("user_gymnasium:Levers", "got several choices at once, MultiDiscrete([2 3])"),
        ("user_gymnasium:Growing", "got observations in Sequence("),
        ("user_gymnasium:Broken", "got KeyError in a trial match: 'no such field'"),
        ("gymnasium:CartPol-v1", "did you mean 'CartPole-v1'?"),
        ("gymnasium:cart", "gymnasium:my_module:MyEnv-v0 if my_module registers it"),
        ("gymnasium:CartPole-v1(render_mode=human)", "got render_mode=human, expected no window"),
        ("gymnasium:CartPole-v1(gravity=2)", "unexpected keyword argument 'gravity'"),
        ("gymnasium:CartPole-v1(max_plies=0)", "got 0, expected an integer, at least 1"),
    ],
)
def test_what_is_refused(name, message):
    with pytest.raises(ConfigurationError) as caught:
        make(name, 1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_library(monkeypatch):
    monkeypatch.delitem(sys.modules, "sparring.adapters.gymnasium", raising=False)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sparring\[gymnasium\]'") as caught:
        make("gymnasium:CartPole-v1", 1)
    assert "\n" not in str(caught.value)
