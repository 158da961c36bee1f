"""Whom a person may play against: the agent, snapshots of it, scripted players."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.policy import InferencePolicy
from sparring.errors import FileFormatError, InputError, nearest
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.pool import stored_snapshots
from sparring.opponents.scripted import is_scripted, scripted_names, scripted_player, search_forms
from sparring.run_directory import read_newest

AGENT: Final = "agent"
_SNAPSHOT: Final = "snapshot:"


class Choices:
    """Players by name. `policy` is the agent's; `run` is the directory of the run that it comes from, which may be training."""

    def __init__(self, policy: InferencePolicy, run: Path | None) -> None:
        self._policy = policy
        self._run = run

    def names(self) -> list[str]:
        """Everyone there is now: snapshots are looked up in the newest checkpoint of the run. Raises `FileFormatError` if it is damaged."""
        return [AGENT, *self._snapshots(), *scripted_names(self._policy.spec.game), *search_forms(self._policy.spec.game)]

    def player(self, name: str) -> Player:
        """The player of that name; raises `InputError` with the names that there are, or if the weights are of another network."""
        if name == AGENT:
            return NetworkPlayer(AGENT, self._policy)
        if name.startswith(_SNAPSHOT):
            snapshots = self._snapshots()
            if name in snapshots:
                return NetworkPlayer(name, self._with_weights(name, snapshots[name]))
        elif is_scripted(name, self._policy.spec.game):
            return scripted_player(name, self._policy.spec.game)
        names = self.names()
        remedy = nearest(name, names)
        if self._run is None and name.startswith(_SNAPSHOT):
            remedy = "snapshots are kept by runs, and this agent is not in the directory of one"
        raise InputError("unknown opponent", got=repr(name), expected=f"one of {', '.join(names)}", remedy=remedy)

    def snapshots(self) -> list[Player]:
        """All snapshots in the newest checkpoint of the run, the oldest first; raises `FileFormatError` as `player` does."""
        return [NetworkPlayer(name, self._with_weights(name, vector)) for name, vector in self._snapshots().items()]

    def _snapshots(self) -> dict[str, NDArray[np.float32]]:
        pool = None if self._run is None else read_newest(self._run, "opponents")
        return {} if pool is None else stored_snapshots(pool)

    def _with_weights(self, name: str, vector: NDArray[np.float32]) -> InferencePolicy:
        policy = InferencePolicy(self._policy.spec)
        if vector.shape != policy.vector().shape:
            got, expected = f"{vector.size} weights", f"{policy.vector().size}"
            raise FileFormatError(f"{name} of {self._run} is of another network", got=got, expected=expected)
        policy.load_vector(vector)
        return policy
