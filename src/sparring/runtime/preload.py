"""Imported by the fork server before it forks: what every worker needs and can share.

Only what has no threads and touches no accelerator may be imported here.
"""

from __future__ import annotations

import os

import sparring.runtime.worker  # noqa: F401  torch, Numba and the kernels
from sparring.games import make, names

_game = os.environ.get("SPARRING_PRELOAD_GAME")
if _game in names():
    make(_game, 1)
