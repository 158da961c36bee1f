from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tables import untrained

from sparring.dqn.networks import FlatWeights, NetworkSpec, PolicySpec, build_network
from sparring.dqn.policy import InferencePolicy
from sparring.errors import FileFormatError, InputError
from sparring.games import make
from sparring.opponents.players import NetworkPlayer
from sparring.opponents.pool import OpponentManager
from sparring.opponents.scripted import OnePlyPlayer
from sparring.play.commands import OpponentChoices
from sparring.storage.run_directory import RunDirectory

SEARCHES = ("minimax:D", "mcts:N", "module:Class", "agent:RUN")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    """A run that goes on, whose pool holds the snapshots 2, 3 and 4; the weights of snapshot n are
    all n / 10.
    """
    layout = FlatWeights(build_network(untrained().spec))
    pool = OpponentManager(
        {"snapshots": 1.0},
        game="tic_tac_toe",
        slots=np.zeros((6, layout.size), np.float32),
        layout=layout,
        snapshot_interval=10,
        max_snapshots=3,
        max_opponents_per_worker=4,
        seed=0,
    )
    for number in (1, 2, 3, 4):
        assert (
            pool.maybe_snapshot(10 * number, np.full(layout.size, number / 10, np.float32))
            == f"snapshot:{number}"
        )
    with RunDirectory.create(tmp_path, "one", "tic_tac_toe") as directory:
        directory.save_checkpoint(5, {"opponents": pool.get_state(), "counters": {"updates": 5}})
        yield directory


def test_all_opponents_are_listed_with_the_snapshots_of_a_run_in_training(
    run: RunDirectory,
) -> None:
    assert OpponentChoices(untrained(), run.path).names() == [
        "agent",
        "snapshot:2",
        "snapshot:3",
        "snapshot:4",
        "random",
        "one_ply",
        *SEARCHES,
    ]
    assert OpponentChoices(untrained(), None).names() == ["agent", "random", "one_ply", *SEARCHES]
    assert OpponentChoices(untrained("ludo"), None).names()[1:] == [
        "random",
        "one_ply",
        "ludo:greedy",
        "ludo:racer",
        *SEARCHES[2:],
    ]


def test_a_run_without_a_checkpoint_has_no_snapshots(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "new", "tic_tac_toe") as directory:
        assert OpponentChoices(untrained(), directory.path).names() == [
            "agent",
            "random",
            "one_ply",
            *SEARCHES,
        ]


def test_a_snapshot_plays_with_its_own_weights_and_the_agent_with_its_own(
    run: RunDirectory,
) -> None:
    policy = untrained()
    before = policy.vector()
    choices = OpponentChoices(policy, run.path)
    snapshot = choices.player("snapshot:3")
    assert isinstance(snapshot, NetworkPlayer)
    assert (snapshot.name, snapshot.epsilon) == ("snapshot:3", 0.0)
    assert set(snapshot.policy.vector().tolist()) == {float(np.float32(0.3))}
    assert np.array_equal(policy.vector(), before)
    agent = choices.player("agent")
    assert isinstance(agent, NetworkPlayer)
    assert agent.policy is policy


def test_all_snapshots_at_once(run: RunDirectory) -> None:
    players = OpponentChoices(untrained(), run.path).snapshots()
    assert [player.name for player in players] == ["snapshot:2", "snapshot:3", "snapshot:4"]
    assert [float(player.policy.vector()[0]) for player in players] == pytest.approx(
        [0.2, 0.3, 0.4]
    )  # type: ignore[attr-defined]
    assert OpponentChoices(untrained(), None).snapshots() == []


def test_scripted_players_by_name() -> None:
    assert OpponentChoices(untrained(), None).player("minimax:4").name == "minimax:4"
    player = OpponentChoices(untrained(), None).player("one_ply")
    assert isinstance(player, OnePlyPlayer)
    game = make("tic_tac_toe", 1)
    game.reset(np.zeros(1, np.int64), np.zeros(1, np.uint64))
    assert game.mask[0, player.act(game, np.zeros(1, np.int64), np.zeros((1, 2)))[0]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "snapshot:1",
            "expected one of agent, snapshot:2, snapshot:3, snapshot:4, random, one_ply",
        ),
        ("snapshot:", "did you mean 'snapshot:"),
        ("onely", "did you mean 'one_ply'"),
        ("minimax:99", "opponent minimax: got 'minimax:99', expected minimax:1 to minimax:12"),
        ("ludo:greedy", "unknown opponent: got 'ludo:greedy'"),
    ],
)
def test_unknown_names(run: RunDirectory, name: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        OpponentChoices(untrained(), run.path).player(name)
    assert words in str(error.value)


def test_snapshots_of_another_network_are_refused(run: RunDirectory) -> None:
    wider = InferencePolicy(PolicySpec("tic_tac_toe", NetworkSpec("mlp", {"net_arch": [16]})))
    with pytest.raises(
        FileFormatError,
        match=r"snapshot:3 of .*one has another network than its agent: "
        r"got \d+ weights, expected \d+",
    ):
        OpponentChoices(wider, run.path).player("snapshot:3")


def test_a_damaged_checkpoint_is_an_error_only_where_snapshots_are_wanted(
    run: RunDirectory,
) -> None:
    (run.checkpoints_path / "5" / "state.json").write_text("{}")
    choices = OpponentChoices(untrained(), run.path)
    assert choices.player("agent").name == "agent"
    assert choices.player("random").name == "random"
    with pytest.raises(FileFormatError, match="damaged"):
        choices.player("snapshot:3")
