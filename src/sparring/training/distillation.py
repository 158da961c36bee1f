"""Distillation: a student, a network of another kind or size, is fitted to the values that an
agent, its teacher, gives to moves.

    play      the teacher values all moves of the positions that it plays, always new ones, on a
              thread of its own (`rollout/taught.py`)
    learn     meanwhile the learner of a run makes its updates from the positions before; R is the
              teacher's value, and nothing is bootstrapped (gamma = 0)
    compare   on held-out positions: how often does the student choose as the teacher does?

Source: Rusu et al., "Policy distillation" (ICLR 2016), section 3, the squared error of Q-values
(here the loss of `dqn/losses.py`). Deviation: that paper prefers the divergence of action
probabilities; a student here has to give values, which play, look-ahead and the next training use.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sparring.config import system
from sparring.config.network import PolicyKwargs
from sparring.config.schema import AgentOptions
from sparring.dqn.agent import DQNAgent
from sparring.dqn.kernels import has_bfloat16
from sparring.dqn.learner import Learner
from sparring.dqn.networks import FACTORIES, TABLES, NetworkSpec, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.table_learner import AnyLearner, TableLearner
from sparring.dqn.trainable import check_afterstates, resolve_device
from sparring.errors import ConfigurationError, InputError
from sparring.games import BatchedGame, make
from sparring.games.rng import stream_key
from sparring.monitor import console_of
from sparring.monitor.state import clock_time, count, figure, percent
from sparring.replay import Replay
from sparring.replay.build import build_replay, replay_bytes
from sparring.replay.cuda import DeviceReplay
from sparring.replay.transitions import join_rows
from sparring.rollout.taught import Lessons, Taught
from sparring.runtime import torch_threads
from sparring.training.interrupts import Interrupts

_NUM_SLOTS: Final = 256  # matches side by side
_PLIES: Final = 8  # of each of them in a round
_BATCH_SIZE: Final = 512
_LEARNING_RATE: Final = 4e-3
_STEP_OF_TABLES: Final = 3.5  # divided by the number of tables
_REPORT_SECONDS: Final = 15.0
# Held-out positions: each of so many plies gives those of some slots.
_HELD_OUT_PLIES: Final = 128
_HELD_OUT_STRIDE: Final = 16
_LESSONS, _HELD_OUT = 0x4449_5354_0001, 0x4449_5354_0002  # parts of stream keys


@dataclass(frozen=True)
class Length:
    """Length of a distillation: so many positions of the teacher's play, or else minutes."""

    minutes: float
    positions: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("max_minutes", self.minutes), ("positions", self.positions)):
            if value is not None and not 0 < value < math.inf:
                raise InputError(name, got=value, expected="a number above 0")

    def progress(self, positions: int, seconds: float) -> float:
        """Share that is done, at least 1 at the end."""
        if self.positions is not None:
            return positions / self.positions
        return seconds / (60.0 * self.minutes)


class Agreement(NamedTuple):
    """Comparison of student and teacher on held-out positions with several legal moves."""

    positions: int
    same_move: float  # share in which the student chooses a move that the teacher values highest
    lost_value: float  # mean value that the student's moves lose, by the teacher


@dataclass(frozen=True)
class DistillResult:
    """Result of `distill`."""

    student: Path
    num_weights: int
    positions: int  # of the teacher's play
    updates: int
    seconds: float
    loss: float  # of the last round
    agreement: Agreement
    signal: int  # that ended it early, 0 if none did


class HeldOut:
    """Positions of matches of their own, each once, with the teacher's values."""

    def __init__(self, lessons: Lessons) -> None:
        self._taught: list[Taught] = []
        self._counted: list[NDArray[np.bool_]] = []  # new ones, in which there is a choice
        known: set[bytes] = set()
        for ply in range(_HELD_OUT_PLIES):
            slots = np.arange(ply % _HELD_OUT_STRIDE, _NUM_SLOTS, _HELD_OUT_STRIDE)
            taught = lessons.look(slots)
            has_choice = taught.mask.sum(axis=1) > 1
            self._taught.append(taught)
            self._counted.append(has_choice & _new(taught.observation, known))
            lessons.play()

    def compare(self, student: InferencePolicy) -> Agreement:
        """Compare the greedy moves of the student with those of the teacher."""
        losses = [
            _lost(taught.values, taught.values_by(student).argmax(axis=1))[counted]
            for taught, counted in zip(self._taught, self._counted, strict=True)
        ]
        lost = np.concatenate(losses)
        if not len(lost):  # a game without choices
            return Agreement(0, 1.0, 0.0)
        return Agreement(len(lost), float((lost == 0.0).mean()), float(lost.mean()))


def _new(positions: NDArray[Any], known: set[bytes]) -> NDArray[np.bool_]:
    """[m] True where a position is not `known` yet; adds it there."""
    new = np.zeros(len(positions), np.bool_)
    for index, position in enumerate(positions):
        name = position.tobytes()
        new[index] = name not in known
        known.add(name)
    return new


def _lost(values: NDArray[np.float32], actions: NDArray[np.int64]) -> NDArray[np.float32]:
    """[m] difference between the best of `values` [m, A] and those of `actions` [m]."""
    chosen = np.take_along_axis(values, actions[:, None], axis=1)[:, 0]
    lost: NDArray[np.float32] = values.max(axis=1) - chosen
    return lost


def distill(
    teacher: DQNAgent,
    network: PolicyKwargs,
    student: Path,
    *,
    length: Length,
    afterstates: bool | None = None,
    seed: int = 0,
    device: str = "auto",
    learner_threads: int | None = None,
    console: bool = True,
) -> DistillResult:
    """Fit a new network to the values of `teacher`, and write it to the agent file `student`.

    `afterstates`: the student values positions after moves, else actions; None: as the teacher.
    Equal seeds and positions give equal files on one learner thread of the CPU. The file is written
    at each report and at the end, also after Ctrl-C. Raises `ConfigurationError` for a network that
    does not fit the game, `InputError` if the file exists.
    """
    _check_new(student)
    if learner_threads is not None and learner_threads < 1:
        raise InputError("learner_threads", got=learner_threads, expected="at least 1")
    spec = _student_spec(teacher.spec, network, afterstates)
    output = console_of(quiet=not console)

    def say(line: str) -> None:
        output.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    with Interrupts(say) as interrupts, torch_threads(1):
        options = _options(network)
        learner = _make_learner(spec, options, seed, device, learner_threads)
        replay = _make_replay(spec, options, learner)
        work = _Distillation(teacher.policy(), spec, learner, replay, student, seed=seed, say=say)
        work.run(length, interrupts)
        return work.result(interrupts.signal)


class _Distillation:
    """One call of `distill`."""

    def __init__(
        self,
        teacher: InferencePolicy,
        spec: PolicySpec,
        learner: AnyLearner,
        replay: Replay | DeviceReplay,
        path: Path,
        *,
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self._spec, self._learner, self._replay = spec, learner, replay
        self._path, self._say = path, say
        game = make(teacher.spec.game, _NUM_SLOTS)
        self._held_out = HeldOut(_lessons(teacher, game, spec, _HELD_OUT, seed))
        self._lessons = _lessons(teacher, game, spec, _LESSONS, seed)
        self._policy = InferencePolicy(spec)
        self._positions, self._due, self._loss = 0, 0.0, math.nan
        self._agreement = Agreement(0, 0.0, 0.0)
        self._began = self._reported = time.monotonic()
        self._seconds = 0.0

    def run(self, length: Length, interrupts: Interrupts) -> None:
        """Play and learn until the end or a signal; what was learned is saved."""
        self._began = self._reported = time.monotonic()
        with ThreadPoolExecutor(1, thread_name_prefix="teacher") as thread:
            coming = thread.submit(self._play)
            interrupts.begun()
            while (done := self._progress(length)) < 1.0 and not interrupts.requested:
                rows, positions = coming.result()
                coming = thread.submit(self._play)
                self._learn(rows, done, lambda: interrupts.requested)
                self._positions += positions
                if time.monotonic() - self._reported >= _REPORT_SECONDS:
                    self._report(length)
        self._report(length)

    def result(self, signal: int) -> DistillResult:
        """Figures of what was done."""
        return DistillResult(
            student=self._path,
            num_weights=self._policy.num_parameters,
            positions=self._positions,
            updates=self._learner.updates,
            seconds=self._seconds,
            loss=self._loss,
            agreement=self._agreement,
            signal=signal,
        )

    def _progress(self, length: Length) -> float:
        self._seconds = time.monotonic() - self._began
        return length.progress(self._positions, self._seconds)

    def _play(self) -> tuple[NDArray[Any], int]:
        """Rows of one round, and the number of their positions; on the teacher's thread."""
        taught = [self._lessons.play() for _ in range(_PLIES)]
        rows = [one.transitions(self._spec) for one in taught]
        return join_rows(rows), sum(len(one.mask) for one in taught)

    def _learn(self, rows: NDArray[Any], progress: float, between: Callable[[], bool]) -> None:
        """Learn as many rows as there are new ones, with a cosine decay of the learning rate
        (Loshchilov and Hutter 2017).
        """
        learner = self._learner
        self._replay.extend(rows)
        self._due += len(rows) / learner.options.batch_size
        cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
        learner.set_learning_rate(learner.options.learning_rate * cosine)
        stats = learner.update(self._replay, int(self._due), between=between)
        self._due %= 1.0
        self._loss = stats.loss if stats.updates else self._loss

    def _report(self, length: Length) -> None:
        """Save the student, compare it with the teacher, and print a line."""
        learner = self._learner
        self._policy.load_vector(learner.evaluated_vector())
        DQNAgent(self._spec, weights=self._policy.get_weights()).save(self._path)
        self._agreement = self._held_out.compare(self._policy)
        done = min(1.0, self._progress(length))
        left = self._seconds * (1.0 - done) / done if done else None
        cells = (
            time.strftime("%H:%M:%S"),
            f"{percent(done):>5}",
            f"ETA {clock_time(left)}",
            f"{count(self._positions)} positions",
            f"loss {figure(self._loss)}",
            f"same move {percent(self._agreement.same_move).strip()}",
        )
        self._say("  ".join(cells))
        self._reported = time.monotonic()


def _lessons(
    teacher: InferencePolicy, game: BatchedGame, student: PolicySpec, part: int, seed: int
) -> Lessons:
    key = stream_key(part, seed)
    return Lessons(teacher, game, afterstates=student.afterstates, key=key)


def _student_spec(
    teacher: PolicySpec, network: PolicyKwargs, afterstates: bool | None
) -> PolicySpec:
    game = teacher.game_spec
    wanted = teacher.afterstates if afterstates is None else afterstates
    if wanted:
        check_afterstates(game)
    named = NetworkSpec(network.network, network.network_arguments())
    return PolicySpec(teacher.game, named, afterstates=wanted, resolved=game)


def _options(network: PolicyKwargs) -> AgentOptions:
    """Settings of learner and replay."""
    tables = network.network == TABLES
    return AgentOptions(
        policy_kwargs=network,
        batch_size=_BATCH_SIZE,
        learning_rate=min(1.0, _STEP_OF_TABLES / network.tuples) if tables else _LEARNING_RATE,
        gamma=0.0,
        symmetry_augmentation=not tables,
    )


def _make_learner(
    spec: PolicySpec, options: AgentOptions, seed: int, device: str, threads: int | None
) -> AnyLearner:
    if spec.network.factory == TABLES:
        if device not in ("auto", "cpu"):
            raise ConfigurationError(
                "device", got=device, expected=f"cpu: network {TABLES} works there only"
            )
        return TableLearner(spec, options, seed=seed)
    where = resolve_device(device)
    return Learner(
        spec,
        options,
        device=where,
        seed=seed,
        bfloat16=where.type == "cpu" and has_bfloat16() and spec.network.factory in FACTORIES,
        threads=system.resolve_learner_threads(threads, 1) if where.type == "cpu" else 1,
    )


def _make_replay(
    spec: PolicySpec, options: AgentOptions, learner: AnyLearner
) -> Replay | DeviceReplay:
    game = spec.network_game
    system.check_memory({"of replay": (replay_bytes(game, options), "free some memory")})
    device = learner.device if isinstance(learner, Learner) else torch.device("cpu")
    return build_replay(game, options, device)


def _check_new(file: Path) -> None:
    """Raise `InputError` if the file exists, or its folder does not."""
    if file.exists():
        raise InputError(
            "the student's file exists", got=str(file), expected="a new file",
            remedy="name another with --out, or remove it",
        )  # fmt: skip
    if not file.parent.is_dir():
        raise InputError(
            "the student's file", got=str(file), expected=f"a folder {file.parent} that exists"
        )
