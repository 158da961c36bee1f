"""The arithmetic of a run, by hand-computed numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import planned
import pytest

from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config
from sparring.plan.figures import CPU, CUDA, UpdateTime
from sparring.plan.shape import (
    GPU_LAUNCH,
    GPU_TIMES_CORE,
    REDUCE,
    Assumptions,
    Shape,
    balanced_samples_per_insert,
    expected,
    limits,
    memory,
    run_of,
    saturation,
    shape_of,
    update_seconds,
)


def config(**changes: Any) -> TrainConfig:
    return build_config(
        overrides={
            "game": "tic_tac_toe",
            "episodes_per_batch": 10,
            "batch_size": 100,
            "learning_steps_per_batch": "adaptive",
            "samples_per_insert": 2.0,
            **changes,
        }
    )


def shape(**changes: Any) -> Shape:
    return shape_of(config(), **{"cores": 8, "workers": 4, **changes})


def test_a_round_is_put_together_from_the_figures() -> None:
    run = run_of(planned.figures(start=0.05), config(), shape(), Assumptions())
    assert run.play == pytest.approx(0.05 + 10 * 20 / 1_000)
    assert run.receive == pytest.approx(0.001 + 100 * 0.0001)
    assert run.updates == pytest.approx(4 * 100 * 2.0 / 100)  # rows, samples per insert, batch
    assert (run.update, run.threads) == (0.005, 1.0)
    assert (run.part_bytes, run.weight_bytes) == (0.0, 0.0)


@pytest.mark.parametrize(("steps", "updates"), [(None, 40), (12, 12)])
def test_updates_that_are_counted_by_rounds_or_matches(steps: int | None, updates: float) -> None:
    wanted = config(learning_steps_per_batch=steps)
    assert run_of(planned.figures(), wanted, shape(), Assumptions()).updates == updates


def test_a_thread_more_takes_the_cores_that_it_was_seen_to_take() -> None:
    run = run_of(planned.figures(), config(), shape(threads=2), Assumptions())
    assert (run.update, run.threads) == (0.003, 1.8)


@pytest.mark.parametrize(
    ("batch", "seconds"),
    [(100, 0.005), (400, 0.011), (200, 0.007), (700, 0.017), (50, 0.004)],
)
def test_updates_of_other_batches_lie_on_the_line(batch: int, seconds: float) -> None:
    assert planned.figures().update_seconds(CPU, 1, batch) == pytest.approx(seconds)


def test_one_measured_batch_is_proportional_on_a_cpu_and_constant_on_a_gpu() -> None:
    one = planned.figures(
        updates=(UpdateTime(CPU, 1, 100, 0.005, 0.005), UpdateTime(CUDA, 1, 100, 0.001, 0.001))
    )
    assert one.update_seconds(CPU, 1, 200) == pytest.approx(0.010)
    assert one.update_seconds(CUDA, 1, 200) == pytest.approx(0.001)
    assert one.update_seconds(CPU, 2, 200) is None


def test_a_core_is_slower_when_the_others_work_too() -> None:
    """Of four CPUs, one busy is idle to it, all busy is full; halfway in between is halfway."""
    times = [planned.figures().slowdown(load, 1.0, 2.0) for load in (0.0, 0.25, 0.625, 1.0)]
    assert times == pytest.approx([1.0, 1.0, 1.5, 2.0])
    assert planned.figures(cpus=1).slowdown(0.5, 1.0, 2.0) == 2.0
    uneven = planned.figures(updates=(UpdateTime(CPU, 1, 100, 0.006, 0.004),))
    assert uneven.update_seconds(CPU, 1, 100, load=0.625) == pytest.approx(0.005)


def test_a_run_has_the_speeds_of_the_load_that_it_makes() -> None:
    """One worker on two cores, beside a learner that has hardly anything to do."""
    figures = planned.figures(cpus=2, plies_per_s_alone=2_000.0, part=0.0, row=0.0)
    lonely = shape(cores=2, workers=1)
    run, outcome = expected(figures, config(samples_per_insert=1e-6), lonely, Assumptions(), 20)
    assert run.play == pytest.approx(10 * 20 / 2_000)
    assert outcome.parts_per_s == pytest.approx(1 / run.play)
    busy = config(samples_per_insert=100.0)
    run, outcome = expected(figures, busy, lonely, Assumptions(), 20)
    assert run.play == pytest.approx(10 * 20 / 1_000, rel=0.05)


def test_a_gpu_is_assumed_told_or_measured() -> None:
    plain, gpu = planned.figures(), shape(gpus=1)
    assert update_seconds(plain, gpu, Assumptions()) == pytest.approx(
        GPU_LAUNCH + 0.005 / GPU_TIMES_CORE
    )
    measured = planned.figures(updates=(*plain.updates, UpdateTime(CUDA, 1, 100, 0.0007, 0.0007)))
    assert update_seconds(measured, gpu, Assumptions()) == pytest.approx(0.0007)
    assert update_seconds(measured, gpu, Assumptions(4_000.0)) == pytest.approx(0.00025)


def test_several_gpus_share_a_minibatch_and_sum_the_gradients() -> None:
    told = Assumptions(1_000.0)
    found = update_seconds(planned.figures(), shape(gpus=4), told)
    assert found == pytest.approx(0.001 + REDUCE + 2 * 4 * 1_000 / 10e9)
    run = run_of(planned.figures(), config(), shape(gpus=4), told)
    assert (run.threads, run.receive) == (4, pytest.approx(0.001 + 0.01))  # by rank 0 alone


def test_rows_of_other_machines_pass_the_link() -> None:
    run = run_of(planned.figures(), config(), shape(nodes=4), Assumptions(link_gbit=8.0))
    assert run.part_bytes == pytest.approx(0.75 * 100 * 100)
    assert run.weight_bytes == 3 * 4 * 1_000
    assert run.link_bytes_per_s == 1e9


def test_limits_and_saturation_by_hand() -> None:
    run = run_of(planned.figures(), config(), shape(), Assumptions())
    # a part: 0.2 s of play, 0.011 s to receive, 2 updates of 0.005 s
    assert limits(run) == pytest.approx(
        {
            "play": 4 / 0.2,
            "updates": 1 / 0.010,
            "main process": 1 / 0.011,
            "link": float("inf"),
            "cores": 8 / (0.2 + 0.011 + 0.010),
        }
    )
    assert saturation(run) == pytest.approx({"learner": 0.2 / 0.021, "main process": 0.2 / 0.011})
    apart = run_of(planned.figures(), config(), shape(nodes=2), Assumptions(link_gbit=8e-6))
    assert saturation(apart)["link"] == pytest.approx(0.2 / (0.5 * 10_000 / 1_000))


def test_the_balanced_replay_ratio_keeps_play_and_learner_busy() -> None:
    wanted = balanced_samples_per_insert(planned.figures(), config(), shape(), Assumptions())
    run = run_of(planned.figures(), config(samples_per_insert=wanted), shape(), Assumptions())
    found = limits(run)
    assert found["play"] == pytest.approx(1 / (1 / found["updates"] + 1 / found["main process"]))


def test_memory_grows_with_workers_and_the_replay_lies_on_the_gpus() -> None:
    few, many = (memory(planned.figures(), config(), shape(workers=n)) for n in (1, 11))
    ring = (10 + 10) * 10 * 100  # matches a round and envs, plies and one more, bytes
    assert many["memory"] - few["memory"] == pytest.approx(10 * (ring + 40e6 + 4_000))
    assert few["gpu"] == 0.0
    one, four = (memory(planned.figures(), config(), shape(gpus=n)) for n in (1, 4))
    assert one["gpu"] - four["gpu"] == pytest.approx(0.75 * 1_000_000)
    snapshots = 2 * 10 * 4_000
    assert few["disk"] == pytest.approx(3 * (1_000_000 + 5 * 4_000 + snapshots))


def test_shapes_take_rounds_batch_and_mode_from_the_configuration() -> None:
    found = shape_of(config(mode="async"), cores=3, workers=2)
    assert dataclasses.astuple(found) == (3, 2, 10, 100, "async", 0, 1, 1)
