"""The parts of a worker: a policy without optimizer or buffer, and one call that plays matches
with it.
"""

from sparring import InferencePolicy, rollout_worker

__all__ = ["InferencePolicy", "rollout_worker"]
