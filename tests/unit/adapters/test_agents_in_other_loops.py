"""Wrappers for the loops of other libraries choose the moves that the agent chooses here."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError
from sparring.games import make


def untrained(name, afterstates=False):
    """An agent with weights large enough to choose different moves in different positions."""
    network, rng = NetworkSpec("mlp", {"net_arch": [16]}), np.random.default_rng(3)
    agent = DQNAgent(PolicySpec(name, network, afterstates=afterstates))
    weights = {
        key: rng.normal(size=w.shape) * (w.ndim > 1) for key, w in agent.get_weights().items()
    }
    agent.set_weights(weights)
    return agent


def positions(name, count=40, seed=0):
    """(The game, its match in progress) at random positions of a few matches."""
    game, rng = make(name, 1), np.random.default_rng(seed)
    game.terminated[0] = True
    for key in range(count):
        if game.terminated[0] or game.truncated[0]:
            game.reset(np.arange(1), np.array([key], np.uint64))
        yield game, game.first_match
        game.step(np.array([rng.choice(np.flatnonzero(game.mask[0]))]))


OPENSPIEL = [
    ("openspiel:tic_tac_toe", False),
    ("openspiel:tic_tac_toe", True),
    ("openspiel:pig", True),  # chance after moves, marked in the observation
    ("openspiel:kuhn_poker(players=3)", False),
    ("openspiel:goofspiel(num_cards=4)", False),  # moves at the same time
]


@pytest.mark.parametrize(("name", "afterstates"), OPENSPIEL)
def test_openspiel_bot(name, afterstates):
    pytest.importorskip("pyspiel")
    from sparring.adapters.openspiel_agent import OpenSpielBot

    agent = untrained(name, afterstates)
    bots = [OpenSpielBot(agent, seat) for seat in range(agent.game.num_players)]
    for game, match in positions(name):
        state, bot = match._state.clone(), bots[int(game.seat[0])]
        assert bot.step(state) == agent.act(game)[0]
        assert str(state) == str(match._state), "the state is left as it is"
        shown = bot._chooser._match
        np.testing.assert_array_equal(shown.observe(shown.seat), game.observation[0])
        np.testing.assert_array_equal(shown.mask(), game.mask[0])


@pytest.mark.parametrize(("name", "afterstates"), OPENSPIEL)
def test_openspiel_agent(name, afterstates):
    pyspiel = pytest.importorskip("pyspiel")
    from open_spiel.python import rl_environment

    from sparring.adapters.openspiel_agent import OpenSpielAgent, OpenSpielBot

    agent = untrained(name, afterstates)
    env = rl_environment.Environment(
        pyspiel.load_game(name.partition(":")[2]), include_full_state=True
    )
    seats = range(env.num_players)
    agents = [OpenSpielAgent(agent, seat) for seat in seats]
    bots = [OpenSpielBot(agent, seat) for seat in seats]
    for _ in range(2):
        time_step = env.reset()
        for _ in range(20):  # plies
            if time_step.last():
                assert [each.step(time_step) for each in agents] == [None] * len(agents)
                break
            player = time_step.observations["current_player"]
            movers = list(seats) if time_step.is_simultaneous_move() else [player]
            steps = [agents[seat].step(time_step, is_evaluation=True) for seat in movers]
            assert [step.action for step in steps] == [bots[s].step(env.get_state) for s in movers]
            assert all(step.probs[step.action] == step.probs.sum() == 1 for step in steps)
            time_step = env.step([step.action for step in steps])


def test_openspiel_agent_takes_the_tensor_of_training_without_the_state():
    pytest.importorskip("pyspiel")
    from open_spiel.python import rl_environment

    from sparring.adapters.openspiel_agent import OpenSpielAgent, OpenSpielBot

    agent = untrained("openspiel:kuhn_poker")
    players = [OpenSpielAgent(agent, seat) for seat in (0, 1)]
    bots = [OpenSpielBot(agent, seat) for seat in (0, 1)]
    kind = rl_environment.ObservationType
    env = rl_environment.Environment("kuhn_poker", observation_type=kind.OBSERVATION)
    for _ in range(6):
        time_step = env.reset()
        while not time_step.last():
            seat = time_step.current_player()
            action = players[seat].step(time_step).action
            assert action == bots[seat].step(env.get_state)
            time_step = env.step([action])
    other = rl_environment.Environment("kuhn_poker", observation_type=kind.INFORMATION_STATE)
    with pytest.raises(ConfigurationError, match=r"11 entries.*include_full_state=True"):
        players[0].step(other.reset())
    same_size = OpenSpielAgent(untrained("openspiel:liars_dice"), 0)
    with pytest.raises(ConfigurationError, match=r"21 entries.*include_full_state=True"):
        same_size.step(rl_environment.Environment("liars_dice").reset())
    after = OpenSpielAgent(untrained("openspiel:tic_tac_toe", afterstates=True), 0)
    with pytest.raises(ConfigurationError, match=r"positions after moves.*include_full_state=True"):
        after.step(rl_environment.Environment("tic_tac_toe").reset())


@pytest.mark.parametrize(
    "name",
    ["pettingzoo:classic/tictactoe-v3", "user_environments:Leavers", "user_environments:Rooms"],
)
def test_pettingzoo_policy(name):
    pytest.importorskip("pettingzoo")
    from sparring.adapters.pettingzoo_policy import PettingZooPolicy

    agent = untrained(name)
    policy, chosen = PettingZooPolicy(agent), set()
    for game, match in positions(name):
        who = match._rules.agents[int(game.seat[0])]
        if name.endswith("Rooms"):
            seen, info = match._seen[who], match._infos.get(who, {})
        else:
            seen, info = match._env.observe(who), match._env.infos[who]
        first = match._rules.first_actions[int(game.seat[0])]
        action = policy(seen, who, info)
        assert action == agent.act(game)[0] + first
        chosen.add(action)
    assert len(chosen) > 1


def test_pettingzoo_policy_plays_in_the_librarys_own_loop():
    pettingzoo = pytest.importorskip("pettingzoo")
    from sparring.adapters.pettingzoo_policy import PettingZooPolicy

    name = "pettingzoo:classic/tictactoe-v3"
    agent, game = untrained(name), make(name, 1)
    policy, env = PettingZooPolicy(agent), pettingzoo.make("aec", "classic/tictactoe-v3")
    env.reset(seed=0)
    game.reset(np.arange(1), np.zeros(1, np.uint64))
    for who in env.agent_iter():
        observation, _, terminated, truncated, info = env.last()
        if terminated or truncated:
            env.step(None)
            continue
        action = policy(observation, who, info)
        assert action == agent.act(game)[0]
        env.step(action)
        game.step(np.array([action]))
    assert game.terminated[0]


@pytest.mark.parametrize("name", ["rlcard:leduc-holdem", "rlcard:limit-holdem(game_num_players=3)"])
def test_rlcard_agent(name):
    pytest.importorskip("rlcard")
    from sparring.adapters.rlcard_agent import RLCardAgent

    agent = untrained(name)
    players = [RLCardAgent(agent, seat) for seat in range(agent.game.num_players)]
    for game, match in positions(name):
        player, state = players[int(game.seat[0])], match._state
        action, info = player.eval_step(state)
        assert action == player.step(state) == agent.act(game)[0]
        values = agent.q_values(game)[0]
        assert list(info["values"].values()) == pytest.approx(values[list(state["legal_actions"])])


def test_rlcard_agents_play_in_the_librarys_own_loop():
    rlcard = pytest.importorskip("rlcard")
    from rlcard.agents import RandomAgent

    from sparring.adapters.rlcard_agent import RLCardAgent

    env = rlcard.make("leduc-holdem", config={"seed": 0})
    env.set_agents([RLCardAgent(untrained("rlcard:leduc-holdem"), 0), RandomAgent(4)])
    paid = [env.run(is_training)[1] for is_training in (False, True)]
    assert all(sum(payoffs) == 0 for payoffs in paid)


def test_an_agent_or_state_of_another_game_is_one_line():
    pyspiel = pytest.importorskip("pyspiel")
    from sparring.adapters.openspiel_agent import OpenSpielBot

    with pytest.raises(ConfigurationError, match="got tic_tac_toe, expected one trained on open"):
        OpenSpielBot(untrained("tic_tac_toe"), 0)
    hex3 = untrained("openspiel:hex(board_size=3)")
    with pytest.raises(ConfigurationError, match=r"got 'a.safetensors'.*\.load\(FILE, game"):
        OpenSpielBot("a.safetensors", 0)
    with pytest.raises(ConfigurationError, match=r"player_id .* got 2, expected .* 0 to 1"):
        OpenSpielBot(hex3, 2)
    with pytest.raises(ConfigurationError, match="turn of player 0, expected that of player 1"):
        OpenSpielBot(hex3, 1).step(pyspiel.load_game("hex(board_size=3)").new_initial_state())
    state = pyspiel.load_game("hex(board_size=4)").new_initial_state()
    with pytest.raises(ConfigurationError, match=r"state of another game: got hex\(board_size=4"):
        OpenSpielBot(hex3, 0).step(state)


def test_a_wrapper_refuses_what_its_library_does_not_have():
    pytest.importorskip("pettingzoo")
    from sparring.adapters.pettingzoo_policy import PettingZooPolicy

    with pytest.raises(ConfigurationError, match="expected one trained on pettingzoo"):
        PettingZooPolicy(SimpleNamespace(spec=PolicySpec("openspiel:hex")))
    policy = PettingZooPolicy(untrained("pettingzoo:classic/tictactoe-v3"))
    with pytest.raises(ConfigurationError, match="got judge, expected one of player_1, player_2"):
        policy({}, "judge")
    with pytest.raises(ConfigurationError, match="got KeyError: 'action_mask', expected what"):
        policy({"observation": np.zeros((3, 3, 2), np.int8)}, "player_1")
    with pytest.raises(ConfigurationError, match=r"got ValueError: .*, expected what"):
        policy({"observation": np.zeros((9, 9, 2), np.int8), "action_mask": np.ones(9)}, "player_1")
