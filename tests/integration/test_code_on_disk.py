"""Machine code of the same rules, left on disk by different processes, loaded in one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from child_processes import HANG

pytestmark = pytest.mark.slow

PLAY = """
import sys
import numpy as np
from sparring.games import make
for name in sys.argv[1:]:
    game = make(name, 1)
    game.reset(np.zeros(1, np.int64), np.full(1, 5, np.uint64))
    random = np.random.default_rng(0)
    while not game.terminated[0]:
        game.step(random.choice(np.flatnonzero(game.mask[0]), 1))
    print(name, game.plies[0], game.rewards[0].tolist())
"""


@pytest.mark.full
def test_ludo_for_two_and_for_four(tmp_path: Path) -> None:
    """The same functions for two structured types: one must not be run for the other."""

    def play(*names: str) -> list[str]:
        environment = {**os.environ, "SPARRING_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", PLAY, *names],
            capture_output=True,
            text=True,
            timeout=HANG,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    two, four = "ludo", "ludo(num_players=4)"
    alone = [*play(two), *play(four)]
    assert play(two, four) == alone
