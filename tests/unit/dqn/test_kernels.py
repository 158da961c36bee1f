from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sparring.config.schema import LearningOptions
from sparring.dqn import kernels
from sparring.dqn.architectures import QNetwork, mlp
from sparring.dqn.kernels import fast_float32
from sparring.dqn.optimizer import Adam
from sparring.games import spec_of


def setting() -> str:
    return str(torch.backends.mkldnn.matmul.fp32_precision)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rows", "inner", "columns"),
    [(256, 84, 256), (256, 256, 256), (64, 323, 400), (1, 512, 7), (512, 2048, 300)],
)
def test_products_are_still_those_of_float32(rows: int, inner: int, columns: int) -> None:
    """bfloat16 keeps 8 bits: its products would be off by about 1/500 of a term's size, which is 1
    here.
    """
    generator = torch.Generator().manual_seed(0)
    x, w = (
        torch.randn(rows, inner, generator=generator),
        torch.randn(columns, inner, generator=generator),
    )
    g = torch.randn(rows, columns, generator=generator)
    with fast_float32():
        results = torch.nn.functional.linear(x, w), g.t() @ x, g @ w
    exact = x.double() @ w.double().t(), g.double().t() @ x.double(), g.double() @ w.double()
    for result, expected in zip(results, exact, strict=True):
        assert (result - expected).abs().max() < 1e-3


def test_the_setting_is_put_back_also_after_an_error() -> None:
    before = setting()
    with pytest.raises(ZeroDivisionError), fast_float32():
        raise ZeroDivisionError
    assert setting() == before
    with fast_float32(), fast_float32():
        pass
    assert setting() == before


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        ("AMD EPYC", ["avx512_f", "avx512_bw", "avx512_vl", "avx512_dq"], True),
        ("AMD EPYC", ["avx2"], False),
        (
            "AMD Something",
            ["avx512_f", "avx512_bw", "avx512_vl", "avx512_dq", "amx_tile", "amx_bf16"],
            False,
        ),
        ("Intel Xeon", ["avx512_f", "avx512_bw", "avx512_vl", "avx512_dq"], False),
    ],
)
def test_chosen_by_what_the_processor_says(
    name: str, flags: list[str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With AMX the same setting would be taken at its word, and products be those of bfloat16."""
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"cpu_name": name, **dict.fromkeys(flags, True)}
    )
    assert kernels._onednn_is_faster.__wrapped__() is expected


def tensors(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in ((3, 4), (5,), ())]


@pytest.mark.parametrize(
    ("private", "call"),
    [
        ("_foreach_copy_", kernels.copy_each),
        ("_foreach_add_", kernels.add_each),
        ("_foreach_lerp_", lambda to, source: kernels.lerp_each(to, source, 0.3)),
    ],
)
def test_without_the_private_operation_on_lists_the_result_is_the_same(
    private: str,
    call: Callable[[list[Tensor], list[Tensor]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, got = tensors(1), tensors(1)
    call(expected, tensors(2))
    monkeypatch.delattr(torch, private)
    call(got, tensors(2))
    assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))
    assert not torch.equal(got[0], tensors(1)[0])


@pytest.mark.parametrize("failing", [None, 2])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_without_the_fused_kernel_adam_makes_the_same_steps(
    scale: float, failing: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps() -> tuple[Tensor, dict[str, Any]]:
        adam = Adam(nn.Linear(1, 1000, bias=False), LearningOptions(learning_rate=0.01))
        adam.weights.fill_(1.0)
        generator = torch.Generator().manual_seed(0)
        for step in range(5):
            adam.gradient.copy_(torch.randn(1000, generator=generator))
            if step == failing:
                adam.gradient[0] = torch.nan
            failed = torch.tensor(float(step == failing))
            adam.step(scale=torch.tensor(scale), failed=failed)
        return adam.weights, adam.get_state()["0"]

    expected, expected_state = steps()
    monkeypatch.delattr(torch, "_fused_adam_")
    weights, state = steps()
    torch.testing.assert_close(weights, expected, rtol=1e-5, atol=1e-6)
    assert state["step"] == expected_state["step"] == 5 - (failing is not None)
    for name in ("exp_avg", "exp_avg_sq"):
        np.testing.assert_allclose(state[name], expected_state[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("activation", ["relu", "squared_relu"])
def test_without_fused_layers_a_network_infers_the_same(
    activation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = mlp(spec_of("tic_tac_toe"), net_arch=[32, 16], activation=activation)
    assert isinstance(network, QNetwork)
    positions = torch.randn(9, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    x, layer = torch.randn(9, 18, generator=torch.Generator().manual_seed(1)), network.body[0]
    with torch.no_grad():
        fused, expected = network.infer(positions), network(positions)
        unit = kernels.linear_relu(x, layer.weight, layer.bias)
        absent(monkeypatch)
        assert not kernels.can_fuse(torch.device("cpu"), torch.float32)
        assert not kernels.can_fuse(torch.device("cpu"), torch.bfloat16)
        torch.testing.assert_close(network.infer(positions), fused)
        torch.testing.assert_close(network.infer(positions), expected)
        torch.testing.assert_close(kernels.linear_relu(x, layer.weight, layer.bias), unit)


def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No private operations of oneDNN, and nothing known from before."""
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    for name in ("_has_fused_layers", "_has_bfloat16_layers"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).__wrapped__)


def test_without_the_setting_of_precision_products_are_as_torch_makes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    with fast_float32():
        expected = x @ x
    monkeypatch.setattr(kernels, "_onednn_is_faster", lambda: True)
    monkeypatch.setattr(torch.backends, "mkldnn", SimpleNamespace())
    with fast_float32():
        torch.testing.assert_close(x @ x, expected, rtol=1e-4, atol=1e-4)
