"""Opponents from outside by name: one spelling, what workers get, what plays in this process."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from own_players import Favourite, Last, Middle

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec
from sparring.errors import ConfigurationError, FileFormatError
from sparring.games import make, spec_of
from sparring.opponents.agents import keep
from sparring.opponents.players import NetworkPlayer, Player
from sparring.opponents.roster import load_roster, opponent_name, players_of

GAME = "tic_tac_toe"


def agent(width: int = 8, game: str = GAME) -> DQNAgent:
    return DQNAgent(PolicySpec(game, NetworkSpec("mlp", {"net_arch": [width]})))


def q_values(player: Player) -> list[float]:
    assert isinstance(player, NetworkPlayer)
    found: list[float] = player.policy.q_values(np.ones((1, 2, 3, 3), np.int8))[0].tolist()
    return found


def test_one_spelling_for_names_classes_and_objects() -> None:
    for given in (
        "own_players:Favourite( action = 2 )",
        partial(Favourite, action=2),
        Favourite(2),
    ):
        assert opponent_name(given) == "own_players:Favourite(action=2)"
    assert opponent_name(Last) == "own_players:Last"
    for name in ("self", "minimax:4", "ludo:greedy", "agent:runs/first"):
        assert opponent_name(name) == name
    with pytest.raises(ConfigurationError, match=r"^opponent: got 3, expected a name"):
        opponent_name(3)


def test_a_roster_has_what_comes_from_outside_and_makes_its_players(tmp_path: Path) -> None:
    agent().save(file := tmp_path / "a.safetensors")
    name = f"agent:{file}"
    names = ["self", "random", name, "own_players:Last", "snapshots"]
    roster = load_roster(names, spec_of(GAME))
    assert roster.names == ("own_players:Last", name)
    assert q_values(roster.player(name)) == q_values(NetworkPlayer("", agent().policy()))
    assert roster.player("own_players:Last").name == "own_players:Last"
    assert roster.player("random").name == "random"


def test_a_kept_agent_is_met_again_whatever_became_of_its_file(tmp_path: Path) -> None:
    agent(8).save(file := tmp_path / "a.safetensors")
    name, kept, spec = f"agent:{file}", tmp_path / "opponents", spec_of(GAME)
    first = load_roster([name], spec, kept=kept)
    keep(kept, first.agents)
    agent(4).save(file)
    keep(kept, load_roster([name], spec).agents)  # does not replace the copy
    again = load_roster([name], spec, kept=kept)
    assert q_values(again.player(name)) == q_values(first.player(name))
    file.unlink()
    assert q_values(load_roster([name], spec, kept=kept).player(name)) == q_values(
        first.player(name)
    )


def test_an_agent_of_a_user_s_other_game_is_refused(tmp_path: Path) -> None:
    """Their encodings may be the same."""
    agent(game="plain_games:Toe").save(file := tmp_path / "a.safetensors")
    with pytest.raises(FileFormatError, match="another game: got 'plain_games:Toe'"):
        load_roster([f"agent:{file}"], replace(spec_of("plain_games:Toe"), name="my_games:Other"))
    load_roster([f"agent:{file}"], spec_of("plain_games:Toe"))


def test_objects_play_themselves() -> None:
    toe = spec_of("plain_games:Toe")
    objects = [Last(), Middle(), agent(game="plain_games:Toe"), "random"]
    made = players_of(objects, toe, partial(make, toe.name))
    assert list(made) == ["own_players:Last", "own_players:Middle", "other agent", "random"]
    with pytest.raises(ConfigurationError, match="two opponents of one name: got own_players:Fav"):
        players_of([Favourite(1), Favourite(2)], toe, partial(make, toe.name))
