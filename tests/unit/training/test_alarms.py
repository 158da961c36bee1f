from __future__ import annotations

import numpy as np

from sparring.opponents.records import RecentRecord, Record
from sparring.training.alarms import Alarm, Alarms

POOL = ["snapshot:1", "snapshot:4", "snapshot:6", "snapshot:7"]


def raised(alarm: Alarm | None) -> bool:
    return alarm is not None


def test_a_collapse_is_raised_once_until_it_is_over() -> None:
    """Best 0.90 with an interval down to 0.86: raised if the upper end is below 0.81, cleared when
    it reaches 0.86 again.
    """
    alarms = Alarms(None)
    scores = [
        (0.70, 0.65, 0.75),
        (0.90, 0.86, 0.94),
        (0.85, 0.80, 0.90),
        (0.80, 0.75, 0.85),
        (0.76, 0.71, 0.805),
    ]
    found = [raised(alarms.collapse("random", score, (low, high))) for score, low, high in scores]
    assert found == [False, False, False, False, True]
    assert not alarms.collapse("random", 0.5, (0.45, 0.55))
    assert not alarms.collapse("random", 0.79, (0.74, 0.84)), "better, but not over"
    assert not alarms.collapse("random", 0.5, (0.45, 0.55))
    assert not alarms.collapse("random", 0.83, (0.78, 0.87)), "over"
    alarm = alarms.collapse("random", 0.5, (0.45, 0.55))
    assert alarm is not None
    assert (alarm.tag, alarm.value) == ("warnings/collapse/random", 0.5)
    assert alarm.text.startswith(
        "the agent has become worse: it scores 0.50 against random, down from 0.90"
    )


def test_each_baseline_has_its_own_alarm_of_collapse() -> None:
    alarms = Alarms(None)
    for name in ("random", "one_ply"):
        assert not alarms.collapse(name, 0.9, (0.88, 0.92))
        assert alarms.collapse(name, 0.5, (0.45, 0.55))


def test_the_suspect_is_the_old_snapshot_with_the_clearest_losses() -> None:
    """In the older half, with 20 matches or more: the lowest score whose interval is below 1/2."""
    alarms = Alarms(None)
    clear, clearer, open_ = (
        RecentRecord(20.0, 0.0, 80.0),
        RecentRecord(10.0, 0.0, 90.0),
        RecentRecord(45.0, 0.0, 55.0),
    )
    assert alarms.suspect(POOL, {}) is None
    assert alarms.suspect(POOL, {"snapshot:6": clear, "snapshot:7": clear}) is None, (
        "the newer half"
    )
    assert alarms.suspect(POOL, {"snapshot:1": open_}) is None
    assert alarms.suspect(POOL, {"snapshot:1": RecentRecord(0.0, 0.0, 19.0)}) is None
    assert alarms.suspect(POOL, {"snapshot:1": RecentRecord(0.0, 0.0, 20.0)}) == "snapshot:1"
    assert alarms.suspect(POOL, {"snapshot:1": clear, "snapshot:4": clearer}) == "snapshot:4"
    assert alarms.suspect(["snapshot:1"], {"snapshot:1": clearer}) is None, (
        "the only one is the newest"
    )


def test_forgetting_is_raised_once_until_no_snapshot_is_suspected() -> None:
    alarms, lost = Alarms(None), {"snapshot:1": RecentRecord(10.0, 0.0, 90.0)}
    assert alarms.suspect(POOL, lost) == "snapshot:1"
    assert alarms.forgetting("snapshot:1", Record(45, 0, 55)) is None, "greedily it does not lose"
    assert alarms.suspect(POOL, lost) == "snapshot:1"
    alarm = alarms.forgetting("snapshot:1", Record(50, 20, 130))
    assert alarm is not None
    assert (alarm.tag, alarm.value) == ("warnings/forgetting", 0.3)
    assert alarm.text == (
        "the agent forgets: it scores 0.30 in 200 matches against snapshot:1, "
        "an old snapshot of itself"
    )
    assert alarms.suspect(POOL, lost) is None
    assert alarms.suspect(POOL, {}) is None, "over"
    assert alarms.suspect(POOL, lost) == "snapshot:1"
    assert alarms.forgetting("snapshot:1", Record(50, 20, 130))


def test_few_updates_are_announced_and_reported_once() -> None:
    alarms = Alarms(None)
    assert alarms.few_updates(500.0, done=False) is None
    alarm = alarms.few_updates(59.6, done=False)
    assert alarm is not None
    assert (alarm.tag, alarm.value) == ("warnings/few_updates", 59.6)
    assert alarm.text.startswith("only 60 updates are to be expected, so the agent learns little")
    assert alarms.few_updates(59.6, done=False) is None
    alarm = alarms.few_updates(0.0, done=True)
    assert alarm is not None
    assert alarm.text.startswith("only 0 updates were made")


def test_an_agent_that_is_never_better_than_random_is_named_late_in_the_run() -> None:
    """Random has 0.52 in the same matches; better means that the whole interval is above."""
    alarms = Alarms(None)
    assert alarms.not_better_than_random(0.5, (0.4, 0.6), 0.52, late=False) is None
    alarm = alarms.not_better_than_random(0.55, (0.45, 0.65), 0.52, late=True)
    assert alarm is not None
    assert (alarm.tag, alarm.value) == ("warnings/not_better_than_random", 0.55)
    assert "its mean return is 0.55 (0.45 to 0.65), that of random 0.52; try" in alarm.text
    assert alarms.not_better_than_random(0.5, (0.4, 0.6), 0.52, late=True) is None, "once"


def test_an_agent_that_was_better_than_random_once_is_not_named() -> None:
    alarms = Alarms(None)
    assert alarms.not_better_than_random(0.7, (0.6, 0.8), 0.52, late=False) is None
    restored = Alarms(None)
    restored.set_state(alarms.get_state())
    assert restored.not_better_than_random(0.5, (0.4, 0.6), 0.52, late=True) is None


def test_q_values_outside_the_range_of_returns() -> None:
    """A match pays -1 to 1, the margin is a tenth of the width, 0.2; cleared within the range."""
    alarms = Alarms((-1.0, 1.0))
    means = [0.9, 1.15, 1.25, 1.5, 1.1, 1.3, 0.95, -1.19, -1.21, float("nan")]
    expected = [False, False, True, False, False, False, False, False, True, False]
    assert [raised(alarms.q_values(mean)) for mean in means] == expected
    assert not Alarms(None).q_values(1e9)
    alarm = Alarms((0.0, 10.0)).q_values(12.0)
    assert alarm == Alarm(
        "warnings/q_range",
        12.0,
        "Q-values have left the range of returns: mean 12, a match pays 0 to 10",
    )


def test_raised_alarms_and_best_scores_are_saved() -> None:
    alarms = Alarms((-1.0, 1.0))
    alarms.q_values(2.0)
    alarms.collapse("random", 0.9, (0.88, 0.92))
    restored = Alarms((-1.0, 1.0))
    restored.set_state(alarms.get_state())
    assert restored.get_state() == alarms.get_state()
    assert restored.q_values(2.0) is None
    assert restored.collapse("random", 0.5, (0.4, 0.6))


def transitions(*rows: tuple[float, float]) -> np.ndarray:
    """(R, discount) of each."""
    return np.array(list(rows), np.dtype([("R", np.float32), ("discount", np.float32)]))


def test_a_return_outside_the_declared_range_is_raised_once() -> None:
    """Only what is paid by the end counts: before it, the rest of the match may make up for it."""
    alarms = Alarms((-1.0, 1.0))
    within = transitions((1.0, 0.0), (-1.0, 0.0), (2.5, 0.9), (0.1 + 0.9, 0.0))
    assert alarms.paid("pig:Pig", [within]) is None
    beyond = transitions((0.0, 0.9), (2.5, 0.0), (7.0, 0.0))
    assert alarms.paid("pig:Pig", [within, beyond]) == Alarm(
        "warnings/returns",
        2.5,
        "pig:Pig paid a seat 2.5 by the end of a match, but declares returns within -1 to 1, "
        "to which targets are clipped: correct spec.returns",
    )
    assert alarms.paid("pig:Pig", [beyond]) is None
    again = Alarms((-1.0, 1.0))
    again.set_state(alarms.get_state())
    assert again.paid("pig:Pig", [beyond]) is None, "a resumed run does not repeat it"
    assert Alarms(None).paid("pig:Pig", [beyond]) is None, "nothing is declared"
