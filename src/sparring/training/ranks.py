"""Several learners (ranks) in one run: rank 0 tells, the others do the same.

Rank 0 has everything that one learner has: workers, pool, schedule, evaluation, checkpoints. Each
rank has a learner with the same weights and a share of the replay. Rank 0 passes on transitions as
they come in and says how many updates are made; within a series the ranks meet in the sum of their
gradients alone, which also carries rank 0's wish to stop (`dqn/shared_minibatch.py`).

    rank 0 -> others   ("rows", None)                  transitions
                       ("learner", state)              state to continue from, with the generators
                       ("updates", arguments)          all make these updates
                       ("learner state", None)         answer: generator, SHA-256 of the weights
                       ("shares", headers)             share of the replay to continue from
                       ("get shares", None)            answer: the share
                       ("end", None)

Arrays follow their message. What ends a rank ends the run (`RankError`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.config.devices import device_names
from sparring.config.schema import ResolvedConfig
from sparring.dqn.learner import Learner, LearnStats, sampling_key
from sparring.dqn.networks import TABLES, PolicySpec
from sparring.dqn.shared_minibatch import never
from sparring.dqn.table_learner import AnyLearner, TableLearner
from sparring.errors import RankError
from sparring.replay import Replay
from sparring.replay.build import build_replay
from sparring.replay.cuda import DeviceReplay
from sparring.replay.shared import SharedReplay, State
from sparring.runtime import RankGroup

_ROWS, _LEARNER, _UPDATES, _LEARNER_STATE = "rows", "learner", "updates", "learner state"
_SHARES, _GET_SHARES, _END = "shares", "get shares", "end"
_PRIORITY: Final = np.dtype(np.float64)


def make_learner(
    config: ResolvedConfig, policy: PolicySpec, ranks: Leader | RankGroup | None
) -> AnyLearner:
    """Make the learner of this process, which may be one of several ranks."""
    if config.policy_kwargs.network == TABLES:
        return TableLearner(policy, config, seed=config.seed)
    if config.deterministic and config.device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    device = device_of(config, ranks)
    threads = config.learner_threads // (1 if ranks is None else ranks.size)
    make = (
        partial(LeadingLearner, ranks=ranks)
        if isinstance(ranks, Leader)
        else partial(Learner, ranks=ranks)
    )
    return make(
        policy,
        config,
        device=device,
        seed=config.seed,
        bfloat16=config.learner_precision == "bfloat16",
        threads=max(1, threads) if device.type == "cpu" else 1,
    )


def make_replay(
    config: ResolvedConfig, policy: PolicySpec, ranks: Leader | RankGroup | None
) -> Replay | DeviceReplay:
    """Make the replay of this process: all of it, or the share of one of several ranks."""
    size = config.buffer_size // (1 if ranks is None else ranks.size)
    options = config.model_copy(update={"buffer_size": size})
    return build_replay(policy.network_game, options, device_of(config, ranks))


def device_of(config: ResolvedConfig, ranks: Leader | RankGroup | None) -> torch.device:
    """Return the device of the learner in this process."""
    if ranks is None or config.devices is None:
        return torch.device(config.device)
    return torch.device(device_names(config.devices)[ranks.rank])


class Leader:
    """Rank 0's side: the other ranks, their shares of the replay, and sums over all."""

    rank = 0

    def __init__(self, size: int) -> None:
        self.size = size
        self._group: RankGroup | None = None

    @contextmanager
    def leading(self, group: RankGroup) -> Iterator[None]:
        """Lead these ranks within the block; they end with it."""
        self._group = group
        try:
            yield
            group.tell((_END, None))
        finally:
            self._group = None

    @property
    def group(self) -> RankGroup:
        """Connections, while there are any."""
        if self._group is None:
            raise RankError(
                "the other ranks have ended with the run; continue with: sparring resume"
            )
        return self._group

    def sum(self, tensor: torch.Tensor) -> None:
        self.group.sum(tensor)

    def tell(self, what: str, details: object = None) -> None:
        """Let all other ranks do something."""
        self.group.tell((what, details))

    def extend(self, rows: list[NDArray[Any]]) -> None:
        self.tell(_ROWS, [len(share) for share in rows])
        for rank, share in enumerate(rows, start=1):
            self.group.send(share, rank)

    def get_states(self) -> list[State]:
        self.tell(_GET_SHARES)
        _, *headers = self.group.gather(None)
        return [_received_share(self.group, header, rank) for rank, header in enumerate(headers, 1)]

    def set_states(self, states: list[State]) -> None:
        self.tell(_SHARES, [_header(state) for state in states])
        for rank, state in enumerate(states, start=1):
            _send_share(self.group, state, rank)


class LeadingLearner(Learner):
    """The learner of rank 0: what it does, all do."""

    def __init__(self, *arguments: Any, ranks: Leader, seed: int, **options: Any) -> None:
        super().__init__(*arguments, ranks=ranks, seed=seed, **options)
        self._leader, self._seed = ranks, seed
        self._rate = self.options.learning_rate
        self._others: list[State] = []  # generators of the other ranks, for them to continue from
        self._equal = False  # all ranks have the state of this one

    def update(
        self,
        replay: Replay | DeviceReplay | SharedReplay,
        updates: int,
        *,
        beta: float = 1.0,
        between: Callable[[], bool] = never,
    ) -> LearnStats:
        """As `Learner.update`, but a stop takes effect after the update in which it was wanted."""
        assert isinstance(replay, SharedReplay)
        shared = self.shared
        assert shared is not None
        if updates == 0 or between():
            return LearnStats()
        replay.flush()
        self._equalise()
        arguments = {"updates": updates, "beta": beta, "learning_rate": self._rate}
        self._leader.tell(_UPDATES, arguments)
        shared.wants_stop = between
        return super().update(replay.own, updates, beta=beta, between=lambda: shared.stopped)

    def set_learning_rate(self, learning_rate: float) -> None:
        super().set_learning_rate(learning_rate)
        self._rate = learning_rate

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        super().set_weights(weights)
        self._equal = False

    def get_state(self) -> dict[str, Any]:
        """As `Learner.get_state`, with the generators of the other ranks."""
        self._equalise()
        self._leader.tell(_LEARNER_STATE)
        _, *answers = self._leader.group.gather(None)
        own = _digest(self)
        for rank, answer in enumerate(answers, start=1):
            if answer["sha256"] != own:
                raise RankError(
                    f"the weights of rank {rank} differ from those of rank 0 at update "
                    f"{self.updates}: a device that does not add up alike; nothing was saved"
                )
        return {**super().get_state(), "other_ranks": [answer["rng"] for answer in answers]}

    def set_state(self, state: dict[str, Any]) -> None:
        """As `Learner.set_state`; from another number of ranks, the others draw anew."""
        super().set_state(state)
        saved = state.get("other_ranks", [])
        self._others = saved if len(saved) == self._leader.size - 1 else []
        self._equal = False

    def _equalise(self) -> None:
        """Give all ranks the state of this one, unless they have it."""
        if self._equal:
            return
        others = self._others or [
            _generator_state(sampling_key(self._seed, rank, self.updates))
            for rank in range(1, self._leader.size)
        ]
        self._leader.tell(_LEARNER, {"state": super().get_state(), "others": others})
        self._equal = True


class Follower:
    """The side of another rank."""

    def __init__(self, group: RankGroup, learner: Learner, replay: Replay | DeviceReplay) -> None:
        self._group, self._learner, self._replay = group, learner, replay
        self._answers: dict[str, Callable[[Any], None]] = {
            _ROWS: self._receive_rows,
            _LEARNER: self._restore_learner,
            _UPDATES: self._update,
            _LEARNER_STATE: self._describe_learner,
            _SHARES: self._restore_share,
            _GET_SHARES: self._send_share,
        }

    def follow(self) -> None:
        """Do what rank 0 tells, until the end of the run."""
        while True:
            what, details = self._group.hear()
            if what == _END:
                return
            self._answers[what](details)

    def _receive_rows(self, counts: list[int]) -> None:
        rows = np.empty(counts[self._group.rank - 1], self._replay.dtype)
        self._group.receive(rows, 0)
        self._replay.extend(rows)

    def _restore_learner(self, states: Mapping[str, Any]) -> None:
        own = {"rng": states["others"][self._group.rank - 1]}
        self._learner.set_state({**states["state"], **own})

    def _update(self, arguments: Mapping[str, Any]) -> None:
        shared = self._learner.shared
        assert shared is not None
        self._learner.set_learning_rate(arguments["learning_rate"])
        self._learner.update(
            self._replay,
            arguments["updates"],
            beta=arguments["beta"],
            between=lambda: shared.stopped,
        )

    def _describe_learner(self, _: object) -> None:
        rng = self._learner.get_state()["rng"]
        self._group.gather({"rng": rng, "sha256": _digest(self._learner)})

    def _restore_share(self, headers: list[State]) -> None:
        self._replay.set_state(_received_share(self._group, headers[self._group.rank - 1], 0))

    def _send_share(self, _: object) -> None:
        state = self._replay.get_state()
        self._group.gather(_header(state))
        _send_share(self._group, state, 0)


def _generator_state(key: int) -> State:
    return dict(np.random.default_rng(key).bit_generator.state)


def _digest(learner: Learner) -> str:
    return hashlib.sha256(learner.vector().tobytes()).hexdigest()


def _header(share: State) -> State:
    """Return what a rank has to know before it can receive a share."""
    buffer, sampler = share["buffer"], share["sampler"]
    return {
        "rows": len(buffer["rows"]),
        "dtype": buffer["rows"].dtype,
        "inserted": buffer["inserted"],
        "largest": sampler.get("largest"),
    }


def _send_share(group: RankGroup, share: State, rank: int) -> None:
    group.send(share["buffer"]["rows"], rank)
    if share["sampler"]:
        group.send(share["sampler"]["priorities"], rank)


def _received_share(group: RankGroup, header: State, rank: int) -> State:
    rows = np.empty(header["rows"], header["dtype"])
    group.receive(rows, rank)
    sampler: State = {}
    if header["largest"] is not None:
        sampler = {"priorities": np.empty(len(rows), _PRIORITY), "largest": header["largest"]}
        group.receive(sampler["priorities"], rank)
    return {"buffer": {"rows": rows, "inserted": header["inserted"]}, "sampler": sampler}
