"""One call that plays matches: a worker's body for callers with processes of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparring.dqn.inputs import MAX_SEED, as_weights, fraction, whole_number
from sparring.dqn.networks import PolicySpec
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError, shown
from sparring.opponents.lookahead import check_opponent
from sparring.opponents.names import lookahead_of
from sparring.opponents.players import AGENT, AGENT_NAME, Opponent, Plan
from sparring.opponents.roster import can_be_named, load_roster, opponent_name
from sparring.opponents.scripted import scripted_names, scripted_player
from sparring.opponents.user_players import is_from_outside
from sparring.replay.transitions import join_rows, transition_dtype
from sparring.rollout.rollout import Rollout, RolloutSettings
from sparring.rollout.round import RoundCommand

_MAX_ENVS: Final = 256
_MAX_STEPS: Final = 32  # as for the setting n_steps


@dataclass(frozen=True)
class Collected:
    """`transitions` are rows of `transition_dtype`; `results` finished matches, rows of
    `result_dtype`.

    Player 0 is the agent, the others have the numbers of their places in `opponents`, from 1.
    """

    transitions: NDArray[Any]
    results: NDArray[Any]


class _FixedWeights:
    """The weights of one call: a single version, no snapshots."""

    def __init__(self, vector: NDArray[np.float32]) -> None:
        self._vector = vector

    def published(self, version: int) -> NDArray[np.float32]:
        return self._vector

    def snapshot(self, slot: int) -> NDArray[np.float32]:
        raise AssertionError("a plan without snapshots names no slot")


def rollout_worker(
    spec: PolicySpec,
    weights: Mapping[str, NDArray[Any]],
    *,
    n_episodes: int = 4,
    epsilon: float = 0.1,
    opponents: Sequence[str | object] = (AGENT_NAME,),
    worker: int = 0,
    seed: int = 0,
    gamma: float = 0.99,
    n_steps: int = 1,
) -> Collected:
    """Play `n_episodes` matches with these weights, up to 256 side by side, and return their
    transitions and results.

    Every match is played from its start to its end, so that the results are a fair sample of
    matches, long and short ones; matches cut at the game's ply limit are marked `truncated`. The
    other seats are drawn from `opponents`, with equal chances: `self`, scripted players, players of
    your own (`module:Class`, or the class), agents (`agent:FILE`).
    Calls of different `worker` or `seed` have random streams of their own. The call can be pickled
    into any process pool. Raises `ConfigurationError` for an unknown opponent, a number out of its
    range, or weights that are not of this network or not finite.
    """
    n_episodes = whole_number("n_episodes", n_episodes, 1)
    n_steps = whole_number("n_steps", n_steps, 1, _MAX_STEPS)
    worker = whole_number("worker", worker, 0, MAX_SEED)
    seed = whole_number("seed", seed, 0, MAX_SEED)
    epsilon, gamma = fraction("epsilon", epsilon), fraction("gamma", gamma)
    vector = InferencePolicy(spec, as_weights(weights)).vector()
    names = _names(opponents)
    players = _players(names, spec.game)
    game = spec.game_spec
    settings = RolloutSettings(
        policy=spec,
        num_envs=min(n_episodes, _MAX_ENVS),
        seed=seed,
        bootstrap="zero_sum" if game.allows_zero_sum_bootstrap else "own_turn",
        n_steps=n_steps,
        gamma=gamma,
        learn_from="agent",
        opponent_epsilon=0.0,
        roster=load_roster(names, game),
    )
    rollout = Rollout(
        settings,
        _FixedWeights(vector),
        worker=worker,
        incarnation=0,
    )
    rows = [np.empty(0, transition_dtype(spec.network_game))]
    command = RoundCommand(
        0,
        0,
        epsilon,
        Plan(players, (1 / len(players),) * len(players)),
        n_episodes,
    )
    report = rollout.play_whole_matches(command, lambda block: rows.append(join_rows([block])))
    return Collected(join_rows(rows), report.results)


def _names(opponents: Sequence[str | object]) -> list[str]:
    if not isinstance(opponents, list | tuple) or not all(map(can_be_named, opponents)):
        expected = f"names in a list, such as [{AGENT_NAME!r}]"
        raise ConfigurationError("opponents", got=shown(opponents), expected=expected)
    return [opponent_name(opponent) for opponent in opponents]


def _players(names: Sequence[str], game: str) -> tuple[Opponent, ...]:
    if not names:
        raise ConfigurationError(
            "opponents",
            got="none",
            expected=f"at least one of {', '.join((AGENT_NAME, *scripted_names(game)))}",
        )
    for name in names:
        if lookahead_of(name):
            check_opponent(name, game)
        elif name != AGENT_NAME and not is_from_outside(name):
            scripted_player(name, game)  # raises for an unknown name
    return tuple(
        Opponent(AGENT if name == AGENT_NAME else number, name)
        for number, name in enumerate(names, AGENT + 1)
    )
