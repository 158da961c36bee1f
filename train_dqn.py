"""Train an agent by parallel self-play: `from train_dqn import train_dqn`, or `python train_dqn.py`
for the full training.
"""

from sparring import train_dqn

__all__ = ["train_dqn"]

if __name__ == "__main__":
    train_dqn(
        n_episodes=100_000, num_workers=None, episodes_per_batch=4, learning_steps_per_batch=None
    )
