"""Finding an agent on the disk, for the commands that take AGENT."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from sparring.errors import InputError, nearest

_FILES: Final = ("best.safetensors", "last.safetensors")


def find_agent(agent: str, runs_dir: str) -> Path:
    """The agent file that `agent` names: a file, or the best, else the last agent of a run given by name or directory."""
    path = Path(agent)
    if path.is_file():
        return path
    run = path if os.sep in agent else Path(runs_dir) / agent
    for name in _FILES:
        if (run / name).is_file():
            return run / name
    if run.is_dir():
        raise InputError(f"there is no agent in {run} yet", expected=" or ".join(_FILES), remedy="train first, or wait for a checkpoint")
    runs = [entry.name for entry in run.parent.iterdir() if entry.is_dir()] if run.parent.is_dir() else []
    expected = f"an agent file, or a run in {run.parent}"
    raise InputError("there is no such agent", got=repr(agent), expected=expected, remedy=nearest(run.name, runs))
