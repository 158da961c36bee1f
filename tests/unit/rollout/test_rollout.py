from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from slow_rollout import SlowRollout, Weights
from transitions_reference import assert_rows, transitions

from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, build_network
from sparring.dqn.policy import InferencePolicy
from sparring.errors import ConfigurationError
from sparring.games import make, spec_of
from sparring.opponents.players import AGENT, Opponent, Plan
from sparring.replay.transitions import join_rows, transition_dtype
from sparring.rollout import Rollout, RolloutSettings, RoundCommand, RoundReport, rollout_worker

NETWORK = NetworkSpec("mlp", {"net_arch": [16]})
SELF, RANDOM, ONE_PLY = Opponent(AGENT, "self"), Opponent(1, "random"), Opponent(2, "one_ply")
SNAPSHOT, LATER_SNAPSHOT = (
    Opponent(1000, "snapshot:0", slot=1),
    Opponent(1001, "snapshot:1", slot=0),
)
SELF_PLAY = Plan((SELF,), (1.0,))
MIXED = Plan((SELF, RANDOM, ONE_PLY, SNAPSHOT), (0.25, 0.25, 0.125, 0.375))
AHEAD = Plan((SELF, Opponent(3, "agent:1")), (0.3, 0.7))
LATER = Plan((SELF, RANDOM, LATER_SNAPSHOT), (0.25, 0.25, 0.5))


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


def settings_for(game: str = "tic_tac_toe", **changes: Any) -> RolloutSettings:
    policy = PolicySpec(game, NETWORK)
    settings = RolloutSettings(
        policy=policy,
        num_envs=5,
        seed=11,
        bootstrap="zero_sum",
        n_steps=1,
        gamma=0.9,
        learn_from="agent",
        opponent_epsilon=0.2,
        block=16,
    )
    return replace(settings, **changes)


def weights_for(policy: PolicySpec) -> Weights:
    """Versions 0 to 9 and snapshots in slots 0 and 1, all different."""
    networks = [build_network(policy, seed=seed) for seed in range(12)]
    layout = FlatWeights(networks[0])
    vectors = [layout.vector(network) for network in networks]
    return Weights(dict(enumerate(vectors[:10])), dict(enumerate(vectors[10:])))


def start(settings: RolloutSettings, worker: int = 0, incarnation: int = 0) -> Rollout:
    return Rollout(settings, weights_for(settings.policy), worker=worker, incarnation=incarnation)


def play(
    rollout: Rollout, settings: RolloutSettings, *commands: RoundCommand
) -> tuple[NDArray[Any], list[RoundReport]]:
    blocks = [np.zeros(0, transition_dtype(spec_of(settings.policy.game)))]
    reports = [
        rollout.play_round(command, lambda block: blocks.append(block.copy()))
        for command in commands
    ]
    return join_rows(blocks), reports


def same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Equal in every field; NumPy does not copy the bytes between fields, which mean nothing."""
    return len(one) == len(other) and all(
        np.array_equal(one[name], other[name]) for name in one.dtype.names or ()
    )


def rounds(
    count: int, *, plan: Plan = MIXED, epsilon: float = 0.3, episodes: int = 7
) -> list[RoundCommand]:
    return [RoundCommand(k, k, epsilon, plan, episodes) for k in range(count)]


SETTINGS = [
    settings_for(),
    settings_for(n_steps=3, learn_from="all"),
    settings_for(bootstrap="own_turn", n_steps=2),
    settings_for(bootstrap="own_turn", learn_from="all", num_envs=1),
    settings_for("connect_four", num_envs=3, n_steps=2),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
def test_equals_a_rollout_that_plays_one_position_at_a_time(settings: RolloutSettings) -> None:
    """Rows, results, quotas, who plays on: over rounds of changing weights, epsilon and plans."""
    commands = [
        RoundCommand(0, 0, 1.0, MIXED, 7),
        RoundCommand(1, 0, 0.5, MIXED, 3),
        RoundCommand(2, 1, 0.25, LATER, 1),  # the surplus of round 1 may cover it
        RoundCommand(3, 2, 0.25, LATER, 9),
        RoundCommand(4, 3, 0.0, MIXED, 6),
    ]
    slow = SlowRollout(settings, weights_for(settings.policy), worker=3, incarnation=2)
    rollout = start(settings, worker=3, incarnation=2)
    all_rows, all_results = [], []
    for command in commands:
        rows, (report,) = play(rollout, settings, command)
        assert (report.plies, report.in_use) == slow.play_round(command)
        assert report.round == command.round
        all_rows.append(rows)
        all_results.append(report.results)
    results = np.concatenate(all_results)
    assert [tuple(players) for players in results["players"].tolist()] == [
        players for players, _, _ in slow.results
    ]
    assert [tuple(returns) for returns in results["returns"].tolist()] == [
        returns for _, returns, _ in slow.results
    ]
    assert results["plies"].tolist() == [plies for _, _, plies in slow.results]
    assert not results["truncated"].any()
    expected = transitions(
        slow.matches, bootstrap=settings.bootstrap, n_steps=settings.n_steps, gamma=settings.gamma
    )
    assert_rows(np.concatenate(all_rows), expected)


def test_an_opponent_that_looks_ahead_has_the_newest_weights() -> None:
    """Also in matches that began with older ones."""
    settings = settings_for("connect_four", num_envs=3, learn_from="all")
    slow = SlowRollout(settings, weights_for(settings.policy), worker=3, incarnation=2)
    rollout, matches = start(settings, worker=3, incarnation=2), []
    for command in (RoundCommand(n, n, 0.2, AHEAD, 2) for n in range(4)):
        rows, (report,) = play(rollout, settings, command)
        assert report.plies == slow.play_round(command)[0]
        matches.append(rows)
    expected = transitions(slow.matches, bootstrap="zero_sum", n_steps=1, gamma=settings.gamma)
    assert_rows(np.concatenate(matches), expected)
    assert any(3 in players for players, _, _ in slow.results)


def test_an_opponent_that_looks_ahead_goes_on_from_a_saved_state() -> None:
    settings, commands = settings_for(), [RoundCommand(n, n, 0.2, AHEAD, 3) for n in range(6)]
    whole = start(settings)
    play(whole, settings, *commands[:3])
    resumed = start(settings)
    resumed.set_state(whole.get_state())
    rest, _ = play(whole, settings, *commands[3:])
    assert same(rest, play(resumed, settings, *commands[3:])[0])


def test_every_player_of_the_plan_was_met_above() -> None:
    _, reports = play(start(SETTINGS[0]), SETTINGS[0], *rounds(8))
    assert set(
        np.concatenate([report.results for report in reports])["players"].ravel().tolist()
    ) == {0, 1, 2, 1000}


@pytest.mark.parametrize("episodes", [1, 4, 40])
def test_the_surplus_counts_towards_the_next_quota(episodes: int) -> None:
    """Several of the 16 matches end together; after k rounds at least k quotas have, and less than
    one tick's worth more.
    """
    settings = settings_for(num_envs=16)
    _, reports = play(start(settings), settings, *rounds(10, episodes=episodes))
    finished = np.cumsum([len(report.results) for report in reports])
    quotas = episodes * np.arange(1, 11)
    assert (finished >= quotas).all()
    assert (finished < quotas + 16).all()
    assert any(finished > quotas)
    assert all(report.plies % 16 == 0 for report in reports)
    if episodes == 1:
        assert any(
            report.plies == 0 == len(report.results) for report in reports
        )  # a round that was paid in advance


def test_a_round_ends_at_the_first_tick_that_fills_its_quota() -> None:
    """Ten rounds of one match end where one round of ten does: no tick is played beyond it."""
    settings = settings_for(num_envs=16)
    many, many_reports = play(
        start(settings), settings, *rounds(10, episodes=1, plan=SELF_PLAY, epsilon=1.0)
    )
    one, (report,) = play(
        start(settings), settings, *rounds(1, episodes=10, plan=SELF_PLAY, epsilon=1.0)
    )
    assert sum(r.plies for r in many_reports) == report.plies
    assert same(np.concatenate([r.results for r in many_reports]), report.results)
    np.testing.assert_array_equal(many["observation"], one["observation"])


def test_the_agent_plays_each_seat_equally_often() -> None:
    settings = settings_for(num_envs=8)
    _, (report,) = play(
        start(settings), settings, *rounds(1, plan=Plan((RANDOM,), (1.0,)), episodes=4000)
    )
    agent = report.results["players"] == AGENT
    assert (agent.sum(axis=1) == 1).all()
    assert abs(int(agent[:, 0].sum()) - 2000) <= 8  # envs end on either foot, no more


def test_players_are_drawn_with_the_probabilities_of_the_plan() -> None:
    settings = settings_for(num_envs=32)
    _, (report,) = play(start(settings), settings, *rounds(1, episodes=4000))
    seats = report.results["players"]
    others = np.where((seats == AGENT).all(axis=1), AGENT, seats.max(axis=1))
    shares = {opponent: count / len(others) for opponent, count in Counter(others.tolist()).items()}
    assert shares == pytest.approx(
        {AGENT: 0.25, 1: 0.25, 2: 0.125, 1000: 0.375}, abs=0.03
    )  # four standard errors


def test_players_stay_to_the_end_of_their_match() -> None:
    """Matches that began with a snapshot go on with it after it left the plan, and are reported as
    its own.
    """
    settings = settings_for(num_envs=32)
    against_snapshot = Plan((SNAPSHOT,), (1.0,))
    rollout = start(settings)
    _, (first, second, third) = play(
        rollout,
        settings,
        RoundCommand(0, 0, 1.0, against_snapshot, 1),
        RoundCommand(1, 1, 1.0, SELF_PLAY, 31),
        RoundCommand(2, 2, 1.0, SELF_PLAY, 200),
    )
    assert (first.results["players"].max(axis=1) == 1000).all()
    assert 1000 in second.results["players"]
    assert first.in_use == {1000}
    assert third.in_use == frozenset()
    began_with_it = 32 + len(
        first.results
    )  # the first match of each env, and what began while it was in the plan
    results = np.concatenate([report.results for report in (first, second, third)])
    assert (results["players"].max(axis=1) == 1000).sum() == began_with_it


def test_a_snapshot_is_read_only_when_it_is_met() -> None:
    """Its slot may be written again while matches in progress still have it as a player."""
    settings = settings_for(num_envs=32, opponent_epsilon=0.0)
    vectors = weights_for(settings.policy)
    slots = {0: vectors.snapshot(0).copy(), 1: vectors.snapshot(1).copy()}
    commands = [
        RoundCommand(0, 0, 1.0, Plan((SNAPSHOT,), (1.0,)), 1),
        RoundCommand(1, 1, 1.0, SELF_PLAY, 60),
    ]
    outcomes = []
    for spoilt in (False, True):
        rollout = Rollout(
            settings,
            Weights({0: vectors.published(0), 1: vectors.published(1)}, slots),
            worker=0,
            incarnation=0,
        )
        rollout.play_round(commands[0], lambda block: None)
        if spoilt:
            slots[1][:] = np.nan
        outcomes.append(play(rollout, settings, commands[1])[0])
    assert same(*outcomes)


def test_results_add_up_what_the_matches_paid() -> None:
    """Zero-sum to the end, within the declared returns, as long as the board allows; and the rows
    tell of the same wins and losses.
    """
    settings = settings_for(bootstrap="own_turn", learn_from="all", num_envs=8)
    rows, (report,) = play(start(settings), settings, *rounds(1, episodes=500))
    results = report.results
    assert (results["returns"].sum(axis=1) == 0).all()
    assert set(np.unique(results["returns"])) == {-1.0, 0.0, 1.0}
    assert results["plies"].min() >= 5
    assert results["plies"].max() == 9
    assert (results["plies"][results["returns"][:, 0] == 0] == 9).all()  # a draw is a full board
    ends = rows[rows["discount"] == 0]
    assert Counter(ends["R"].tolist()) == Counter(results["returns"].ravel().tolist())


@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
def test_every_row_keeps_the_contract(settings: RolloutSettings) -> None:
    commands = [
        replace(command, weights_version=command.round + 2) for command in rounds(5, episodes=20)
    ]
    rollout = start(settings)
    seen = 2
    for command in commands:
        rows, _ = play(rollout, settings, command)
        everywhere = np.arange(len(rows))
        assert rows["mask"][everywhere, rows["action"]].all()
        ended = rows["discount"] == 0
        assert not rows["next_observation"][ended].any()
        assert not rows["next_mask"][ended].any()
        assert rows["next_mask"][~ended].any(axis=1).all()
        assert set(rows["sign"].tolist()) <= ({1, -1} if settings.bootstrap == "zero_sum" else {1})
        np.testing.assert_allclose(
            rows["discount"][~ended], settings.gamma**settings.n_steps, rtol=1e-6
        )
        assert rows["version"].max() == command.weights_version
        assert (
            rows["version"].min() >= seen - 1
        )  # of a match that was not over when the last round ended
        seen = command.weights_version


def test_the_next_position_follows_from_the_action() -> None:
    """In tic-tac-toe the position after one ply can be worked out from the row alone, the views of
    the players being exchanged.
    """
    settings = settings_for(num_envs=8)
    rows, _ = play(start(settings), settings, *rounds(1, plan=SELF_PLAY, episodes=100))
    for row in rows[rows["discount"] != 0]:
        mine, theirs = row["observation"].copy()
        mine[row["action"] // 3, row["action"] % 3] = 1
        np.testing.assert_array_equal(row["next_observation"], [theirs, mine])
        np.testing.assert_array_equal(row["next_mask"], (mine + theirs == 0).ravel())
        assert row["sign"] == -1


@pytest.mark.parametrize(
    "settings", [*SETTINGS, settings_for(num_envs=16)], ids=range(len(SETTINGS) + 1)
)
def test_going_on_from_a_saved_state_is_going_on(settings: RolloutSettings) -> None:
    """After every round: in the middle of matches, with a surplus, with players that the plan no
    longer names.
    """
    commands = [
        replace(command, plan=LATER if command.round >= 4 else MIXED)
        for command in rounds(7, episodes=3)
    ]
    rollout = start(settings)
    for k, command in enumerate(commands[:-2]):
        play(rollout, settings, command)
        state = rollout.get_state()
        resumed = start(settings)
        resumed.set_state(state)
        straight = start(settings)
        play(straight, settings, *commands[: k + 1])
        rows, reports = play(straight, settings, *commands[k + 1 :])
        resumed_rows, resumed_reports = play(resumed, settings, *commands[k + 1 :])
        assert same(resumed_rows, rows)
        for one, other in zip(resumed_reports, reports, strict=True):
            assert same(one.results, other.results)
            assert (one.round, one.in_use, one.plies) == (other.round, other.in_use, other.plies)


@pytest.mark.parametrize("place", [{"worker": 1}, {"incarnation": 1}, {"seed": 12}], ids=str)
def test_other_workers_incarnations_and_seeds_play_otherwise(place: dict[str, int]) -> None:
    settings = settings_for()
    seed = place.pop("seed", settings.seed)
    rows, _ = play(start(settings), settings, *rounds(2, episodes=20))
    again, _ = play(start(settings), settings, *rounds(2, episodes=20))
    other, _ = play(start(replace(settings, seed=seed), **place), settings, *rounds(2, episodes=20))
    assert same(again, rows)
    first_actions = [tuple(r["action"][:40].tolist()) for r in (rows, other)]
    assert first_actions[0] != first_actions[1]


def test_envs_of_a_worker_play_otherwise_too() -> None:
    """The first action of the agent in 64 envs under full exploration: all nine cells come up."""
    settings = settings_for(num_envs=64)
    rows, _ = play(start(settings), settings, *rounds(1, plan=SELF_PLAY, epsilon=1.0, episodes=1))
    first = rows[~rows["observation"].any(axis=(1, 2, 3))]
    assert len(set(first["action"].tolist())) == 9


def test_epsilon_zero_is_the_greedy_action_and_one_is_uniform() -> None:
    settings = settings_for(num_envs=64)
    greedy, _ = play(start(settings), settings, *rounds(1, epsilon=0.0, episodes=100))
    policy = InferencePolicy(settings.policy)
    policy.load_vector(weights_for(settings.policy).published(0))
    chosen, _ = policy_actions(policy, greedy)
    np.testing.assert_array_equal(greedy["action"], chosen)

    wild, _ = play(
        start(settings), settings, *rounds(1, plan=SELF_PLAY, epsilon=1.0, episodes=3000)
    )
    first = wild[~wild["observation"].any(axis=(1, 2, 3))]
    counts = np.bincount(first["action"], minlength=9)
    assert abs(counts / len(first) - 1 / 9).max() < 4 * np.sqrt(1 / 9 * 8 / 9 / len(first))


def policy_actions(
    policy: InferencePolicy, rows: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    q = policy.q_values(np.ascontiguousarray(rows["observation"]))
    return np.where(rows["mask"], q, -np.inf).argmax(axis=1), q


def test_blocks_are_handed_on_as_they_fill() -> None:
    settings = settings_for(num_envs=8, block=32)
    sizes: list[int] = []
    start(settings).play_round(rounds(1, episodes=100)[0], lambda block: sizes.append(len(block)))
    assert len(sizes) > 5
    assert all(32 <= size < 32 + 8 * 2 for size in sizes[:-1])


def test_rollout_worker_plays_as_it_was_told() -> None:
    spec = PolicySpec("tic_tac_toe", NETWORK)
    weights = InferencePolicy(spec).get_weights()
    collected = rollout_worker(
        spec,
        weights,
        n_episodes=50,
        epsilon=0.0,
        opponents=("random", "one_ply"),
        seed=3,
        gamma=0.5,
        n_steps=2,
    )
    assert len(collected.results) == 50
    assert set(collected.results["players"].ravel().tolist()) == {0, 1, 2}
    assert set(collected.transitions["discount"].tolist()) == {0.0, 0.25}
    np.testing.assert_array_equal(
        collected.transitions["action"],
        policy_actions(InferencePolicy(spec, weights), collected.transitions)[0],
    )


def test_rollout_worker_plays_against_the_agent_that_sees_to_the_end() -> None:
    spec = PolicySpec("tic_tac_toe", NETWORK)
    weights = InferencePolicy(spec).get_weights()
    results = rollout_worker(spec, weights, n_episodes=40, opponents=("agent:8",), seed=3).results
    assert (results["returns"][results["players"] == AGENT] <= 0).all()
    ludo = PolicySpec("ludo(num_players=3)", NETWORK)
    weights = InferencePolicy(ludo).get_weights()
    with pytest.raises(ConfigurationError, match=r"agent:1 cannot search in ludo.*: got 3 players"):
        rollout_worker(ludo, weights, opponents=("agent:1",))


# The 255,168 games of tic-tac-toe by their lengths: a random player ends a game of k plies with
# probability 1 / (9 * 8 * ... * (10 - k)).
TIC_TAC_TOES = {5: 1_440, 6: 5_328, 7: 47_952, 8: 72_576, 9: 127_872}
MEAN_PLIES = sum(k * count / math.perm(9, k) for k, count in TIC_TAC_TOES.items())  # 7.626


@pytest.mark.parametrize("n_episodes", [1, 3, 16, 300])
def test_rollout_worker_returns_a_fair_sample_of_whole_matches(n_episodes: int) -> None:
    """Matches that end early are not more likely to be among the results, and there is a row for
    every ply of the results.
    """
    spec = PolicySpec("tic_tac_toe", NETWORK)
    weights = InferencePolicy(spec).get_weights()
    plies: list[int] = []
    for seed in range(max(4, 1_200 // n_episodes)):
        collected = rollout_worker(spec, weights, n_episodes=n_episodes, epsilon=1.0, seed=seed)
        assert len(collected.results) == n_episodes
        assert len(collected.transitions) == collected.results["plies"].sum()
        assert (collected.transitions["discount"] == 0).sum() == n_episodes
        plies += collected.results["plies"].tolist()
    error = np.std(plies) / math.sqrt(len(plies))
    assert abs(np.mean(plies) - MEAN_PLIES) < 4 * error


def test_rollout_worker_values_positions_after_moves() -> None:
    """A move that ends the match leads to no position: every match has one row less than plies."""
    spec = PolicySpec("tic_tac_toe", NETWORK, afterstates=True)
    weights = InferencePolicy(spec).get_weights()
    collected = rollout_worker(spec, weights, n_episodes=40, epsilon=0.5)
    assert len(collected.transitions) == (collected.results["plies"] - 1).sum()
    assert collected.transitions["mask"].shape[1] == 1


def test_rollout_worker_is_a_function_of_its_arguments() -> None:
    spec = PolicySpec("connect_four", NETWORK)
    weights = InferencePolicy(spec).get_weights()
    first = rollout_worker(spec, weights)
    again = rollout_worker(spec, weights)
    assert same(first.transitions, again.transitions)
    assert len(first.results) == 4
    assert (first.results["players"] == AGENT).all()
    assert set(first.transitions["sign"].tolist()) == {1, -1}  # zero_sum, where the game allows it
    for other in (rollout_worker(spec, weights, worker=1), rollout_worker(spec, weights, seed=1)):
        assert (
            other.transitions["action"][:20].tolist() != first.transitions["action"][:20].tolist()
        )


def test_rollout_worker_refuses_what_cannot_be() -> None:
    spec = PolicySpec("tic_tac_toe", NETWORK)
    weights = InferencePolicy(spec).get_weights()
    with pytest.raises(
        ConfigurationError,
        match=r"unknown opponent: got ludo:greedy, expected one of random, one_ply",
    ):
        rollout_worker(spec, weights, opponents=("ludo:greedy",))
    with pytest.raises(ConfigurationError, match=r"got randon.*did you mean 'random'"):
        rollout_worker(spec, weights, opponents=("randon",))
    with pytest.raises(ConfigurationError, match="opponents"):
        rollout_worker(spec, weights, opponents=())
    with pytest.raises(ConfigurationError, match="weights of another network"):
        rollout_worker(spec, {"wrong": np.zeros(3)})
    with pytest.raises(ConfigurationError, match="unknown game"):
        rollout_worker(PolicySpec("tic_tac_to", NETWORK), weights)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("n_episodes", (0, -1, 1.5, "4", None, True), "a whole number, at least 1"),
        ("n_steps", (0, 33, 10**9, 1.0, None), "a whole number, 1 to 32"),
        ("seed", (-1, 2**63, None, "x", 0.5), "a whole number, 0 to 9223372036854775807"),
        ("worker", (-1, 2**63, None, "x"), "a whole number, 0 to 9223372036854775807"),
        ("epsilon", (-0.1, 1.1, math.nan, "0.1", None, True, 1j), "a number, 0 to 1"),
        ("gamma", (-0.1, 1.1, math.nan, [1], np.zeros(2)), "a number, 0 to 1"),
        ("opponents", ("random", None, 3, [3], {"random": 1}, [[]]), "names in a list"),
    ],
)
def test_rollout_worker_refuses_odd_arguments_in_one_line(
    name: str, values: tuple[Any, ...], expected: str
) -> None:
    spec = PolicySpec("tic_tac_toe", NETWORK)
    weights = InferencePolicy(spec).get_weights()
    for value in values:
        with pytest.raises(
            ConfigurationError, match=f"^{name}: got .*, expected {expected}"
        ) as one:
            rollout_worker(spec, weights, **{name: value})
        assert "\n" not in str(one.value)


def test_rollout_worker_refuses_weights_that_are_none() -> None:
    spec = PolicySpec("tic_tac_toe", NETWORK)
    weights = InferencePolicy(spec).get_weights()
    for given in (None, list(weights.values()), {n: v * math.nan for n, v in weights.items()}):
        with pytest.raises(ConfigurationError, match=r"^weights"):
            rollout_worker(spec, given)  # type: ignore[arg-type]


def test_a_position_is_observed_before_the_ply_that_leaves_it() -> None:
    """The trap of shared views: what is stored is the position that was decided on, not the one
    after.
    """
    game = make("tic_tac_toe", 1)
    settings = settings_for(num_envs=1)
    rows, _ = play(start(settings), settings, *rounds(1, plan=SELF_PLAY, episodes=5))
    firsts = np.flatnonzero(~rows["observation"].any(axis=(1, 2, 3)))
    assert len(firsts) >= 5
    for begin, end in zip(firsts, [*firsts[1:], len(rows)], strict=True):
        game.reset(np.zeros(1, np.int64), np.zeros(1, np.uint64))
        for row in rows[begin:end]:
            np.testing.assert_array_equal(row["observation"], game.observation[0])
            np.testing.assert_array_equal(row["mask"], game.mask[0])
            game.step(np.array([row["action"]], np.int64))
