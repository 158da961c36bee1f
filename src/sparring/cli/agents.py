"""Finding an agent on the disk, for the commands that take AGENT."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparring.config.sources import read_toml
from sparring.errors import FileFormatError, InputError, nearest
from sparring.user_code import is_importable_name

_FILES: Final = ("best.safetensors", "last.safetensors")


@dataclass(frozen=True)
class FoundAgent:
    """An agent file, and whose code may run to play it: the game and the network, where they do not
    come with Sparring.

    A file by itself causes nothing to be imported. A run does, as `resume` does: its configuration
    says what it was trained on.
    """

    path: Path
    game: str | None = None
    network: str | None = None


def find_agent(
    agent: str, runs_dir: str, *, game: str | None = None, network: str | None = None
) -> FoundAgent:
    """The agent that `agent` names: a file, or the best, else the last agent of a run given by name
    or directory.

    `game` and `network` as the caller named them go before what the run says.
    """
    path = Path(agent)
    if path.is_file():
        return FoundAgent(path, game, network)
    run = path if os.sep in agent else Path(runs_dir) / agent
    for name in _FILES:
        if (run / name).is_file():
            told_game, told_network = _own_code(run)
            return FoundAgent(run / name, game or told_game, network or told_network)
    if run.is_dir():
        raise InputError(
            f"there is no agent in {run} yet",
            expected=" or ".join(_FILES),
            remedy="train first, or wait for a checkpoint",
        )
    runs = (
        [entry.name for entry in run.parent.iterdir() if entry.is_dir()]
        if run.parent.is_dir()
        else []
    )
    expected = f"an agent file, or a run in {run.parent}"
    raise InputError(
        "there is no such agent", got=repr(agent), expected=expected, remedy=nearest(run.name, runs)
    )


def _own_code(run: Path) -> tuple[str | None, str | None]:
    """The game of a run, and its network if that is one of the user's own, by its configuration;
    None where it does not say.
    """
    try:
        config = read_toml(run / "config.toml")
    except FileFormatError:
        return None, None
    game, policy = config.get("game"), config.get("policy_kwargs")
    network = policy.get("network") if isinstance(policy, dict) else None
    own_network = isinstance(network, str) and is_importable_name(network)
    return game if isinstance(game, str) else None, network if own_network else None
