"""What callers may hand over: anything else is one clear line, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError, InputError, SparringError
from sparring.games import make

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
        (np.ma.array(EMPTY, mask=True), "got a masked array with masked entries"),
        ([np.ma.array(EMPTY[0], mask=True)] * 2, "got a masked array with masked entries"),
        (torch.zeros(EMPTY.shape, requires_grad=True), "got Tensor: Can't call numpy"),
    ],
    ids=str,
)
def test_other_observations_are_one_clear_line(observation: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^observation: {message}") as caught:
        AGENT.predict(observation)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "mask", [ALL, ALL.astype(np.int8), [True] * 9, ALL[None], frozen(ALL), np.ma.array(ALL)]
)
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
        (np.ma.array(ALL, mask=np.eye(9)[4]), "action_masks: got a masked array with masked"),
        ([np.ma.masked, *[True] * 8], "action_masks: got a masked array with masked entries"),
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


WEIGHTS = AGENT.get_weights()


def each(change: Any) -> dict[str, Any]:
    return {name: change(value) for name, value in WEIGHTS.items()}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (None, "weights: got a value of NoneType, expected a mapping from names of parameters"),
        (list(WEIGHTS.values()), "weights: got a value of list, expected a mapping"),
        ({3: np.zeros(3)}, "weights: got a value of dict, expected a mapping from names"),
        (each(lambda value: value * np.nan), r"weights of 'body.0.weight': got NaN or infinity"),
        (each(lambda value: value + np.inf), r"weights of 'body.0.weight': got NaN or infinity"),
        (
            each(lambda value: np.float64(value) + 1e300),
            r"weights of 'body.0.weight': got values beyond",
        ),
        (each(lambda value: None), r"weights of 'body.0.weight': got dtype object"),
        (each(lambda value: [[1, 2], [3]]), r"weights of 'body.0.weight': got list: "),
        (each(lambda value: value[None]), r"weights of 'body.0.weight': got shape \(1, 8, 18\)"),
        (each(lambda value: np.ma.array(value, mask=True)), "got a masked array with masked"),
        ({**WEIGHTS, "head.advantage.bias": np.full(9, np.nan)}, "got NaN or infinity"),
    ],
    ids=str,
)
def test_other_weights_are_one_clear_line_and_change_nothing(weights: Any, message: str) -> None:
    before = AGENT.to_bytes()
    for call in (AGENT.set_weights, lambda given: InferencePolicy(AGENT.spec).set_weights(given)):
        with pytest.raises(ConfigurationError, match=message) as caught:
            call(weights)
        assert "\n" not in str(caught.value)
    assert AGENT.to_bytes() == before


def test_weights_may_be_lists_doubles_and_tensors() -> None:
    agent = DQNAgent(AGENT.spec)
    for form in (np.ndarray.tolist, np.float64, torch.from_numpy):
        agent.set_weights({name: np.zeros_like(value) for name, value in WEIGHTS.items()})
        agent.set_weights(each(form))
        assert agent.to_bytes() == AGENT.to_bytes()


PATHS = (None, "", ".", "/", "a\0b", "\ud800", b"agent", 3, [], object)


@pytest.mark.parametrize("path", PATHS, ids=ascii)
def test_what_cannot_be_a_file_is_one_clear_line(
    path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (AGENT.save, DQNAgent.load):
        with pytest.raises(InputError, match=r"^path: got .*, expected the path of a file$"):
            call(path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("game", [3, True, b"tic_tac_toe", {}, dict, [], EMPTY, print], ids=ascii)
def test_what_names_no_game_is_one_clear_line(game: Any, tmp_path: Path) -> None:
    AGENT.save(tmp_path / "agent")
    with pytest.raises(
        ConfigurationError, match=r"^game: got .*, expected a name, or a class"
    ) as one:
        DQNAgent.load(tmp_path / "agent", game=game)
    assert "\n" not in str(one.value)


@pytest.mark.parametrize("spec", [None, "tic_tac_toe", 3, EMPTY], ids=ascii)
def test_a_policy_needs_a_spec(spec: Any) -> None:
    with pytest.raises(SparringError, match=r"^spec: got .*, expected a PolicySpec") as caught:
        InferencePolicy(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "game",
    [None, "tic_tac_toe", EMPTY, make("connect_four", 1)],
    ids=["none", "name", "array", "another game"],
)
def test_act_refuses_what_it_cannot_play(game: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^game: got .*, expected sparring.games.make\('t"
    ):
        AGENT.act(game)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (PolicySpec(3), "invalid game name: got 3"),  # type: ignore[arg-type]
        (PolicySpec("tic_tac_toe", "mlp"), "network: got 'mlp'"),  # type: ignore[arg-type]
        (PolicySpec("tic_tac_toe", NetworkSpec(3)), "network: got "),  # type: ignore[arg-type]
        (PolicySpec("tic_tac_toe", NetworkSpec("mlp", 3)), "got 3"),  # type: ignore[arg-type]
        (PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"foo": 1})), "argument 'foo'"),
        (PolicySpec("tic_tac_toe", NetworkSpec("mlp", {3: 1})), "strings"),  # type: ignore[dict-item]
    ],
)
def test_a_spec_of_no_network_is_one_clear_line(spec: PolicySpec, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        InferencePolicy(spec)
    assert "\n" not in str(caught.value)
