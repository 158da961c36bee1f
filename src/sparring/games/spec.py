"""Declared facts of a game, and the batched protocol that every game offers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparring.errors import ConfigurationError

StateTree = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Symmetry:
    """A relabelling of board and actions that leaves the game as it is.

    Both fields gather: `new.flat[i] = old.flat[observation[i]]`, `new_mask[j] =
    old_mask[action[j]]`. The old action `a` is therefore called `action.index(a)` after the
    relabelling.
    """

    observation: tuple[int, ...]
    action: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class GameSpec:
    """The declared facts of a game. A = `num_actions`, P = `num_players`.

    - `name`: what `games.make` makes the game by; filled in there.
    - `num_players`, `num_actions`: seats 0..P-1, actions 0..A-1; masks say which actions are legal.
    - `observation_shape`, `observation_dtype`: of what a seat sees; [planes, rows, columns] for a
      board. The dtype is a NumPy name, "int8" or "bool" for most games, "float32" for what is no
      whole number; it is kept up to the minibatch, so small ones save memory.
    - `max_plies`: a match that lasts longer is cut (`truncated`).
    - `chance`: something is drawn (dice, cards); else a match follows from its actions alone.
    - `hidden_information`: seats see different things of one position (hands of cards).
    - `zero_sum`: rewards of all seats cancel in each step. With two seats and nothing hidden, one
      seat's value is then minus the other's, and training makes use of it.
    - `impartial`: all seats see a position alike, as in Nim. Else an observation shows the
      observer's own things first.
    - `returns`: (least, most) that one match pays one seat in all, whatever the discount; targets
      are clipped to it.
    - `symmetries`: relabellings (`Symmetry`) that leave the game as it is; training learns from
      each position in all of them.
    """

    name: str = ""
    num_players: int
    num_actions: int
    observation_shape: tuple[int, ...]
    observation_dtype: str
    max_plies: int
    chance: bool = False
    hidden_information: bool = False
    zero_sum: bool = False
    impartial: bool = False
    returns: tuple[float, float] | None = None
    symmetries: tuple[Symmetry, ...] = field(default=(), repr=False)

    @property
    def observation_size(self) -> int:
        return math.prod(self.observation_shape)

    @property
    def allows_zero_sum_bootstrap(self) -> bool:
        """Two players whose rewards cancel and who see the same: then one seat's value is minus the
        other's.
        """
        return self.num_players == 2 and self.zero_sum and not self.hidden_information


class BatchedGame(Protocol):
    """Many matches of one game, one in each slot; what rollout, evaluation and play speak.

    n = `num_slots`. The arrays are preallocated and overwritten in place by `reset` and `step`:
    copy what has to outlive the next call. After the end of a match its slot keeps `terminated` or
    `truncated` set, and takes no action but -1, until it is reset.
    """

    spec: GameSpec
    num_slots: int
    seat: NDArray[np.int64]  # [n] who decides now
    observation: NDArray[Any]  # [n, *observation_shape] from the point of view of `seat`
    mask: NDArray[np.bool_]  # [n, A] legal actions; all False after `terminated`
    rewards: NDArray[np.float32]  # [n, P] what each seat was paid by the last step
    terminated: NDArray[np.bool_]  # [n]
    truncated: NDArray[
        np.bool_
    ]  # [n] cut at the ply limit: seat, observation and mask are those of the cut position
    plies: NDArray[np.int64]  # [n] decisions made in the current match

    def reset(self, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        """Begin new matches in `slots` [m]; all chance in match i follows from `keys[i]`."""

    def step(self, actions: NDArray[np.int64]) -> None:
        """Play one ply in every slot; -1 leaves a slot as it is (its rewards become 0).

        Raises `IllegalAction`, before anything has changed, if any action is neither -1 nor legal.
        """

    def win_or_block(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[m, A]: the moves that win at once; if none, those that the next seat would win with; if
        none, all legal moves.

        It never looks at what the match's chance has in store: in a game with chance a move wins
        only if it does so with each of several other streams, and the next seat's moves are not
        looked for. A game may also give all legal moves there. With hidden information it gives all
        legal moves: trying them would show what the mover cannot see.
        """

    def observe_as(self, slots: NDArray[np.int64], seats: NDArray[np.int64]) -> NDArray[Any]:
        """[m, *observation_shape]: what `seats[i]` sees in `slots[i]` now, whoever is to move;
        zeros after `terminated`.
        """

    def text(self, slot: int) -> str:
        """The position in a slot for people, in one or several lines."""

    def action_text(self, slot: int, action: int) -> str:
        """A legal action in words, at least its number."""

    def get_state(self) -> StateTree:
        """Copies of everything that a later `set_state` needs to go on exactly from here."""

    def set_state(self, state: StateTree) -> None:
        """Go on from what `get_state` returned, with all views as they were."""


# A game in plain Python: one object plays one match. What users write, and what the adapters offer.


class Match(Protocol):
    """One match of a game, written for people; `LoopedGame` makes the batched protocol of many of
    them.

    A = `spec.num_actions`, P = `spec.num_players`. A Match may also have

    - `copy()`, a match that goes on from here by itself; without it `copy.deepcopy` is used;
    - `__str__`, the position as a person wants to see it;
    - `action_text(action)`, a legal action in words.
    """

    # declared on the class, or set by the constructor; its name is filled in by `games.make`
    spec: GameSpec
    seat: int  # who decides now, 0 .. P-1

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a match. All chance, here and in `step`, is drawn from `rng`."""

    def mask(self) -> ArrayLike:
        """[A] bool: the legal actions of the seat to move; at least one while the match goes on."""

    def observe(self, seat: int) -> ArrayLike:
        """[*observation_shape]: the position as `seat` sees it."""

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        """Play a legal action and name the next `seat`; returns (rewards [P], or None for all 0;
        whether the match has ended).
        """


# Whether the facts that a game declares make sense by themselves, whatever its rules are.


_MOST_PLIES = 1_000_000  # a run may hold whole matches in memory


class Mistake(NamedTuple):
    """A mistake, in the parts of an error's message."""

    what: str
    got: str
    expected: str
    remedy: str


def checked(spec: Any, owner: str, declaration: str) -> GameSpec:
    """`spec` where it is a sound declaration; else `ConfigurationError` with the first mistake in
    that of `owner`.
    """
    if not isinstance(spec, GameSpec):
        expected = f"{declaration} = GameSpec(num_players=..., num_actions=..., ...)"
        raise ConfigurationError(f"{owner} declares nothing", got=repr(spec), expected=expected)
    for what, got, expected, remedy in mistakes(spec):
        raise ConfigurationError(f"{owner}: {what}", got=got, expected=expected, remedy=remedy)
    return spec


def mistakes(spec: GameSpec) -> Iterator[Mistake]:
    """Everything that is wrong with a declaration."""
    counts = {name: getattr(spec, name) for name in ("num_players", "num_actions", "max_plies")}
    for name, value in counts.items():
        if not _is_count(value):
            yield Mistake(
                f"spec.{name} is no count",
                repr(value),
                "a whole number, at least 1",
                "declare it in the game's spec",
            )
    if _is_count(spec.max_plies) and spec.max_plies > _MOST_PLIES:
        remedy = "declare after how many plies a match shall be cut"
        yield Mistake(
            "spec.max_plies is too large", repr(spec.max_plies), f"at most {_MOST_PLIES}", remedy
        )
    if spec.returns is not None and not _is_range(spec.returns):
        yield Mistake(
            "spec.returns is no range",
            repr(spec.returns),
            "(lowest, highest), or None",
            "declare what one seat can be paid",
        )
    if not _is_number_type(spec.observation_dtype):
        expected, remedy = (
            "a NumPy name, as 'int8', 'bool' or 'float32'",
            "declare the type of what observe returns",
        )
        yield Mistake(
            "spec.observation_dtype is no type of numbers",
            repr(spec.observation_dtype),
            expected,
            remedy,
        )
    if not isinstance(spec.observation_shape, tuple) or not all(
        map(_is_count, spec.observation_shape)
    ):
        remedy = "write (9,) for nine numbers in a row: (9) is a number"
        yield Mistake(
            "spec.observation_shape is no shape",
            repr(spec.observation_shape),
            "a tuple of whole numbers",
            remedy,
        )
    elif all(map(_is_count, counts.values())):
        yield from _symmetry_mistakes(spec)


def _symmetry_mistakes(spec: GameSpec) -> Iterator[Mistake]:
    symmetries: tuple[Any, ...] = spec.symmetries
    for number, symmetry in enumerate(symmetries):
        if not isinstance(symmetry, Symmetry):
            yield Mistake(
                "spec.symmetries holds something else",
                repr(symmetry)[:60],
                "Symmetry(observation=..., action=...)",
                "write it so",
            )
        elif not (
            _is_relabelling(symmetry.observation, spec.observation_size)
            and _is_relabelling(symmetry.action, spec.num_actions)
        ):
            expected = (
                f"each of {spec.observation_size} entries and of {spec.num_actions} actions once"
            )
            yield Mistake(
                "a symmetry is no relabelling",
                f"symmetry {number}",
                expected,
                "list for each new place the old one",
            )


def _is_relabelling(places: tuple[int, ...], size: int) -> bool:
    return sorted(places) == list(range(size))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 1


def _is_range(returns: Any) -> bool:
    try:
        low, high = returns
        return math.isfinite(low) and math.isfinite(high) and low <= high
    except (TypeError, ValueError):
        return False


def _is_number_type(name: object) -> bool:
    try:
        return isinstance(name, str) and np.dtype(name).kind in "biuf"
    except TypeError:
        return False
