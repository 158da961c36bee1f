from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_rows import filled_replay

from sparring.config.schema import LearningOptions
from sparring.dqn.architectures import mlp
from sparring.dqn.heads import NoisyLinear, QHead, fill_noise, noise_size
from sparring.dqn.learner import Learner
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network, get_weights, set_weights
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError
from sparring.games import spec_of

OPTIONS = LearningOptions(batch_size=32, learning_rate=1e-3, target_update_interval=50)
CPU = torch.device("cpu")


def policy_spec(**arguments: object) -> PolicySpec:
    return PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [16], **arguments}))


def test_q_is_the_mean_of_the_distribution() -> None:
    head = QHead(2, 3, dueling=False, support=(-1.0, 1.0, 3), noisy=False)
    with torch.no_grad():
        head.advantage.weight.zero_()
        head.advantage.bias.copy_(
            torch.log(torch.tensor([0.2, 0.3, 0.5, 0.0 + 1e-9, 0.5, 0.5, 1.0, 1.0, 1.0]))
        )
    q = head(torch.zeros(1, 2))
    assert q[0].tolist() == pytest.approx([0.5 - 0.2, 0.5, 0.0], abs=1e-6)


def test_dueling_distributions_add_logits_atom_by_atom() -> None:
    """Rainbow's equation: logits = v_i + a_i - mean over actions of a_i."""
    head = QHead(2, 2, dueling=True, support=(0.0, 1.0, 2), noisy=False)
    assert head.value is not None
    with torch.no_grad():
        for layer in (head.advantage, head.value):
            layer.weight.zero_()
        head.advantage.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 6.0]))  # [action, atom]
        head.value.bias.copy_(torch.tensor([10.0, 20.0]))
    torch.testing.assert_close(
        head.logits(torch.zeros(1, 2)), torch.tensor([[[9.0, 18.0], [11.0, 22.0]]])
    )


def test_the_atoms_span_the_returns_of_the_game_and_are_no_parameters() -> None:
    network = build_network(policy_spec(atoms=5))
    assert network.head.support.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]  # type: ignore[union-attr]
    assert all("support" not in name for name in get_weights(network))


def test_atoms_need_a_game_that_declares_its_returns() -> None:
    with pytest.raises(
        ConfigurationError,
        match="atoms of a network for tic_tac_toe: got 5, expected 1, as the game does not declare",
    ):
        mlp(replace(spec_of("tic_tac_toe"), returns=None), atoms=5)


@pytest.mark.parametrize("atoms", [0, -1, 1.5, True, "9", 10**6])
def test_a_number_of_atoms_that_makes_no_network(atoms: object) -> None:
    with pytest.raises(ConfigurationError, match="atoms"):
        mlp(spec_of("tic_tac_toe"), atoms=atoms)  # type: ignore[arg-type]


def test_noise_by_hand() -> None:
    """f(x) = sign(x) sqrt(|x|): f(4) = 2, f(-9) = -3, f(1) = 1."""
    layer = NoisyLinear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.bias.copy_(torch.tensor([0.5]))
        layer.weight_sigma.copy_(torch.tensor([[0.1, 0.2]]))
        layer.bias_sigma.copy_(torch.tensor([0.3]))
    units = torch.tensor([[1.0, 1.0]])
    assert layer(units).item() == pytest.approx(3.5)
    layer.into.copy_(torch.tensor([4.0, -9.0]))
    layer.out.copy_(torch.tensor([1.0]))
    assert layer(units).item() == pytest.approx((1 + 0.1 * 2) + (2 + 0.2 * -3) + (0.5 + 0.3))


def test_sigma_begins_as_in_the_paper() -> None:
    layer = NoisyLinear(16, 3)
    assert layer.weight_sigma.unique().tolist() == pytest.approx([0.5 / 4])
    assert layer.bias_sigma.unique().tolist() == pytest.approx([0.5 / 4])
    assert layer.weight.abs().max() <= 1 / 4


def test_a_policy_acts_by_the_means_until_noise_is_drawn() -> None:
    observation = np.zeros((1, 2, 3, 3), np.int8)
    policy, plain = InferencePolicy(policy_spec(noisy=True)), InferencePolicy(policy_spec())
    plain.set_weights(
        {name: value for name, value in policy.get_weights().items() if "sigma" not in name}
    )
    np.testing.assert_allclose(policy.q_values(observation), plain.q_values(observation), rtol=1e-6)
    rng = np.random.default_rng(0)
    policy.draw_noise(rng)
    first = policy.q_values(observation)
    policy.draw_noise(rng)
    assert not np.allclose(first, plain.q_values(observation), atol=1e-4)
    assert not np.allclose(first, policy.q_values(observation), atol=1e-4)
    policy.draw_noise(np.random.default_rng(0))
    np.testing.assert_array_equal(first, policy.q_values(observation))


def test_a_network_without_noisy_layers_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    policy = InferencePolicy(policy_spec(dueling=True))
    policy.draw_noise(rng)
    assert policy.noise_size == 0
    assert rng.random() == np.random.default_rng(0).random()


def test_noise_has_a_place_for_each_unit_of_each_noisy_layer() -> None:
    network = build_network(policy_spec(noisy=True, dueling=True))
    assert noise_size(network) == (16 + 9) + (16 + 1)
    fill_noise(network, torch.arange(42.0))
    advantage, value = network.head.advantage, network.head.value  # type: ignore[union-attr]
    assert [
        advantage.into[0].item(),
        advantage.out[0].item(),
        value.into[0].item(),
        value.out[0].item(),
    ] == [0.0, 16.0, 25.0, 41.0]


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(
    "arguments", [{"atoms": 7}, {"noisy": True}, {"atoms": 7, "noisy": True, "dueling": True}]
)
def test_updates_bring_every_kind_nearer_to_its_targets(
    arguments: dict[str, object], bfloat16: bool
) -> None:
    """On terminal transitions, whose targets do not move."""
    replay = filled_replay()
    rows = replay.get_state()["buffer"]["rows"]
    rows["discount"] = 0.0
    rows["R"] = np.where(rows["action"] % 2 == 0, 1.0, -1.0)
    replay.extend(np.concatenate([rows] * (1 + replay.capacity // len(rows)))[: replay.capacity])
    learner = Learner(
        policy_spec(**arguments),
        OPTIONS.model_copy(update={"learning_rate": 1e-2}),
        device=CPU,
        seed=0,
        bfloat16=bfloat16,
    )
    before = learner.update(replay, 5)
    learner.update(replay, 200)
    after = learner.update(replay, 5)
    assert after.td_error < 0.3 * before.td_error
    assert after.loss < 0.5 * before.loss


def test_noise_is_learned_and_drawn_anew_for_each_update() -> None:
    replay = filled_replay()
    ends = []
    for _ in range(2):
        learner = Learner(policy_spec(noisy=True), OPTIONS, device=CPU, seed=3)
        first = get_weights(learner.policy)
        learner.update(replay, 4)
        ends.append(get_weights(learner.policy))
    assert (
        np.abs(ends[0]["head.advantage.weight_sigma"] - first["head.advantage.weight_sigma"]).max()
        > 1e-4
    )
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in first)
    once, *_ = (noise.clone() for noise in learner.policy.head.noise())  # type: ignore[union-attr]
    learner.update(replay, 1)
    assert not torch.equal(once, learner.policy.head.noise()[0])  # type: ignore[union-attr]


def test_the_priority_of_a_distribution_is_its_divergence_from_its_target() -> None:
    """It is 0 if the distributions are equal, however large the target's entropy."""
    from sparring.dqn.losses import Categorical
    from sparring.replay.minibatch import TensorMinibatch

    policy = build_network(policy_spec(atoms=5))
    # All weights 0: probabilities of 1/5 everywhere.
    set_weights(policy, {name: np.zeros_like(value) for name, value in get_weights(policy).items()})
    observation = torch.zeros(2, 2, 3, 3, dtype=torch.int8)
    batch = TensorMinibatch(
        observation=observation,
        next_observation=observation,
        next_mask=torch.ones(2, 9, dtype=torch.bool),
        action=torch.tensor([0, 1]),
        R=torch.tensor([0.0, 1.0]),
        discount=torch.tensor([1.0, 0.0]),
        sign=torch.tensor([1.0, 1.0]),
        version=torch.zeros(2, dtype=torch.int32),
        weights=torch.tensor([1.0, 0.5]),
    )
    loss = Categorical(double_q=True)
    output = loss(policy, batch, loss.target_pass(policy, batch))
    assert output.priorities.tolist() == pytest.approx([0.0, np.log(5)], abs=1e-6)
    assert output.errors.tolist() == pytest.approx([0.0, 1.0], abs=1e-6)
    assert output.loss.item() == pytest.approx((np.log(5) + 0.5 * np.log(5)) / 2)
