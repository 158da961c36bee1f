"""Trainings that diverge: they end with one line, and neither workers nor files ever get weights
that are not finite.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from trial_runs import trial

from sparring.dqn.learner import Learner
from sparring.errors import NumericalError
from sparring.runtime.weights import WeightStore
from sparring.storage.run_directory import RunDirectory
from sparring.training import resume, train

RICH = """
import numpy as np
from sparring.games import GameSpec

class Rich:
    "Ten plies; action 1 pays the first seat, once `poor` matches are over."

    spec = GameSpec(
        num_players=2, num_actions=2, observation_shape=(10,), observation_dtype="int8",
        max_plies=10, zero_sum=True,
    )
    begun = 0

    def __init__(self, pays=1e38, poor=0):
        self.pays, self.poor = pays, poor

    def reset(self, rng):
        Rich.begun += 1
        self.ply, self.seat = 0, 0

    def mask(self):
        return [True, True]

    def observe(self, seat):
        return np.eye(10, dtype=np.int8)[self.ply]

    def step(self, action):
        self.ply += 1
        self.seat = self.ply % 2
        pay = self.pays if action and Rich.begun > self.poor else 0.0
        return (pay, -pay), self.ply == 10
"""
NETWORKS = """
from torch import nn

class Fragile(nn.Module):
    "Gives NaN for one of the positions: the third ply."

    def __init__(self, spec):
        super().__init__()
        self.out = nn.Linear(spec.observation_size, spec.num_actions)

    def forward(self, x):
        x = x.flatten(1).float()
        third = (x.sum(1, keepdim=True) == 2).float()
        return self.out(x) + 0.0 * third / (1.0 - third)
"""


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rich.py").write_text(RICH)
    (tmp_path / "fragile.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("rich", "fragile"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Every vector of weights that was handed to the workers."""
    vectors: list[np.ndarray] = []
    publish = WeightStore.publish

    def watched(store: WeightStore, version: int, vector: np.ndarray) -> None:
        vectors.append(vector.copy())
        publish(store, version, vector)

    monkeypatch.setattr(WeightStore, "publish", watched)
    return vectors


def different(vectors: list[np.ndarray]) -> int:
    """How many there are; all of them numbers."""
    assert np.isfinite(vectors).all()
    return len({vector.tobytes() for vector in vectors})


def ends(runs_dir: Path, **changes: Any) -> str:
    """The one line with which such a training ends; asserts that no file holds a weight that is not
    finite.
    """
    settings = {
        "name": "run",
        "backend": "inline",
        "num_workers": 1,
        "checkpoint_interval": 6,
        "eval_interval": 6,
        **changes,
    }
    with pytest.raises(NumericalError) as caught:
        train(trial(runs_dir, **settings), console=False)
    [line] = str(caught.value).splitlines()
    for path in (runs_dir / "run").rglob("*.safetensors"):
        if path.name != "replay.safetensors":  # what was played, and no weights
            assert all(
                np.isfinite(array).all()
                for array in load_file(path).values()
                if array.dtype.kind == "f"
            ), path
    return line


def learn_at(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """All learning is at this rate, which the setting does not allow."""
    set_rate = Learner.set_learning_rate
    monkeypatch.setattr(Learner, "set_learning_rate", lambda learner, _: set_rate(learner, rate))


def test_a_learning_rate_beyond_all_bounds(
    tmp_path: Path, published: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    learn_at(1e30, monkeypatch)
    line = ends(tmp_path)
    assert line.startswith("update 2: loss ")
    assert "learning_rate is too high" in line
    assert different(published) == 1, "the first weights only"


@pytest.mark.parametrize(("rate", "norm"), [(1e30, "inf"), (1e39, "nan")])
def test_weights_that_overflow_at_the_end_of_a_series(
    rate: float,
    norm: str,
    tmp_path: Path,
    published: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loss is finite: the step goes too far, and 1e39 is beyond float32."""
    learn_at(rate, monkeypatch)
    line = ends(tmp_path, learning_steps_per_batch=1)
    assert line.startswith(
        f"update 1: norm of the weights {norm} is not finite; learning_rate is too high"
    )
    assert different(published) == 1
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.parametrize("prioritized", [False, True])
def test_rewards_that_overflow(
    prioritized: bool,
    tmp_path: Path,
    published: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is a number, and so is each error; their sum is not. The run was sound for a while, and
    what it saved then remains. A class may not pay so much; compiled rules may.
    """
    monkeypatch.setattr("sparring.games.python.coerce._MAX_REWARD", 3e38)
    line = ends(
        tmp_path,
        game="rich:Rich(pays=1e38,poor=130)",
        batch_size=64,
        prioritized_replay=prioritized,
    )
    assert "loss inf" in line
    assert "rewards are too large" in line
    assert different(published) > 3
    with RunDirectory.open(tmp_path, "run") as run:
        saved = run.load_checkpoint()
    assert 0 < saved["learner"]["updates"] < 240
    assert (tmp_path / "run" / "best.safetensors").is_file()
    with pytest.raises(
        NumericalError, match="rewards are too large"
    ):  # played on from there: the same thing once more
        resume("run", runs_dir=str(tmp_path), console=False)


def test_a_network_that_gives_nan(tmp_path: Path, published: list[np.ndarray]) -> None:
    line = ends(tmp_path, game="tic_tac_toe", policy_kwargs={"network": "fragile:Fragile"})
    assert "loss nan" in line
    assert line.endswith("or the network itself returns NaN or infinity")
    assert different(published) == 1
