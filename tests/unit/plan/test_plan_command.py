"""`sparring plan` from a file of figures, and one short measurement."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import planned
import pytest

from sparring.cli import main
from sparring.cli.population import parse_population
from sparring.cli.train_options import parse_train
from sparring.config.sources import build_config
from sparring.plan.figures import Figures
from sparring.plan.measure import measure


def saved(folder: Path, **changes: Any) -> str:
    file = folder / "figures.json"
    file.write_text(json.dumps({"figures": planned.figures(**changes).to_json()}))
    return str(file)


def planned_on(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert main(["plan", "tic_tac_toe", *argv, "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_people_read_both_plans_and_type_their_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["plan", "tic_tac_toe", "--cores", "48", "--gpus", "6", "--from", saved(tmp_path)]
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "tic_tac_toe, preset quick, on 48 cores and 6 GPUs: simulated" in said
    assert "assumed: an update on a GPU takes" in said
    words = said.replace("\\\n", " ").split("\n")
    commands = [" ".join(line.split()) for line in words if line.startswith("sparring")]
    assert commands[0].startswith(
        "sparring train tic_tac_toe --preset quick --device cuda:0 --num-workers 46"
    )
    assert "--devices cuda:0,cuda:1,cuda:2,cuda:3,cuda:4,cuda:5 --num-workers 42" in commands[1]
    assert commands[1].endswith("--batch-size 516 --buffer-size 200004")  # multiples of six
    for command in commands:
        parse = parse_train if command.startswith("sparring train") else parse_population
        words = shlex.split(command)
        parse(words[2:], prog=" ".join(words[:2]))
    assert commands[-1].startswith(
        "sparring population tic_tac_toe --preset quick --agents 6 "
        "--devices cuda:0,cuda:1,cuda:2,cuda:3,cuda:4,cuda:5 --num-workers 7"
    )


def test_scripts_read_the_same_and_can_plan_from_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = planned_on(capsys, "--cores", "8", "--from", saved(tmp_path))
    one = report["plans"][0]
    assert {"matches_per_min", "updates_per_s", "binds", "memory", "command"} <= one.keys()
    assert 0 < one["matches_per_min"] <= 1.001 * min(one["limits"].values())
    file = tmp_path / "again.json"
    file.write_text(json.dumps(report))
    assert planned_on(capsys, "--cores", "8", "--from", str(file)) == report


def test_a_learner_that_is_told_to_be_fast_leaves_play_to_bind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(tmp_path, part=0.0, row=0.0)
    hardware = ("--cores", "12", "--gpus", "1", "--from", file, "--gpu-updates")
    slow, fast = (planned_on(capsys, *hardware, rate)["plans"][0] for rate in ("20", "1e5"))
    assert (slow["binds"], fast["binds"]) == ("updates", "play")
    assert slow["updates_per_s"] == pytest.approx(20, rel=0.02)
    # 10 workers at 1,000 plies/s, 20 plies a match
    assert fast["matches_per_min"] == pytest.approx(60 * 10 * 50, rel=0.02)


def test_commands_have_the_mode_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hardware = ("--cores", "4", "--from", saved(tmp_path))
    usual, other = (planned_on(capsys, *hardware, *mode) for mode in ((), ("--mode", "async")))
    assert not any("--mode" in plan["command"] for plan in usual["plans"])
    assert all("--mode async" in plan["command"] for plan in other["plans"])


def test_many_workers_get_shorter_rounds_where_a_run_would_have_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(tmp_path, part=0.0, row=0.0)
    hardware = ("--cores", "200", "--gpus", "1", "--gpu-updates", "1e5", "--from", file)
    shape = planned_on(capsys, *hardware)["plans"][0]["shape"]
    assert shape["episodes"] < 128  # the preset's
    assert 300_000 / (shape["workers"] * shape["episodes"]) >= 100


def test_a_cluster_is_planned_with_ray_and_its_link_binds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(tmp_path, row=0.0, part=0.0)
    hardware = ("--cores", "240", "--nodes", "5", "--gpus", "1", "--gpu-updates", "1e9")
    report = planned_on(capsys, *hardware, "--link-gbit", "0.01", "--from", file)
    one = report["plans"][0]
    assert one["binds"] == "link"
    assert "--backend ray --ray-address auto --num-workers 238" in one["command"]
    assert not any("population" in plan["command"] for plan in report["plans"])


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["tic_tac_toe", "--cores", "1"], "--cores: got '1', expected a whole number from 2"),
        (["tic_tac_toe", "--gpus", "many"], "--gpus: got 'many', expected a whole number"),
        (["tic_tac_toe", "--gpu-updates", "0"], "--gpu-updates: got '0', expected a number above"),
        (["tic_tac_toe", "--mode", "fast"], "--mode: got 'fast', expected one of sync, overlap"),
        (["tic_tac_toe", "--preset", "odd"], "unknown preset for tic_tac_toe: got 'odd'"),
        (["tic_tac_to"], "unknown game"),
        (["tic_tac_toe", "--cores", "4", "--nodes", "5"], "--nodes: got 5, expected at most the 4"),
        (["tic_tac_toe", "--from", "nowhere.json"], "nowhere.json cannot be read: No such file"),
    ],
)
def test_bad_input_is_one_line(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *argv]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert line in said.err
    assert said.err.count("\n") == 1


def without_rows(values: dict[str, Any]) -> None:
    del values["figures"]["row"]


def of_text(values: dict[str, Any]) -> None:
    values["figures"]["plies_per_s"] = "fast"


def of_nothing(values: dict[str, Any]) -> None:
    values["figures"]["updates"][0]["seconds"] = 0.0


def of_ludo(values: dict[str, Any]) -> None:
    values["figures"]["game"] = "ludo"


def of_a_list(values: dict[str, Any]) -> None:
    values["figures"] = []


def with_other_updates(values: dict[str, Any]) -> None:
    values["figures"]["updates"][0]["gpu"] = 1


def without_updates(values: dict[str, Any]) -> None:
    values["figures"]["updates"] = []


def without_figures(values: dict[str, Any]) -> None:
    del values["figures"]


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (without_rows, "figures missing or unknown: row"),
        (of_text, "plies_per_s: got fast, expected a number above 0"),
        (of_nothing, "updates: seconds: got 0.0, expected a number above 0"),
        (of_ludo, "is of another game: got ludo, expected tic_tac_toe"),
        (of_a_list, "figures: got []"),
        (with_other_updates, "updates: got {"),
        (without_updates, "updates: got [], expected some on a CPU"),
        (without_figures, "holds no figures"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line(
    damage: Any, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(saved(tmp_path))
    values = json.loads(file.read_text())
    damage(values)
    file.write_text(json.dumps(values))
    assert main(["plan", "tic_tac_toe", "--from", str(file)]) == 2
    said = capsys.readouterr()
    assert line in said.err
    assert said.err.count("\n") == 1


def test_a_report_of_the_benchmark_is_taken_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {
        "actor": {"mlp_float32": {"rate": 100_000.0}},
        "transport": {
            "ring_to_prioritized": {"rate": 2e6},
            "broadcast_float32": {"rate": 150.0},
        },
        "learner": {
            "cpu_float32_prioritized": {"rate": 400.0},
            "cuda_float32_prioritized": {"rate": 3_000.0},
        },
        "whole": {"play_overlap": {"rate": 90_000.0, "also": {"episodes_per_min": 180_000.0}}},
    }
    file = tmp_path / "bench.json"
    file.write_text(json.dumps({"machine": {"cpu": "Z80", "bfloat16": False}, **rates}))
    argv = ["plan", "connect_four", "--preset", "quick-dqn", "--gpus", "1", "--json"]
    assert main([*argv, "--from", str(file)]) == 0
    report = json.loads(capsys.readouterr().out)
    figures = report["figures"]
    assert (figures["plies_per_s"], figures["plies_per_match"]) == (100_000.0, 30.0)
    assert [one["seconds"] for one in figures["updates"]] == [1 / 400.0, 1 / 3_000.0]
    assert report["assumed"] == []
    del rates["learner"]
    file.write_text(json.dumps({"machine": {}, **rates}))
    assert main([*argv, "--from", str(file)]) == 2
    assert "lacks learner cpu_float32_prioritized; make one with" in capsys.readouterr().err


def test_figures_are_measured() -> None:
    config = build_config(
        overrides={
            "game": "tic_tac_toe",
            "backend": "inline",
            "num_envs_per_worker": 64,
            "episodes_per_batch": 32,
            "eval_matches": 20,
            "batch_size": 32,
            "buffer_size": 5_000,
            "opponents": {"self": 1.0, "random": 1.0},
        }
    )
    found = measure(config, seconds=0.02)
    assert (found.game, found.max_plies) == ("tic_tac_toe", 9)
    assert 5.0 <= found.plies_per_match <= 9.0
    assert 0.0 < found.rows_per_match <= found.plies_per_match
    assert found.threads()[0] == 1
    assert {one.batch for one in found.updates} == {32, 128}
    assert found.evaluation > 0.0 < found.checkpoint
    assert Figures.from_json(json.loads(json.dumps(found.to_json())), "again") == found
