"""The supervisor with members whose processes are played by the test."""

from __future__ import annotations

from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest
from fake_members import FakeMember

from sparring.errors import ConfigurationError
from sparring.population.supervisor import MAX_RESTARTS, Supervisor


class Stops:
    signal = 0


class Population:
    """Some members and their supervisor, on a clock that each look moves on by a second."""

    def __init__(self, folder: Path, agents: int = 3, pbt_interval: int | None = None) -> None:
        tuned = {} if pbt_interval is None else {"learning_rate": 0.001}
        self.members = [FakeMember(folder, number, **tuned) for number in range(agents)]
        self.stops = Stops()
        self.said: list[str] = []
        self.saves = 0
        self.now = 0.0
        self.supervisor = Supervisor(
            self.members,
            stops=self.stops,
            note=self.said.append,
            changed=self._save,
            pbt_interval=pbt_interval,
            clock=lambda: self.now,
        )
        self.supervisor.start()

    def _save(self) -> None:
        self.saves += 1

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.supervisor.look()
            self.now += 1.0


@pytest.fixture
def population(tmp_path: Path) -> Population:
    return Population(tmp_path)


@pytest.fixture
def tuned(tmp_path: Path) -> Population:
    """Population-based training of the learning rate, a decision after every second evaluation."""
    return Population(tmp_path, pbt_interval=2)


def test_members_that_are_done_end_the_population(population: Population) -> None:
    for member in population.members:
        assert population.supervisor.running
        member.report(matches=1_000)
        member.process.status = 0
        population.look()
    assert not population.supervisor.running
    assert [member.state for member in population.members] == ["finished"] * 3
    assert [member.share for member in population.members] == [1.0] * 3


def test_a_killed_member_continues_from_its_checkpoint_while_the_others_go_on(
    population: Population,
) -> None:
    weak = population.members[1]
    weak.save()
    weak.process.status = -SIGKILL
    population.look(3)
    assert [len(member.processes) for member in population.members] == [1, 2, 1]
    assert weak.process.arguments[:2] == ["resume", str(weak.run.absolute())]
    assert population.said == [
        "member-1: failed, and is started again from its newest checkpoint (1 of 3): "
        "killed by SIGKILL"
    ]


def test_a_member_without_a_checkpoint_begins_anew(population: Population) -> None:
    weak = population.members[0]
    weak.report(matches=10)
    population.look()
    weak.process.status = 1
    population.look(3)
    assert weak.process.arguments[0] == "train"
    assert not weak.run.exists()


def test_a_member_is_given_up_after_three_restarts(population: Population) -> None:
    weak = population.members[2]
    weak.save()
    for _ in range(MAX_RESTARTS + 1):
        weak.log.write_text("starting\nsparring: the game failed\n\n")
        weak.process.status = 1
        population.look(3)
    assert (weak.state, len(weak.processes)) == ("given up", MAX_RESTARTS + 1)
    assert population.said[-1].startswith("member-2: failed again, and is given up: the game faile")
    for member in population.members[:2]:
        member.process.status = 0
    population.look()
    assert not population.supervisor.running


def test_settings_that_cannot_work_end_the_population_with_their_line(
    population: Population,
) -> None:
    population.members[0].log.write_text("sparring: batch_size: got 0, expected at least 1\n")
    population.members[0].process.status = 2
    with pytest.raises(ConfigurationError, match=r"^member-0: batch_size: got 0"):
        population.look()
    population.supervisor.close()
    assert population.members[1].process.signals[0] == SIGTERM


def test_a_member_that_trained_and_then_meets_bad_input_is_started_again(
    population: Population,
) -> None:
    weak = population.members[0]
    weak.save()
    weak.report(matches=10)
    population.look()
    weak.process.status = 2
    population.look(3)
    assert weak.restarts == 1


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
def test_a_signal_reaches_every_member_once(population: Population, number: int) -> None:
    population.stops.signal = number
    population.look(3)
    assert [member.process.signals for member in population.members] == [[number]] * 3
    for member in population.members:
        member.process.status = 128 + number
    population.look()
    assert [member.state for member in population.members] == ["saved"] * 3
    assert not population.supervisor.running


def test_a_signal_ends_the_wait_for_a_restart(population: Population) -> None:
    population.members[0].process.status = -SIGKILL
    population.look()
    population.stops.signal = SIGTERM
    population.look(3)
    assert len(population.members[0].processes) == 1


def evaluate(population: Population, *scores: float, times: int = 1) -> None:
    for _ in range(times):
        for member, score in zip(population.members, scores, strict=True):
            member.report(matches=100, score=score)
    population.look(2)


def test_the_weakest_member_takes_over_the_learner_of_the_best(tuned: Population) -> None:
    weak, _, best = tuned.members
    best.tuned = {"learning_rate": 0.01}
    best.save()
    evaluate(tuned, 0.2, 0.5, 0.9)
    assert weak.process.signals == []  # one evaluation is not enough
    evaluate(tuned, 0.2, 0.5, 0.9)
    assert [member.process.signals for member in tuned.members] == [[SIGINT], [], []]
    weak.save()
    weak.process.status = 130
    tuned.look(2)
    command = weak.process.arguments
    assert command[0] == "resume"
    assert command[command.index("--learner-from") + 1] == str(best.run.absolute())
    assert float(command[command.index("--learning-rate") + 1]) in (0.008, 0.012)
    assert weak.tuned["learning_rate"] in (0.008, 0.012)
    (exchange,) = tuned.supervisor.exchanges
    assert (exchange.member, exchange.learner_from, exchange.matches) == (
        "member-0",
        "member-2",
        100,
    )
    assert (tuned.saves, weak.restarts) == (1, 0)


def test_a_member_decides_again_only_after_new_evaluations(tuned: Population) -> None:
    weak, _, best = tuned.members
    best.save()
    evaluate(tuned, 0.2, 0.5, 0.9, times=2)
    weak.save()
    weak.process.status = 130
    tuned.look(5)
    evaluate(tuned, 0.2, 0.5, 0.9)
    assert weak.process.signals == []
    evaluate(tuned, 0.2, 0.5, 0.9)
    assert weak.process.signals == [SIGINT]


def test_nothing_is_taken_over_before_all_have_scores_or_without_a_checkpoint(
    tuned: Population,
) -> None:
    weak, other, best = tuned.members
    for member, score in ((weak, 0.1), (other, 0.5)):
        member.report(score=score)
        member.report(score=score)
    best.save()
    tuned.look(3)
    assert weak.process.signals == []


def test_nothing_is_taken_over_from_a_member_without_a_checkpoint(tuned: Population) -> None:
    evaluate(tuned, 0.2, 0.5, 0.9, times=2)
    assert [member.process.signals for member in tuned.members] == [[], [], []]


def test_ctrl_c_does_not_reach_a_member_twice_that_is_stopping_already(tuned: Population) -> None:
    weak, _, best = tuned.members
    best.save()
    evaluate(tuned, 0.2, 0.5, 0.9, times=2)
    tuned.stops.signal = SIGINT
    tuned.look()
    assert [member.process.signals for member in tuned.members] == [[SIGINT]] * 3
    weak.process.status = 130
    tuned.look()
    assert (weak.state, len(weak.processes)) == ("saved", 1)


def test_a_failed_member_keeps_the_settings_that_it_took_over(tuned: Population) -> None:
    weak, _, best = tuned.members
    best.save()
    evaluate(tuned, 0.2, 0.5, 0.9, times=2)
    weak.save()
    weak.process.status = 130
    tuned.look(2)
    rate = weak.process.arguments[weak.process.arguments.index("--learning-rate") + 1]
    weak.process.status = -SIGKILL
    tuned.look(3)
    assert len(weak.processes) == 3
    assert weak.process.arguments[-2:] == ["--learning-rate", rate]


def test_a_report_that_is_half_written_is_read_when_it_is_whole(population: Population) -> None:
    member = population.members[0]
    member.report(matches=10)
    with open(member.run / "metrics.jsonl", "a") as file:
        file.write('{"wall_time": 1e12, "rollout/epis')
    population.look()
    assert member.matches == 10
    with open(member.run / "metrics.jsonl", "a") as file:
        file.write('odes": 20}\n')
    population.look()
    assert member.matches == 20


def test_reports_are_counted_anew_after_a_resume_has_cut_them(population: Population) -> None:
    member = population.members[0]
    for score in (0.1, 0.2, 0.3):
        member.report(score=score)
    population.look()
    (member.run / "metrics.jsonl").write_text("")
    member.report(score=0.4)
    population.look()
    assert member.scores == [0.4]
