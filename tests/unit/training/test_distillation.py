"""Students fitted to the values of an agent."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exact_toe import exact_agent
from in_process import sparring

from sparring.config.network import PolicyKwargs
from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import PolicySpec
from sparring.errors import ConfigurationError, InputError
from sparring.games import make
from sparring.rollout.taught import Lessons, Taught
from sparring.training import distillation
from sparring.training.distillation import DistillResult, Length, distill

SMALL = PolicyKwargs(net_arch=(32,))
TABLE = PolicyKwargs(network="ntuples", tuples=1, tuple_size=9)


def taught(teacher: DQNAgent, *, afterstates: bool, plies: int = 9) -> list[Taught]:
    """Positions of so many plies in 16 slots."""
    game = make(teacher.spec.game, 16)
    lessons = Lessons(teacher.policy(), game, afterstates=afterstates, key=5)
    return [lessons.play() for _ in range(plies)]


def shortly(
    path: Path, network: PolicyKwargs = SMALL, *, positions: int = 4096, **options: Any
) -> DistillResult:
    options = {"learner_threads": 1, "console": False, **options}
    return distill(exact_agent(), network, path, length=Length(1.0, positions), **options)


def test_rows_have_the_teachers_values_of_the_positions_after_moves() -> None:
    agent = exact_agent()
    for one in taught(agent, afterstates=True):
        rows = one.transitions(agent.spec)
        np.testing.assert_allclose(rows["R"], agent.values(rows["observation"]), atol=1e-6)
        assert not rows["discount"].any()
        assert not rows["next_mask"].any()


def test_rows_of_action_values_have_one_for_each_legal_move_wins_included() -> None:
    agent = exact_agent()
    student = PolicySpec(agent.spec.game)
    wins = 0
    for one in taught(agent, afterstates=False):
        rows = one.transitions(student)
        assert len(rows) == one.mask.sum()
        position = np.repeat(np.arange(len(one.mask)), one.mask.sum(axis=1))
        np.testing.assert_array_equal(rows["R"], one.values[position, rows["action"]])
        np.testing.assert_array_equal(rows["observation"], one.observation[position])
        wins += (rows["R"] == 1.0).sum()
    assert wins > 0


def test_values_of_actions_become_values_of_positions_after_moves() -> None:
    """A teacher that values actions; the student's view gives the same values back."""
    teacher = DQNAgent("tic_tac_toe", policy_kwargs={"net_arch": [8]}, device="cpu")
    student = PolicySpec("tic_tac_toe", afterstates=True)
    for one in taught(teacher, afterstates=True):
        R, after = one.transitions(student)["R"], one.after
        assert after is not None
        goes_on = after.row >= 0
        np.testing.assert_allclose(-R, one.values[goes_on], atol=1e-6)
        np.testing.assert_array_equal(np.isfinite(one.values), one.mask)


def test_matches_are_played_to_their_ends_with_good_and_random_moves() -> None:
    positions = taught(exact_agent(), afterstates=True, plies=60)
    stones = np.concatenate([one.observation.sum(axis=(1, 2, 3)) for one in positions])
    assert set(stones) == set(range(9))
    lost = np.concatenate([one.values.max(axis=1) < -0.5 for one in positions])
    assert 0.01 < lost.mean() < 0.4  # by mistakes alone


def test_a_table_that_is_large_enough_chooses_as_its_exact_teacher(tmp_path: Path) -> None:
    result = shortly(tmp_path / "student.safetensors", TABLE, positions=40_000)
    assert result.agreement.positions > 400
    assert result.agreement.same_move > 0.7  # the teacher's values of equal moves differ a little
    assert result.agreement.lost_value < 0.001  # a wrong move loses 0.9


@pytest.mark.parametrize("afterstates", [True, False])
def test_a_network_comes_close_to_its_exact_teacher(tmp_path: Path, afterstates: bool) -> None:
    path = tmp_path / "student.safetensors"
    network = PolicyKwargs(net_arch=(128,))
    first = shortly(tmp_path / "first.safetensors", network, afterstates=afterstates)
    result = shortly(path, network, positions=30_000, afterstates=afterstates)
    assert result.agreement.lost_value < 0.8 * first.agreement.lost_value
    assert DQNAgent.load(path).spec.afterstates == afterstates


def test_equal_seeds_make_equal_files(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for file, seed in zip(files, (7, 7, 8), strict=True):
        shortly(file, seed=seed)
    one, same, other = (file.read_bytes() for file in files)
    assert one == same != other


def test_a_signal_keeps_what_is_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learn = distillation._Distillation._learn

    def interrupted(self: Any, *arguments: Any) -> None:
        learn(self, *arguments)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(distillation._Distillation, "_learn", interrupted)
    result = shortly(tmp_path / "student.safetensors", positions=10**9)
    assert result.signal == signal.SIGINT
    assert result.updates > 0
    assert DQNAgent.load(result.student).game.name == "tic_tac_toe"


def test_minutes_end_a_distillation() -> None:
    assert Length(2.0).progress(10**9, 60.0) == 0.5
    assert Length(2.0, 100).progress(25, 10**6) == 0.25


def test_held_out_positions_are_distinct_and_leave_a_choice(tmp_path: Path) -> None:
    game = make("tic_tac_toe", distillation._NUM_SLOTS)
    lessons = Lessons(exact_agent().policy(), game, afterstates=True, key=1)
    held_out = distillation.HeldOut(lessons)
    assert held_out.compare(exact_agent().policy())[1:] == (1.0, 0.0)
    counted = [
        one.observation[new].tobytes()
        for one, new in zip(held_out._taught, held_out._counted, strict=True)
    ]
    size = held_out._taught[0].observation[0].nbytes
    names = [text[i : i + size] for text in counted for i in range(0, len(text), size)]
    assert len(set(names)) == len(names) > 400
    assert all(name.count(1) < 8 for name in names)  # one free cell is no choice


def test_bad_input_is_told_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    with pytest.raises(ConfigurationError, match="afterstates = on"):
        shortly(path, TABLE, afterstates=False)
    with pytest.raises(ConfigurationError, match="device: got cuda"):
        shortly(path, TABLE, device="cuda")
    with pytest.raises(InputError, match="learner_threads"):
        shortly(path, learner_threads=0)
    with pytest.raises(InputError, match="folder"):
        shortly(tmp_path / "none" / "student.safetensors")
    assert list(tmp_path.iterdir()) == []
    path.touch()
    with pytest.raises(InputError, match="exists"):
        shortly(path)


def test_the_command_writes_an_agent_that_other_commands_take(tmp_path: Path) -> None:
    agent = tmp_path / "exact.safetensors"
    exact_agent().save(agent)
    arguments = ["--net-arch", "16", "--positions", "4096", "--learner-threads", "1", "--json"]
    answer = sparring("distill", str(agent), "--network", "mlp", *arguments, folder=tmp_path)
    assert answer.status == 0, answer.said
    figures = json.loads(answer.out)
    assert figures["student"] == str(tmp_path / "exact-mlp.safetensors")
    assert figures["bytes"]["student"] < figures["bytes"]["agent"]
    words = "evaluate", figures["student"], "--opponent", "random", "--matches", "4"
    played = sparring(*words, folder=tmp_path)
    assert played.status == 0, played.said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--network", "perceptron"], "policy_kwargs.network"),
        (["--network", "mlp", "--channels", "8"], "does not apply to network mlp"),
        (["--positions", "0"], "positions"),
        (["--max-minutes", "-1"], "max_minutes"),
        (["--game", "connect_four"], "another game"),
        (["--afterstates", "maybe"], "--afterstates"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    agent = tmp_path / "exact.safetensors"
    exact_agent().save(agent)
    answer = sparring("distill", str(agent), *arguments, folder=tmp_path)
    assert answer.status == 2
    assert told in answer.err
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [agent]
