"""Memory and disk space that a run needs, from its resolved configuration, and their errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparring.config.devices import num_ranks
from sparring.config.schema import ResolvedConfig
from sparring.errors import ConfigurationError
from sparring.games import GameSpec
from sparring.replay.build import replay_bytes
from sparring.storage.run_directory import KEPT_CHECKPOINTS

COPIES_OF_LEARNER: Final = 5  # network, target network, gradient, two moments of Adam
_SAVED_COPIES: Final = 5  # network, target network, two moments, running mean
_BYTES_OF_ENV: Final = 64  # about: plies, keys, flags and returns of a match
_BYTES_OF_MOVE: Final = 16  # row and seat of the position after it
_MIB: Final = 2**20

Needed = Mapping[str, tuple[float, str]]
"""Bytes by what they are for, and the remedy where that is the largest part."""


def memory_needed(
    config: ResolvedConfig, game: GameSpec, *, num_weights: int = 0, shared: int = 0
) -> Needed:
    """Return the memory of a run; `game` is the game as the network sees it."""
    envs = config.num_workers * config.num_envs_per_worker
    ranks = num_ranks(config.devices)
    copies = 1 if ranks == 1 else 2  # rank 0 joins the shares of the ranks for a checkpoint
    return {
        "of replay": (copies * replay_bytes(game, config), "lower buffer_size"),
        "for workers and snapshots": (shared, "lower max_snapshots or num_workers"),
        "for matches in progress": (
            envs * _bytes_of_match(config, game),
            "lower num_envs_per_worker or num_workers",
        ),
        "of networks": (
            4 * num_weights * (ranks * COPIES_OF_LEARNER + config.num_workers),
            "choose a smaller network (policy_kwargs)",
        ),
    }


def _bytes_of_match(config: ResolvedConfig, game: GameSpec) -> int:
    return game.observation_bytes + game.num_actions + 8 * game.num_players + _BYTES_OF_ENV


def checkpoint_bytes(config: ResolvedConfig, game: GameSpec, num_weights: int) -> int:
    """Return the size of a checkpoint with a full replay, about."""
    networks = 4 * num_weights * (_SAVED_COPIES + config.max_snapshots)
    envs = config.num_workers * config.num_envs_per_worker
    return replay_bytes(game, config) + networks + 2 * envs * _bytes_of_match(config, game)


def check_disk(place: str, checkpoint: int, free: float) -> None:
    """Raise `ConfigurationError` if the disk has no space for the checkpoints of a run: those that
    are kept, and the one that is being written.
    """
    needed = (KEPT_CHECKPOINTS + 1) * checkpoint
    if free < needed:
        raise ConfigurationError(
            f"not enough disk space for checkpoints in {place}",
            got=f"{free / _MIB:,.0f} MiB free",
            expected=f"{needed / _MIB:,.0f} MiB for {KEPT_CHECKPOINTS + 1} of "
            f"{checkpoint / _MIB:,.0f} MiB",
            remedy="free some, choose another runs_dir, or lower buffer_size",
        )
