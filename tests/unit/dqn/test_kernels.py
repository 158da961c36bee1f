from __future__ import annotations

import pytest
import torch

from sparring.dqn import kernels
from sparring.dqn.kernels import fast_float32


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
