"""Training on a PettingZoo environment of one's own, by each of its names and start methods."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from child_processes import HELPERS
from in_process import python

registration = pytest.importorskip("pettingzoo.env_registry.registration")
pytestmark = pytest.mark.slow

CLASS = """
from user_environments import Leavers

class MyEnv(Leavers):
    pass
"""
MODULE = f"""
import pettingzoo
{CLASS}
def env():
    return MyEnv()

pettingzoo.register("aec", "own/my_env-v0", entry_point=MyEnv)
"""
SCRIPT = """
from sparring import train_dqn
{before}
if __name__ == "__main__":
    agent = train_dqn(
        {game}, n_episodes=60, num_workers=1, name="run", eval_matches=2, tensorboard=False,
        start_method={start_method!r},
    )
    print("trained", agent.spec.game, flush=True)
"""


@pytest.fixture(autouse=True)
def _registered_once() -> Iterator[None]:
    """PettingZoo warns when an environment is registered again."""
    before = dict(registration.aec_registry)
    yield
    registration.aec_registry.clear()
    registration.aec_registry.update(before)


def trained(folder: Path, game: str, start_method: str, before: str = "") -> str:
    """Output of a script that trains."""
    shutil.copy(HELPERS / "user_environments.py", folder)
    (folder / "my_envs.py").write_text(MODULE)
    (folder / "script.py").write_text(
        SCRIPT.format(game=game, start_method=start_method, before=before)
    )
    return python("script.py", folder)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
@pytest.mark.parametrize("name", ["my_envs:env", "pettingzoo:my_envs:own/my_env-v0"])
def test_an_environment_is_trained_on_by_its_name(name, start_method, tmp_path):
    assert f"trained {name}" in trained(tmp_path, repr(name), start_method)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
@pytest.mark.parametrize(
    ("before", "name"),
    [("from my_envs import MyEnv", "my_envs:MyEnv"), (CLASS, "__main__:MyEnv")],
)
def test_the_class_of_an_environment_is_trained_on(before, name, start_method, tmp_path):
    assert f"trained {name}" in trained(tmp_path, "MyEnv", start_method, before)
