"""`predict` takes arrays of numbers and refuses everything else in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError

EMPTY = np.zeros((2, 3, 3), np.int8)
ALL = np.ones(9, np.bool_)
AGENT = DQNAgent(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]})))


def frozen(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float64"])
def test_numbers_of_any_native_type_are_accepted(dtype: str) -> None:
    observation = np.random.default_rng(0).integers(0, 2, (4, 2, 3, 3))
    expected, _ = AGENT.predict(observation.astype(np.int8))
    actions, _ = AGENT.predict(observation.astype(dtype))
    np.testing.assert_array_equal(actions, expected)


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (EMPTY.astype(np.longdouble), "got dtype float128, expected booleans, integers or floats"),
        (EMPTY.astype(np.complex64), "got dtype complex64"),
        (EMPTY.astype(object), "got dtype object"),
        (EMPTY.astype(str), "got dtype <U"),
        (EMPTY.astype(">i4"), "got dtype >i4, expected .* in native byte order"),
        (EMPTY.astype("M8[s]"), "got dtype datetime64"),
        ([[1, 2], [3]], "got list: .*, expected an array of numbers"),
        (None, "got dtype object"),
        (np.full(EMPTY.shape, np.nan), "got NaN or infinity, expected finite numbers"),
        (np.where(EMPTY == 0, np.inf, 0.0), "got NaN or infinity"),
        (np.full(EMPTY.shape, 0.5), "got float64 values that int8 cannot represent"),
        (np.full(EMPTY.shape, 300), "got int64 values that int8 cannot represent"),
    ],
    ids=str,
)
def test_other_observations_are_one_clear_line(observation: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^observation: {message}") as caught:
        AGENT.predict(observation)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mask", [ALL, ALL.astype(np.int8), [True] * 9, ALL[None], frozen(ALL)])
def test_masks_of_one_position(mask: Any) -> None:
    """Also [1, A], as vector environments give it."""
    assert AGENT.predict(EMPTY, action_masks=mask) == AGENT.predict(EMPTY)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([0, 2, 3], r"action_masks: got shape \(3,\), expected \(9,\) booleans"),
        (list(range(9)), "action_masks: got int64 values other than 0 and 1"),
        (np.full(9, np.nan), "action_masks: got float64 values other than 0 and 1"),
        (np.full(9, "True"), "action_masks: got dtype <U4"),
        (np.ones((2, 9)), r"action_masks: got shape \(2, 9\)"),
        (np.zeros(9, np.bool_), "action_masks: got no legal action, expected at least one"),
    ],
    ids=str,
)
def test_other_masks_are_one_clear_line(masks: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AGENT.predict(EMPTY, action_masks=masks)


def test_a_batch_names_the_position_without_a_legal_action() -> None:
    masks = np.ones((3, 9), np.bool_)
    masks[1] = False
    with pytest.raises(ConfigurationError, match="action_masks in row 1: got no legal action"):
        AGENT.predict(np.stack([EMPTY] * 3), action_masks=masks)


def test_read_only_arrays_are_fine() -> None:
    assert AGENT.predict(frozen(EMPTY)) == AGENT.predict(EMPTY)
