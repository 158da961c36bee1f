"""A run that is stopped and resumed, wherever and however often, ends with the weights of one that
never stopped.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from stopped_runs import NEVER, StopAfter, figures, resume_until, saved, train_until
from trial_runs import trial

from sparring.training import TrainResult, train_dqn

MODES = pytest.mark.parametrize("mode", ["sync", "overlap"])


@pytest.fixture(autouse=True)
def _stop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sparring.training.Interrupts", StopAfter)
    StopAfter.looks = NEVER
    yield
    StopAfter.looks = NEVER


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[TrainResult, int]]]:
    """By mode: the run that is never stopped, and how often it asked whether to stop."""
    runs = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparring.training.Interrupts", StopAfter)
        for mode in ("sync", "overlap"):
            result = train_until(NEVER, tmp_path_factory.mktemp("whole"), mode, mode=mode)
            runs[mode] = result, StopAfter.looked
        yield runs


@MODES
def test_stopped_at_random_points(
    mode: str, tmp_path: Path, whole: dict[str, tuple[TrainResult, int]]
) -> None:
    uninterrupted, looks = whole[mode]
    for point in random.Random(20260101).sample(range(looks), 3):
        name = f"stopped-{point}"
        stopped = train_until(point, tmp_path, name, mode=mode)
        assert stopped.interrupted
        assert stopped.episodes < uninterrupted.episodes
        resumed = resume_until(NEVER, tmp_path, name)
        assert not resumed.interrupted
        assert figures(resumed) == figures(uninterrupted), f"stopped at question {point} of {looks}"
        assert resumed.agent.read_bytes() == uninterrupted.agent.read_bytes()


@MODES
def test_stopped_between_rounds_and_within(
    mode: str, tmp_path: Path, whole: dict[str, tuple[TrainResult, int]]
) -> None:
    """Every point of one whole round in the middle of the run: before the round, and before each of
    its six updates.
    """
    uninterrupted, looks = whole[mode]
    due = []
    for point in range(looks // 2, looks // 2 + 7):
        name = f"stopped-{point}"
        state = saved(train_until(point, tmp_path, name, mode=mode))
        due.append(state["schedule"]["due"])
        assert (state["pacing"]["pending"] is not None) == (mode == "overlap")
        assert (state["workers"]["0"]["body"]["matches"]["players"] >= 1_000).any(), (
            "a snapshot is a player of a match under way"
        )
        assert figures(resume_until(NEVER, tmp_path, name)) == figures(uninterrupted), (
            f"{due[-1]} updates were due"
        )
    assert sorted(due) == [0, 1, 2, 3, 4, 5, 6]


def test_stopped_with_a_minibatch_drawn_ahead(tmp_path: Path) -> None:
    """Two learner threads: where a series of updates was stopped, the prefetched minibatch is in
    the checkpoint.
    """
    whole = train_until(NEVER, tmp_path, "whole", learner_threads=2)
    ahead = []
    for point in range(StopAfter.looked // 2, StopAfter.looked // 2 + 7):
        name = f"stopped-{point}"
        ahead.append(
            bool(saved(train_until(point, tmp_path, name, learner_threads=2))["learner"]["ahead"])
        )
        assert figures(resume_until(NEVER, tmp_path, name)) == figures(whole)
    assert ahead.count(True) >= 4


@MODES
def test_stopped_before_anything_has_happened(
    mode: str, tmp_path: Path, whole: dict[str, tuple[TrainResult, int]]
) -> None:
    stopped = train_until(0, tmp_path, "stopped", mode=mode)
    assert (stopped.episodes, stopped.updates) == (0, 0)
    assert figures(resume_until(NEVER, tmp_path, "stopped")) == figures(whole[mode][0])


@MODES
def test_stopped_again_and_again(
    mode: str, tmp_path: Path, whole: dict[str, tuple[TrainResult, int]]
) -> None:
    result = train_until(30, tmp_path, "stopped", mode=mode)
    stops = 0
    while result.interrupted:
        stops += 1
        result = resume_until(17, tmp_path, "stopped")
    assert stops >= 4
    assert figures(result) == figures(whole[mode][0])


@MODES
@pytest.mark.slow
def test_processes_continue_where_they_were(
    mode: str, tmp_path: Path, whole: dict[str, tuple[TrainResult, int]]
) -> None:
    uninterrupted, looks = whole[mode]
    stopped = train_until(2 * looks // 3, tmp_path, "stopped", mode=mode, backend="processes")
    matches = saved(stopped)["workers"]["1"]["body"]
    assert matches["game"]["plies"].any(), "some matches are under way"
    assert matches["assembler"]["count"].any(), "some decisions wait for their next state"
    assert figures(resume_until(NEVER, tmp_path, "stopped")) == figures(uninterrupted)


@MODES
def test_checkpoints_on_the_way_change_nothing(
    mode: str, tmp_path: Path, whole: dict[str, tuple[TrainResult, int]]
) -> None:
    result = train_until(
        NEVER, tmp_path, "often", mode=mode, checkpoint_interval=7, eval_interval=1_000
    )
    assert figures(result) == figures(whole[mode][0])
    assert len(list((result.run / "checkpoints").iterdir())) == 2


@MODES
def test_a_run_continues_from_a_checkpoint_on_the_way(
    mode: str, tmp_path: Path, whole: dict[str, tuple[TrainResult, int]]
) -> None:
    """As after a kill: the newest checkpoint is not from the end; the rest is done again."""
    result = train_until(NEVER, tmp_path, "killed", mode=mode, checkpoint_interval=30)
    newest, earlier = sorted(
        (result.run / "checkpoints").iterdir(), key=lambda path: -int(path.name)
    )
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    assert 0 < int(earlier.name) < result.updates
    assert figures(resume_until(NEVER, tmp_path, "killed")) == figures(whole[mode][0])


@MODES
def test_a_finished_run_is_made_longer(mode: str, tmp_path: Path) -> None:
    """If no setting depends on progress, it does not matter when the length was decided."""
    steady = {
        "mode": mode,
        "exploration_initial_eps": 0.2,
        "exploration_final_eps": 0.2,
        "prioritized_replay": False,
    }
    wanted = train_until(NEVER, tmp_path, "long", n_episodes=240, **steady)
    short = train_until(NEVER, tmp_path, "short", n_episodes=120, **steady)
    assert short.episodes < wanted.episodes
    before = (short.run / "metrics.jsonl").read_text()
    longer = resume_until(NEVER, tmp_path, "short", n_episodes=240)
    assert figures(longer) == figures(wanted)
    after = (short.run / "metrics.jsonl").read_text()
    assert before
    assert after.startswith(before), "metrics are appended"
    assert len(after.splitlines()) > len(before.splitlines())
    assert "n_episodes = 240" in (short.run / "config.toml").read_text()


@MODES
@pytest.mark.parametrize(
    "exploration",
    [
        {"exploration": "per_worker", "num_workers": 3},
        {"exploration": "geometric", "exploration_decay": 0.9},
    ],
    ids=lambda options: options["exploration"],
)
def test_other_epsilons_continue(mode: str, exploration: dict[str, object], tmp_path: Path) -> None:
    options = {"mode": mode, **exploration}
    whole = train_until(NEVER, tmp_path, "whole", **options)
    assert train_until(StopAfter.looked // 2, tmp_path, "stopped", **options).interrupted
    assert figures(resume_until(NEVER, tmp_path, "stopped")) == figures(whole)


@MODES
def test_matchmaking_by_results_and_a_gate_continue(mode: str, tmp_path: Path) -> None:
    """Opponents depend on records, the pool on matches at the gate: both are as without a stop."""
    options = {
        "mode": mode,
        "matchmaking": "pfsp",
        "gate": "win_rate",
        "gate_score": 0.55,
        "gate_matches": 10,
        "snapshot_interval": 20,
        "max_snapshots": 2,
        "max_opponents_per_worker": 3,
        "eval_interval": 15,
    }
    whole = train_until(NEVER, tmp_path, "whole", **options)
    looks, kept = StopAfter.looked, saved(whole)
    for point in (looks // 3, looks // 2, 3 * looks // 4):
        name = f"stopped-{point}"
        assert train_until(point, tmp_path, name, **options).interrupted
        resumed = resume_until(NEVER, tmp_path, name)
        assert figures(resumed) == figures(whole)
        again = saved(resumed)
        assert again["evaluator"]["alarms"] == kept["evaluator"]["alarms"]
        (mean, weights), expected = again["evaluator"]["best"].values(), kept["evaluator"]["best"]
        assert (mean, weights.tobytes()) == (expected["return"], expected["weights"].tobytes())
        for part in ("pool", "recent", "ratings"):
            assert again["opponents"][part] == kept["opponents"][part], part
    joined = {
        name for name in kept["opponents"]["ratings"]["ratings"] if name.startswith("snapshot:")
    }
    tried = kept["opponents"]["taken"]
    assert 2 < len(joined) < tried, "some were refused, and one had to leave"
    gates = [
        json.loads(line).get("selfplay/gate_score")
        for line in (whole.run / "metrics.jsonl").read_text().splitlines()
    ]
    assert any(score is not None and score < 0.55 for score in gates)


def test_the_age_of_weights_is_reported_before_anything_is_played_again(tmp_path: Path) -> None:
    """The remaining updates of a round come first; the newest weights are the checkpoint's."""
    options = {"mode": "sync", "log_interval": 1e-9}
    whole = train_until(NEVER, tmp_path, "whole", **options)
    point = next(
        p
        for p in range(StopAfter.looked // 2, NEVER)
        if saved(train_until(p, tmp_path, f"{p}", **options))["schedule"]["due"] > 0
    )
    told = len((tmp_path / f"{point}" / "metrics.jsonl").read_text().splitlines())
    resumed = resume_until(NEVER, tmp_path, f"{point}")
    lines = (resumed.run / "metrics.jsonl").read_text().splitlines()[told:]
    ages = [json.loads(line)["train/weight_age"] for line in lines if "train/weight_age" in line]
    before = [
        json.loads(line)
        for line in (whole.run / "metrics.jsonl").read_text().splitlines()
        if "train/weight_age" in line
    ]
    assert len(ages) > 3
    assert all(
        1.0 <= age <= max(report["train/weight_age"] for report in before) + 1.0 for age in ages
    )


def test_train_dqn_says_how_to_continue(tmp_path: Path) -> None:
    StopAfter.looks = 20
    options = trial(tmp_path, name="stopped", backend="inline").model_dump()
    with pytest.raises(KeyboardInterrupt) as caught:
        train_dqn(**options)
    assert str(caught.value) == f"saved. Continue with: sparring resume {tmp_path / 'stopped'}"


def test_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    done = train_until(NEVER, tmp_path, "done")
    again = resume_until(NEVER, tmp_path, "done")
    assert figures(again) == figures(done)
