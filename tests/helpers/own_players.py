"""Players as users write them, sound and broken ones, for games of up to nine actions."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import dataclass
from multiprocessing import parent_process

import numpy as np


class Last:
    """The last legal action."""

    def act(self, observation, mask):
        return np.flatnonzero(mask)[-1]


class LastOfAll:
    """The same for many positions at once."""

    def act_batch(self, observations, masks):
        assert len(observations) == len(masks)
        return masks.shape[1] - 1 - masks[:, ::-1].argmax(axis=1)


class Dicing:
    """Any legal action, by the generator that it is given."""

    def reset(self, rng):
        self.rng = rng

    def act(self, observation, mask):
        return int(self.rng.choice(np.flatnonzero(mask)))


@dataclass(frozen=True)
class Favourite:
    """An action, wherever it is legal."""

    action: int = 4

    def act(self, observation, mask):
        return self.action if mask[self.action] else int(mask.argmax())


class Middle:
    """Looks at the board of `plain_games.Toe` for its own marks."""

    def choose(self, match):
        if match.board[4] == -1:
            return 4
        mine = [cell for cell in range(9) if match.board[cell] == match.seat]
        free = np.flatnonzero(match.mask()).tolist()
        return free[len(mine) % len(free)]


class Either(Middle):
    """Plays games that have a match to look at, and others."""

    def act(self, observation, mask):
        return int(mask.argmax())


class Scribbler(Last):
    """Writes into what it is shown, which is its own."""

    def act(self, observation, mask):
        action = super().act(observation, mask)
        observation[...] = 1
        mask[...] = True
        return action


class Raising:
    def act(self, observation, mask):
        raise LookupError("no idea")


class Silent:
    def act(self, observation, mask):
        pass


class Fractional:
    def act(self, observation, mask):
        return 4.0


class TooFar:
    def act(self, observation, mask):
        return len(mask)


class Cheating:
    """Takes a cell that is taken, as soon as there is one."""

    def act(self, observation, mask):
        return int((~mask).argmax()) if not mask.all() else 0


class BadBatch:
    def act_batch(self, observations, masks):
        return masks


class RaisingBatch:
    """Fails in one position of a batch."""

    def act_batch(self, observations, masks):
        if (~masks[:, 8]).any():
            raise LookupError("the last cell is taken")
        return masks.argmax(axis=1)


class LateReset(Last):
    def reset(self, rng):
        raise LookupError("not ready")


class Passing:
    """Hands the move to somebody else."""

    def choose(self, match):
        match.seat = 1 - match.seat
        return int(match.mask().argmax())


class Marking:
    """Tries a move on the match itself."""

    def choose(self, match):
        match.board[8] = match.seat
        return int(match.mask().argmax())


class Peeking:
    """Rolls the dice of the match."""

    def choose(self, match):
        match.rng.integers(6)
        return 0


class Moody:
    """Draws from the module's generator."""

    def act(self, observation, mask):
        return random.choice(np.flatnonzero(mask))


@dataclass
class Dying(Last):
    """Moves a file away and kills the worker, the first that asks it."""

    file: str

    def act(self, observation, mask):
        if parent_process() is not None:
            try:
                os.rename(self.file, f"{self.file}-gone")
            except FileNotFoundError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().act(observation, mask)


class Failing(Last):
    """Fails in a worker, when half of the board is taken."""

    def act(self, observation, mask):
        if parent_process() is not None and mask.sum() < 5:
            raise LookupError("this was not in the book")
        return super().act(observation, mask)


@dataclass
class Tiring(Last):
    """Fails after some decisions."""

    decisions: int = 100

    def act(self, observation, mask):
        self.decisions -= 1
        if self.decisions < 0:
            raise LookupError("no more")
        return super().act(observation, mask)


class Unable:
    def __init__(self):
        raise LookupError("no engine here")


class Nothing:
    """Has no method to ask."""
