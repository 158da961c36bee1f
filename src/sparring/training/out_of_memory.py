"""The end of a run whose memory runs out: one line that names what takes it, and what would fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch

from sparring.config import system
from sparring.config.schema import ResolvedConfig
from sparring.dqn.networks import PolicySpec, build_network, count_all_weights
from sparring.errors import OutOfMemory
from sparring.replay.build import replay_bytes
from sparring.training.needs import COPIES_OF_LEARNER

# passes whose activations lie there at a time: the policy's and their gradients, the target's
_PASSES: Final = 3
_MARGIN: Final = 0.8  # of the memory: allocators lose some of it between blocks
_GIB: Final = 2**30


@dataclass(frozen=True)
class MemoryUse:
    """Bytes that a learner takes on its device: of the networks, of one transition of the replay,
    of one transition of a minibatch.
    """

    networks: float
    row: float
    sample: float
    batch_size: int
    buffer_size: int
    learning_starts: int = 0

    @property
    def replay(self) -> float:
        """Bytes of the whole replay."""
        return self.row * self.buffer_size

    @property
    def minibatch(self) -> float:
        """Bytes of a minibatch and of what is computed from it."""
        return self.sample * self.batch_size

    def fits(self, limit: float) -> str:
        """Return the largest batch size (a power of two) and the largest buffer that fit into
        `limit` bytes beside the rest, where they are smaller than now.
        """
        limit = _MARGIN * limit - self.networks
        batch = _power_of_two((limit - self.replay) / self.sample)
        buffer = _two_digits((limit - self.minibatch) / self.row)
        found = []
        if 0 < batch < self.batch_size:
            found.append(f"batch_size={batch}")
        if max(self.batch_size, self.learning_starts) <= buffer < self.buffer_size:
            found.append(f"buffer_size={buffer}")
        return f"{' or '.join(found)} would fit" if found else "choose a smaller network"


def _power_of_two(limit: float) -> int:
    return 1 << (int(limit).bit_length() - 1) if limit >= 1 else 0


def _two_digits(limit: float) -> int:
    unit = 10 ** max(0, len(str(int(limit))) - 2) if limit >= 1 else 1
    return int(limit) // unit * unit


def memory_use(config: ResolvedConfig, policy: PolicySpec, peak: float = 0.0) -> MemoryUse:
    """Return the use of memory; `peak`: bytes that were allocated at most, of which minibatches
    took what replay and networks leave.
    """
    weights = count_all_weights(policy)
    networks = 4.0 * weights * COPIES_OF_LEARNER
    replay = replay_bytes(policy.network_game, config)
    estimated = _PASSES * _activations(policy) + 2 * replay / config.buffer_size
    seen = (peak - networks - replay) / config.batch_size
    return MemoryUse(
        networks=networks,
        row=replay / config.buffer_size,
        sample=max(estimated, seen),
        batch_size=config.batch_size,
        buffer_size=config.buffer_size,
        learning_starts=config.learning_starts,
    )


def _activations(policy: PolicySpec) -> float:
    """Return the bytes that all layers put out for one position, in float32."""
    outputs = 4.0 * policy.network_game.observation_size

    def add(module: torch.nn.Module, inputs: object, output: object) -> None:
        nonlocal outputs
        if isinstance(output, torch.Tensor):
            outputs += 4.0 * output.numel()

    network = build_network(policy)
    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(add)
    with torch.no_grad():
        network(torch.zeros(1, *policy.network_game.observation_shape))
    return outputs


def device_limit(device: torch.device) -> tuple[float, float]:
    """Return the bytes that this process can have on a device, and the most that it had so far."""
    if device.type != "cuda":
        return system.available_memory(), 0.0
    free, _ = torch.cuda.mem_get_info(device)
    return float(free + torch.cuda.memory_reserved(device)), float(
        torch.cuda.max_memory_allocated(device)
    )


@contextmanager
def out_of_memory_told(
    config: ResolvedConfig, policy: PolicySpec, saved: Callable[[], str] = str
) -> Iterator[None]:
    """Turn a lack of memory into one line; `saved` says what is saved of the run.

    Raises `OutOfMemory`.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        device = torch.device(config.device)
        limit, peak = device_limit(device)
        use = memory_use(config, policy, peak)
        # on the CPU the replay is a part of what this process has, and the limit is what is left
        fits = use.fits(limit if device.type == "cuda" else limit + use.replay + use.networks)
        said = f"; {told}" if (told := saved()) else ""
        raise OutOfMemory(
            f"the memory of {device} has run out: got batch_size={use.batch_size} "
            f"({use.minibatch / _GIB:,.1f} GiB) and a replay of buffer_size={use.buffer_size} "
            f"({use.replay / _GIB:,.1f} GiB), {limit / _GIB:,.1f} GiB "
            f"{'in all' if device.type == 'cuda' else 'are left'}; {fits}{said}"
        ) from error
