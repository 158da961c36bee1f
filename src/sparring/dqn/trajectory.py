"""Transitions of a match that was played elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sparring.errors import InputError
from sparring.games.spec import GameSpec
from sparring.replay import transition_dtype


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


def trajectory_transitions(
    trajectory: Trajectory,
    spec: GameSpec,
    *,
    gamma: float,
    n_steps: int,
    counts: Literal["decisions", "plies"] = "decisions",
) -> NDArray[Any]:
    """The transitions [T] of a trajectory: the next state is the same seat's, `n_steps` later.

    `gamma` and `n_steps` count own decisions (`own_turn`) or plies (`zero_sum`). With plies, the
    next state is the first own decision after at least `n_steps` plies, and each reward counts from
    the ply of its decision.

    Raises `InputError` if lengths or shapes do not fit, an action is illegal, or a reward is not
    finite.
    """
    _check(trajectory, spec)
    T = len(trajectory.actions)
    rows = np.zeros(T, transition_dtype(spec))
    rows["observation"], rows["mask"] = trajectory.observations, trajectory.masks
    rows["action"], rows["sign"], rows["version"] = trajectory.actions, 1, trajectory.version
    times = np.arange(T + 1) if counts == "decisions" else _plies(trajectory, spec)
    for t in range(T):
        end = min(int(np.searchsorted(times, times[t] + n_steps)), T)
        powers = gamma ** (times[t:end] - times[t]).astype(np.float64)
        rows["R"][t] = powers @ trajectory.rewards[t:end]
        if end < T:
            rows["next_observation"][t], rows["next_mask"][t] = (
                trajectory.observations[end],
                trajectory.masks[end],
            )
        elif not trajectory.terminated:
            rows["next_observation"][t], rows["next_mask"][t] = (
                trajectory.final_observation,
                trajectory.final_mask,
            )
        ends = end == T and trajectory.terminated
        rows["discount"][t] = 0.0 if ends else gamma ** float(times[end] - times[t])
    return rows


def _plies(trajectory: Trajectory, spec: GameSpec) -> NDArray[np.int64]:
    """[T + 1] numbers of the plies of the decisions, and of the cut, if there is one."""
    turns = np.arange(len(trajectory.actions) + 1) * spec.num_players
    if trajectory.plies is None:
        return turns
    plies = np.asarray(trajectory.plies, np.int64)
    return np.append(plies, plies[-1:] + spec.num_players)


def _check(trajectory: Trajectory, spec: GameSpec) -> None:
    T = len(trajectory.actions)
    shapes: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
        ("observations", np.shape(trajectory.observations), (T, *spec.observation_shape)),
        ("masks", np.shape(trajectory.masks), (T, spec.num_actions)),
        ("actions", np.shape(trajectory.actions), (T,)),
        ("rewards", np.shape(trajectory.rewards), (T,)),
    ]
    if trajectory.plies is not None:
        shapes.append(("plies", np.shape(trajectory.plies), (T,)))
    if not trajectory.terminated:
        shapes.append(
            (
                "final_observation",
                np.asarray(trajectory.final_observation).shape,
                spec.observation_shape,
            )
        )
        shapes.append(("final_mask", np.asarray(trajectory.final_mask).shape, (spec.num_actions,)))
    for name, got, expected in shapes:
        if got != expected:
            raise InputError(f"trajectory.{name}", got=f"shape {got}", expected=f"{expected}")
    plies = np.arange(T) if trajectory.plies is None else np.asarray(trajectory.plies)
    if plies.dtype.kind not in "iu" or (np.diff(plies.astype(np.int64)) < 1).any():
        raise InputError("trajectory.plies", got=f"{plies}", expected="rising whole numbers")
    if not np.isfinite(trajectory.rewards).all():
        raise InputError(
            "trajectory.rewards", got=f"{trajectory.rewards}", expected="finite numbers"
        )
    actions = np.asarray(trajectory.actions)
    if actions.dtype.kind not in "iu":
        raise InputError("trajectory.actions", got=f"{actions.dtype}", expected="whole numbers")
    if T and not (
        actions.min() >= 0
        and actions.max() < spec.num_actions
        and trajectory.masks[np.arange(T), actions].all()
    ):
        raise InputError(
            "trajectory.actions", got=f"{actions}", expected="legal actions by the masks"
        )
