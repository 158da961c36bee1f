from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from random_rows import random_rows
from torch import Tensor, nn

from sparring.config.schema import LearningOptions
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network
from sparring.dqn.optimizer import Adam
from sparring.dqn.targets import td_errors, td_targets, weighted_huber
from sparring.dqn.update import Update
from sparring.games import GameSpec, spec_of
from sparring.replay.minibatch import TensorMinibatch

B = 16
CPU = torch.device("cpu")
OPTIONS = LearningOptions(batch_size=B, learning_rate=0.01, target_update_interval=3)
GAME = spec_of("tic_tac_toe")
NETWORKS = {
    "mlp": NetworkSpec("mlp", {"net_arch": [8, 8], "dueling": True}),
    "patches": NetworkSpec("patches", {"patch_size": 2, "patch_arch": [4], "net_arch": [8]}),
    "squares": NetworkSpec("mlp", {"net_arch": [8, 8], "activation": "squared_relu"}),
    "resnet": NetworkSpec("resnet", {"channels": 4, "blocks": 2}),
}


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


class Odd(nn.Module):
    """A user's network with a constant parameter and an unused layer; not for mixed dtypes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(18, 9)
        self.unused = nn.Linear(2, 2)
        self.constant = nn.Parameter(torch.full((9,), 0.5), requires_grad=False)

    def forward(self, observation: Tensor) -> Tensor:
        q: Tensor = self.layer(observation.flatten(1).to(torch.float32)) * self.constant
        return q


def batch(seed: int = 0) -> TensorMinibatch:
    weights = np.random.default_rng(seed).choice([0.25, 0.5, 1.0], B).astype(np.float32)
    return TensorMinibatch.of(random_rows(B, seed), weights, CPU)


def make(network: str = "mlp", **changes: Any) -> tuple[Update, nn.Module, nn.Module]:
    """An update, its policy and its target network, which differ."""
    if network == "odd":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            policy: nn.Module = Odd()
            target: nn.Module = Odd().requires_grad_(False)
    else:
        spec = PolicySpec("tic_tac_toe", NETWORKS[network])
        policy, target = (
            build_network(spec, seed=1),
            build_network(spec, seed=2).requires_grad_(False),
        )
    return make_update(policy, target, **changes), policy, target


def make_update(
    policy: nn.Module,
    target: nn.Module,
    *,
    game: GameSpec = GAME,
    bfloat16: bool = False,
    threads: int = 1,
    **changes: Any,
) -> Update:
    options = OPTIONS.model_copy(update=changes)
    optimizer = Adam(policy, options)
    return Update(policy, target, optimizer, options, game=game, bfloat16=bfloat16, threads=threads)


def stepped(update: Update, batch: TensorMinibatch) -> Tensor:
    """One update, without noise."""
    noise = torch.zeros(0)
    return update.step(batch, update.target_pass(batch, noise), noise)


def flat(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in network.parameters()]).clone()


def by_torch(
    policy: nn.Module,
    target: nn.Module,
    minibatches: list[TensorMinibatch],
    max_grad_norm: float,
) -> dict[str, Any]:
    """The same steps by `torch.optim.Adam` and `clip_grad_norm_`, of copies of the networks."""
    policy, target = deepcopy(policy), deepcopy(target)
    optimizer = torch.optim.Adam([p for p in policy.parameters() if p.requires_grad], lr=0.01)
    figures: dict[str, list[float]] = {"loss": [], "q": [], "error": [], "norm": [], "version": []}
    for one in minibatches:
        with torch.no_grad():
            q_target, q_online = target(one.next_observation), policy(one.next_observation)
        targets = td_targets(
            q_target, q_online, one.next_mask, one.R, one.discount, one.sign, GAME.returns
        )
        errors = td_errors(policy(one.observation), one.action, targets)
        loss = weighted_huber(errors, one.weights)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(policy.parameters(), max_grad_norm)
        optimizer.step()
        values = (
            loss,
            (targets - errors).mean(),
            errors.abs().mean(),
            norm,
            one.version.double().mean(),
        )
        for name, value in zip(figures, values, strict=True):
            figures[name].append(value.item())
    return {
        "weights": flat(policy),
        "errors": errors.detach(),
        "figures": [float(np.mean(values)) for values in figures.values()],
    }


@pytest.mark.parametrize("max_grad_norm", [10.0, 0.05])
@pytest.mark.parametrize("network", ["mlp", "patches", "resnet", "odd"])
def test_steps_are_those_of_torch(network: str, max_grad_norm: float) -> None:
    """More of them than are summed up at a time."""
    update, policy, target = make(network, max_grad_norm=max_grad_norm)
    minibatches = [batch(seed) for seed in range(70)]
    expected = by_torch(policy, target, minibatches, max_grad_norm)
    update.begin()
    for one in minibatches:
        errors = stepped(update, one)
    torch.testing.assert_close(errors, expected["errors"], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(flat(policy), expected["weights"], rtol=1e-3, atol=1e-3)
    assert update.statistics.means(70) == pytest.approx(expected["figures"], rel=1e-3, abs=1e-4)
    assert not update.failed


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("network", ["mlp", "patches", "resnet", "odd"])
def test_equal_inputs_equal_bits(network: str, bfloat16: bool) -> None:
    ends = []
    for _ in range(2):
        update, policy, _ = make(network, bfloat16=bfloat16)
        errors = [stepped(update, batch(seed)).tolist() for seed in range(5)]
        ends.append((errors, flat(policy).tolist()))
    assert ends[0] == ends[1]


def test_a_users_network_learns_in_float32() -> None:
    steps = [stepped(make("odd", bfloat16=bfloat16)[0], batch()) for bfloat16 in (False, True)]
    assert torch.equal(*steps)


@pytest.mark.parametrize("network", ["mlp", "patches", "resnet"])
def test_bfloat16_is_near_float32_and_all_that_stays_is_float32(network: str) -> None:
    errors, gradients = [], []
    for bfloat16 in (False, True):
        update, policy, _ = make(network, bfloat16=bfloat16)
        errors.append(stepped(update, batch()))
        optimizer = update._optimizer
        gradients.append(optimizer.gradient)
        kept = [
            *policy.parameters(),
            *optimizer._moments,
            optimizer.weights,
            optimizer.gradient,
            errors[-1],
        ]
        assert {tensor.dtype for tensor in kept} == {torch.float32}
    for exact, rough in (errors, gradients):
        assert 0 < (exact - rough).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("network", ["mlp", "odd"])
def test_works_with_weights_that_were_set(network: str, bfloat16: bool) -> None:
    """By `refresh` and `move_target`: the errors equal those of an update that had these weights
    from the start.
    """
    update, policy, target = make(network, bfloat16=bfloat16)
    stepped(update, batch(0))
    with torch.no_grad():
        for parameter in [*policy.parameters(), *target.parameters()]:
            parameter.mul_(0.5)
    update.refresh()
    fresh = make_update(deepcopy(policy), deepcopy(target), bfloat16=bfloat16)
    assert stepped(update, batch(1)).tolist() == stepped(fresh, batch(1)).tolist()
    update.move_target(1.0)
    assert torch.equal(flat(target), flat(policy))
    fresh = make_update(deepcopy(policy), deepcopy(target), bfloat16=bfloat16)
    assert stepped(update, batch(2)).tolist() == stepped(fresh, batch(2)).tolist()


def test_the_target_moves_by_its_share() -> None:
    update, policy, target = make()
    before, goal = flat(target), flat(policy)
    update.move_target(0.25)
    torch.testing.assert_close(flat(target), 0.75 * before + 0.25 * goal)
    assert torch.equal(flat(policy), goal)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_after_a_failure_the_weights_stay_until_the_next_series(bfloat16: bool) -> None:
    update, policy, _ = make(clip_targets=False, bfloat16=bfloat16)
    update.begin()
    stepped(update, batch(0))
    good = flat(policy)
    spoilt = batch(1)
    spoilt.R[3] = torch.inf  # an infinite loss; the gradient of the Huber loss is finite there
    for one in (spoilt, batch(2), batch(3)):
        stepped(update, one)
        assert update.failed
    assert torch.equal(flat(policy), good)
    update.begin()
    assert not update.failed
    stepped(update, batch(2))
    assert not update.failed
    assert not torch.equal(flat(policy), good)
    assert all(np.isfinite(update.statistics.means(1)))


def test_a_network_of_a_users_need_not_be_one_that_can_be_copied() -> None:
    class Lone(Odd):
        def __deepcopy__(self, memo: dict[int, Any]) -> Lone:
            raise TypeError("there is one of me")

    policy, target = Lone(), Lone().requires_grad_(False)
    update = make_update(policy, target, bfloat16=True)
    assert torch.isfinite(stepped(update, batch())).all()


def test_what_does_not_learn_stays() -> None:
    update, policy, _ = make("odd")
    before = {name: value.detach().clone() for name, value in policy.named_parameters()}
    for seed in range(3):
        stepped(update, batch(seed))
    same = {name: torch.equal(before[name], value) for name, value in policy.named_parameters()}
    assert same == {
        "layer.weight": False,
        "layer.bias": False,
        "unused.weight": True,
        "unused.bias": True,
        "constant": True,
    }


def test_a_minibatch_from_rows_and_from_columns() -> None:
    rows, weights = random_rows(B), np.ones(B, np.float32)
    columns = {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
    columns["action"], columns["sign"] = (
        columns["action"].astype(np.int64),
        columns["sign"].astype(np.float32),
    )
    one, other = TensorMinibatch.of(rows, weights, CPU), TensorMinibatch.of(columns, weights, CPU)
    for name, tensor in vars(one).items():
        assert torch.equal(tensor, getattr(other, name))
        assert tensor.is_contiguous()
        assert tensor.dtype == getattr(other, name).dtype
    assert (one.action.dtype, one.sign.dtype, one.observation.dtype) == (
        torch.int64,
        torch.float32,
        torch.int8,
    )
    columns["R"][0], weights[0] = 17.0, 0.125  # shared with the arrays
    assert (other.R[0].item(), other.weights[0].item()) == (17.0, 0.125)


@pytest.mark.parametrize("network", ["mlp", "patches", "resnet", "odd"])
@pytest.mark.parametrize("threads", [2, 3, 4, B, 5 * B])
def test_threads_share_out_a_minibatch_and_make_the_same_step(network: str, threads: int) -> None:
    """Parts of unequal size count by their size; the sums differ by rounding only."""
    alone, policy, _ = make(network)
    together, shared, _ = make(network, threads=threads)
    for each in (alone, together):
        each.begin()
    minibatches = [batch(seed) for seed in range(3)]
    priorities = [[stepped(each, one) for one in minibatches] for each in (alone, together)]
    torch.testing.assert_close(
        torch.cat(priorities[0]), torch.cat(priorities[1]), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(flat(policy), flat(shared), rtol=1e-4, atol=1e-5)
    assert together.statistics.means(3) == pytest.approx(
        alone.statistics.means(3), rel=1e-4, abs=1e-6
    )


def test_the_same_number_of_threads_gives_the_same_bits() -> None:
    ends = []
    for _ in range(2):
        update, policy, _ = make("mlp", threads=3, bfloat16=True)
        update.begin()
        for seed in range(5):
            stepped(update, batch(seed))
        ends.append(flat(policy))
    assert torch.equal(*ends)


def test_what_a_thread_raises_is_raised_here() -> None:
    update, _, _ = make("mlp", threads=3)
    with pytest.raises(RuntimeError, match="index"):
        stepped(update, replace(batch(), action=torch.full((B,), 99)))


def test_parts_are_consecutive_rows_with_their_shares() -> None:
    parts = batch().parts(3)
    assert [len(part.R) for part, _ in parts] == [5, 5, 6]
    assert [share for _, share in parts] == [5 / 16, 5 / 16, 6 / 16]
    assert torch.equal(torch.cat([part.observation for part, _ in parts]), batch().observation)
