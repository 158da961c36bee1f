"""Imported by the fork server before it forks: what every worker needs and can share.

Only what has no threads and touches no accelerator may be imported here.
"""

from __future__ import annotations

import os

from sparring.games import is_built_in, make
from sparring.runtime.worker import PRELOAD_GAME  # imports torch, Numba and the kernels

_game = os.environ.get(PRELOAD_GAME)
if _game and is_built_in(_game):  # workers import adapters and users' games themselves
    make(_game, 1)
