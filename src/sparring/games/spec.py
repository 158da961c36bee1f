"""What a game declares about itself, and the batched protocol that every game offers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

StateTree = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Symmetry:
    """A relabelling of board and actions that leaves the game as it is.

    Both fields gather: `new.flat[i] = old.flat[observation[i]]`, `new_mask[j] = old_mask[action[j]]`. The old action `a` is
    therefore called `action.index(a)` after the relabelling.
    """

    observation: tuple[int, ...]
    action: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class GameSpec:
    """The declared facts of a game. A = `num_actions`, P = `num_players`.

    - `name`: what `games.make` makes the game by; filled in there.
    - `num_players`, `num_actions`: seats 0..P-1, actions 0..A-1; masks say which actions are legal.
    - `observation_shape`, `observation_dtype`: of what a seat sees; [planes, rows, columns] for a board. The dtype is a NumPy name, "int8"
      or "bool" for most games, "float32" for what is no whole number; it is kept up to the minibatch, so small ones save memory.
    - `max_plies`: a match that lasts longer is cut (`truncated`).
    - `chance`: something is drawn (dice, cards); else a match follows from its actions alone.
    - `hidden_information`: seats see different things of one position (hands of cards).
    - `zero_sum`: rewards of all seats cancel in each step. With two seats and nothing hidden, one seat's value is then minus the other's,
      and training makes use of it.
    - `impartial`: all seats see a position alike, as in Nim. Else an observation shows the observer's own things first.
    - `returns`: (least, most) that one match pays one seat in all, whatever the discount; targets are clipped to it.
    - `symmetries`: relabellings (`Symmetry`) that leave the game as it is; training learns from each position in all of them.
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
        """Two players whose rewards cancel and who see the same: then one seat's value is minus the other's."""
        return self.num_players == 2 and self.zero_sum and not self.hidden_information


class BatchedGame(Protocol):
    """Many matches of one game, one in each slot; what rollout, evaluation and play speak.

    n = `num_slots`. The arrays are preallocated and overwritten in place by `reset` and `step`: copy what has to outlive the next call.
    After the end of a match its slot keeps `terminated` or `truncated` set, and takes no action but -1, until it is reset.
    """

    spec: GameSpec
    num_slots: int
    seat: NDArray[np.int64]  # [n] who decides now
    observation: NDArray[Any]  # [n, *observation_shape] from the point of view of `seat`
    mask: NDArray[np.bool_]  # [n, A] legal actions; all False after `terminated`
    rewards: NDArray[np.float32]  # [n, P] what each seat was paid by the last step
    terminated: NDArray[np.bool_]  # [n]
    truncated: NDArray[np.bool_]  # [n] cut at the ply limit: seat, observation and mask are those of the cut position
    plies: NDArray[np.int64]  # [n] decisions made in the current match

    def reset(self, slots: NDArray[np.int64], keys: NDArray[np.uint64]) -> None:
        """Begin new matches in `slots` [m]; all chance in match i follows from `keys[i]`."""

    def step(self, actions: NDArray[np.int64]) -> None:
        """Play one ply in every slot; -1 leaves a slot as it is (its rewards become 0).

        Raises `IllegalAction`, before anything has changed, if any action is neither -1 nor legal.
        """

    def win_or_block(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[m, A]: the moves that win at once; if none, those that the next seat would win with; if none, all legal moves.

        It never looks at what the match's chance has in store: in a game with chance a move wins only if it does so with each of several
        other streams, and the next seat's moves are not looked for. A game may also give all legal moves there. With hidden information
        it gives all legal moves: trying them would show what the mover cannot see.
        """

    def observe_as(self, slots: NDArray[np.int64], seats: NDArray[np.int64]) -> NDArray[Any]:
        """[m, *observation_shape]: what `seats[i]` sees in `slots[i]` now, whoever is to move; zeros after `terminated`."""

    def text(self, slot: int) -> str:
        """The position in a slot for people, in one or several lines."""

    def action_text(self, slot: int, action: int) -> str:
        """A legal action in words, at least its number."""

    def get_state(self) -> StateTree:
        """Copies of everything that a later `set_state` needs to go on exactly from here."""

    def set_state(self, state: StateTree) -> None:
        """Go on from what `get_state` returned, with all views as they were."""
