"""Replay: storage of transitions, uniform and prioritised sampling, symmetries."""

from sparring.replay.buffer import ReplayBuffer
from sparring.replay.gather import RandomSymmetry
from sparring.replay.replay import Minibatch, Replay
from sparring.replay.samplers import PrioritizedSampler, Sampler, UniformSampler
from sparring.replay.transitions import transition_dtype

__all__ = [
    "Minibatch",
    "PrioritizedSampler",
    "RandomSymmetry",
    "Replay",
    "ReplayBuffer",
    "Sampler",
    "UniformSampler",
    "transition_dtype",
]
