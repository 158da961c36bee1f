from __future__ import annotations

import numpy as np
import pytest
import torch

from sparring.replay.staging import Staging

DEVICES = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_what_was_sent_may_be_overwritten_at_once(device: torch.device) -> None:
    staging = Staging(device)
    rng = np.random.default_rng(0)
    sizes = [
        5,
        1000,
        7,
        0,
        3000,
        40,
        1,
        3000,
        2,
        100_000,
    ]  # more than are under way at a time, growing and shrinking
    places = [torch.zeros(size, 3, dtype=torch.float64, device=device) for size in sizes]
    expected = []
    for place in places:
        array = rng.random(tuple(place.shape))
        expected.append(array.copy())
        staging.send(array, place)
        array[:] = -1.0
    for place, array in zip(places, expected, strict=True):
        np.testing.assert_array_equal(place.cpu().numpy(), array)


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_a_place_can_be_part_of_a_tensor(device: torch.device) -> None:
    whole = torch.zeros(6, 2, dtype=torch.uint8, device=device)
    Staging(device).send(np.array([[1, 2], [3, 4]], np.uint8), whole[3:5])
    assert whole.tolist() == [[0, 0], [0, 0], [0, 0], [1, 2], [3, 4], [0, 0]]
