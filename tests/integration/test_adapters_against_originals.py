"""Random matches of adapted games, ply by ply beside the library itself, used as its documentation
says.

OpenSpiel: a state that takes the same moves and the same outcomes of chance. PettingZoo:
`agent_iter` and `last`, whose rewards are summed for each agent until the last one is done.
Gymnasium: `step` after `reset` with the match's seed. RLCard: `step` in a new environment of that
seed.
"""

from __future__ import annotations

import numpy as np
import pytest

from sparring.conformance.recordings import record
from sparring.games import make
from sparring.games.names import parse

MATCHES = 32


def played(name, matches, seed):
    """(game, trace) of random matches from their first ply to their last."""
    game, rng = make(name, matches), np.random.default_rng(seed)
    return game, record(game, rng.integers(2**64, size=matches, dtype=np.uint64), rng)


def paid(trace, match):
    """[P] what each seat was paid in all."""
    return np.sum([frame["rewards"][match] for frame in trace.frames], axis=0)


def follow_openspiel(original, chosen, trace, match):
    """Play the nodes `chosen` by seats and chance on a fresh state, and compare each decision with
    the trace; returns the plies.
    """
    state, ply, before = original.new_initial_state(), 0, None
    for node in chosen:
        if state.is_chance_node():
            assert dict(state.chance_outcomes())[node.action] > 0
            state.apply_action(node.action)
            continue
        frame, seat = trace.frames[ply], state.current_player()
        tensor = np.array(state.observation_tensor(seat), np.float32)
        assert frame["seat"][match] == seat
        assert np.flatnonzero(frame["mask"][match]).tolist() == state.legal_actions()
        assert np.array_equal(frame["observation"][match].ravel()[: len(tensor)], tensor)
        if before is not None:
            assert frame["rewards"][match] == pytest.approx(np.subtract(state.returns(), before))
        assert not frame["terminated"][match]
        assert trace.actions[ply][match] == node.action
        before = state.returns()
        state.apply_action(node.action)
        ply += 1
    last = trace.frames[ply]
    assert state.is_terminal()
    assert last["terminated"][match]
    assert last["plies"][match] == ply
    assert last["rewards"][match] == pytest.approx(np.subtract(state.returns(), before))
    assert paid(trace, match) == pytest.approx(state.returns())
    return ply


@pytest.mark.parametrize(
    "name",
    [
        "tic_tac_toe", "connect_four", "othello", "backgammon", "leduc_poker", "hex(board_size=5)",
        "breakthrough(rows=6,columns=6)", "go(board_size=5)", "kuhn_poker", "kuhn_poker(players=3)",
        "liars_dice", "hanabi", "chess",
    ],
)  # fmt: skip
def test_matches_are_openspiels(name):
    pyspiel = pytest.importorskip("pyspiel")
    matches = 4 if name == "chess" else MATCHES
    game, trace = played(f"openspiel:{name}", matches, seed=1)
    original = pyspiel.load_game(name)
    for match in range(matches):
        nodes = game._matches[match]._state.full_history()  # with the outcomes of chance
        follow_openspiel(original, nodes, trace, match)
    if matches == MATCHES and name != "hanabi":  # where random players always score 0
        assert len({tuple(paid(trace, match)) for match in range(matches)}) > 1


def follow_together(original, chosen, trace, match):
    """The same for a game in which all seats choose on one state."""
    state, ply, nodes, before = original.new_initial_state(), 0, iter(chosen), None
    while not state.is_terminal():
        if not state.is_simultaneous_node():
            state.apply_action(next(nodes).action)
            continue
        moves = [next(nodes).action for _ in range(original.num_players())]
        for seat, move in enumerate(moves):
            frame = trace.frames[ply]
            tensor = np.array(state.observation_tensor(seat), np.float32)
            assert frame["seat"][match] == seat
            assert np.flatnonzero(frame["mask"][match]).tolist() == state.legal_actions(seat)
            assert np.array_equal(frame["observation"][match].ravel()[: len(tensor)], tensor)
            paid_last = np.subtract(state.returns(), before) if before and seat == 0 else 0
            assert frame["rewards"][match] == pytest.approx(paid_last, abs=1e-6)
            assert trace.actions[ply][match] == move
            ply += 1
        before = state.returns()
        state.apply_actions(moves)
    assert trace.frames[ply]["terminated"][match]
    assert trace.frames[ply]["plies"][match] == ply
    assert paid(trace, match) == pytest.approx(state.returns(), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("goofspiel", 200), ("goofspiel(imp_info=true,num_cards=5,players=3)", 100),
        ("oshi_zumo", 200), ("markov_soccer", 16), ("snake", 32), ("blotto", 200),
        ("matching_pennies_3p", 200), ("coop_box_pushing", 8),
    ],
)  # fmt: skip
def test_matches_with_moves_at_the_same_time_are_openspiels(name, matches):
    pyspiel = pytest.importorskip("pyspiel")
    game, trace = played(f"openspiel:{name}", matches, seed=5)
    parsed = parse(f"openspiel:{name}")
    original = pyspiel.load_game(parsed.target, dict(parsed.arguments))
    for match in range(matches):
        nodes = game._matches[match]._state.full_history()
        follow_together(original, nodes, trace, match)
    assert len({tuple(paid(trace, match)) for match in range(matches)}) > 1


def follow_pettingzoo(env, seed, trace, match):
    """Play the trace's actions in PettingZoo's own loop; returns {agent: sum of the rewards from
    `last`} and whether the match was cut.
    """
    env.reset(seed=seed)
    totals, ply = dict.fromkeys(env.possible_agents, 0.0), 0
    for agent in env.agent_iter():
        observation, reward, termination, truncation, _ = env.last()
        totals[agent] += reward
        if termination or truncation:
            env.step(None)
            continue
        frame = trace.frames[ply]
        assert not frame["terminated"][match]
        assert env.possible_agents[frame["seat"][match]] == agent
        assert np.array_equal(frame["mask"][match], observation["action_mask"])
        seen = observation["observation"]
        assert np.array_equal(
            frame["observation"][match],
            np.moveaxis(seen, -1, 0) if seen.ndim == 3 else seen.astype(np.float32),
        )
        if frame["truncated"][match]:
            return totals, True
        env.step(int(trace.actions[ply][match]))
        ply += 1
    assert trace.frames[ply]["terminated"][match]
    assert trace.frames[ply]["plies"][match] == ply
    return totals, False


@pytest.mark.filterwarnings("ignore:.*precision lowered")  # Gymnasium's, of PettingZoo's own spaces
@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("tictactoe-v3", 32), ("connect_four-v3", 32), ("leduc_holdem-v4", 32),
        ("texas_holdem-v4", 32), ("texas_holdem-v4(num_players=4)", 16),
        ("texas_holdem_no_limit-v6", 16), ("hanabi-v5", 8), ("go-v5(board_size=5,max_plies=80)", 8),
        ("chess-v6(max_plies=60)", 2),
    ],
)  # fmt: skip
def test_matches_are_pettingzoos(name, matches):
    pettingzoo = pytest.importorskip("pettingzoo")
    game, trace = played(f"pettingzoo:classic/{name}", matches, seed=2)
    parsed = parse(f"pettingzoo:classic/{name}")
    env = pettingzoo.make(
        "aec",
        parsed.target,
        **{key: value for key, value in parsed.arguments.items() if key != "max_plies"},
    )
    cuts = 0
    for match in range(matches):
        totals, cut = follow_pettingzoo(env, game._matches[match]._seed, trace, match)
        cuts += cut
        if not cut:
            assert paid(trace, match).tolist() == pytest.approx(list(totals.values()))
    assert cuts < matches or "chess" in name


def follow_gymnasium(env, seed, trace, match):
    """Play the trace's actions in Gymnasium's own loop; returns whether the match was cut."""
    spaces = pytest.importorskip("gymnasium.spaces.utils")
    seen, info = env.reset(seed=seed)
    ply, paid_last, ended, cut = 0, 0.0, False, False
    while True:
        frame = trace.frames[ply]
        assert frame["rewards"][match, 0] == np.float32(paid_last)
        assert (frame["terminated"][match], frame["truncated"][match]) == (ended, cut and not ended)
        assert frame["plies"][match] == ply
        if not ended:
            vector = spaces.flatten(env.observation_space, seen)
            assert np.array_equal(frame["observation"][match], vector.astype(np.float32))
            legal = info.get("action_mask", np.ones(env.action_space.n))
            assert np.array_equal(frame["mask"][match], legal)
        if ended or cut:
            return cut
        seen, paid_last, ended, cut, info = env.step(int(trace.actions[ply][match]))
        ply += 1


@pytest.mark.parametrize(
    ("name", "matches", "cuts"),
    [
        ("CartPole-v1", 200, 0), ("FrozenLake-v1(map_name=8x8,max_episode_steps=30)", 200, 30),
        ("Taxi-v4", 24, 20), ("Blackjack-v1", 200, 0), ("MountainCar-v0", 24, 24),
        ("CliffWalking-v1(max_episode_steps=50)", 24, 20), ("Acrobot-v1", 8, 6),
    ],
)  # fmt: skip
def test_matches_are_gymnasiums(name, matches, cuts):
    gymnasium = pytest.importorskip("gymnasium")
    game, trace = played(f"gymnasium:{name}", matches, seed=3)
    parsed = parse(f"gymnasium:{name}")
    env = gymnasium.make(parsed.target, **parsed.arguments)
    found = sum(
        follow_gymnasium(env, game._matches[match]._seed, trace, match) for match in range(matches)
    )
    assert found >= cuts


def follow_rlcard(env, trace, match):
    """Play the trace's actions in RLCard's own loop."""
    (state, player), ply = env.reset(), 0
    while not env.is_over():
        frame = trace.frames[ply]
        assert not frame["terminated"][match]
        assert not frame["rewards"][match].any()
        assert frame["seat"][match] == player
        assert np.flatnonzero(frame["mask"][match]).tolist() == sorted(state["legal_actions"])
        own = frame["observation"][match][: len(state["obs"])]  # the seat comes after it
        assert np.array_equal(own, state["obs"].astype(own.dtype))
        state, player = env.step(int(trace.actions[ply][match]))
        ply += 1
    assert trace.frames[ply]["terminated"][match]
    assert trace.frames[ply]["plies"][match] == ply
    assert trace.frames[ply]["rewards"][match] == pytest.approx(env.get_payoffs())


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("blackjack", 200), ("leduc-holdem", 200), ("limit-holdem", 200), ("no-limit-holdem", 200),
        ("limit-holdem(game_num_players=4)", 50), ("uno", 32), ("gin-rummy", 8), ("bridge", 8),
        ("mahjong", 4),
    ],
)  # fmt: skip
def test_matches_are_rlcards(name, matches):
    rlcard = pytest.importorskip("rlcard")
    game, trace = played(f"rlcard:{name}", matches, seed=4)
    parsed = parse(f"rlcard:{name}")
    for match in range(matches):
        config = {"seed": game._matches[match]._seed, **parsed.arguments}
        follow_rlcard(rlcard.make(parsed.target, config=config), trace, match)


def follow_parallel(env, seed, trace, match):
    """Play the trace's actions in PettingZoo's parallel loop; returns whether the match was cut."""
    seen, _ = env.reset(seed=seed)
    ply, paid_last, cut = 0, np.zeros(len(env.possible_agents), np.float32), {}
    while env.agents:
        choices = {}
        for agent in [agent for agent in env.possible_agents if agent in env.agents]:
            frame = trace.frames[ply]
            assert np.array_equal(frame["rewards"][match], paid_last)
            paid_last = np.zeros_like(paid_last)
            assert env.possible_agents[frame["seat"][match]] == agent
            assert frame["mask"][match].all()
            if np.ndim(seen[agent]):
                own = np.asarray(seen[agent], np.float32)
                own = np.moveaxis(own, -1, 0) if own.ndim == 3 else own[None]
                assert np.array_equal(frame["observation"][match][: len(own)], own)
            else:
                assert frame["observation"][match].argmax() == seen[agent]
            choices[agent] = int(trace.actions[ply][match])
            ply += 1
        seen, paid, _, cut, _ = env.step(choices)
        paid_last = np.array([paid.get(agent, 0) for agent in env.possible_agents], np.float32)
    frame = trace.frames[ply]
    assert np.array_equal(frame["rewards"][match], paid_last)
    assert frame["truncated"][match] == any(cut.values())
    assert frame["terminated"][match] != frame["truncated"][match]


@pytest.mark.filterwarnings("ignore")  # those of the libraries
@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("classic/rps-v2", 200), ("classic/rps-v2(num_actions=5,max_cycles=4)", 200),
        ("sisl/pursuit-v5(max_cycles=8,n_pursuers=3,n_evaders=4)", 8),
        ("butterfly/knights_archers_zombies-v11(max_cycles=60)", 4),
    ],
)  # fmt: skip
def test_matches_of_agents_at_once_are_pettingzoos(name, matches):
    pettingzoo = pytest.importorskip("pettingzoo")
    game, trace = played(f"pettingzoo:{name}", matches, seed=6)
    parsed = parse(f"pettingzoo:{name}")
    env = pettingzoo.make("parallel", parsed.target, **parsed.arguments)
    for match in range(matches):
        follow_parallel(env, game._matches[match]._seed, trace, match)
