"""The rows of `ablations.py`: the part that each changes, and its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sparring.config.schema import TrainConfig
from sparring.config.sources import build_config

GAME: Final = "connect_four"
NEVER: Final = 10**12
HEADS: Final = ("dueling", "atoms", "noisy")  # of the preset's network, kept for other networks
LEAGUE: Final = {"self": 0.3, "snapshots": 0.35, "minimax:4": 0.25, "one_ply": 0.1}
QUIET: Final[Mapping[str, Any]] = {
    "eval_interval": NEVER,
    "eval_matches": 1,
    "checkpoint_interval": NEVER,
    "tensorboard": False,
}


@dataclass(frozen=True)
class Row:
    """The changed `part`; `also` are settings that go with it. A row whose part the preset has
    already is left out.
    """

    part: Mapping[str, Any]
    why: str
    also: Mapping[str, Any] = field(default_factory=dict)


ROWS: Final[Mapping[str, Row]] = {
    "preset": Row({}, "the preset as it is"),
    "plain_dqn": Row({"double_q": False}, "the target network chooses the next action"),
    "double_dqn": Row({"double_q": True}, "the online network chooses the next action"),
    "no_dueling": Row({"policy_kwargs": {"dueling": False}}, "one head, of Q-values"),
    "dueling": Row(
        {"policy_kwargs": {"dueling": True}}, "heads for the state and for each action's advantage"
    ),
    "atoms_1": Row({"policy_kwargs": {"atoms": 1}}, "the mean of returns"),
    "atoms_21": Row(
        {"policy_kwargs": {"atoms": 21}}, "the distribution of returns, 21 atoms (C51)"
    ),
    "noisy": Row(
        {"policy_kwargs": {"noisy": True}},
        "noisy layers explore, not epsilon",
        {"exploration_final_eps": 0.0},
    ),
    "epsilon": Row(
        {"policy_kwargs": {"noisy": False}},
        "epsilon explores, not noisy layers",
        {"exploration_final_eps": 0.2},
    ),
    "n_steps_1": Row({"n_steps": 1}, "one-step targets"),
    "n_steps_3": Row({"n_steps": 3}, "three-step targets"),
    "prioritized": Row({"prioritized_replay": True}, "prioritised replay"),
    "uniform_replay": Row({"prioritized_replay": False}, "uniform replay"),
    "corrected": Row(
        {"prioritized_replay_beta0": 0.4, "prioritized_replay_beta1": 1.0},
        "importance-sampling exponent beta from 0.4 to 1",
    ),
    "uncorrected": Row(
        {"prioritized_replay_beta0": 0.0, "prioritized_replay_beta1": 0.0},
        "no importance sampling: beta 0",
    ),
    "samples_2": Row(
        {"samples_per_insert": 2.0}, "two samples per transition, so that more plies are played"
    ),
    "no_symmetry": Row({"symmetry_augmentation": False}, "no position mirrored"),
    "symmetry": Row({"symmetry_augmentation": True}, "half of the positions mirrored"),
    "constant_rate": Row({"learning_rate_schedule": "constant"}, "constant learning rate"),
    "cosine_rate": Row({"learning_rate_schedule": "cosine"}, "cosine learning-rate decay"),
    "no_averaging": Row({"weight_averaging": 0.0}, "the newest weights are evaluated"),
    "averaging": Row({"weight_averaging": 0.999}, "a running mean of the weights is evaluated"),
    "soft_target": Row(
        {"tau": 0.005}, "the target network moves with every update", {"target_update_interval": 1}
    ),
    "hard_target": Row(
        {"tau": 1.0},
        "the target network is copied every 500 updates",
        {"target_update_interval": 500},
    ),
    "unclipped": Row({"clip_targets": False}, "targets are not clipped"),
    "clipped": Row({"clip_targets": True}, "targets are clipped to the range of returns"),
    "learn_from_agent": Row({"learn_from": "agent"}, "only the agent's own moves are stored"),
    "learn_from_all": Row({"learn_from": "all"}, "the opponents' moves are stored, too"),
    "own_turn": Row({"bootstrap": "own_turn"}, "targets bootstrap from the same seat's next turn"),
    "zero_sum": Row({"bootstrap": "zero_sum"}, "targets bootstrap from the next ply, negated"),
    "self_play": Row({"opponents": {"self": 1.0}}, "self-play only"),
    "no_search": Row(
        {"opponents": {"self": 0.7, "snapshots": 0.1, "one_ply": 0.15, "random": 0.05}},
        "no opponent searches",
    ),
    "league": Row({"opponents": LEAGUE}, "more snapshots, matchmaking of the preset"),
    "league_newest": Row(
        {"opponents": LEAGUE, "matchmaking": "self"}, "more snapshots, the newest only"
    ),
    "league_uniform": Row(
        {"opponents": LEAGUE, "matchmaking": "uniform"}, "more snapshots, uniform"
    ),
    "league_pfsp": Row(
        {"opponents": LEAGUE, "matchmaking": "pfsp"},
        "more snapshots, PFSP",
    ),
    "relu": Row({"policy_kwargs": {"activation": "relu"}}, "activation relu"),
    "squared_relu": Row(
        {"policy_kwargs": {"activation": "squared_relu"}}, "activation squared_relu"
    ),
    "mlp": Row(
        {"policy_kwargs": {"network": "mlp", "net_arch": [512, 512], "activation": "squared_relu"}},
        "two layers of 512 units",
    ),
    "patches": Row(
        {"policy_kwargs": {"network": "patches"}},
        "a perceptron on each square of four by four cells",
    ),
    "resnet": Row(
        {"policy_kwargs": {"network": "resnet"}}, "convolutions: two residual blocks of 32 channels"
    ),
}


def plan(preset: str, seed: int) -> tuple[dict[str, TrainConfig], dict[str, str]]:
    """(configurations of rows, reasons why other rows are left out), both by name; no two
    configurations are equal.
    """
    configs: dict[str, TrainConfig] = {}
    left_out: dict[str, str] = {}
    base = configuration(preset, seed, {})
    for name, row in ROWS.items():
        config = configuration(preset, seed, row.part)
        if trained_with(config) != trained_with(base):
            config = configuration(preset, seed, {**row.part, **row.also})
        if same := [
            other for other, known in configs.items() if trained_with(known) == trained_with(config)
        ]:
            left_out[name] = f"its settings are those of {same[0]}"
        else:
            configs[name] = config
    return configs, left_out


def configuration(preset: str, seed: int, changes: Mapping[str, Any]) -> TrainConfig:
    """The preset with `changes`; another network keeps the preset's heads."""
    network = build_config(preset=preset, overrides={"game": GAME}).policy_kwargs
    heads = {name: getattr(network, name) for name in HEADS}
    policy = (
        {"policy_kwargs": {**heads, **changes["policy_kwargs"]}}
        if "policy_kwargs" in changes
        else {}
    )
    return build_config(
        preset=preset, overrides={**QUIET, "game": GAME, "seed": seed, **changes, **policy}
    )


def trained_with(config: TrainConfig) -> dict[str, Any]:
    """Everything that a training depends on but its length: settings that differ from their
    defaults, so that new ones do not count.
    """
    values = config.model_dump(
        mode="json", exclude_defaults=True, exclude={"n_episodes", "name", "runs_dir", *QUIET}
    )
    # "auto" is zero_sum in Connect Four.
    return {**values, "bootstrap": config.bootstrap or "zero_sum"}
