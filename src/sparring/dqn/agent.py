"""DQNAgent: it predicts, saves and loads, and learns while it is trained.

What only learning needs is imported there: an agent file is played with torch, NumPy and
safetensors alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.util import find_spec
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparring.dqn.agent_description import describe, described, encoding_of
from sparring.dqn.agent_file import decode_agent, encode_agent, read_header
from sparring.dqn.inputs import (
    MAX_SEED,
    as_batch,
    as_masks,
    as_path,
    as_weights,
    whole_number,
)
from sparring.dqn.networks import PolicySpec, Weights, check_fit
from sparring.dqn.policy import InferencePolicy
from sparring.dqn.tree_search import Lookahead, best_moves, check_lookahead
from sparring.errors import ConfigurationError, FileFormatError, SparringError, shown
from sparring.games import (
    BatchedGame,
    GameSpec,
    Match,
    make,
    name_of,
    spec_of,
)
from sparring.games.arrays import chosen_slots
from sparring.games.compiled.placed import PlacedMatches
from sparring.games.spec import MATCH_METHODS
from sparring.storage.atomic import write_file

if TYPE_CHECKING:
    from sparring.dqn.learner import LearnStats
    from sparring.dqn.trainable import Trainable
    from sparring.dqn.trajectory import Step, Trajectory

_VALUES_POSITIONS: Final = "this agent values positions after moves"


class DQNAgent:
    """An agent for one game: `predict` for play, `get_weights` and `set_weights`, `save` and
    `load`; and `add_trajectory_to_buffer` and `learn`, if it can be trained.

    `game`: the name of a game, or a class that plays one match (`sparring.games.Match`); the agent
    is new, and is trained by your own loop. A `PolicySpec` makes an agent that only plays; so
    does `load`. `train_dqn` returns one that was trained and can be trained on.
    `weights`: the first ones, as `get_weights` returns them; None: random.
    `seed`: of random weights and minibatches. `device`: of the learner.
    `options`: the settings below. `gamma` and `n_steps` count the seat's own turns, unless
    `bootstrap` is "zero_sum". `afterstates`, `init_from_sha256`, `learn_from`,
    `learning_rate_schedule` and `prioritized_replay_beta0` are for runs only.

    Raises `ConfigurationError` for an unknown or impossible setting or game.
    """

    def __init__(
        self,
        game: PolicySpec | str | object,
        *,
        weights: Mapping[str, NDArray[Any]] | None = None,
        trainable: Trainable | None = None,
        seed: int = 0,
        device: str = "auto",
        **options: Any,
    ) -> None:
        if isinstance(game, PolicySpec):
            _refuse_options(options)
            self.spec = game
        else:
            from sparring.config.sources import agent_options
            from sparring.dqn.trainable import make_trainable, resolve_device

            self.spec, trainable = make_trainable(
                spec_of(name_of(game)),
                agent_options(options),
                device=resolve_device(device),
                seed=whole_number("seed", seed, 0, MAX_SEED),
            )
            if weights is not None:
                trainable.learner.start_with(as_weights(weights))
        self.game = self.spec.game_spec
        self._trainable = trainable
        self._policy = InferencePolicy(self.spec, weights)
        self.exploration_rate = 0.05
        self._random = np.random.default_rng(seed)
        self._placed = PlacedMatches(partial(make, self.spec.game))
        if trainable is not None:
            self._follow_learner()

    def __repr__(self) -> str:
        parts = [
            f"game={self.spec.game!r}",
            f"network={self.spec.network.factory!r}",
            f"parameters={self._policy.num_parameters:_}",
        ]
        if self._trainable is not None:
            parts.append(f"updates={self._trainable.learner.updates:_}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def predict(
        self,
        observation: NDArray[Any],
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
        action_masks: NDArray[np.bool_] | None = None,
        *,
        lookahead: int | Literal["turn"] = 0,
    ) -> tuple[NDArray[np.int64] | int, Any]:
        """The greedy action for one position [*observation_shape], or actions [n] for a batch of
        them, and `state` as it was given; arguments in the order of sb3-contrib's MaskablePPO.

        There is nothing recurrent: `state` and `episode_start` have no influence. With
        `deterministic=False` an action is random among the marked ones with probability
        `exploration_rate`, 0.05, as in stable-baselines3's DQN.

        `action_masks` [A] or [n, A] marks the legal actions; without it all are legal; for one
        position [1, A] is accepted too. Raises `ConfigurationError` for other shapes and dtypes,
        for NaN and infinity, and for a mask without a legal action.

        `lookahead` plies are searched, with the network's values at the leaves, see `act`. That,
        and agents that value positions after moves, need the position: in built-in games the
        observation shows it. In others use `act`, or `values` of the positions after each move;
        `SparringError` says so.
        """
        ahead = self._ahead(lookahead)
        batch, single = as_batch(observation, self.game)
        mask = as_masks(action_masks, len(batch), self.game.num_actions, single=single)
        if self.spec.afterstates or ahead.searches:
            actions = self._best_in_positions(batch, mask, ahead)
        else:
            actions = self._policy.act(batch, mask, np.zeros((len(batch), 2)), epsilon=0.0)
        if not deterministic:
            for i in np.flatnonzero(self._random.random(len(batch)) < self.exploration_rate):
                actions[i] = self._random.choice(np.flatnonzero(mask[i]))
        return (int(actions[0]) if single else actions), state

    def q_values(self, position: ArrayLike | BatchedGame | Match) -> NDArray[np.float32]:
        """Values of all actions: [A] for one observation, [n, A] for a batch of them or for a game
        of `games.make` with n slots, [1, A] for one match (`sparring.games.Match`) in progress.

        Values of illegal actions have no meaning, and are -inf where positions after moves are
        valued. Such an agent needs the game or the match, except in built-in games, whose
        observations show the position; `SparringError` says so. `ConfigurationError` as `predict`
        and `act`.
        """
        if hasattr(position, "spec"):
            game = _as_game(position, self.game)
            return self._policy.action_values(game, np.arange(game.num_slots))
        batch, single = as_batch(position, self.game)
        if self.spec.afterstates and len(batch):
            placed = self._placed.at(batch)
            if placed is None:
                raise self._hidden_position("q_values", _VALUES_POSITIONS)
            values = self._policy.action_values(placed, np.arange(len(batch)))
        elif self.spec.afterstates:
            values = np.empty((0, self.game.num_actions), np.float32)
        else:
            values = self._policy.q_values(batch)
        return values[0] if single else values

    def values(self, observations: ArrayLike) -> NDArray[np.float32]:
        """Values [n] of positions after moves, `observations` [n, ...] as the game shows them (for
        a class: as its method `after` does). Raises `SparringError` for an agent that values
        actions, `ConfigurationError` as `predict`.
        """
        if not self.spec.afterstates:
            raise SparringError("values: this agent values actions, not positions; use predict")
        batch, _ = as_batch(observations, self.spec.network_game)
        return self._policy.q_values(batch).reshape(-1)

    def act(
        self,
        game: BatchedGame | Match,
        slots: ArrayLike | None = None,
        *,
        lookahead: int | Literal["turn"] = 0,
    ) -> NDArray[np.int64]:
        """The greedy actions [m] for the seats to move in `slots` [m] of a game of `games.make`; by
        default in all its slots, without `lookahead`. One match (`sparring.games.Match`) in
        progress is a game of one slot.

        `lookahead` plies, at most 20, are searched in two-player zero-sum games of compiled rules
        without hidden information; chance is averaged. "turn": the seat's own plies up to the next
        draw are compared by where they end, as with both dice in backgammon. Raises
        `ConfigurationError` for other games, and for games of another kind than the agent's.
        """
        played = _as_game(game, self.game)
        chosen = np.arange(played.num_slots) if slots is None else chosen_slots(played, slots)
        ahead = self._ahead(lookahead)
        if ahead.searches:
            return best_moves(self._policy, played, chosen, ahead)
        return self._policy.choose(played, chosen, np.zeros((len(chosen), 2)), epsilon=0.0)

    def policy(self) -> InferencePolicy:
        """A copy of the network for play."""
        return InferencePolicy(self.spec, self.get_weights())

    def get_weights(self) -> Weights:
        """Copies of the policy's parameters by name."""
        return self._policy.get_weights()

    def set_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite the policy's parameters, also the learner's; the target network and the
        optimizer do not change. Raises `ConfigurationError` for other names or shapes, and for
        weights that are not finite.
        """
        checked = as_weights(weights)
        self._policy.set_weights(checked)
        if self._trainable is not None:
            self._trainable.learner.set_weights(checked)

    def add_trajectory_to_buffer(self, trajectory: Trajectory | Iterable[Step]) -> None:
        """Store one seat's decisions of one match: a `Trajectory`, or tuples `(state, action,
        reward, next_state, done)` (`dqn/trajectory.py`).

        Raises `InputError` if they do not fit the game, and then stores none of them;
        `SparringError` after `load`.
        """
        trainable = self._require_trainable("add_trajectory_to_buffer")
        if self.spec.afterstates:
            raise SparringError(
                "add_trajectory_to_buffer: this agent learns from positions after moves, which a "
                'trajectory does not show; train with afterstates="off"'
            )
        from sparring.dqn.trajectory import trajectory_transitions

        options = trainable.learner.options
        own_turn = options.bootstrap == "own_turn" or not self.game.allows_zero_sum_bootstrap
        rows = trajectory_transitions(
            trajectory,
            self.game,
            gamma=options.gamma,
            n_steps=options.n_steps,
            counts="decisions" if own_turn else "plies",
        )
        trainable.replay.extend(rows)

    def learn(self, updates: int = 1) -> LearnStats:
        """Make updates from the replay; none while it holds fewer than `learning_starts`
        transitions.

        Raises `ConfigurationError` unless `updates` is a whole number of at least 0,
        `SparringError` after `load` or if the replay is empty, `NumericalError` if a loss or weight
        is not finite.
        """
        trainable = self._require_trainable("learn")
        from sparring.dqn.learner import LearnStats

        updates = whole_number("updates", updates, 0)
        if len(trainable.replay) < trainable.learning_starts:
            return LearnStats()
        if not len(trainable.replay):
            raise SparringError("learn: the replay is empty; add trajectories first")
        learner = trainable.learner
        # The schedule of a finished run may have left it at 0.
        learner.set_learning_rate(learner.options.learning_rate)
        stats = learner.update(trainable.replay, updates, beta=trainable.beta)
        self._follow_learner()
        return stats

    def save(self, path: str | PathLike[str]) -> None:
        """Write the agent file atomically. Raises `InputError` for a path that no file can have,
        `StorageError` if it cannot be written.
        """
        write_file(as_path(path), self.to_bytes())

    def to_bytes(self) -> bytes:
        """The contents of the agent file: equal agents give equal bytes."""
        return encode_agent(dict(self.get_weights()), describe(self.spec))

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        game: str | object | None = None,
        network: str | Callable[..., Any] | None = None,
    ) -> Self:
        """An agent for play from its file.

        A name in a file never causes an import: for an agent of your own game pass `game`, its
        class or `"module:Class"`, and for one with your own network pass `network`, its factory or
        `"module:factory"`. Raises `FileFormatError` if the file is damaged, if its game is not
        `game` or differs from the installed game of that name, or if its network is not `network`.
        """
        file = as_path(path)
        shapes, description = read_header(file)
        spec = described(path, description, game=game, network=network)
        try:
            check_fit(spec, shapes)
            return cls(spec, weights=decode_agent(file)[0])
        except (TypeError, ValueError, RuntimeError) as error:  # of torch or of our own checks
            raise FileFormatError(
                f"{path} has a network that cannot be built", got=str(error).partition("\n")[0]
            ) from None

    def _ahead(self, lookahead: int | Literal["turn"]) -> Lookahead:
        if lookahead == "turn":
            ahead = Lookahead(turn=True)
        else:
            ahead = Lookahead(whole_number("lookahead", lookahead, 0))
        check_lookahead(self.spec, ahead)
        return ahead

    def _best_in_positions(
        self, batch: NDArray[Any], mask: NDArray[np.bool_], lookahead: Lookahead
    ) -> NDArray[np.int64]:
        """Actions [n] in positions that are found from their observations."""
        if not len(batch):
            return np.empty(0, np.int64)
        game = self._placed.at(batch)
        if game is None:
            what = "lookahead needs the position" if lookahead.searches else _VALUES_POSITIONS
            raise self._hidden_position("predict", what)
        best = best_moves(self._policy, game, np.arange(len(batch)), lookahead, mask)
        if (best < 0).any():
            raise ConfigurationError(
                "action_masks", got="no legal action", expected="at least one that the rules allow"
            )
        return best

    def _hidden_position(self, method: str, why: str) -> SparringError:
        instead = {"predict": "act(game)", "q_values": "q_values(game)"}[method]
        return SparringError(
            f"{method}: {why}, which an observation of {self.spec.game} does not show; use "
            f"{instead}, or values() of the positions after each move"
        )

    def _follow_learner(self) -> None:
        assert self._trainable is not None
        self._policy.load_vector(self._trainable.learner.evaluated_vector())

    def _require_trainable(self, method: str) -> Trainable:
        if self._trainable is None:
            made = "train_dqn" if self.spec.afterstates else "DQNAgent"
            raise SparringError(
                f"{method}: this agent was loaded for play; {made}(game, init_from=FILE) makes "
                "one that can be trained, and `sparring resume` continues a run"
            )
        return self._trainable


def _as_game(game: object, spec: GameSpec) -> BatchedGame:
    """A game of `games.make`, or a `Match` as a game of one slot; raise `ConfigurationError` for
    anything else, and for one that is not encoded like `spec`.
    """
    found = getattr(game, "spec", None)
    slots = getattr(game, "num_slots", None)
    plays = slots is not None or all(callable(getattr(game, name, None)) for name in MATCH_METHODS)
    if not plays or not isinstance(found, GameSpec) or encoding_of(found) != encoding_of(spec):
        raise ConfigurationError(
            "game",
            got=found.name if slots and isinstance(found, GameSpec) else shown(game),
            expected=f"sparring.games.make({spec.name!r}, num_slots), or one match of that game",
        )
    if slots is not None:
        return cast(BatchedGame, game)
    from sparring.games.python.position import MatchPosition  # imports Numba

    return cast(BatchedGame, MatchPosition(cast(Match, game), spec.name))


def _refuse_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        raise ConfigurationError(
            f"{name} has no effect with a PolicySpec",
            got=shown(value),
            expected="none",
            remedy="pass the game instead of the spec to make an agent that can be trained",
        )


if find_spec("pydantic") is not None:  # else an agent can be played, and not be trained
    from sparring.config.schema import AGENT_GROUPS
    from sparring.config.settings import document

    document(DQNAgent, AGENT_GROUPS)
