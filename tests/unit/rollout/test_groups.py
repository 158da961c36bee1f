"""Envs in two groups that take turns: the same matches as in one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from numpy.typing import NDArray
from test_rollout import SETTINGS, play, rounds, same, settings_for, start

from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.rollout import Rollout, RolloutSettings, RoundCommand, RoundReport

NOISY = PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [16], "noisy": True}))
AFTER = PolicySpec("ludo", NetworkSpec("mlp", {"net_arch": [16]}), afterstates=True)


@pytest.mark.parametrize(
    "settings",
    [
        *SETTINGS,
        settings_for(policy=NOISY),
        settings_for(policy=AFTER, bootstrap="own_turn", num_envs=4, n_steps=2),
    ],
    ids=range(len(SETTINGS) + 2),
)
def test_they_play_the_same_matches_and_make_the_same_transitions(
    settings: RolloutSettings,
) -> None:
    """In another order within a tick; results of one tick come by group, too."""
    spec = settings.policy.network_game
    one, two = start(settings), start(replace(settings, groups=2))
    for command in rounds(4, episodes=3 if spec.num_actions == 1 else 7):
        got, got_report = _play(two, command)
        wanted, wanted_report = _play(one, command)
        assert got_report.plies == wanted_report.plies
        assert got_report.in_use == wanted_report.in_use
        assert _bag([got_report.results]) == _bag([wanted_report.results])
        assert _bag(got) == _bag(wanted)
    assert str(one.get_state()) == str(two.get_state()), "a run may go on either way"


def _play(rollout: Rollout, command: RoundCommand) -> tuple[list[NDArray[Any]], RoundReport]:
    blocks: list[NDArray[Any]] = []
    return blocks, rollout.play_round(command, lambda block: blocks.append(block.copy()))


def _bag(blocks: list[NDArray[Any]]) -> list[str]:
    rows = [row for block in blocks for row in block]
    return sorted(str([row[name].tolist() for name in row.dtype.names or ()]) for row in rows)


def test_rows_of_a_tick_come_by_group() -> None:
    settings = settings_for("connect_four", num_envs=4, n_steps=1, learn_from="all")
    rows, _ = play(start(replace(settings, groups=2)), settings, *rounds(1, epsilon=1.0))
    whole, _ = play(start(settings), settings, *rounds(1, epsilon=1.0))
    assert len(rows) == len(whole)
    assert same(rows[:8], whole[:8]), "in the first ticks the order is the same"
