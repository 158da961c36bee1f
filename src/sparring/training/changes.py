"""Changes of settings between a checkpoint and the configuration that continues it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparring.config.schema import RESUMABLE, ResolvedConfig
from sparring.config.sources import AUTO
from sparring.errors import ConfigurationError
from sparring.storage.run_directory import read_newest
from sparring.training.schedule import Schedule

_CHANGEABLE: Final = (*RESUMABLE, "name", "runs_dir")
_NETWORKS: Final = ("policy", "target", "optimizer", "mean")  # of the state of a learner
_LEARNS_THE_SAME: Final = "what is learned stays the same"
_ANOTHER_BEST: Final = f"{_LEARNS_THE_SAME}, another agent may become the best one"
# What a change voids, where that is less than the promise of equal weights, or another one.
_VOIDS: Final = {
    "devices": "the weights will differ from those of a run that stayed",
    "device": "the weights will differ from those of a run that stayed",
    "stop_at_score": _LEARNS_THE_SAME,
    "eval_interval": _ANOTHER_BEST,
    "eval_matches": _ANOTHER_BEST,
    "checkpoint_interval": _LEARNS_THE_SAME,
    "checkpoint_minutes": _LEARNS_THE_SAME,
    "log_interval": _LEARNS_THE_SAME,
    "tensorboard": _LEARNS_THE_SAME,
    "ray_address": _LEARNS_THE_SAME,
    "ray_insecure": _LEARNS_THE_SAME,
}


def plain_settings(config: ResolvedConfig) -> dict[str, Any]:
    """Return all settings as plain values, for a checkpoint."""
    return config.model_dump(mode="json")


def check_unchanged(config: ResolvedConfig, saved: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` if `config.toml` was edited where a checkpoint does not allow it.

    `saved` are the settings in the checkpoint.
    """
    for name, value in plain_settings(config).items():
        if name not in _CHANGEABLE and name in saved and value != saved[name]:
            raise ConfigurationError(
                f"config.toml was edited: {name}",
                got=repr(value),
                expected=f"{saved[name]!r}, as in the checkpoint",
                remedy=f"set it back or start a new run; only {', '.join(_CHANGEABLE)} may change",
            )


def check_length(config: ResolvedConfig, before: ResolvedConfig, played: int) -> None:
    """Raise `ConfigurationError` if the length was changed to less than was played already."""
    if config.max_minutes is not None:
        return
    if config.n_episodes < min(played, before.n_episodes):
        raise ConfigurationError(
            "n_episodes",
            got=config.n_episodes,
            expected=f"at least {played}, which were played already",
        )


def before_changes(config: ResolvedConfig, saved: Mapping[str, Any]) -> ResolvedConfig:
    """Return the configuration of a checkpoint, of which `saved` are the settings."""
    return config.model_copy(update={name: saved[name] for name in RESUMABLE if name in saved})


def take_learner(saved: Mapping[str, Any], other: Path) -> None:
    """Replace the networks and the optimizer in a checkpoint by those of the newest checkpoint of
    another run.

    The number of updates, the generator and the minibatch that was sampled ahead stay: they belong
    to this run's files, seed and replay buffer. Raises `ConfigurationError` if the other run has no
    checkpoint or another network.
    """
    theirs, ours = read_newest(other, "learner"), saved["learner"]
    if theirs is None:
        raise ConfigurationError("learner_from", got=f"{other}", expected="a run with a checkpoint")
    if _shapes(theirs) != _shapes(ours):
        raise ConfigurationError(
            f"learner_from: {other} has another network or weight_averaging",
            expected="a run of the same game and network",
        )
    ours.update({name: theirs[name] for name in _NETWORKS})


def _shapes(learner: Mapping[str, Any]) -> tuple[list[tuple[str, tuple[int, ...]]], bool]:
    weights = [(name, np.shape(value)) for name, value in learner["policy"].items()]
    return weights, bool(learner["mean"])


def opponents_in_progress(workers: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the opponents of the matches in progress, but for snapshots; `workers` is that part of
    a checkpoint, if there is one.
    """
    bodies = [worker["body"] for worker in (workers or {}).values() if worker.get("body")]
    known = [opponent for body in bodies for opponent in body["opponents"]]
    return frozenset(opponent["name"] for opponent in known if opponent["slot"] is None)


def changed_settings(config: ResolvedConfig, before: ResolvedConfig) -> dict[str, Any]:
    """Return the settings that a resume has changed, with the values from before."""
    now = plain_settings(config)
    return {
        name: value
        for name, value in plain_settings(before).items()
        if name in RESUMABLE and value != now[name]
    }


def history_entry(
    config: ResolvedConfig, before: ResolvedConfig, played: int, other: Path | None
) -> list[dict[str, Any]]:
    """Return the entry of a run's history for a resume that changes settings, or takes over the
    learner of another run.
    """
    changed = changed_settings(config, before)
    plain = {name: AUTO if value is None else value for name, value in changed.items()}
    taken = {} if other is None else {"learner_from": str(other)}
    return [{"matches": played, "before": plain, **taken}] if changed or taken else []


def carried_over(
    config: ResolvedConfig, before: ResolvedConfig, state: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the state of a schedule for the new configuration.

    Geometric decay continues from the epsilon that was reached, or from a new initial one.
    """
    changed = changed_settings(config, before)
    if config.exploration != "geometric" or not any(map(_is_of_exploration, changed)):
        return dict(state)
    schedule = _schedule(config, state)
    reached = _schedule(before, state).mean_epsilon
    anew = "exploration_initial_eps" in changed
    schedule.decay_from(config.exploration_initial_eps if anew else reached)
    return schedule.get_state()


def remarks(
    config: ResolvedConfig,
    before: ResolvedConfig,
    old_state: Mapping[str, Any],
    new_state: Mapping[str, Any],
) -> list[str]:
    """Return a line on each change, with what it voids, and on each rate that jumps; the states are
    those of the schedule.
    """
    now = plain_settings(config)
    lines = [
        f"{name} is now {_shown(now[name])}, no longer {_shown(was)}: {_void(name, config)}"
        for name, was in changed_settings(config, before).items()
    ]
    old, new = _schedule(before, old_state), _schedule(config, new_state)
    rates = [("epsilon", old.mean_epsilon, new.mean_epsilon)]
    if config.prioritized_replay:
        rates.append(("beta", old.beta, new.beta))
    if "cosine" in (config.learning_rate_schedule, before.learning_rate_schedule):
        rates.append(("learning rate", old.learning_rate, new.learning_rate))
    return lines + [
        f"{what} continues at {value:.3g}, no longer at {was:.3g}"
        for what, was, value in rates
        if value != was
    ]


def _is_of_exploration(name: str) -> bool:
    return name.startswith("exploration")


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={share:g}" for name, share in value.items())
    return "auto" if value is None else f"{value:,}" if type(value) is int else str(value)


def _void(name: str, config: ResolvedConfig) -> str:
    """Return what a change of this setting voids."""
    if name == "n_episodes" and not _follows_length(config):
        return "the weights are those of a run that had this length from the start"
    return _VOIDS.get(
        name, "the run is no longer a function of its seed and first configuration alone"
    )


def _follows_length(config: ResolvedConfig) -> bool:
    """Return whether a rate depends on the length of the run."""
    linear = config.exploration == "linear" and config.exploration_fraction > 0.0
    return (
        config.learning_rate_schedule == "cosine"
        or (linear and config.exploration_initial_eps != config.exploration_final_eps)
        or (
            config.prioritized_replay
            and config.prioritized_replay_beta0 != config.prioritized_replay_beta1
        )
    )


def _schedule(config: ResolvedConfig, state: Mapping[str, Any]) -> Schedule:
    schedule = Schedule(config)
    schedule.set_state(dict(state))
    return schedule
