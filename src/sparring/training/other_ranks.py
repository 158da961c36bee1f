"""The other ranks of a run with several learners: how they start, and what each is made of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sparring.config.schema import ResolvedConfig
from sparring.dqn.learner import Learner
from sparring.games import spec_of
from sparring.runtime import (
    RankGroup,
    local_ranks,
    serve_torchrun,
    torchrun_rank,
    torchrun_ranks,
    torchrun_size,
)
from sparring.training.assembly import Parts, policy_of
from sparring.training.ranks import Follower, device_of, make_learner, make_replay


@contextmanager
def other_ranks(config: ResolvedConfig, parts: Parts) -> Iterator[None]:
    """Within the block the other ranks of this run follow rank 0; nothing with one learner.

    They are started here, unless torchrun has. Raises `RankError` when one of them ends.
    """
    if parts.leader is None:
        yield
        return
    size = parts.leader.size
    with ExitStack() as stack:
        group = stack.enter_context(
            torchrun_ranks()
            if torchrun_size()
            else local_ranks(size, parts.rollout, serve, config.start_method)
        )
        group.tell(config)
        group.sum_on(device_of(config, parts.leader))
        group.gather(None)  # all are made: an error there comes before anything is written
        stack.enter_context(parts.leader.leading(group))
        yield


def serve(group: RankGroup) -> None:
    """Be another rank than 0, until the run ends."""
    config = group.hear()
    group.sum_on(device_of(config, group))
    policy = policy_of(config, spec_of(config.game))
    learner = make_learner(config, policy, group)
    assert isinstance(learner, Learner)  # tables have one learner only
    follower = Follower(group, learner, make_replay(config, policy, group))
    group.gather(None)
    follower.follow()


def follow_torchrun() -> None:
    """In a process that torchrun has made another rank than 0: follow rank 0, and end with the run.

    What comes after the training in a script is for rank 0 alone.
    """
    if torchrun_rank() > 0:
        serve_torchrun(serve)
        sys.exit()
