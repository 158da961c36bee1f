"""A minibatch as tensors on the device."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Part = tuple["TensorMinibatch", float]


@dataclass(frozen=True)
class TensorMinibatch:
    """B transitions, their fields as `transitions.py` has them; observations stay in the game's
    dtype, A = actions of the game.
    """

    observation: Tensor  # [B, *observation_shape]
    next_observation: Tensor  # [B, *observation_shape]
    next_mask: Tensor  # [B, A] bool
    action: Tensor  # [B] int64
    R: Tensor  # [B] float32
    discount: Tensor  # [B] float32
    sign: Tensor  # [B] float32, +1 or -1
    version: Tensor  # [B] int32
    weights: Tensor  # [B] float32, of importance

    def parts(self, count: int) -> list[Part]:
        """`count` parts of nearly equal size, views of consecutive rows, each with its share of the
        whole.
        """
        B = len(self.R)
        edges = [B * number // count for number in range(count + 1)]
        return [
            (
                type(self)(
                    **{
                        field.name: getattr(self, field.name)[start:end]
                        for field in dataclasses.fields(self)
                    }
                ),
                (end - start) / B,
            )
            for start, end in itertools.pairwise(edges)
        ]

    @classmethod
    def of(
        cls,
        rows: NDArray[Any] | Mapping[str, NDArray[Any]],
        weights: NDArray[np.float32],
        device: torch.device,
    ) -> Self:
        """From rows of the transition layout [B], or from columns by name; on the CPU, without a
        copy of columns that have the dtypes above.
        """

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(rows[name]).to(device).contiguous()

        return cls(
            observation=tensor("observation"),
            next_observation=tensor("next_observation"),
            next_mask=tensor("next_mask"),
            action=tensor("action").to(torch.int64),
            R=tensor("R"),
            discount=tensor("discount"),
            sign=tensor("sign").to(torch.float32),
            version=tensor("version"),
            weights=torch.from_numpy(weights).to(device),
        )
