"""Several updates per launch, compared with single ones; on the CPU, and on a GPU if available."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from random_rows import DTYPE, random_rows

from sparring.config.schema import LearningOptions
from sparring.dqn import learner as learner_module
from sparring.dqn.cuda_graphs import WARM_UPS, Body, GraphedUpdates
from sparring.dqn.learner import Learner
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import InputError, NumericalError
from sparring.games import spec_of
from sparring.replay import PrioritizedSampler, RandomSymmetry, Replay, ReplayBuffer, UniformSampler
from sparring.replay.cuda import DeviceReplay
from sparring.replay.cuda_samplers import DevicePrioritized, DeviceUniform

CPU = torch.device("cpu")
DEVICES = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]
SPEC = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8]}))
SYMMETRY = RandomSymmetry(spec_of("tic_tac_toe"))
OPTIONS = LearningOptions(batch_size=6, learning_rate=0.01, target_update_interval=20)


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


def on_device(
    device: torch.device = CPU, *, prioritized: bool = True, rows: int = 40
) -> DeviceReplay:
    sampler = DevicePrioritized(100, 0.6, 1e-6, device) if prioritized else DeviceUniform()
    replay = DeviceReplay(DTYPE, 100, sampler, device, SYMMETRY)
    replay.extend(random_rows(rows))
    return replay


def on_host(*, prioritized: bool) -> Replay:
    replay = Replay(
        ReplayBuffer(DTYPE, 100),
        PrioritizedSampler(100, 0.6, 1e-6) if prioritized else UniformSampler(),
        SYMMETRY,
    )
    replay.extend(random_rows(40))
    return replay


class Recordings:
    """A recorder that counts its calls, and executes a recording by running the function."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.warmed_up = self.recorded = self.played = 0

    def warm_up(self, body: Body) -> None:
        self.warmed_up += 1
        body()

    def record(self, body: Body) -> Body:
        self.recorded += 1
        if self.fails:
            try:
                raise RuntimeError("operation not permitted\nwhen stream is capturing")
            finally:
                raise RuntimeError("the recording was ended by an error")

        def play() -> None:
            self.played += 1
            body()

        return play


def assert_same(one: Learner, other: Learner) -> None:
    first, second = one.get_state(), other.get_state()
    assert first["rng"] == second["rng"]
    assert first["updates"] == second["updates"]
    for part in ("policy", "target"):
        assert all(
            value.tobytes() == second[part][name].tobytes() for name, value in first[part].items()
        ), part
    assert all(
        value.tobytes() == second["optimizer"]["0"][name].tobytes()
        for name, value in first["optimizer"]["0"].items()
    )


VARIANTS: dict[str, dict[str, Any]] = {
    "target moves between launches": {},
    "target moves within a launch": {"target_update_interval": 3},
    "target moves with every update": {"target_update_interval": 1, "tau": 0.1},
    "bfloat16": {"bfloat16": True},
}


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_several_updates_per_launch_equal_single_ones(
    changes: dict[str, Any],
    prioritized: bool,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = []
    for limit in (8, 1):
        monkeypatch.setattr(learner_module, "UPDATES_PER_LAUNCH", limit)
        learner = make_learner(device, **changes)
        replay = on_device(device, prioritized=prioritized)
        stats = []
        for count in (1, 25, 7, 16, 40):
            stats.append(learner.update(replay, count, beta=0.6))
            replay.extend(random_rows(30, seed=count))
        ends.append((learner, replay, stats))
    (one, one_replay, figures), (other, other_replay, expected) = ends
    assert_same(one, other)
    for name, value in one_replay.get_state()["sampler"].items():
        np.testing.assert_array_equal(value, other_replay.get_state()["sampler"][name])
    for got, wanted in zip(figures, expected, strict=True):
        assert vars(got) == pytest.approx(vars(wanted), rel=1e-6)


@pytest.mark.parametrize("prioritized", [False, True])
def test_launches_on_the_cpu_equal_updates_from_a_replay_on_the_host(prioritized: bool) -> None:
    """Bit for bit with uniform sampling; with priorities up to the rounding of powers."""
    one, other = make_learner(), make_learner()
    host, device = on_host(prioritized=prioritized), on_device(prioritized=prioritized)
    for _ in range(3):
        expected, got = one.update(host, 27, beta=0.6), other.update(device, 27, beta=0.6)
        assert vars(got) == pytest.approx(vars(expected), rel=1e-5)
    if prioritized:
        np.testing.assert_allclose(one.vector(), other.vector(), rtol=1e-4, atol=1e-5)
    else:
        assert_same(one, other)


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_a_restored_learner_goes_on_bit_for_bit(device: torch.device) -> None:
    """Also with the recordings of the learner that is restored."""
    first, first_replay = make_learner(device, seed=1), on_device(device)
    first.update(first_replay, 50)
    state, replay_state = first.get_state(), deepcopy(first_replay.get_state())
    first.update(first_replay, 45)
    second, second_replay = make_learner(device, seed=99), on_device(device, rows=77)
    second.update(second_replay, 60)
    second.set_state(state)
    second_replay.set_state(replay_state)
    second.update(second_replay, 45)
    assert_same(first, second)


def test_launches_are_warmed_up_then_recorded_once_for_each_size() -> None:
    recordings = Recordings()
    launches = launches_of(learner := make_learner(), recordings)
    rng = np.random.default_rng(0)
    for count in (4, 1, 4, 4, 4, 1, 1, 4, 1):
        launches.launch(count, rng=rng, beta=1.0)
    assert (recordings.warmed_up, recordings.recorded, recordings.played) == (WARM_UPS, 2, 6)
    assert learner._optimizer.steps == 24


def test_what_cannot_be_recorded_is_launched_step_by_step_with_one_note() -> None:
    failing, rng = Recordings(fails=True), np.random.default_rng(0)
    launches = launches_of(learner := make_learner(), failing)
    for _ in range(WARM_UPS):
        launches.launch(4, rng=rng, beta=1.0)
    note = "could not be recorded: operation not permitted when stream is capturing$"
    with pytest.warns(UserWarning, match=note):
        launches.launch(4, rng=rng, beta=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for count in (4, 1):
            launches.launch(count, rng=rng, beta=1.0)
    assert failing.recorded == 1
    plain, again = launches_of(other := make_learner(), None), np.random.default_rng(0)
    for count in (4, 4, 4, 4, 4, 1):
        plain.launch(count, rng=again, beta=1.0)
    assert learner.vector().tobytes() == other.vector().tobytes()


def test_figures_of_a_recording_that_failed_are_forgotten() -> None:
    learner = make_learner()

    class Halfway(Recordings):
        def record(self, body: Body) -> Body:
            learner._update.statistics._pending.append(
                tuple(torch.full((6,), torch.nan) for _ in range(5))
            )
            raise RuntimeError("halfway")

    launches, rng = launches_of(learner, Halfway()), np.random.default_rng(0)
    learner._update.begin()
    for _ in range(WARM_UPS):
        launches.launch(1, rng=rng, beta=1.0)
    with pytest.warns(UserWarning, match="halfway"):
        launches.launch(1, rng=rng, beta=1.0)
    assert all(np.isfinite(learner._update.statistics.means(WARM_UPS + 1)))


def make_learner(
    device: torch.device = CPU,
    spec: PolicySpec = SPEC,
    *,
    seed: int = 3,
    bfloat16: bool = False,
    **changes: Any,
) -> Learner:
    options = OPTIONS.model_copy(update=changes)
    return Learner(spec, options, device=device, seed=seed, bfloat16=bfloat16)


def launches_of(learner: Learner, recorder: Any) -> GraphedUpdates:
    return GraphedUpdates(
        learner._update, on_device(), batch_size=6, max_updates=4, recorder=recorder
    )


@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("network", ["mlp", "resnet"])
def test_a_launch_never_waits_for_the_device(
    network: str, bfloat16: bool, prioritized: bool
) -> None:
    """On torch's "meta" device tensors have no values: reading one, or mixing it with one of the
    host, is an error.
    """
    meta, spec = torch.device("meta"), PolicySpec("tic_tac_toe", NetworkSpec(network))
    learner = make_learner(meta, spec, bfloat16=bfloat16)
    replay = on_device(meta, prioritized=prioritized)
    learner._update.begin()
    launches = GraphedUpdates(learner._update, replay, batch_size=6, max_updates=4, recorder=None)
    launches.launch(4, rng=np.random.default_rng(0), beta=0.5)
    learner._after(4)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        bool(learner._update.failed)


def test_beta_and_learning_rate_reach_the_launches() -> None:
    ends = []
    for beta, rate in ((0.0, 0.01), (1.0, 0.01), (1.0, 0.001)):
        learner, replay = make_learner(), on_device()
        replay.update(torch.arange(6), torch.linspace(0, 5, 6), torch.tensor(0.0))
        learner.set_learning_rate(rate)
        learner.update(replay, 10, beta=beta)
        ends.append(learner.vector().tobytes())
    assert len(set(ends)) == 3


def test_between_is_called_before_each_launch_and_can_stop_them() -> None:
    learner, replay = make_learner(), on_device()
    answers = iter([False, False, True])
    assert learner.update(replay, 100, between=lambda: next(answers)).updates == 16
    assert learner.updates == 16
    assert learner.update(replay, 100, between=lambda: True).updates == 0


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_the_first_update_that_fails_is_named_and_nothing_is_learned_after_it(
    device: torch.device,
) -> None:
    learner = make_learner(device, clip_targets=False)
    replay = on_device(device, prioritized=False)
    learner.update(replay, 45)
    single = make_learner(device, clip_targets=False)
    spoilt = random_rows(1)
    spoilt["R"] = np.inf
    single.update(clean := on_device(device, prioritized=False), 45)
    for one in (replay, clean):
        one.extend(spoilt)
    with pytest.raises(NumericalError, match=r"^update (\d+): .* not finite") as found:
        learner.update(replay, 100)
    first_bad = int(str(found.value).split(":")[0].split()[1])
    assert learner.updates == first_bad - 1
    single.update(clean, first_bad - 1 - 45)
    assert learner.vector().tobytes() == single.vector().tobytes()
    with pytest.raises(NumericalError, match=f"^update {first_bad}: "):
        single.update(clean, 1)


def test_an_update_from_an_empty_replay_is_refused() -> None:
    with pytest.raises(InputError, match="empty replay buffer"):
        make_learner().update(on_device(rows=0), 3)
