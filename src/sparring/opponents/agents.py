"""Agents as opponents: `agent:RUN`, `agent:RUN/snapshot:3`, `agent:FILE`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.agent import DQNAgent
from sparring.dqn.agent_file import read_header
from sparring.dqn.networks import FACTORIES, PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.errors import FileFormatError, InputError
from sparring.games import GameSpec, label
from sparring.opponents.found import FoundAgent, find_agent
from sparring.opponents.names import AGENT_SCHEME
from sparring.opponents.players import NetworkPlayer
from sparring.opponents.pool import snapshot_player, stored_snapshots
from sparring.storage.run_directory import read_newest

_SNAPSHOT: Final = re.compile(r"(?P<agent>.+)/(?P<snapshot>snapshot:[0-9]+)")
_MAX_LABEL: Final = 60  # characters of an agent's name in that of its copy


@dataclass(frozen=True)
class AgentWeights:
    """An agent that does not learn: its network, and its weights as a flat vector. Plain values
    that travel to workers.
    """

    spec: PolicySpec
    vector: NDArray[np.float32]

    def player(self, name: str, *, epsilon: float = 0.0, bfloat16: bool = False) -> NetworkPlayer:
        """Make a player with these weights."""
        return NetworkPlayer(name, self.policy(bfloat16=bfloat16), epsilon)

    def policy(self, *, bfloat16: bool = False) -> InferencePolicy:
        policy = InferencePolicy(self.spec, bfloat16=bfloat16)
        policy.load_vector(self.vector)
        return policy


def load_opponent(
    name: str, game: GameSpec, *, runs_dir: str = "runs", network: str | None = None
) -> AgentWeights:
    """Load the agent that plays `game` under this name. `network` may be imported for a file whose
    agent has a user's own network.

    Raises `InputError` if there is none, or if it is of another game.
    """
    where, snapshot = _parts(name)
    found = find_agent(where, runs_dir)
    agent = load_found(found, game, network)
    if snapshot is None:
        return agent
    return _with_weights_of(snapshot, agent, found.path.parent)


def load_found(found: FoundAgent, game: GameSpec, network: str | None) -> AgentWeights:
    """Load an agent of the game. The encoding alone would not tell games of users apart.

    Raises `FileFormatError` if the file is damaged, or of another game.
    """
    description = read_header(found.path)[1]
    if isinstance(named := description.get("game"), str) and label(named) != label(game.name):
        raise FileFormatError(
            f"{found.path} is an agent of another game", got=repr(named), expected=game.name
        )
    factory = description.get("network", {}).get("factory")
    own = None if factory in FACTORIES else found.network or network
    agent = DQNAgent.load(found.path, game=game.name, network=own)
    spec = PolicySpec(game.name, agent.spec.network, agent.spec.afterstates, resolved=game)
    return AgentWeights(spec, agent.policy().vector())


def _with_weights_of(name: str, agent: AgentWeights, run: Path) -> AgentWeights:
    """The snapshot of that name in the newest checkpoint of the agent's run."""
    stored = stored_snapshots(read_newest(run, "opponents"))
    if name not in stored:
        raise InputError(
            f"no such snapshot in {run}",
            got=repr(name),
            expected=f"one of {', '.join(stored) or '(none yet)'}",
        )
    player = snapshot_player(name, stored[name], agent.spec, run)
    return AgentWeights(agent.spec, player.policy.vector())


def load_kept(
    folder: Path, name: str, game: GameSpec, *, runs_dir: str = "runs", network: str | None = None
) -> AgentWeights:
    """Load the copy of an opponent in `folder`, else the agent itself.

    A run keeps copies, so that a resumed run meets the same agents whatever became of their files.
    """
    path = _copy(folder, name)
    if not path.is_file():
        return load_opponent(name, game, runs_dir=runs_dir, network=network)
    return load_found(FoundAgent(path, network=_network_of_run(name, runs_dir)), game, network)


def keep(folder: Path, agents: Mapping[str, AgentWeights]) -> None:
    """Write copies of opponents, unless they are there."""
    for name, agent in agents.items():
        folder.mkdir(exist_ok=True)
        if not _copy(folder, name).is_file():
            weights = agent.policy().get_weights()
            DQNAgent(agent.spec, weights=weights).save(_copy(folder, name))


def _copy(folder: Path, name: str) -> Path:
    text = name.removeprefix(AGENT_SCHEME)
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", text)[-_MAX_LABEL:]
    return folder / f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.safetensors"


def _network_of_run(name: str, runs_dir: str) -> str | None:
    """The user's own network of the run that the copy is from, if the run is still there."""
    try:
        return find_agent(_parts(name)[0], runs_dir).network
    except InputError:
        return None


def _parts(name: str) -> tuple[str, str | None]:
    """File or run, and the snapshot."""
    text = name.removeprefix(AGENT_SCHEME)
    parts = _SNAPSHOT.fullmatch(text)
    if not text:
        raise InputError(f"opponent {name}", got="no agent", expected="agent:RUN or agent:FILE")
    return (text, None) if parts is None else (parts["agent"], parts["snapshot"])
