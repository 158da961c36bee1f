"""The scripts of `examples/` do what they say, at a small size."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from sparring.conformance import check
from sparring.games import make

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def own_ludo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    import own_ludo

    return own_ludo


def test_a_ludo_of_ones_own_is_trained_from_the_start_weights(
    own_ludo: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    own_ludo.main(
        n_episodes=40,
        episodes_per_batch=8,
        eval_interval=20,
        eval_matches=4,
        buffer_size=500,
        learning_starts=100,
        backend="inline",
        tensorboard=False,
    )
    [run] = Path("runs").iterdir()
    start, trained = torch.load("start.pt"), torch.load("trained.pt")
    assert start.keys() == trained.keys()
    assert all(not torch.equal(start[name], trained[name]) for name in start)
    settings = (run / "config.toml").read_text()
    for setting in (
        'exploration = "geometric"',
        'afterstates = "on"',
        '"own_ludo:Heuristic" = 0.3',
    ):
        assert setting in settings
    lines = [line for line in capsys.readouterr().out.splitlines() if " matches: " in line]
    assert len(lines) >= 2


def test_the_game_is_free_of_bugs(own_ludo: ModuleType) -> None:
    report = check(lambda num_slots: make("own_ludo:SmallLudo", num_slots), matches=16)
    assert report.passed, str(report)


def test_what_a_move_leaves_is_what_it_leads_to(own_ludo: ModuleType) -> None:
    """As the mover sees it after the step, without the die: along a match with captures."""
    match = own_ludo.SmallLudo()
    match.reset(np.random.default_rng(3))
    captures, over = 0, False
    while not over:
        mover, home = match.seat, match.tokens[1 - match.seat].count(0)
        left = match.after(match.mask().index(True))
        _, over = match.step(match.mask().index(True))
        assert left[:-6].tolist() == match.observe(mover)[:-6].tolist()
        captures += match.tokens[1 - mover].count(0) > home
    assert captures
