"""The agent: get_weights, set_weights, add_trajectory_to_buffer, predict, save and load."""

from sparring import DQNAgent, Trajectory

__all__ = ["DQNAgent", "Trajectory"]
