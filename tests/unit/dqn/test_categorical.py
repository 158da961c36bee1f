from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparring.dqn.targets import categorical_targets, cross_entropies

ATOMS = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])


def target(
    p: list[list[float]], q: list[float], mask: list[bool], R: float, discount: float, sign: float
) -> list[float]:
    found = categorical_targets(
        torch.tensor([p]),
        torch.tensor([q]),
        torch.tensor([mask]),
        torch.tensor([R]),
        torch.tensor([discount]),
        torch.tensor([sign]),
        ATOMS,
    )
    return found[0].tolist()


UNLIKE = [[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]]


def test_a_terminal_reward_between_two_atoms_is_shared_by_nearness() -> None:
    assert target(UNLIKE, [0.0, 0.0], [True, True], R=0.6, discount=0.0, sign=1.0) == pytest.approx(
        [0, 0, 0, 0.8, 0.2]
    )


def test_a_terminal_reward_on_an_atom_or_beyond_the_ends() -> None:
    assert target(
        UNLIKE, [0.0, 0.0], [True, True], R=-0.5, discount=0.0, sign=1.0
    ) == pytest.approx([0, 1, 0, 0, 0])
    assert target(UNLIKE, [0.0, 0.0], [True, True], R=1.0, discount=0.0, sign=1.0) == pytest.approx(
        [0, 0, 0, 0, 1]
    )
    assert target(
        UNLIKE, [0.0, 0.0], [True, True], R=-7.0, discount=0.0, sign=1.0
    ) == pytest.approx([1, 0, 0, 0, 0])


def test_the_next_distribution_is_shrunk_shifted_and_turned() -> None:
    """Atoms -1, 0, 1 of the next state become -0.9 z: 0.9, 0, -0.9, and 0.9 lies four fifths of the
    way from 0.5 to 1.
    """
    p = [[0.25, 0.0, 0.25, 0.0, 0.5], UNLIKE[0]]
    got = target(p, [1.0, 0.0], [True, True], R=0.0, discount=0.9, sign=-1.0)
    assert got == pytest.approx([0.5 * 0.8, 0.5 * 0.2, 0.25, 0.25 * 0.2, 0.25 * 0.8])
    got = target(p, [1.0, 0.0], [True, True], R=0.25, discount=0.5, sign=1.0)  # -0.25, 0.25, 0.75
    assert got == pytest.approx([0, 0.125, 0.125 + 0.125, 0.125 + 0.25, 0.25])


def test_the_next_action_is_the_best_legal_one_by_the_given_values() -> None:
    assert target(UNLIKE, [0.3, 0.2], [True, True], R=0.0, discount=1.0, sign=1.0) == pytest.approx(
        UNLIKE[0]
    )
    assert target(
        UNLIKE, [0.3, 0.2], [False, True], R=0.0, discount=1.0, sign=1.0
    ) == pytest.approx(UNLIKE[1])
    assert target(
        UNLIKE, [0.2, 0.3], [True, True], R=0.0, discount=1.0, sign=-1.0
    ) == pytest.approx(UNLIKE[0])


def test_without_a_legal_action_the_reward_counts_alone() -> None:
    assert target(
        UNLIKE, [0.0, 0.0], [False, False], R=0.5, discount=0.9, sign=1.0
    ) == pytest.approx([0, 0, 0, 1, 0])


def slow_projection(p: np.ndarray, R: float, scale: float, atoms: np.ndarray) -> np.ndarray:
    """Algorithm 1 of Bellemare et al. (2017), atom by atom."""
    out, width = np.zeros(len(atoms)), atoms[1] - atoms[0]
    for z, mass in zip(atoms, p, strict=True):
        b = min((np.clip(R + scale * z, atoms[0], atoms[-1]) - atoms[0]) / width, len(atoms) - 1)
        low, high = math.floor(b), math.ceil(b)
        if low == high:
            out[low] += mass
        else:
            out[low] += mass * (high - b)
            out[high] += mass * (b - low)
    return out


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), N=st.integers(2, 60))
def test_against_the_papers_algorithm(seed: int, N: int) -> None:
    rng = np.random.default_rng(seed)
    B, A = 5, 3
    p = rng.dirichlet(np.ones(N), (B, A)).astype(np.float32)
    q, mask = rng.normal(size=(B, A)).astype(np.float32), rng.random((B, A)) < 0.7
    mask[0] = [True, False, True]
    R = rng.uniform(-1.5, 1.5, B).astype(np.float32)
    discount, sign = (
        rng.choice([0.0, 0.5, 0.97, 1.0], B).astype(np.float32),
        rng.choice([-1.0, 1.0], B).astype(np.float32),
    )
    atoms = torch.linspace(-1.0, 2.0, N)
    got = categorical_targets(
        *(torch.from_numpy(x) for x in (p, q, mask, R, discount, sign)), atoms
    )
    assert got.sum(dim=1).tolist() == pytest.approx([1.0] * B, abs=1e-5)
    for i in range(B):
        action = int(np.argmax(np.where(mask[i], q[i], -np.inf)))
        scale = float(discount[i] * sign[i]) if mask[i].any() else 0.0
        np.testing.assert_allclose(
            got[i], slow_projection(p[i, action], float(R[i]), scale, atoms.numpy()), atol=1e-4
        )


def test_the_cross_entropy_by_hand_and_its_gradient() -> None:
    """d/d logits of the chosen action is softmax minus target; nothing reaches the other action."""
    logits = torch.log(torch.tensor([[[0.2, 0.8], [0.5, 0.5]]])).requires_grad_()
    wanted = torch.tensor([[1.0, 0.0]])
    losses = cross_entropies(logits, torch.tensor([0]), wanted)
    assert losses.tolist() == pytest.approx([-math.log(0.2)])
    gradient: tuple[Tensor, ...] = torch.autograd.grad([losses.sum()], [logits])
    torch.testing.assert_close(gradient[0], torch.tensor([[[0.2 - 1.0, 0.8], [0.0, 0.0]]]))
