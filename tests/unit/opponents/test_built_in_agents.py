"""The agents that come with Sparring: there, small, and worth playing against."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from sparring import games
from sparring.dqn.agent import DQNAgent
from sparring.errors import InputError
from sparring.evaluation import evaluate, exhaustive_losses
from sparring.evaluation import solved_positions as solved
from sparring.opponents.found import FoundAgent, built_in_agents, find_agent
from sparring.opponents.lookahead import agent_player
from sparring.opponents.players import Player

POSITIONS = Path(__file__).parents[2] / "data/connect_four/positions.csv"
MEGABYTE = 1_000_000


def built_in(game: str) -> DQNAgent:
    return DQNAgent.load(find_agent(game, "runs").path)


def player(game: str) -> Player:
    return agent_player("agent", built_in(game).policy())


def test_each_built_in_game_has_one_and_all_are_small() -> None:
    assert built_in_agents() == [name for name in games.names() if "(" not in name]
    sizes = [find_agent(game, "runs").path.stat().st_size for game in built_in_agents()]
    assert max(sizes) < MEGABYTE
    assert sum(sizes) < 3 * MEGABYTE


@pytest.mark.parametrize("game", built_in_agents())
def test_it_plays_its_game_well(game: str) -> None:
    figures = evaluate(player(game), game, ["random"], matches=60, seed=1)
    assert figures["opponents"]["random"]["score"] > 0.8


def test_nobody_beats_that_of_tic_tac_toe() -> None:
    found = exhaustive_losses(partial(games.make, "tic_tac_toe"), player("tic_tac_toe"))
    assert (found.losses, found.lines > 500) == (0, True)


def test_that_of_connect_four_keeps_the_value_of_solved_positions() -> None:
    """It keeps 0.923 of all odd rows; `minimax:8` keeps 0.82."""
    positions = solved.load_positions(POSITIONS, "odd")
    game = solved.set_up_positions(positions)
    result = solved.play_positions(player("connect_four"), positions, game, seed=0)
    assert result.matters.value_preserving > 0.9


def test_a_run_of_that_name_goes_first(tmp_path: Path) -> None:
    run = tmp_path / "connect_four"
    run.mkdir()
    with pytest.raises(InputError, match=r"no agent in .*connect_four yet"):
        find_agent("connect_four", str(tmp_path))
    (run / "last.safetensors").write_bytes(b"")
    assert find_agent("connect_four", str(tmp_path)).path == run / "last.safetensors"


def test_nothing_is_written_beside_it(tmp_path: Path) -> None:
    assert find_agent("othello", str(tmp_path)).folder == Path()
    assert FoundAgent(tmp_path / "a.safetensors").folder == tmp_path


def test_a_name_close_to_it_is_hinted_at(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"or one of backgammon, .*did you mean 'othello'"):
        find_agent("otello", str(tmp_path))
