"""The configuration of a training run: every setting, its default, its unit and its range.

A configuration is a frozen value that holds only what was checked. `build_config` (in
`config/sources.py`) makes one from a preset, a file and single settings, and turns whatever is
wrong into one line. None stands for "worked out when the run starts"; command line and files write
it as "auto".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sparring.errors import ConfigurationError, nearest
from sparring.opponents.names import FORMS, parse
from sparring.user_code import is_importable_name, name_of

OPPONENT_NAMES: Final = ("self", "snapshots", "random", "one_ply", "ludo:greedy", "ludo:racer")
RESUMABLE: Final = ("n_episodes", "device", "log_interval", "tensorboard")
# torch wraps higher numbers around, and takes no leading zero
DEVICE_PATTERN: Final = r"^(auto|cpu|cuda(:(0|[1-9][0-9]?))?)$"
NAME_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"
# What each network of ours takes of `PolicyKwargs`; one of the user's own takes `arguments`.
NETWORK_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "mlp": ("net_arch", "activation", "dueling", "atoms", "noisy"),
    "patches": ("patch_size", "patch_arch", "net_arch", "activation", "dueling", "atoms", "noisy"),
    "resnet": ("channels", "blocks", "dueling", "atoms", "noisy"),
}

AtLeastOne = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0)]


def _as_tuple(value: Any) -> Any:
    """TOML and Python callers write lists; a frozen value holds tuples."""
    return tuple(value) if isinstance(value, list) else value


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


def _as_name(value: Any) -> Any:
    """Python callers may pass the factory itself; its name is what travels."""
    return value if isinstance(value, str) else name_of(value, what="network")


def _plain(value: Any) -> Any:
    """Values that TOML, JSON and every process write and read alike; a tuple becomes a list."""
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value
    got = " ".join(repr(value).split())
    raise ConfigurationError(
        "a value in policy_kwargs.arguments",
        got=f"{got:.60}",
        expected="true, false, a number, text or a list",
    )


class PolicyKwargs(_Frozen):
    """The network."""

    network: Annotated[str, BeforeValidator(_as_name)] = "mlp"
    """mlp; for boards patches, resnet; or module:factory, a function or class of your own."""
    net_arch: Annotated[tuple[AtLeastOne, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = (
        256,
        256,
    )
    """Units of each hidden layer; mlp, patches."""
    patch_size: AtLeastOne = 4
    """Rows and columns of each patch of the board; patches."""
    patch_arch: Annotated[
        tuple[AtLeastOne, ...], BeforeValidator(_as_tuple), Field(min_length=1)
    ] = (64, 32)
    """Units of each layer that sees one patch; patches."""
    activation: Literal["relu", "squared_relu"] = "relu"
    """What is behind each hidden layer; squared_relu: the square of the ReLU; mlp, patches."""
    channels: AtLeastOne = 32
    """Channels of each convolution; resnet."""
    blocks: AtLeastOne = 2
    """Residual blocks, each of two convolutions; resnet."""
    dueling: bool = False
    """Split the last layer into the value of the state and the advantage of each action; mlp, patches, resnet."""
    atoms: AtLeastOne = 1
    """Learn the distribution of returns on so many evenly spaced values (C51 has 51); 1: its mean only; mlp, patches, resnet."""
    noisy: bool = False
    """Explore by noise on the weights of the last layers, whose size is learned; mlp, patches, resnet."""
    arguments: dict[str, Annotated[Any, BeforeValidator(_plain)]] = Field(default_factory=dict)
    """What a factory of your own is called with, besides the game's spec; lists only in files and Python."""

    @model_validator(mode="after")
    def _fits_the_network(self) -> Self:
        if self.network not in NETWORK_OPTIONS and not is_importable_name(self.network):
            raise ConfigurationError(
                "policy_kwargs.network", got=repr(self.network), expected=f"one of {', '.join(NETWORK_OPTIONS)}, or module:factory",
                remedy=nearest(self.network, NETWORK_OPTIONS),
            )  # fmt: skip
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name not in ("network", *self._taken()) and value != field.get_default(
                call_default_factory=True
            ):
                raise ConfigurationError(
                    f"policy_kwargs.{name} is nothing to network {self.network}", got=repr(value),
                    expected=f"{', '.join(self._taken())} at most", remedy="leave it out, or choose another policy_kwargs.network",
                )  # fmt: skip
        return self

    def _taken(self) -> tuple[str, ...]:
        return NETWORK_OPTIONS.get(self.network, ("arguments",))

    def in_use(self) -> dict[str, Any]:
        """The network and the settings that it takes; plain values."""
        return self.model_dump(mode="json", include={"network", *self._taken()})

    def network_arguments(self) -> dict[str, Any]:
        """What the network's factory is called with, besides the game's spec; plain values."""
        options = self.in_use()
        del options["network"]
        return options if self.network in NETWORK_OPTIONS else dict(options["arguments"])


class TrainConfig(_Frozen):
    """Everything that a training run can be told. Raises pydantic's `ValidationError`;
    `build_config` makes one line of it.
    """

    game: str = "connect_four"
    """Game to learn: one that `sparring games` lists, module:Class, compiled:module, openspiel:GAME, pettingzoo:GAME."""
    num_players: AtLeastOne | None = None
    """Players, where a game leaves that open (ludo: 2 to 4); auto: as the game comes."""
    n_episodes: AtLeastOne = 100_000
    """Length of the run, matches."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Root of all randomness: same seed, same agent."""
    name: Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)] | None = None
    """Name of the run's directory; auto: the game and the next free number."""
    device: Annotated[str, Field(pattern=DEVICE_PATTERN)] = "auto"
    """Where the learner works: auto, cpu, cuda or cuda:0, cuda:1, ...; auto: a GPU if there is one."""
    deterministic: bool = False
    """Same seed, same agent on a GPU too, at some cost in speed; a CPU always is."""
    mode: Literal["sync", "overlap", "async"] = "overlap"
    """overlap: play the next round while learning from this one; sync: take turns; async: nobody waits, and no run is like another."""
    max_weight_lag: Annotated[int, Field(ge=1, le=100)] = 4
    """How many rounds the weights that play may be behind the newest; async."""
    backend: Literal["processes", "inline"] = "processes"
    """processes: one a worker; inline: all in the main process, for debugging."""
    start_method: Literal["forkserver", "spawn"] | None = None
    """How worker processes start; auto: forkserver where the system has it."""
    num_workers: AtLeastOne | None = None
    """Workers that play, processes; auto: the CPUs we may use less two."""
    num_envs_per_worker: AtLeastOne | None = None
    """Matches that a worker plays side by side; auto: episodes_per_batch."""
    learner_threads: AtLeastOne | None = None
    """CPU threads of the learner; auto: the CPUs we may use less the workers."""
    actor_precision: Literal["float32", "bfloat16"] | None = None
    """Of the matrix products of workers; auto: bfloat16 on a CPU that has the instructions."""
    learner_precision: Literal["float32", "bfloat16"] | None = None
    """Of the learner's matrix products; auto: bfloat16 on a CPU that has the instructions."""
    episodes_per_batch: AtLeastOne = 4
    """Matches that each worker finishes per round."""
    learning_steps_per_batch: AtLeastOne | Literal["adaptive"] | None = None
    """Updates per round; auto: one a match; adaptive: as samples_per_insert says."""
    samples_per_insert: Positive = 1.0
    """Transitions learned from per new one, where learning steps are adaptive; fewer while the buffer fills."""
    batch_size: AtLeastOne = 256
    """Transitions per update."""
    buffer_size: AtLeastOne = 200_000
    """Transitions that the replay buffer holds."""
    learning_starts: NotNegative = 1_000
    """Transitions in the buffer before the first update."""
    learning_rate: Positive = 1e-3
    """Step size of Adam."""
    learning_rate_schedule: Literal["constant", "cosine"] = "constant"
    """cosine: the step size falls to zero over n_episodes, as half a cosine wave."""
    gamma: Fraction = 0.99
    """Discount per step: a ply in zero_sum, an own decision in own_turn."""
    n_steps: Annotated[int, Field(ge=1, le=32)] = 1
    """Steps of reward before the target bootstraps."""
    double_q: bool = True
    """Choose the best next action with the online network (double DQN)."""
    clip_targets: bool = True
    """Keep targets within the range of returns, where the game declares it."""
    bootstrap: Literal["own_turn", "zero_sum"] | None = None
    """Whose next position a target looks at; auto: zero_sum where the game allows it."""
    learn_from: Literal["agent", "all"] = "agent"
    """Seats that are learned from: those of the newest weights, or all."""
    tau: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the online weights in each update of the target network; 1: copy."""
    target_update_interval: AtLeastOne = 500
    """Updates between updates of the target network."""
    weight_averaging: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Evaluate and save a running mean of the weights, which keeps this share of itself at each update; 0: the newest weights."""
    max_grad_norm: Positive = 10.0
    """Gradients are scaled down to this norm."""
    policy_kwargs: PolicyKwargs = PolicyKwargs()
    """The network."""
    prioritized_replay: bool = False
    """Replay transitions with large errors more often."""
    prioritized_replay_alpha: Fraction = 0.6
    """How much errors count in replay; 0: not at all."""
    prioritized_replay_beta0: Fraction = 0.4
    """Correction for uneven replay at the start."""
    prioritized_replay_beta1: Fraction = 1.0
    """The same in the end; a game without chance needs none."""
    prioritized_replay_eps: Positive = 1e-6
    """Added to every error, so that all can be replayed."""
    symmetry_augmentation: bool = True
    """Learn from mirrored and turned positions, where the game declares such."""
    exploration: Literal["linear", "per_worker"] = "linear"
    """linear: one rate of random moves for all workers, which falls; per_worker: one for each worker, which stays."""
    exploration_initial_eps: Fraction = 1.0
    """Share of random moves at the start."""
    exploration_final_eps: Fraction = 0.05
    """Share of random moves in the end."""
    exploration_fraction: Fraction = 0.3
    """Share of n_episodes over which the random moves become fewer."""
    exploration_per_worker_eps: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Share of random moves of the first worker of a per_worker, eps."""
    exploration_per_worker_alpha: Share = 7.0
    """How far a per_worker reaches: the last worker explores at eps to the power of 1 + alpha."""
    opponents: dict[str, Share] | None = None
    """Whom the agent meets, as shares: self, snapshots, and scripted players (random, one_ply, minimax:4, mcts:200); auto: by the game."""
    opponent_epsilon: Fraction = 0.05
    """Share of random moves of snapshots."""
    snapshot_interval: AtLeastOne = 10_000
    """Matches between snapshots of the agent."""
    max_snapshots: NotNegative = 10
    """Snapshots kept."""
    max_opponents_per_worker: AtLeastOne = 4
    """Opponents that a worker meets in one round."""
    matchmaking: Literal["self", "uniform", "recent", "pfsp"] = "uniform"
    """Which snapshots are met: self: the newest; uniform: all alike; recent: newer ones more often; pfsp: by the results against them."""
    pfsp_weighting: Literal["hard", "variance"] = "hard"
    """Of pfsp: hard: those that the agent loses to, by its loss rate squared; variance: those that are its equals."""
    record_half_life: AtLeastOne = 200
    """Matches against an opponent after which an older result counts half, for pfsp and warnings."""
    gate: Literal["schedule", "win_rate"] = "schedule"
    """schedule: every snapshot joins the pool; win_rate: only one that beats the newest there, greedy against greedy."""
    gate_score: Fraction = 0.55
    """Score that a snapshot needs to pass the gate, a draw counting half; win_rate."""
    gate_matches: AtLeastOne = 100
    """Matches played at the gate; win_rate."""
    eval_interval: AtLeastOne = 2_000
    """Updates between evaluations."""
    eval_matches: AtLeastOne = 200
    """Matches against each scripted opponent, and against the best agent so far, per evaluation."""
    checkpoint_interval: AtLeastOne = 5_000
    """Updates between checkpoints."""
    log_interval: Positive = 5.0
    """Seconds between reports."""
    runs_dir: Annotated[str, Field(min_length=1)] = "runs"
    """Directory of all runs."""
    tensorboard: bool = True
    """Write TensorBoard event files."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for field in ("batch_size", "learning_starts"):
            if getattr(self, field) > self.buffer_size:
                raise ConfigurationError(
                    f"{field} is larger than buffer_size", got=getattr(self, field), expected=f"at most {self.buffer_size}",
                    remedy=f"lower {field} or raise buffer_size",
                )  # fmt: skip
        self._check_opponents()
        return self

    def _check_opponents(self) -> None:
        if self.opponents is None:
            return
        for name in self.opponents:
            if name not in OPPONENT_NAMES and parse(name) is None:
                raise ConfigurationError(
                    "unknown opponent in opponents", got=repr(name), expected=f"one of {', '.join((*OPPONENT_NAMES, *FORMS))}",
                    remedy=nearest(name, OPPONENT_NAMES),
                )  # fmt: skip
        if sum(self.opponents.values()) <= 0:
            raise ConfigurationError(
                "the shares in opponents are all zero",
                got=self.opponents,
                expected="a positive total",
            )


def optional_fields() -> frozenset[str]:
    """Names of the settings that may be None ("auto")."""
    return frozenset(
        name for name, field in TrainConfig.model_fields.items() if field.default is None
    )
