"""Settings of a short training that tests share: some seconds of one core, enough for games of a
few plies.
"""

from __future__ import annotations

SHORT = {
    "seed": 0, "device": "cpu", "learner_precision": "float32", "learner_threads": 1,
    "tensorboard": False, "mode": "sync", "backend": "inline", "num_workers": 1,
    "num_envs_per_worker": 32, "episodes_per_batch": 32, "n_episodes": 6_000,
    "learning_steps_per_batch": 24, "batch_size": 64, "buffer_size": 20_000, "learning_starts": 500,
    "learning_rate": 1e-3, "target_update_interval": 50, "exploration_fraction": 0.5,
    "exploration_final_eps": 0.2, "opponents": {"self": 0.6, "random": 0.4}, "max_snapshots": 0,
    "eval_matches": 2, "policy_kwargs": {"net_arch": [128]},
}  # fmt: skip
