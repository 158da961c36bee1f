from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from observed_assembler import Assembler

from sparring.dqn.trajectory import Trajectory, trajectory_transitions
from sparring.errors import InputError
from sparring.games import make, spec_of
from sparring.games.spec import GameSpec
from sparring.replay import transition_dtype

SPEC = spec_of("tic_tac_toe")
SMALL = GameSpec(
    name="small",
    num_players=2,
    num_actions=2,
    observation_shape=(1,),
    observation_dtype="int8",
    max_plies=9,
)


def numbered(rewards: list[float], terminated: bool = True) -> Trajectory:
    """Decision t is made at position t + 1, always action t % 2; a cut comes at position 99."""
    T = len(rewards)
    return Trajectory(
        observations=np.arange(1, T + 1, dtype=np.int8).reshape(T, 1),
        masks=np.ones((T, 2), np.bool_),
        actions=np.arange(T) % 2,
        rewards=np.array(rewards),
        terminated=terminated,
        final_observation=None if terminated else np.array([99], np.int8),
        final_mask=None if terminated else np.array([False, True]),
    )


def read(rows: NDArray[Any]) -> list[tuple[int, int, float, int, float]]:
    """(position, action, R, next position or 0, discount)."""
    fields = (
        rows["observation"][:, 0],
        rows["action"],
        rows["R"],
        rows["next_observation"][:, 0],
        rows["discount"],
    )
    return list(zip(*(field.tolist() for field in fields), strict=True))


def test_one_step_by_hand() -> None:
    rows = trajectory_transitions(
        replace(numbered([0.0, 2.0, 1.0]), version=7), SMALL, gamma=0.5, n_steps=1
    )
    assert read(rows) == [(1, 0, 0.0, 2, 0.5), (2, 1, 2.0, 3, 0.5), (3, 0, 1.0, 0, 0.0)]
    assert rows["next_mask"].tolist() == [[True, True], [True, True], [False, False]]
    assert rows["mask"].all()
    assert rows["sign"].tolist() == [1, 1, 1]
    assert rows["version"].tolist() == [7, 7, 7]


def test_two_steps_by_hand() -> None:
    rows = trajectory_transitions(numbered([0.0, 2.0, 1.0]), SMALL, gamma=0.5, n_steps=2)
    assert read(rows) == [(1, 0, 1.0, 3, 0.25), (2, 1, 2.5, 0, 0.0), (3, 0, 1.0, 0, 0.0)]


def test_a_cut_trajectory_by_hand() -> None:
    rows = trajectory_transitions(
        numbered([0.0, 2.0, 1.0], terminated=False), SMALL, gamma=0.5, n_steps=2
    )
    assert read(rows) == [(1, 0, 1.0, 3, 0.25), (2, 1, 2.5, 99, 0.25), (3, 0, 1.0, 99, 0.5)]
    assert rows["next_mask"].tolist() == [[True, True], [False, True], [False, True]]


def test_more_steps_than_decisions() -> None:
    rows = trajectory_transitions(numbered([4.0, 8.0]), SMALL, gamma=0.5, n_steps=9)
    assert read(rows) == [(1, 0, 8.0, 0, 0.0), (2, 1, 8.0, 0, 0.0)]
    assert len(trajectory_transitions(numbered([]), SMALL, gamma=0.5, n_steps=2)) == 0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_steps=st.integers(1, 4),
    cut_after=st.one_of(st.none(), st.integers(1, 4)),
)
def test_equals_what_the_assembler_makes_of_the_same_match(
    seed: int, n_steps: int, cut_after: int | None
) -> None:
    """One match of tic-tac-toe, at times cut short; only the seat to move has seen the cut
    position.
    """
    rng = np.random.default_rng(seed)
    game = make("tic_tac_toe", 1)
    assembler = Assembler(game, bootstrap="own_turn", n_steps=n_steps, gamma=0.9, block=64)
    game.reset(np.zeros(1, np.int64), np.zeros(1, np.uint64))
    decisions: list[list[tuple[Any, ...]]] = [[], []]
    paid: list[list[float]] = [[], []]
    while not (game.terminated[0] or game.truncated[0]):
        seat, action = int(game.seat[0]), rng.choice(np.flatnonzero(game.mask[0]))
        decisions[seat].append((game.observation[0].copy(), game.mask[0].copy(), action))
        paid[seat].append(0.0)
        assembler.decide(np.array([action]), np.ones((1, 2), np.bool_), 3)
        game.step(np.array([action]))
        game.truncated[0] = game.plies[0] == cut_after and not game.terminated[0]
        for seat in (0, 1):
            if paid[seat]:
                paid[seat][-1] += float(game.rewards[0, seat])
        assembler.settle(np.array([action]))
    expected = [of_seat(game, seat, decisions[seat], paid[seat], n_steps) for seat in (0, 1)]
    assert as_set(assembler.rows) == as_set(np.concatenate(expected))


def of_seat(
    game: Any, seat: int, own: list[tuple[Any, ...]], paid: list[float], n_steps: int
) -> NDArray[Any]:
    if not own:
        return np.zeros(0, transition_dtype(SPEC))
    observations, masks, actions = (np.array(column) for column in zip(*own, strict=True))
    cut = bool(game.truncated[0])
    final: dict[str, Any] = (
        {"terminated": False, "final_observation": game.observation[0], "final_mask": game.mask[0]}
        if cut
        else {}
    )
    trajectory = Trajectory(observations, masks, actions, np.array(paid), **final)
    rows = trajectory_transitions(replace(trajectory, version=3), SPEC, gamma=0.9, n_steps=n_steps)
    return rows[: max(0, len(own) - n_steps)] if cut and game.seat[0] != seat else rows


def as_set(rows: NDArray[Any]) -> set[Any]:
    """The assembler has them in order of time, the others seat by seat."""
    return {
        tuple(np.asarray(row[name]).tobytes() for name in rows.dtype.names or ()) for row in rows
    }


GOOD = numbered([0.0, 1.0])
CUT = {"terminated": False, "final_observation": [0], "final_mask": [True, True]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"observations": np.zeros((2, 3))},
            r"trajectory\.observations: got shape \(2, 3\), expected \(2, 1\)",
        ),
        (
            {"observations": np.zeros((3, 1))},
            r"trajectory\.observations: got shape \(3, 1\), expected \(2, 1\)",
        ),
        (
            {"masks": np.ones((2, 3), np.bool_)},
            r"trajectory\.masks: got shape \(2, 3\), expected \(2, 2\)",
        ),
        ({"rewards": np.zeros(3)}, r"trajectory\.rewards: got shape \(3,\), expected \(2,\)"),
        ({"rewards": [0.0, np.nan]}, r"trajectory\.rewards in row 1: got nan, expected finite"),
        ({"rewards": [np.inf, 0.0]}, r"trajectory\.rewards in row 0: got inf, expected finite"),
        ({"rewards": [0.0, 1e300]}, r"trajectory\.rewards in row 1: got 1e\+300, expected finite"),
        ({"rewards": [2e38, 2e38]}, r"trajectory\.rewards in row 0: got 4e\+38, .* their sum"),
        ({"rewards": ["a", "b"]}, r"trajectory\.rewards: got dtype <U1"),
        ({"rewards": None}, r"trajectory\.rewards: got None, expected an array"),
        ({"actions": [0, 2]}, r"trajectory\.actions in row 1: got 2, expected a legal action"),
        ({"actions": [-1, 0]}, r"trajectory\.actions in row 0: got -1, expected a legal action"),
        (
            {"actions": np.array([0, 2**63], np.uint64)},
            r"trajectory\.actions in row 1: got 9223372036854775808",
        ),
        (
            {"masks": [[True, True], [True, False]]},
            r"trajectory\.actions in row 1: got 1, expected a legal action by the masks",
        ),
        ({"actions": [[0], [1]]}, r"trajectory\.actions: got shape \(2, 1\), expected \(2,\)"),
        ({"actions": 3}, r"trajectory\.actions: got shape \(\), expected \(T,\)"),
        ({"actions": [0.0, 1.0]}, r"trajectory\.actions: got float64, expected whole numbers"),
        ({"actions": [[0], [1, 2]]}, r"trajectory\.actions: got list: .*, expected an array"),
        ({"observations": [[0.5], [1]]}, r"observations: got float64 values that int8 cannot"),
        ({"observations": [[300], [1]]}, r"observations: got int64 values that int8 cannot"),
        ({"observations": [[np.nan], [1]]}, r"observations: got NaN or infinity"),
        ({"observations": "x"}, r"trajectory\.observations: got dtype <U1"),
        ({"masks": [[7, 1], [1, 1]]}, r"masks: got int64 values other than 0 and 1"),
        ({"masks": [[np.nan, 1], [1, 1]]}, r"masks: got float64 values other than 0 and 1"),
        ({"masks": [[True, True], [False, False]]}, r"masks in row 1: got no legal action"),
        ({"masks": None}, r"trajectory\.masks: got None, expected an array"),
        ({"masks": np.ma.array(np.ones((2, 2)), mask=True)}, r"masks: got a masked array"),
        ({"terminated": "no"}, r"trajectory\.terminated: got 'no', expected True or False"),
        ({"terminated": 0}, r"trajectory\.terminated: got 0, expected True or False"),
        ({"version": -1}, r"trajectory\.version: got -1, expected a whole number, 0 to "),
        ({"version": 2**31}, r"trajectory\.version: got 2147483648, expected a whole number"),
        ({"version": "1"}, r"trajectory\.version: got '1', expected a whole number"),
        ({"plies": [0, 2**62]}, r"trajectory\.plies: got 0 to 4611686018427387904, expected 0 to"),
        ({"plies": [-1, 0]}, r"trajectory\.plies: got -1 to 0, expected 0 to"),
        (
            {"terminated": False},
            r"trajectory\.final_observation: got None, expected that of the cut position",
        ),
        (
            {"terminated": False, "final_observation": [0]},
            r"trajectory\.final_mask: got None, expected that of the cut position",
        ),
        (
            {**CUT, "final_observation": [[0]]},
            r"trajectory\.final_observation: got shape \(1, 1\), expected \(1,\)",
        ),
        ({**CUT, "final_observation": [0.5]}, r"final_observation: got float64 values that int8"),
        ({**CUT, "final_mask": [True] * 3}, r"final_mask: got shape \(3,\), expected \(2,\)"),
        ({**CUT, "final_mask": [False] * 2}, r"final_mask: got no legal action, expected at least"),
        ({**CUT, "final_mask": [2, 1]}, r"final_mask: got int64 values other than 0 and 1"),
    ],
)
def test_what_does_not_fit_is_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        trajectory_transitions(replace(GOOD, **change), SMALL, gamma=1.0, n_steps=2)
    assert "\n" not in str(error.value)


def test_for_zero_sum_gamma_and_steps_count_plies() -> None:
    """Two plies a decision where seats take turns; gamma 0.5."""
    rows = trajectory_transitions(
        numbered([4.0, 8.0, 16.0]), SMALL, gamma=0.5, n_steps=1, counts="plies"
    )
    assert rows["R"].tolist() == [4.0, 8.0, 16.0]
    assert rows["discount"].tolist() == [0.25, 0.25, 0.0]
    rows = trajectory_transitions(
        numbered([4.0, 8.0, 16.0]), SMALL, gamma=0.5, n_steps=3, counts="plies"
    )
    assert rows["R"].tolist() == [4.0 + 2.0, 8.0 + 4.0, 16.0]
    assert rows["discount"].tolist() == [0.0625, 0.0, 0.0]


def test_extra_turns_count_by_their_plies() -> None:
    trajectory = replace(numbered([4.0, 8.0, 16.0], terminated=False), plies=np.array([0, 1, 6]))
    rows = trajectory_transitions(trajectory, SMALL, gamma=0.5, n_steps=1, counts="plies")
    assert rows["discount"].tolist() == [0.5, 0.5**5, 0.25]


def test_lists_and_other_number_types_are_converted() -> None:
    given = Trajectory(
        observations=[[1.0], [2.0]],  # type: ignore[arg-type]
        masks=[[1, 1], [1, 1]],  # type: ignore[arg-type]
        actions=[0, 1],  # type: ignore[arg-type]
        rewards=[0, 1],  # type: ignore[arg-type]
        terminated=np.True_,  # type: ignore[arg-type]
    )
    expected, rows = (
        trajectory_transitions(one, SMALL, gamma=0.5, n_steps=1) for one in (GOOD, given)
    )
    assert rows.tobytes() == expected.tobytes()


@pytest.mark.parametrize("plies", [[0, 2], [0, 2, 2], [0.0, 2.0, 4.0], [4, 2, 0]])
def test_plies_that_do_not_rise_are_refused(plies: list[float]) -> None:
    trajectory = replace(numbered([4.0, 8.0, 16.0]), plies=np.array(plies))
    with pytest.raises(InputError, match=r"trajectory\.plies"):
        trajectory_transitions(trajectory, SMALL, gamma=0.5, n_steps=1, counts="plies")


def steps_of(trajectory: Trajectory) -> list[Any]:
    """The same decisions as tuples."""
    states, masks = trajectory.observations, trajectory.masks
    last = [trajectory.final_observation], [trajectory.final_mask]
    after, next_masks = [*states[1:], *last[0]], [*masks[1:], *last[1]]
    ends = [t + 1 == len(states) and trajectory.terminated for t in range(len(states))]
    return list(
        zip(states, trajectory.actions, trajectory.rewards, after, ends, next_masks, strict=True)
    )


@pytest.mark.parametrize("counts", ["decisions", "plies"])
@pytest.mark.parametrize("n_steps", [1, 2, 3, 9])
@pytest.mark.parametrize("terminated", [True, False])
def test_tuples_are_the_transitions_of_the_same_trajectory(
    terminated: bool, n_steps: int, counts: Any
) -> None:
    whole = numbered([4.0, 8.0, 16.0, 32.0], terminated)
    expected, rows = (
        trajectory_transitions(given, SMALL, gamma=0.5, n_steps=n_steps, counts=counts)
        for given in (whole, steps_of(whole))
    )
    assert rows.tobytes() == expected.tobytes()
    without_masks = [step[:5] for step in steps_of(whole)]
    rows = trajectory_transitions(without_masks, SMALL, gamma=0.5, n_steps=n_steps, counts=counts)
    assert read(rows) == read(expected)
    assert rows["next_mask"][rows["discount"] != 0].all(), "all actions are legal without a mask"


def test_looking_ahead_ends_where_tuples_do_not_continue_each_other() -> None:
    """Two matches, the second one in pieces: position 7 is not the one that follows 5."""
    steps = [
        ([1], 0, 1.0, [2], False),
        ([2], 1, 2.0, None, True),
        ([4], 0, 4.0, [5], False),
        ([7], 0, 8.0, [8], False),
    ]
    rows = trajectory_transitions(steps, SMALL, gamma=0.5, n_steps=2)
    assert read(rows) == [
        (1, 0, 2.0, 0, 0.0),
        (2, 1, 2.0, 0, 0.0),
        (4, 0, 4.0, 5, 0.5),
        (7, 0, 8.0, 8, 0.5),
    ]
    generator = (step for step in steps)
    assert (
        trajectory_transitions(generator, SMALL, gamma=0.5, n_steps=2).tobytes() == rows.tobytes()
    )
    assert len(trajectory_transitions([], SMALL, gamma=0.5, n_steps=2)) == 0


STEP = ([1], 0, 1.0, [2], False)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (None, r"trajectory: got a value of NoneType, expected a sparring.Trajectory, or tuples"),
        (3, r"trajectory: got a value of int, expected a sparring.Trajectory, or tuples"),
        ("x", r"tuple 0 of the trajectory: got 'x', expected \(state, action, reward, next_state"),
        (STEP, r"tuple 0 of the trajectory: got \[1\], expected \(state, action, reward"),
        ({"a": STEP}, r"tuple 0 of the trajectory: got 'a'"),
        ([STEP, STEP[:4]], r"tuple 1 of the trajectory: got \(\[1\], 0, 1.0, \[2\]\), expected"),
        ([(*STEP, None, None)], r"tuple 0 of the trajectory: got"),
        ([STEP, ([1, 2], *STEP[1:])], r"state of tuple 1: got shape \(2,\), expected \(1,\)"),
        ([([0.5], *STEP[1:])], r"state of tuple 0: got float64 values that int8 cannot"),
        ([(None, *STEP[1:])], r"state of tuple 0: got None, expected an array"),
        ([([1], 2, *STEP[2:])], r"action of tuple 0: got 2, expected a whole number, 0 to 1"),
        ([([1], "0", *STEP[2:])], r"action of tuple 0: got '0', expected a whole number, 0 to 1"),
        ([([1], True, *STEP[2:])], r"action of tuple 0: got True"),
        ([([1], 0, np.nan, *STEP[3:])], r"reward of tuple 0: got nan, expected a finite number"),
        ([([1], 0, 1e300, *STEP[3:])], r"reward of tuple 0: got 1e\+300"),
        ([([1], 0, None, *STEP[3:])], r"reward of tuple 0: got None"),
        ([([1], 0, [1.0, -1.0], *STEP[3:])], r"reward of tuple 0: got \[1.0, -1.0\]"),
        ([(*STEP[:3], None, False)], r"next_state of tuple 0: got None, expected an array"),
        ([(*STEP[:3], [[2]], False)], r"next_state of tuple 0: got shape \(1, 1\)"),
        ([(*STEP[:4], "no")], r"done of tuple 0: got 'no', expected True or False"),
        ([(*STEP[:4], 0)], r"done of tuple 0: got 0, expected True or False"),
        ([(*STEP, [False, False])], r"mask of tuple 0: got no legal action"),
        ([(*STEP, [True])], r"mask of tuple 0: got shape \(1,\), expected \(2,\)"),
        (
            [(*STEP, [False, True]), ([2], 0, 1.0, [3], False)],
            r"action of tuple 1: got 0, expected a legal action by the mask of tuple 0",
        ),
        ([(*STEP[:2], 3e38, [2], False), ([2], 0, 3e38, None, True)], r"their sum over n_steps"),
    ],
    ids=str,
)
def test_tuples_that_do_not_fit_are_one_line(steps: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        trajectory_transitions(steps, SMALL, gamma=1.0, n_steps=2)
    assert "\n" not in str(error.value)
