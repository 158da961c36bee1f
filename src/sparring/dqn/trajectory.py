"""Transitions of a match that was played elsewhere, given as a `Trajectory` or as tuples.

A tuple `(state, action, reward, next_state, done)` is one decision of a seat. In a game of several
seats `next_state` is the position at the same seat's next decision, as that seat sees it, and
`reward` the sum of what it was paid in between; `done` is True for its last decision of a match
that ended, and `next_state` is then not looked at. All actions are taken to be legal in
`next_state` unless a sixth entry, its mask [A], says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.inputs import (
    MAX_REWARD,
    as_masks,
    as_numbers,
    as_observations,
    finite_number,
    flag,
    whole_number,
)
from sparring.errors import ConfigurationError, shown
from sparring.games.spec import GameSpec
from sparring.replay import transition_dtype
from sparring.replay.transitions import join_rows

_MOST: Final = 2**31 - 1  # versions and plies


@dataclass(frozen=True)
class Trajectory:
    """One seat's T decisions of one match, in order.

    `rewards[t]` is the sum of the seat's rewards after decision t, up to its next decision or the
    end. Unless the match `terminated`, `final_observation` and `final_mask` are those of the seat
    at the cut.
    """

    observations: NDArray[Any]  # [T, *observation_shape] from the point of view of this seat
    masks: NDArray[np.bool_]  # [T, A]
    actions: NDArray[np.integer[Any]]  # [T]
    rewards: NDArray[np.floating[Any]]  # [T]
    terminated: bool = True
    final_observation: NDArray[Any] | None = None  # [*observation_shape]
    final_mask: NDArray[np.bool_] | None = None  # [A]
    plies: NDArray[np.integer[Any]] | None = None  # [T] of the decisions; None: seats take turns
    version: int = 0  # of the weights that chose the actions, if known


Step = tuple[Any, ...]  # (state, action, reward, next_state, done) and maybe the next mask


@dataclass(frozen=True)
class _Step:
    state: NDArray[Any]
    action: int
    reward: float
    next_state: NDArray[Any] | None  # None: the match ended
    next_mask: NDArray[np.bool_] | None


def trajectory_transitions(
    trajectory: Trajectory | Iterable[Step],
    spec: GameSpec,
    *,
    gamma: float,
    n_steps: int,
    counts: Literal["decisions", "plies"] = "decisions",
) -> NDArray[Any]:
    """The transitions [T] of a trajectory: the next state is the same seat's, `n_steps` later.

    `gamma` and `n_steps` count own decisions (`own_turn`) or plies (`zero_sum`). With plies, the
    next state is the first own decision after at least `n_steps` plies, and each reward counts from
    the ply of its decision. Of tuples, it is no later than where one does not continue the one
    before, and seats are taken to move in turn.

    Raises `ConfigurationError` if shapes, dtypes or values do not fit the game, an action is
    illegal, or a reward is not finite.
    """
    parts = [trajectory] if isinstance(trajectory, Trajectory) else _joined(trajectory, spec)
    rows = [_transitions(part, spec, gamma, n_steps, counts) for part in parts]
    return join_rows([np.empty(0, transition_dtype(spec)), *rows])


def _transitions(
    trajectory: Trajectory,
    spec: GameSpec,
    gamma: float,
    n_steps: int,
    counts: Literal["decisions", "plies"],
) -> NDArray[Any]:
    own = _checked(trajectory, spec)
    T = len(own.actions)
    rows = np.zeros(T, transition_dtype(spec))
    rows["observation"], rows["mask"] = own.observations, own.masks
    rows["action"], rows["sign"], rows["version"] = own.actions, 1, own.version
    times = np.arange(T + 1) if counts == "decisions" else _plies(own, spec)
    R = np.zeros(T)
    for t in range(T):
        end = min(int(np.searchsorted(times, times[t] + n_steps)), T)
        powers = gamma ** (times[t:end] - times[t]).astype(np.float64)
        R[t] = powers @ own.rewards[t:end]
        if end < T:
            rows["next_observation"][t], rows["next_mask"][t] = (
                own.observations[end],
                own.masks[end],
            )
        elif not own.terminated:
            rows["next_observation"][t], rows["next_mask"][t] = (
                own.final_observation,
                own.final_mask,
            )
        ends = end == T and own.terminated
        rows["discount"][t] = 0.0 if ends else gamma ** float(times[end] - times[t])
    _refuse_beyond_float32(R)
    rows["R"] = R
    return rows


def _joined(given: Iterable[Step], spec: GameSpec) -> list[Trajectory]:
    """Trajectories of tuples: one goes on while the next state of a tuple is the state of the tuple
    after it.
    """
    steps = [_checked_step(step, number, spec) for number, step in enumerate(_listed(given))]
    joined: list[Trajectory] = []
    first = 0
    for end in range(1, len(steps) + 1):
        if end == len(steps) or not _continues(steps[end - 1], steps[end], end):
            joined.append(_trajectory(steps[first:end], spec))
            first = end
    return joined


def _listed(steps: Any) -> list[Any]:
    try:
        return list(steps)
    except TypeError:
        raise ConfigurationError(
            "trajectory",
            got=f"a value of {type(steps).__name__}",
            expected="a sparring.Trajectory, or tuples (state, action, reward, next_state, done)",
        ) from None


def _checked_step(step: Any, number: int, spec: GameSpec) -> _Step:
    """Read tuple `number`. Raises `ConfigurationError` if it does not fit the game."""
    if not isinstance(step, tuple | list) or len(step) not in (5, 6):
        raise ConfigurationError(
            f"tuple {number} of the trajectory",
            got=shown(step),
            expected="(state, action, reward, next_state, done), with the mask of next_state as a "
            "sixth where not all actions are legal",
        )
    state, action, reward, next_state, done, *mask = step
    of = f"of tuple {number}"
    read = _Step(
        _observations(f"state {of}", state, spec.observation_shape, spec),
        whole_number(f"action {of}", action, 0, spec.num_actions - 1),
        finite_number(f"reward {of}", reward),
        None,
        None,
    )
    if flag(f"done {of}", done):
        return read
    return replace(
        read,
        next_state=_observations(f"next_state {of}", next_state, spec.observation_shape, spec),
        next_mask=as_masks(
            mask[0] if mask else None, 1, spec.num_actions, single=True, what=f"mask {of}"
        )[0],
    )


def _continues(step: _Step, after: _Step, number: int) -> bool:
    """True if `after`, tuple `number`, is the decision in the next state of `step`."""
    if step.next_state is None or not np.array_equal(step.next_state, after.state):
        return False
    assert step.next_mask is not None
    if not step.next_mask[after.action]:
        raise ConfigurationError(
            f"action of tuple {number}",
            got=after.action,
            expected=f"a legal action by the mask of tuple {number - 1}",
        )
    return True


def _trajectory(steps: list[_Step], spec: GameSpec) -> Trajectory:
    """One trajectory of steps that follow each other."""
    last = steps[-1]
    first_mask = np.ones(spec.num_actions, np.bool_)
    return Trajectory(
        observations=np.array([step.state for step in steps]),
        masks=np.array([first_mask, *(step.next_mask for step in steps[:-1])]),
        actions=np.array([step.action for step in steps]),
        rewards=np.array([step.reward for step in steps]),
        terminated=last.next_state is None,
        final_observation=last.next_state,
        final_mask=last.next_mask,
    )


def _plies(own: Trajectory, spec: GameSpec) -> NDArray[np.int64]:
    """[T + 1] numbers of the plies of the decisions, and of the cut, if there is one."""
    if own.plies is None:
        return np.arange(len(own.actions) + 1) * spec.num_players
    return np.append(own.plies, own.plies[-1:] + spec.num_players)


def _checked(trajectory: Trajectory, spec: GameSpec) -> Trajectory:
    """A copy of the trajectory in the dtypes of a transition. Raises `ConfigurationError`."""
    actions = _whole_numbers("trajectory.actions", trajectory.actions)
    if actions.ndim != 1:
        raise ConfigurationError(
            "trajectory.actions",
            got=f"shape {actions.shape}",
            expected=f"({len(actions) if actions.ndim else 'T'},)",
        )
    T = len(actions)
    own = replace(
        trajectory,
        observations=_observations(
            "trajectory.observations", trajectory.observations, (T, *spec.observation_shape), spec
        ),
        masks=as_masks(
            _given("trajectory.masks", trajectory.masks),
            T,
            spec.num_actions,
            single=False,
            what="trajectory.masks",
        ),
        actions=actions,
        rewards=_shaped("trajectory.rewards", trajectory.rewards, (T,)).astype(np.float64),
        terminated=flag("trajectory.terminated", trajectory.terminated),
        version=whole_number("trajectory.version", trajectory.version, 0, _MOST),
    )
    _check_actions(own, spec)
    _refuse_beyond_float32(own.rewards)
    return _with_plies(own if own.terminated else _with_cut(own, spec))


def _with_cut(own: Trajectory, spec: GameSpec) -> Trajectory:
    """The trajectory with observation and mask of the cut position, checked."""
    observation, mask = (
        _given(f"trajectory.{name}", value, expected="that of the cut position, or terminated=True")
        for name, value in (
            ("final_observation", own.final_observation),
            ("final_mask", own.final_mask),
        )
    )
    return replace(
        own,
        final_observation=_observations(
            "trajectory.final_observation", observation, spec.observation_shape, spec
        ),
        final_mask=as_masks(mask, 1, spec.num_actions, single=True, what="trajectory.final_mask")[
            0
        ],
    )


def _with_plies(own: Trajectory) -> Trajectory:
    if own.plies is None:
        return own
    what = "trajectory.plies"
    plies = _whole_numbers(what, _shaped(what, own.plies, own.actions.shape))
    if len(plies) and not 0 <= plies.min() <= plies.max() <= _MOST:
        raise ConfigurationError(
            what, got=f"{plies.min()} to {plies.max()}", expected=f"0 to {_MOST}"
        )
    rises = np.diff(plies.astype(np.int64)) >= 1
    if not rises.all():
        row = int(rises.argmin())
        raise ConfigurationError(
            what, got=f"{plies[row + 1]} after {plies[row]}", expected="rising whole numbers"
        )
    return replace(own, plies=plies.astype(np.int64))


def _check_actions(own: Trajectory, spec: GameSpec) -> None:
    numbered = (own.actions >= 0) & (own.actions < spec.num_actions)
    legal = numbered & own.masks[np.arange(len(numbered)), np.where(numbered, own.actions, 0)]
    if not legal.all():
        row = int(legal.argmin())
        raise ConfigurationError(
            f"trajectory.actions in row {row}",
            got=f"{own.actions[row]}",
            expected="a legal action by the masks",
        )


def _refuse_beyond_float32(rewards: NDArray[np.floating[Any]]) -> None:
    fits = np.abs(rewards) <= MAX_REWARD  # False for NaN
    if not fits.all():
        row = int(fits.argmin())
        raise ConfigurationError(
            f"trajectory.rewards in row {row}",
            got=f"{rewards[row]:g}",
            expected="finite numbers that float32 can hold, also their sum over n_steps",
        )


def _observations(what: str, values: Any, shape: tuple[int, ...], spec: GameSpec) -> NDArray[Any]:
    return as_observations(what, _shaped(what, values, shape), spec)


def _shaped(what: str, values: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    array = as_numbers(what, _given(what, values))
    if array.shape != shape:
        raise ConfigurationError(what, got=f"shape {array.shape}", expected=f"{shape}")
    return array


def _whole_numbers(what: str, values: Any) -> NDArray[Any]:
    array = as_numbers(what, _given(what, values))
    if array.dtype.kind not in "iu" and array.size:
        raise ConfigurationError(what, got=f"{array.dtype}", expected="whole numbers")
    return array if array.size else array.astype(np.int64)  # an empty list is one of floats


def _given(what: str, value: Any, *, expected: str = "an array") -> Any:
    if value is None:
        raise ConfigurationError(what, got="None", expected=expected)
    return value
