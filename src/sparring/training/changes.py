"""Changes of settings between a checkpoint and the configuration that continues it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sparring.config.schema import RESUMABLE, ResolvedConfig
from sparring.errors import ConfigurationError
from sparring.training.schedule import Schedule

# They change neither what was learned nor the meaning of a checkpoint.
_CHANGEABLE: Final = (
    *RESUMABLE,
    "eval_interval",
    "eval_matches",
    "checkpoint_interval",
    "checkpoint_minutes",
    "name",
    "runs_dir",
)


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
    if config.n_episodes < min(played, before.n_episodes):
        raise ConfigurationError(
            "n_episodes",
            got=config.n_episodes,
            expected=f"at least {played}, which were played already",
        )


def remarks(
    config: ResolvedConfig, before: ResolvedConfig, schedule_state: Mapping[str, Any]
) -> list[str]:
    """Return lines on what the changes void; `schedule_state` is that of the checkpoint."""
    lines = []
    if config.device != before.device:
        lines.append(
            f"now on {config.device}, no longer on {before.device}: "
            "the weights will differ from those of a run that stayed"
        )
    old, new = (_schedule(each, schedule_state) for each in (before, config))
    for what, was, now in (
        ("learning rate", old.learning_rate, new.learning_rate),
        ("epsilon", old.mean_epsilon, new.mean_epsilon),
        ("beta", old.beta, new.beta),
    ):
        if now != was:
            lines.append(
                f"{what} follows n_episodes, now {config.n_episodes:,} instead of "
                f"{before.n_episodes:,}: it continues at {now:.3g}, no longer at {was:.3g}"
            )
    return lines


def _schedule(config: ResolvedConfig, state: Mapping[str, Any]) -> Schedule:
    schedule = Schedule(config)
    schedule.set_state(dict(state))
    return schedule
