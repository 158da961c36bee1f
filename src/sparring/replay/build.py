"""The replay of a run: where it lies, how it samples, and its symmetries."""

from __future__ import annotations

import torch

from sparring.config.schema import ReplayOptions
from sparring.games.spec import GameSpec
from sparring.replay.buffer import ReplayBuffer
from sparring.replay.cuda import DeviceReplay
from sparring.replay.cuda_samplers import DevicePrioritized, DeviceUniform
from sparring.replay.gather import RandomSymmetry
from sparring.replay.replay import Replay
from sparring.replay.samplers import PrioritizedSampler, UniformSampler
from sparring.replay.transitions import transition_dtype


def build_replay(
    spec: GameSpec, options: ReplayOptions, device: torch.device
) -> Replay | DeviceReplay:
    """An empty replay, in the memory of `device` if that is a GPU, else in this process's."""
    dtype, capacity = transition_dtype(spec), options.buffer_size
    exponents = options.prioritized_replay_alpha, options.prioritized_replay_eps
    augments = options.symmetry_augmentation and spec.symmetries
    augmentation = RandomSymmetry(spec) if augments else None
    if device.type == "cuda":
        on_device = (
            DevicePrioritized(capacity, *exponents, device)
            if options.prioritized_replay
            else DeviceUniform()
        )
        return DeviceReplay(dtype, capacity, on_device, device, augmentation)
    sampler = (
        PrioritizedSampler(capacity, *exponents) if options.prioritized_replay else UniformSampler()
    )
    return Replay(ReplayBuffer(dtype, capacity), sampler, augmentation)


def replay_bytes(spec: GameSpec, options: ReplayOptions) -> int:
    """Memory of rows and priorities; with a GPU the host needs as much at a checkpoint."""
    capacity = options.buffer_size
    priorities = PrioritizedSampler.bytes_needed(capacity) if options.prioritized_replay else 0
    return capacity * transition_dtype(spec).itemsize + priorities
