"""Agents on the disk, by what people type: a file, the name or directory of a run, or a game whose
agent comes with Sparring.

Without torch: a wrong name is answered at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparring.errors import FileFormatError, InputError, nearest
from sparring.user_code import is_importable_name

_FILES: Final = ("best.safetensors", "last.safetensors")
_BUILT_IN: Final = Path(__file__).parents[1] / "agents"  # GAME.safetensors


@dataclass(frozen=True)
class FoundAgent:
    """An agent file, with the game and the network that may be imported to play it, where they do
    not come with Sparring.

    A file by itself never causes an import. A run does, as in `resume`: its configuration names
    its game and network.
    """

    path: Path
    game: str | None = None
    network: str | None = None

    @property
    def folder(self) -> Path:
        """Directory for what is made of the agent: that of its file, or the current one for an
        agent that comes with Sparring.
        """
        return Path() if self.path.parent == _BUILT_IN else self.path.parent


def built_in_agents() -> list[str]:
    """Games whose agents come with Sparring."""
    return sorted(path.stem for path in _BUILT_IN.glob("*.safetensors"))


def find_agent(
    agent: str, runs_dir: str, *, game: str | None = None, network: str | None = None
) -> FoundAgent:
    """The agent that `agent` names: a file; the best, else the last agent of a run given by name or
    directory; or, where there is no such run, a game whose agent comes with Sparring.

    `game` and `network` override the run's own.
    """
    path = Path(agent)
    if path.is_file():
        return FoundAgent(path, game, network)
    run = path if os.sep in agent else Path(runs_dir) / agent
    for name in _FILES:
        if (run / name).is_file():
            run_game, run_network = _own_code(run)
            return FoundAgent(run / name, game or run_game, network or run_network)
    if run.is_dir():
        raise InputError(
            f"no agent in {run} yet",
            expected=" or ".join(_FILES),
            remedy="train first, or wait for a checkpoint",
        )
    if agent in built_in_agents():
        return FoundAgent(_BUILT_IN / f"{agent}.safetensors", game, network)
    runs = (
        [entry.name for entry in run.parent.iterdir() if entry.is_dir()]
        if run.parent.is_dir()
        else []
    )
    expected = f"an agent file, a run in {run.parent}, or one of {', '.join(built_in_agents())}"
    remedy = nearest(run.name, [*runs, *built_in_agents()])
    raise InputError("no such agent", got=repr(agent), expected=expected, remedy=remedy)


def _own_code(run: Path) -> tuple[str | None, str | None]:
    """The game in the configuration of a run, and its network if that is a user's own."""
    from sparring.config.sources import read_toml  # not at the top: workers import this room

    try:
        config = read_toml(run / "config.toml")
    except FileFormatError:
        return None, None
    game, policy = config.get("game"), config.get("policy_kwargs")
    network = policy.get("network") if isinstance(policy, dict) else None
    own_network = isinstance(network, str) and is_importable_name(network)
    return game if isinstance(game, str) else None, network if own_network else None
