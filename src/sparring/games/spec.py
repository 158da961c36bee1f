"""Declared facts of a game, and the batched protocol that every game offers."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

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


def square_symmetries(side: int, *, planes: int, others: int = 0) -> tuple[Symmetry, ...]:
    """The turns and reflections of a square board, without the one that changes nothing.

    For observations [planes, side, side] and actions that are its cells, row by row, followed by
    `others` that stay as they are, such as a pass.
    """
    cells = np.arange(side * side).reshape(side, side)
    turned = [np.rot90(board, turns) for board in (cells, cells.T) for turns in range(4)]
    symmetries = []
    for board in turned[1:]:
        moved = board.ravel().tolist()
        observation = [cells.size * plane + cell for plane in range(planes) for cell in moved]
        actions = [*moved, *range(cells.size, cells.size + others)]
        symmetries.append(Symmetry(tuple(observation), tuple(actions)))
    return tuple(symmetries)


@dataclass(frozen=True)
class Board:
    """The observation is a board: planes [P, rows, columns], of which at most one shows something
    in each cell. N-tuple networks look cells up (`dqn/ntuples.py`).

    `support` [rows * columns] names for each cell the one that has to be occupied before it, -1 if
    none has to, as in Connect Four; empty if the game has no such rule.
    """

    support: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GameSpec:
    """The declared facts of a game. A = `num_actions`, P = `num_players`.

    - `name`: canonical name of the game; filled in by `games.make`.
    - `num_players`, `num_actions`: seats 0..P-1, actions 0..A-1; masks say which actions are legal.
    - `observation_shape`, `observation_dtype`: of one seat's observation; [planes, rows, columns]
      for a board. The dtype is a NumPy name: "int8" or "bool" for most games, "float32" for
      fractions. It is kept up to the minibatch, so a small one saves memory.
    - `max_plies`: longer matches are cut (`truncated`). Training with `own_turn` plays cut matches
      of a `Match` on until each seat that has moved is to move again, at most 10 turns.
    - `chance`: dice, cards or the like; otherwise a match follows from its actions alone.
    - `hidden_information`: seats see different things of one position (hands of cards).
    - `zero_sum`: the rewards of all seats sum to 0 in each step. With two seats and nothing hidden,
      one seat's value is then minus the other's, and training makes use of it.
    - `impartial`: all seats see a position alike, as in Nim. Otherwise an observation shows the
      observer's own things first.
    - `returns`: (lowest, highest) sum of the rewards that one seat can still be paid from any
      position on, whatever it was paid before: to the end or, with a discount below 1, to any
      earlier ply. Positions after a move and before chance count, too. Where rewards come only
      at the end, these are the results. Targets are clipped to it, and the atoms of C51 span it
      (`value_range`).
    - `symmetries`: relabellings (`Symmetry`) that leave the game as it is; training learns from
      each position in all of them.
    - `board`: declares the observation to be a board (`Board`).
    - `afterstates`: how positions after a move can be observed (`games/afterstates.py`); filled in
      by `games.make`.
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
    symmetries: tuple[Symmetry, ...] = ()
    board: Board | None = None
    afterstates: Literal["", "next", "mover", "own"] = ""

    def __repr__(self) -> str:
        """One line: name, sizes, the facts that hold, and the number of symmetries."""
        facts = [
            f"{self.name or 'unnamed'}: num_players={self.num_players}",
            f"num_actions={self.num_actions}",
            f"observation={self.observation_dtype} {self.observation_shape}",
            f"max_plies={self.max_plies}",
            *(fact for fact in _FLAGS if getattr(self, fact)),
        ]
        if self.returns is not None:
            facts.append(f"returns={self.returns}")
        if self.symmetries:
            facts.append(f"symmetries={len(self.symmetries)}")
        return f"GameSpec({', '.join(facts)})"

    @property
    def observation_size(self) -> int:
        return math.prod(self.observation_shape)

    @property
    def observation_bytes(self) -> int:
        return self.observation_size * np.dtype(self.observation_dtype).itemsize

    @property
    def value_range(self) -> tuple[float, float] | None:
        """`returns` extended to 0: the range of all values, whatever the discount. A discounted sum
        is a weighted mean of the undiscounted sums over its first plies, and the empty sum is 0.
        """
        if self.returns is None:
            return None
        return min(self.returns[0], 0.0), max(self.returns[1], 0.0)

    @property
    def allows_zero_sum_bootstrap(self) -> bool:
        """True if one seat's value is minus the other's: two players, zero-sum, nothing hidden."""
        return self.num_players == 2 and self.zero_sum and not self.hidden_information


def with_afterstates(
    spec: GameSpec, *, draws_apart: bool = False, shows_own: bool = False
) -> GameSpec:
    """Return the spec of a game that can be played on copies, with `afterstates` filled in.

    `draws_apart`: moves can be played without the chance that follows them; `shows_own`: a class
    has a method `after`.
    """
    view: Literal["", "next", "mover", "own"] = "mover"
    if shows_own:
        view = "own"
    elif spec.hidden_information or (spec.chance and not draws_apart):
        view = ""
    elif spec.allows_zero_sum_bootstrap:
        view = "next"
    elif spec.num_players > 1 and len(spec.observation_shape) not in (1, 3):
        view = ""  # no place for the seat that comes next
    return dataclasses.replace(spec, afterstates=view)


class BoardStyle(NamedTuple):
    """Appearance of a game's text board: the mark of each seat on it, and (pattern, style) pairs
    of what a terminal shows in colour.
    """

    marks: str = ""
    colours: tuple[tuple[str, str], ...] = ()


class BatchedGame(Protocol):
    """Many matches of one game, one per slot; the protocol of rollout, evaluation and play.

    n = `num_slots`. The arrays are preallocated and overwritten in place by `reset` and `step`:
    copy what has to outlive the next call. After the end of a match its slot keeps `terminated` or
    `truncated` set, and accepts only -1, until it is reset.
    """

    spec: GameSpec
    num_slots: int
    seat: NDArray[np.int64]  # [n] the seat to move
    observation: NDArray[Any]  # [n, *observation_shape] from the point of view of `seat`
    mask: NDArray[np.bool_]  # [n, A] legal actions; all False after `terminated`
    rewards: NDArray[np.float32]  # [n, P] of the last step
    terminated: NDArray[np.bool_]  # [n]
    # [n] cut at the ply limit: seat, observation and mask are those of the cut position
    truncated: NDArray[np.bool_]
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

        The match's own chance is never used: in a game with chance a move wins only if it does so
        with each of several other streams, and the next seat's wins are not looked for. A game may
        also give all legal moves there. With hidden information it gives all legal moves: trying
        them would show what the mover cannot see. A game in plain Python with more than 141 legal
        moves, as Go has, looks for its own wins only: the other would take a minute.
        """

    def observe_as(self, slots: NDArray[np.int64], seats: NDArray[np.int64]) -> NDArray[Any]:
        """[m, *observation_shape]: the observation of `seats[i]` in `slots[i]`, whether or not it
        is to move; zeros after `terminated`.
        """

    def text(self, slot: int) -> str:
        """The position in a slot for people, in one or several lines."""

    def action_text(self, slot: int, action: int) -> str:
        """A legal action in words, at least its number."""

    def get_state(self) -> StateTree:
        """Copies of everything that a later `set_state` needs to continue exactly from here."""

    def set_state(self, state: StateTree) -> None:
        """Continue from what `get_state` returned, with all views as they were."""


class Match(Protocol):
    """One match of a game in plain Python, as users write it and adapters make it; `LoopedGame`
    makes the batched protocol of many of them.

    A = `spec.num_actions`, P = `spec.num_players`. A Match may also have

    - `copy()`, an independent match in the same position; without it `copy.deepcopy` is used;
    - `__str__`, the position as a person wants to see it;
    - `truncated`, True after a `step` that ended the match by a time limit of its own; seat, mask
      and observation are then those of a match that goes on, and targets bootstrap from them;
    - `action_text(action)`, a legal action in words;
    - `after(action)`, [*observation_shape], with chance: the position as the seat to move sees it
      after its move and before chance; it changes and draws nothing (`games/afterstates.py`).
    """

    # declared on the class, or set by the constructor; its name is filled in by `games.make`
    spec: GameSpec
    seat: int  # the seat to move, 0 .. P-1

    def reset(self, rng: np.random.Generator) -> None:
        """Begin a match. All chance, here and in `step`, is drawn from `rng`."""

    def mask(self) -> ArrayLike:
        """[A] bool: the legal actions of the seat to move; at least one until the match ends."""

    def observe(self, seat: int) -> ArrayLike:
        """[*observation_shape]: the position as `seat` sees it."""

    def step(self, action: int) -> tuple[Sequence[float] | None, bool]:
        """Play a legal action and set the next `seat`; return (rewards [P], or None for all 0;
        True if the match has ended).
        """


# Methods and their arguments, as far as a class has to have them.
MATCH_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "reset": ("rng",),
    "mask": (),
    "observe": ("seat",),
    "step": ("action",),
}
BATCHED_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "reset": ("slots", "keys"),
    "step": ("actions",),
    "win_or_block": ("slots",),
    "observe_as": ("slots", "seats"),
    "text": ("slot",),
    "action_text": ("slot", "action"),
    "get_state": (),
    "set_state": ("state",),
}

_FLAGS = ("chance", "hidden_information", "zero_sum", "impartial")
_MIN_TRANSITIONS = 1000  # without so many in memory nothing is learned


def check_size(name: str, observation_bytes: int, num_actions: int, num_slots: int = 1) -> None:
    """Raise `ConfigurationError` for a game that is too large for this machine's memory: so many
    slots, or 1,000 transitions with two observations and masks each.
    """
    position = observation_bytes + num_actions
    needed = max(num_slots, 2 * _MIN_TRANSITIONS) * position
    memory = _physical_memory()
    if needed > memory:
        raise ConfigurationError(
            f"{name} is too large for the memory of this machine",
            got=f"{position / 2**20:,.0f} MiB for an observation and a mask of "
            f"{num_actions:,} actions",
            expected=f"at most {memory / max(num_slots, 2 * _MIN_TRANSITIONS) / 2**20:,.1f} MiB",
            remedy="choose a smaller variant of the game"
            if num_slots <= 2 * _MIN_TRANSITIONS
            else f"play fewer than {num_slots:,} matches side by side (num_envs_per_worker)",
        )


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not on Windows
        return math.inf
