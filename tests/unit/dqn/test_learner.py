from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_rows import DTYPE, filled_replay, random_rows
from torch import Tensor, nn

from sparring.config.schema import LearningOptions
from sparring.dqn.learner import Learner, LearnStats
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network, get_weights
from sparring.errors import NumericalError
from sparring.replay import Minibatch, PrioritizedSampler, Replay, ReplayBuffer

SPEC = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [8], "dueling": True}))
OPTIONS = LearningOptions(batch_size=6, learning_rate=0.01, target_update_interval=3)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


@dataclass
class Given:
    """A given minibatch; `rows` [6] have the transition layout."""

    indices: NDArray[np.int64]
    rows: NDArray[Any]
    weights: NDArray[np.float32]


class GivenBatches:
    """Stands in for a replay, and records the calls."""

    def __init__(self, batches: list[Given]) -> None:
        self.batches = list(batches)
        self.sampled: list[tuple[int, float]] = []
        self.updated: list[tuple[list[int], NDArray[np.float32]]] = []
        self._buffers = filled_replay()

    def allocate(self, batch_size: int) -> Minibatch:
        return self._buffers.allocate(batch_size)

    def sample_into(self, batch: Minibatch, *, rng: np.random.Generator, beta: float) -> None:
        self.sampled.append((len(batch.indices), beta))
        given = self.batches.pop(0)
        batch.indices[:], batch.weights[:] = given.indices, given.weights
        for name, column in batch.rows.items():
            column[:] = given.rows[name]

    def update(self, indices: NDArray[np.int64], td_errors: NDArray[np.float32]) -> None:
        self.updated.append((indices.tolist(), td_errors))


def batches(count: int) -> list[Given]:
    rng = np.random.default_rng(1)
    return [
        Given(
            rng.integers(0, 100, 6),
            random_rows(6, seed=k),
            rng.choice([0.25, 0.5, 1.0], 6).astype(np.float32),
        )
        for k in range(count)
    ]


class ByHand:
    """The same updates, one transition at a time, with Adam written out."""

    def __init__(self, spec: PolicySpec, options: LearningOptions, seed: int) -> None:
        self.options = options
        self.returns = spec.game_spec.returns if options.clip_targets else None
        self.policy, self.target = build_network(SPEC, seed=seed), build_network(SPEC, seed=seed)
        self.first = [torch.zeros_like(p) for p in self.policy.parameters()]
        self.second = [torch.zeros_like(p) for p in self.policy.parameters()]
        self.steps = 0
        self.figures: list[dict[str, float]] = []
        self.errors: list[list[float]] = []

    def update(self, batch: Given) -> None:
        losses, errors, values = [], [], []
        for row, weight in zip(batch.rows, batch.weights, strict=True):
            q = q_of(self.policy, row["observation"])[int(row["action"])]
            error = self.target_of(row) - q
            huber = error**2 / 2 if abs(error.item()) <= 1 else abs(error) - 0.5
            losses.append(float(weight) * huber)
            errors.append(error.item())
            values.append(q.item())
        loss = torch.stack(losses).sum() / len(losses)
        gradients = torch.autograd.grad(loss, list(self.policy.parameters()))
        norm = torch.sqrt(sum((g**2).sum() for g in gradients)).item()  # type: ignore[arg-type]
        scale = min(1.0, self.options.max_grad_norm / norm)
        self.adam([g * scale for g in gradients])
        if self.steps % self.options.target_update_interval == 0:
            with torch.no_grad():
                for old, new in zip(
                    self.target.parameters(), self.policy.parameters(), strict=True
                ):
                    old.copy_((1 - self.options.tau) * old + self.options.tau * new)
        self.errors.append(errors)
        absolute = float(np.mean(np.abs(errors)))
        version = float(np.mean(batch.rows["version"]))
        self.figures.append(
            {
                "loss": loss.item(),
                "q_mean": float(np.mean(values)),
                "td_error": absolute,
                "grad_norm": norm,
                "version": version,
            }
        )

    def target_of(self, row: Any) -> Tensor:
        value = torch.tensor(0.0)
        legal = np.flatnonzero(row["next_mask"]).tolist()
        if row["discount"] > 0 and legal:
            q_target = q_of(self.target, row["next_observation"]).detach()
            chooser = (
                q_of(self.policy, row["next_observation"]) if self.options.double_q else q_target
            )
            value = q_target[max(legal, key=lambda action: chooser[action].item())]
        target = torch.tensor(float(row["R"])) + float(row["discount"]) * int(row["sign"]) * value
        return target if self.returns is None else target.clip(*self.returns)

    def adam(self, gradients: list[Tensor]) -> None:
        self.steps += 1
        with torch.no_grad():
            for p, g, m, v in zip(
                self.policy.parameters(), gradients, self.first, self.second, strict=True
            ):
                m.copy_(0.9 * m + 0.1 * g)
                v.copy_(0.999 * v + 0.001 * g * g)
                m_hat, v_hat = m / (1 - 0.9**self.steps), v / (1 - 0.999**self.steps)
                p -= self.options.learning_rate * m_hat / (v_hat.sqrt() + 1e-8)


def q_of(network: nn.Module, observation: NDArray[Any]) -> Tensor:
    q: Tensor = network(torch.from_numpy(observation[None].copy()))[0]
    return q


def with_returns(returns: tuple[float, float]) -> PolicySpec:
    """The same network for a game that declares another range of returns."""
    return PolicySpec(SPEC.game, SPEC.network, resolved=replace(SPEC.game_spec, returns=returns))


def changed(**changes: Any) -> LearningOptions:
    return OPTIONS.model_copy(update=changes)


VARIANTS = {
    "double": (SPEC, OPTIONS),
    "plain": (SPEC, changed(double_q=False)),
    "soft": (SPEC, changed(tau=0.25, target_update_interval=1)),
    "clipped gradient": (SPEC, changed(max_grad_norm=0.05)),
    "unbounded returns": (SPEC, changed(clip_targets=False)),
    "tight returns": (with_returns((-0.1, 0.2)), OPTIONS),
    "target never moved": (SPEC, changed(target_update_interval=1000)),
}


@pytest.mark.parametrize(("spec", "options"), VARIANTS.values(), ids=VARIANTS)
def test_updates_equal_those_made_by_hand(spec: PolicySpec, options: LearningOptions) -> None:
    given = batches(7)
    replay = GivenBatches(given)
    learner = Learner(spec, options, device=CPU, seed=5)
    by_hand = ByHand(spec, options, seed=5)
    for batch in given:
        stats = learner.update(replay, 1, beta=0.7)  # type: ignore[arg-type]
        by_hand.update(batch)
        expected = {"updates": 1, **by_hand.figures[-1]}
        assert vars(stats) == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert replay.updated[-1][0] == batch.indices.tolist()
        np.testing.assert_allclose(replay.updated[-1][1], by_hand.errors[-1], rtol=1e-4, atol=1e-5)
    state = learner.get_state()
    for name, expected_network in (("policy", by_hand.policy), ("target", by_hand.target)):
        for parameter, value in get_weights(expected_network).items():
            np.testing.assert_allclose(
                state[name][parameter], value, rtol=1e-4, atol=1e-4, err_msg=f"{name} {parameter}"
            )
    assert replay.sampled == [(6, 0.7)] * 7
    assert learner.updates == 7


def test_bfloat16_is_for_matrix_products_only() -> None:
    """Near the float32 result, not equal to it; weights, state and priorities are float32."""
    given, learners = batches(7), []
    for bfloat16 in (False, True):
        learner = Learner(SPEC, OPTIONS, device=CPU, seed=5, bfloat16=bfloat16)
        replay = GivenBatches(given)
        learner.update(replay, 7)  # type: ignore[arg-type]
        assert all(errors.dtype == np.float32 for _, errors in replay.updated)
        learners.append(learner)
    exact, rough = (learner.vector() for learner in learners)
    assert rough.dtype == np.float32
    assert 0 < np.abs(exact - rough).max() < 0.05
    state = learners[1].get_state()
    moments = (state["optimizer"]["0"][name] for name in ("exp_avg", "exp_avg_sq"))
    assert {moment.dtype for moment in moments} == {np.dtype(np.float32)}
    assert {value.dtype for value in state["target"].values()} == {np.dtype(np.float32)}


def test_the_learning_rate_can_be_set() -> None:
    """The first step of Adam moves each weight by the learning rate, up to rounding."""
    for learning_rate in (0.01, 0.001):
        learner = Learner(SPEC, OPTIONS, device=CPU, seed=1)
        before = learner.vector()
        learner.set_learning_rate(learning_rate)
        learner.update(filled_replay(), 1)
        assert np.abs(learner.vector() - before).max() == pytest.approx(learning_rate, rel=1e-3)


def test_the_variants_really_differ() -> None:
    """Otherwise the test above could not tell, say, double from plain DQN."""
    ends = {}
    for name, (spec, options) in VARIANTS.items():
        learner = Learner(spec, options, device=CPU, seed=5)
        learner.update(GivenBatches(batches(7)), 7)  # type: ignore[arg-type]
        ends[name] = learner.vector()
    for name, vector in ends.items():
        assert all(
            np.abs(vector - other).max() > 1e-3 for key, other in ends.items() if key != name
        ), name


def test_figures_are_means_over_the_updates_of_a_call() -> None:
    one_by_one = Learner(SPEC, OPTIONS, device=CPU, seed=5)
    replay = GivenBatches(batches(3))
    each = [one_by_one.update(replay, 1) for _ in range(3)]  # type: ignore[arg-type]
    at_once = Learner(SPEC, OPTIONS, device=CPU, seed=5).update(GivenBatches(batches(3)), 3)  # type: ignore[arg-type]
    assert at_once.updates == 3
    for name in ("loss", "q_mean", "td_error", "grad_norm", "version"):
        assert getattr(at_once, name) == pytest.approx(
            sum(getattr(stats, name) for stats in each) / 3
        )


def test_the_same_seed_draws_the_same_minibatches() -> None:
    ends = []
    for seed in (1, 1, 2):
        learner = Learner(SPEC, OPTIONS, device=CPU, seed=seed)
        learner.update(filled_replay(), 5)
        ends.append((learner.vector().tobytes(), learner.get_state()["rng"]))
    assert ends[0] == ends[1]
    assert ends[0] != ends[2]


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("prioritized", [False, True])
def test_a_restored_learner_goes_on_bit_for_bit(prioritized: bool, bfloat16: bool) -> None:
    """Also when the first one went on after its state was taken: the state is a copy."""

    def replay() -> Replay:
        sampler = PrioritizedSampler(100, 0.6, 1e-6)
        made = Replay(ReplayBuffer(DTYPE, 100), sampler) if prioritized else filled_replay(0)
        made.extend(random_rows(40))
        return made

    first = Learner(SPEC, OPTIONS, device=CPU, seed=1, bfloat16=bfloat16)
    first_replay = replay()
    first.update(first_replay, 4)
    state, replay_state = first.get_state(), copy.deepcopy(first_replay.get_state())
    first.update(first_replay, 5)
    second = Learner(SPEC, OPTIONS, device=CPU, seed=99, bfloat16=bfloat16)
    second_replay = replay()
    second.update(second_replay, 2)
    second.set_state(state)
    second_replay.set_state(replay_state)
    second.update(second_replay, 5)
    assert second.updates == first.updates == 9
    one, other = first.get_state(), second.get_state()
    assert one["rng"] == other["rng"]
    assert second.vector().tobytes() == first.vector().tobytes()
    for part in ("policy", "target"):
        assert all(one[part][name].tobytes() == other[part][name].tobytes() for name in one[part])
    for number, entry in one["optimizer"].items():
        assert all(
            value.tobytes() == other["optimizer"][number][name].tobytes()
            for name, value in entry.items()
        )


def test_a_state_can_be_taken_before_the_first_update() -> None:
    first = Learner(SPEC, OPTIONS, device=CPU, seed=1)
    state = first.get_state()
    second = Learner(SPEC, OPTIONS, device=CPU, seed=2)
    second.set_state(state)
    for learner in (first, second):
        learner.update(filled_replay(), 3)
    assert first.vector().tobytes() == second.vector().tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["R", "discount"])
def test_what_is_not_finite_never_reaches_the_weights(bad: float, field: str) -> None:
    good, spoilt = batches(2)
    row = int(np.flatnonzero(spoilt.rows["next_mask"].any(axis=1))[0])
    spoilt.rows[field][row] = bad
    learner = Learner(SPEC, changed(clip_targets=False), device=CPU, seed=1)
    replay = GivenBatches([good, spoilt, good])
    learner.update(replay, 1)  # type: ignore[arg-type]
    before = learner.vector()
    with pytest.raises(NumericalError, match=r"update 2: .* not finite"):
        learner.update(replay, 1)  # type: ignore[arg-type]
    assert learner.vector().tobytes() == before.tobytes()
    assert np.isfinite(before).all()
    assert learner.updates == 1
    assert len(replay.updated) == 1
    learner.update(replay, 1)  # type: ignore[arg-type]
    assert np.isfinite(learner.vector()).all()
    assert learner.vector().tobytes() != before.tobytes()


def test_a_weight_that_is_not_finite_is_found_too() -> None:
    learner = Learner(SPEC, OPTIONS, device=CPU, seed=1)
    weights = get_weights(learner.policy)
    weights["head.advantage.bias"][0] = np.nan
    learner.set_weights(weights)
    with pytest.raises(NumericalError):
        learner.update(filled_replay(), 1)


@pytest.mark.parametrize(("rate", "norm"), [(1e30, "inf"), (1e39, "nan")])
def test_a_step_that_goes_too_far_is_found_at_the_end_of_its_series(rate: float, norm: str) -> None:
    """1e30 is a float32, and squares of it are not; 1e39 is none."""
    learner = Learner(SPEC, changed(learning_rate=rate), device=CPU, seed=1)
    with pytest.raises(
        NumericalError,
        match=rf"^update 1: norm of the weights {norm} is not finite; learning_rate is too high",
    ):
        learner.update(filled_replay(), 1)


def test_between_is_called_before_each_update_and_can_stop_them() -> None:
    learner = Learner(SPEC, OPTIONS, device=CPU, seed=1)
    answers = iter([False, False, True])
    stats = learner.update(filled_replay(), 10, between=lambda: next(answers))
    assert stats.updates == learner.updates == 2
    assert learner.update(filled_replay(), 10, between=lambda: True) == LearnStats()
    assert learner.update(filled_replay(), 0) == LearnStats()
    assert learner.updates == 2


def test_the_target_is_moved_every_interval() -> None:
    """tau 1 copies the policy exactly at updates 3 and 6; in between the target does not move."""
    learner = Learner(SPEC, OPTIONS, device=CPU, seed=1)
    replay = filled_replay()
    copied = get_weights(learner.policy)
    for update in range(1, 8):
        learner.update(replay, 1)
        if update % 3 == 0:
            copied = get_weights(learner.policy)
        target = learner.get_state()["target"]
        assert all(np.array_equal(target[name], copied[name]) for name in copied), update


def test_set_weights_is_for_the_policy_alone() -> None:
    learner = Learner(SPEC, OPTIONS, device=CPU, seed=1)
    learner.update(filled_replay(), 2)
    before = learner.get_state()
    learner.set_weights({name: np.zeros_like(value) for name, value in before["policy"].items()})
    after = learner.get_state()
    assert not learner.vector().any()
    assert all(
        np.array_equal(before["target"][name], after["target"][name]) for name in before["target"]
    )
    assert (
        after["optimizer"]["0"]["exp_avg"].tobytes()
        == before["optimizer"]["0"]["exp_avg"].tobytes()
    )
    assert after["updates"] == 2


@pytest.mark.parametrize("bfloat16", [False, True])
def test_learns_on_from_weights_that_were_set(bfloat16: bool) -> None:
    """A learner whose policy and target begin with the same weights goes the same way."""
    one, other = (
        Learner(SPEC, OPTIONS, device=CPU, seed=seed, bfloat16=bfloat16) for seed in (1, 2)
    )
    state = one.get_state()
    other.set_state({**other.get_state(), "target": state["target"], "rng": state["rng"]})
    other.set_weights(state["policy"])
    for learner in (one, other):
        learner.update(filled_replay(), 2)
    assert one.vector().tobytes() == other.vector().tobytes()


def test_a_learner_begins_with_the_target_equal_to_the_policy() -> None:
    state = Learner(SPEC, OPTIONS, device=CPU, seed=3).get_state()
    expected = get_weights(build_network(SPEC, seed=3))
    for part in ("policy", "target"):
        assert all(np.array_equal(state[part][name], value) for name, value in expected.items())
    assert state["optimizer"] == {}
