"""The configuration of a training run: every setting, its default, its unit and its range.

A configuration is a frozen value that holds only what was checked. `build_config` (in
`config/sources.py`) makes one from a preset, a file and single settings, and turns errors into one
line. None stands for "decided when the run starts", or for none (`max_minutes`, `evaluate_with`,
`stop_at_score`); command line and files write it as "auto".

A setting stands here once: the class that it is in is its group in `sparring train --help-all`, its
docstring is its help, `Common` puts it into signatures, and `First` into the short help, too.
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from sparring.config.devices import DEVICE_PATTERN, DEVICES_PATTERN, check_ranks
from sparring.config.network import PolicyKwargs
from sparring.config.settings import (
    AtLeastOne,
    Common,
    Earlier,
    First,
    Fraction,
    NotNegative,
    NumMatches,
    Positive,
    Settings,
    Synonyms,
    document,
)
from sparring.errors import ConfigurationError
from sparring.user_code import shown_name

Share = Annotated[float, Field(ge=0)]
Precision = Literal["float32", "bfloat16"]

# Settings that a resume may change; a checkpoint means the same with any value of them.
RESUMABLE: Final = (
    "n_episodes", "max_minutes", "stop_at_score", "device", "devices",
    "samples_per_insert", "learning_rate", "learning_rate_schedule",
    "exploration", "exploration_initial_eps", "exploration_final_eps", "exploration_fraction",
    "exploration_decay", "exploration_per_worker_eps", "exploration_per_worker_alpha",
    "opponents", "opponent_epsilon", "max_opponents_per_worker", "matchmaking", "pfsp_weighting",
    "eval_interval", "eval_matches", "checkpoint_interval", "checkpoint_minutes",
    "log_interval", "tensorboard", "ray_address", "ray_insecure",
)  # fmt: skip
NAME_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"
RAY_ADDRESS_PATTERN: Final = r"^(auto|local|[^\s/]+:[0-9]{1,5})$"
SHA256_PATTERN: Final = r"^([0-9a-f]{64})?$"


def _as_path(value: Any) -> Any:
    """Python callers may pass a `Path`."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _as_shown(value: Any) -> Any:
    """Python callers may pass the function itself; a configuration holds its name."""
    return (
        value
        if value is None or isinstance(value, str)
        else shown_name(value, what="evaluate_with")
    )


class RunOptions(Settings):
    """The game, the length of the run and its files."""

    game: Annotated[str, Common("env", "environment")] = "connect_four"
    """Game to learn: see `sparring games`; or module:Class, compiled:module, openspiel:NAME, ..."""
    num_players: Annotated[AtLeastOne | None, Synonyms("players")] = None
    """Number of players, where the game allows several (ludo: 2 to 4); auto: the game's default."""
    n_episodes: Annotated[
        AtLeastOne, First("episodes", "matches", "games", "total_timesteps", "length")
    ] = 100_000
    """Length of the run, in matches."""
    max_minutes: Annotated[
        Positive | None, First("minutes", "time", "time_limit", "max_time", "duration")
    ] = None
    """Length of the run in minutes, in place of n_episodes; schedules follow the clock."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1), First("random_seed")] = 0
    """Random seed."""
    name: Annotated[
        Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)] | None, First("run_name")
    ] = None
    """Name of the run's directory; auto: the game and the next free number."""
    runs_dir: Annotated[str, Field(min_length=1), Synonyms("out", "output_dir", "log_dir")] = "runs"
    """Directory that holds all runs."""
    eval_interval: Annotated[AtLeastOne, Earlier("eval_freq", "eval_every")] = 2_000
    """Updates (not matches) between evaluations."""
    eval_matches: Annotated[NumMatches, Synonyms("eval_episodes")] = 200
    """Evaluation matches against each baseline opponent, and against the best agent so far."""
    evaluate_with: Annotated[
        str | None, BeforeValidator(_as_shown), Synonyms("eval_fn", "eval_function", "evaluator")
    ] = None
    """Your evaluation function, module:function, whose score chooses the best agent; auto: none."""
    stop_at_score: Annotated[float | None, Synonyms("target_score", "early_stopping")] = None
    """Stop once the score of an evaluation, eval/score, is as high; auto: never."""
    checkpoint_interval: Annotated[
        AtLeastOne, Earlier("save_freq", "save_interval", "save_every")
    ] = 5_000
    """Maximum number of updates (not matches) between checkpoints."""
    checkpoint_minutes: Annotated[Positive, Synonyms("save_minutes")] = 10.0
    """Maximum number of minutes between checkpoints; the first comes after 1/20 of that time."""
    log_interval: Annotated[Positive, Earlier("log_freq", "log_every", "print_interval")] = 5.0
    """Seconds (not matches) between progress reports."""
    tensorboard: bool = True
    """Write TensorBoard event files."""


class HardwareOptions(Settings):
    """Processes, threads and the device."""

    device: Annotated[str, Field(pattern=DEVICE_PATTERN), First("gpu", "cuda")] = "auto"
    """Device of the learner: auto, cpu, cuda or cuda:0, cuda:1, ...; auto: a GPU if available."""
    devices: Annotated[
        str | None, Field(pattern=DEVICES_PATTERN), Synonyms("gpus", "data_parallel")
    ] = None
    """Several learners that share each minibatch: cuda:0,cuda:1 or cpu:2; auto: one on device."""
    num_workers: Annotated[AtLeastOne | None, First("workers", "processes", "n_workers")] = None
    """Number of worker processes; auto: available CPUs minus 2, at least 1."""
    num_envs_per_worker: Annotated[AtLeastOne | None, Synonyms("envs", "num_envs", "n_envs")] = None
    """Matches that a worker plays in parallel; auto: episodes_per_batch."""
    learner_threads: Annotated[AtLeastOne | None, Synonyms("threads")] = None
    """CPU threads of the learner; auto: available CPUs minus the workers."""
    mode: Annotated[Literal["sync", "overlap", "async"], Common("async", "sync")] = "overlap"
    """sync: play, then learn; overlap: play and learn at once; async: not reproducible."""
    max_weight_lag: Annotated[int, Field(ge=1, le=100)] = 4
    """Maximum age of the workers' weights, in rounds; async."""
    backend: Annotated[Literal["processes", "inline", "ray"], Synonyms("ray", "cluster")] = (
        "processes"
    )
    """processes: one per worker; ray: on a Ray cluster; inline: in the main process, to debug."""
    ray_address: Annotated[str, Field(pattern=RAY_ADDRESS_PATTERN)] = "auto"
    """Ray cluster: auto (RAY_ADDRESS, or this machine's), local (start one), or HOST:PORT; ray."""
    ray_insecure: bool = False
    """Use a Ray cluster that runs what anybody sends it, without token authentication; ray."""
    inference: Annotated[Literal["workers", "server"] | None, Synonyms("inference_server")] = None
    """Place of workers' networks: in them, or on a server on the device; auto: the faster."""
    start_method: Literal["forkserver", "spawn"] | None = None
    """Start method of worker processes; auto: forkserver where available."""
    actor_precision: Precision | None = None
    """Precision of the workers' matrix multiplications; auto: bfloat16 if the CPU supports it."""
    learner_precision: Annotated[Precision | None, Synonyms("precision", "dtype", "amp")] = None
    """Precision of the learner's matrix multiplications; auto: bfloat16 if the CPU supports it."""
    deterministic: bool = False
    """Same seed, same agent on a GPU too, which is slower; on a CPU it always is so."""


class RoundOptions(Settings):
    """Amount of play and learning per round."""

    episodes_per_batch: AtLeastOne = 4
    """Matches that each worker finishes per round."""
    learning_steps_per_batch: Annotated[
        AtLeastOne | Literal["adaptive"] | None,
        Synonyms("updates", "gradient_steps", "learning_steps"),
    ] = None
    """Updates per round; auto: one per match; adaptive: by samples_per_insert."""
    samples_per_insert: Annotated[Positive, Synonyms("replay_ratio")] = 1.0
    """Replay ratio (at a full buffer), with learning_steps_per_batch = adaptive only."""


class NetworkOptions(Settings):
    """The network."""

    policy_kwargs: PolicyKwargs = PolicyKwargs()
    """The network."""
    init_from: Annotated[
        str,
        BeforeValidator(_as_path),
        Synonyms("start_from", "weights", "load_weights", "pretrained", "warm_start"),
    ] = ""
    """File of the first weights: an agent file, or a torch state dict (.pt); empty: random."""
    init_from_sha256: Annotated[str, Field(pattern=SHA256_PATTERN)] = ""
    """SHA-256 that this file must have; empty: any. A run notes it in its config.toml."""


class LearningOptions(Settings):
    """Updates and targets."""

    batch_size: Annotated[AtLeastOne, Common("minibatch_size")] = 256
    """Transitions per update."""
    learning_rate: Annotated[float, Field(gt=0, le=1), Common("lr", "step_size")] = 1e-3
    """Adam learning rate."""
    learning_rate_schedule: Annotated[Literal["constant", "cosine"], Synonyms("lr_schedule")] = (
        "constant"
    )
    """cosine: decays to zero over the run."""
    gamma: Annotated[Fraction, Synonyms("discount")] = 0.99
    """Discount per step: per ply with zero_sum, per own turn with own_turn."""
    n_steps: Annotated[int, Field(ge=1, le=32), Synonyms("n_step", "multi_step")] = 1
    """n-step returns: steps of reward before the target bootstraps."""
    td_lambda: Annotated[Fraction, Synonyms("lambda", "trace_decay")] = 1.0
    """lambda of lambda-returns, truncated after n_steps; below 1 with afterstates = on only."""
    double_q: Annotated[bool, Synonyms("double_dqn", "ddqn")] = True
    """Double DQN: the online network chooses the next action, the target network evaluates it."""
    clip_targets: bool = True
    """Clip targets to the range of returns, where the game declares it."""
    bootstrap: Literal["own_turn", "zero_sum"] | None = None
    """State to bootstrap from: the next ply, negated (zero_sum), or the seat's own next turn."""
    afterstates: Literal["on", "off"] | None = None
    """Value positions after moves, not actions; by default in games with chance that offer them."""
    learn_from: Literal["agent", "all"] = "agent"
    """Moves that are stored: those of the newest weights (agent) or everybody's (all)."""
    tau: Annotated[float, Field(gt=0, le=1), Synonyms("polyak")] = 1.0
    """Soft-update coefficient of the target network; 1: copy."""
    target_update_interval: Annotated[
        AtLeastOne, Earlier("target_update_freq", "target_update", "target_update_every")
    ] = 500
    """Updates (not matches) between updates of the target network."""
    weight_averaging: Annotated[float, Field(ge=0, lt=1), Synonyms("ema", "ema_decay")] = 0.0
    """Decay per update of an exponential moving average, which is evaluated and saved; 0: off."""
    max_grad_norm: Annotated[Positive, Synonyms("grad_clip", "clip_grad_norm")] = 10.0
    """Maximum gradient norm (clipping)."""


class ReplayOptions(Settings):
    """The replay buffer."""

    buffer_size: Annotated[
        AtLeastOne, Common("replay_size", "memory", "capacity", "replay_buffer")
    ] = 200_000
    """Capacity of the replay buffer, in transitions."""
    learning_starts: Annotated[NotNegative, Synonyms("warmup")] = 1_000
    """Transitions in the buffer before the first update."""
    symmetry_augmentation: Annotated[bool, Synonyms("augmentation", "symmetries")] = True
    """Augment minibatches with the symmetries that the game declares."""
    prioritized_replay: Annotated[
        bool, Synonyms("per", "replay", "prioritised_replay"), Earlier("use_per")
    ] = False
    """Prioritised replay (Schaul et al. 2016): sample by absolute TD error."""
    prioritized_replay_alpha: Annotated[Fraction, Earlier("per_alpha")] = 0.6
    """Prioritisation exponent alpha; 0: uniform."""
    prioritized_replay_beta0: Annotated[Fraction, Earlier("per_beta", "per_beta_start")] = 0.4
    """Importance-sampling exponent beta at the start of the run."""
    prioritized_replay_beta1: Annotated[Fraction, Earlier("per_beta_end")] = 1.0
    """Importance-sampling exponent beta at the end; 0 is fine for games without chance."""
    prioritized_replay_eps: Annotated[Positive, Earlier("per_eps", "per_epsilon")] = 1e-6
    """Added to every absolute TD error, so that no priority is zero."""


class ExplorationOptions(Settings):
    """Exploration by random moves."""

    exploration: Literal["linear", "geometric", "per_worker"] = "linear"
    """linear, geometric: one decaying epsilon for all; per_worker: a fixed one each (Ape-X)."""
    exploration_initial_eps: Annotated[
        Fraction, Synonyms("epsilon", "eps"), Earlier("epsilon_start", "eps_start")
    ] = 1.0
    """Initial epsilon; linear, geometric."""
    exploration_final_eps: Annotated[
        Fraction, Earlier("epsilon_end", "eps_end", "min_epsilon", "epsilon_min")
    ] = 0.05
    """Final epsilon; linear, geometric."""
    exploration_fraction: Annotated[
        Fraction, Earlier("epsilon_decay_episodes", "epsilon_decay_steps")
    ] = 0.3
    """Fraction of the run over which epsilon decays; linear."""
    exploration_decay: Annotated[
        float, Field(gt=0, le=1), Earlier("epsilon_decay", "eps_decay", "epsilon_decay_rate")
    ] = 0.995
    """Epsilon is multiplied by it after each round; with exploration = geometric only."""
    exploration_per_worker_eps: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Epsilon of the first worker; per_worker."""
    exploration_per_worker_alpha: Share = 7.0
    """Worker i of N explores at eps ** (1 + alpha * i / (N - 1)); per_worker."""
    random_start_share: Fraction = 0.0
    """Share of matches that begin with random moves, from which nothing is learned."""
    random_start_plies: AtLeastOne = 20
    """Maximum number of random moves at the start of such a match."""


class OpponentOptions(Settings):
    """Opponents: the agent itself, its snapshots, scripted and your own players, other agents."""

    opponents: Annotated[dict[str, Share] | None, First("opponent")] = None
    """Shares of matches: self, agent:4, snapshots, minimax:4, module:Class, agent:RUN, ..."""
    opponent_epsilon: Fraction = 0.05
    """Epsilon of snapshots and of agents, also of agent:4 (4 plies of look-ahead)."""
    snapshot_interval: AtLeastOne = 10_000
    """Matches between snapshots of the agent."""
    max_snapshots: Annotated[NotNegative, Synonyms("pool_size")] = 10
    """Maximum number of snapshots in the pool."""
    max_opponents_per_worker: AtLeastOne = 4
    """Maximum number of different opponents of a worker in one round."""
    matchmaking: Literal["self", "uniform", "recent", "pfsp"] = "uniform"
    """Sampling of snapshots: self: the newest; recent: newer more often; pfsp: by results."""
    pfsp_weighting: Literal["hard", "variance"] = "hard"
    """PFSP weighting: hard: (1 - win rate)^2; variance: p (1 - p)."""
    record_half_life: AtLeastOne = 200
    """Half-life of results against an opponent, in matches; for pfsp and warnings."""
    pool_dir: Annotated[str, BeforeValidator(_as_path)] = ""
    """Directory in which runs share snapshots, each meeting those of the others; empty: none."""
    gate: Literal["schedule", "win_rate"] = "schedule"
    """schedule: every snapshot joins the pool; win_rate: only if it beats the newest greedily."""
    gate_score: Fraction = 0.55
    """Score that a snapshot needs to join the pool, a draw counting half; win_rate."""
    gate_matches: NumMatches = 100
    """Matches that decide whether a snapshot joins the pool; win_rate."""


class AgentOptions(ReplayOptions, LearningOptions, NetworkOptions):
    """The settings of an agent that is trained without a run."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _check_buffer(self)
        return self


AGENT_GROUPS: Final = (NetworkOptions, LearningOptions, ReplayOptions)
# Settings among these that have no effect there: they need its length, its players or its workers.
ONLY_OF_RUNS: Final = (
    "afterstates", "init_from_sha256", "learn_from", "learning_rate_schedule",
    "prioritized_replay_beta0",
)  # fmt: skip


class TrainConfig(  # pydantic lists the settings of the last base first
    OpponentOptions,
    ExplorationOptions,
    ReplayOptions,
    LearningOptions,
    NetworkOptions,
    RoundOptions,
    HardwareOptions,
    RunOptions,
):
    """All settings of a training run; None stands for "auto".

    `build_config` of `sparring.config.sources` makes one from a preset, a file and overrides, and
    reports errors in one line; the constructor raises pydantic's `ValidationError`.
    """

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _check_buffer(self)
        check_ranks(self)
        return self


def _check_buffer(options: Any) -> None:
    """Raise `ConfigurationError` if the replay buffer is too small to learn from."""
    for field in ("batch_size", "learning_starts"):
        if getattr(options, field) > options.buffer_size:
            raise ConfigurationError(
                f"{field} is larger than buffer_size",
                got=getattr(options, field),
                expected=f"at most {options.buffer_size}",
                remedy=f"lower {field} or raise buffer_size",
            )


class ResolvedConfig(TrainConfig):
    """A configuration in which nothing is left to be decided: None and "auto" do not occur.

    Only `name` may still be None: the directory of the run then gets the next free number; and
    `devices` with one learner, `max_minutes`, `evaluate_with` and `stop_at_score` where a run has
    none.
    """

    num_players: AtLeastOne
    num_envs_per_worker: AtLeastOne
    num_workers: AtLeastOne
    learner_threads: AtLeastOne
    start_method: Literal["forkserver", "spawn"]
    actor_precision: Precision
    learner_precision: Precision
    learning_steps_per_batch: AtLeastOne | Literal["adaptive"]
    inference: Literal["workers", "server"]
    bootstrap: Literal["own_turn", "zero_sum"]
    afterstates: Literal["on", "off"]
    opponents: dict[str, Share]


GROUPS: Final = tuple(
    base for base in reversed(TrainConfig.__bases__) if issubclass(base, Settings)
)
document(TrainConfig, GROUPS)


def synonyms() -> dict[str, str]:
    """Settings by their other names; those of the network as `policy_kwargs.NAME`."""
    found: dict[str, str] = {}
    for prefix, model in (("policy_kwargs.", PolicyKwargs), ("", TrainConfig)):
        for name, field in model.model_fields.items():
            notes = (note for note in field.metadata if isinstance(note, Synonyms))
            found |= {other: f"{prefix}{name}" for note in notes for other in note.names}
    return found


def optional_fields() -> frozenset[str]:
    """Names of the settings that may be None ("auto")."""
    return frozenset(
        name for name, field in TrainConfig.model_fields.items() if field.default is None
    )
