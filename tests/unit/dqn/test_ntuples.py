from __future__ import annotations

import dataclasses
import hashlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import NetworkSpec, PolicySpec, build_network, count_weights
from sparring.dqn.ntuples import NTupleNetwork, ntuples
from sparring.errors import ConfigurationError
from sparring.games import make, spec_of
from sparring.games.afterstates import afterstate_spec, afterstates_of
from sparring.games.spec import GameSpec

FOUR, TOE = (afterstate_spec(spec_of(name)) for name in ("connect_four", "tic_tac_toe"))


def network(spec: GameSpec, **arguments: Any) -> NTupleNetwork:
    built = ntuples(spec, **arguments)
    assert isinstance(built, NTupleNetwork)
    return built


def positions(game: str, plies: int, count: int = 64) -> NDArray[Any]:
    """Observations after so many random moves."""
    rng = np.random.default_rng(3)
    matches = make(game, count)
    matches.reset(np.arange(count), np.arange(count, dtype=np.uint64))
    for _ in range(plies):
        matches.step((rng.random(matches.mask.shape) * matches.mask).argmax(axis=1))
    return matches.observation.copy()


def slow_codes(observation: NDArray[Any], support: tuple[int, ...]) -> list[int]:
    codes = [0] * observation[0].size
    for plane, cells in enumerate(observation.reshape(len(observation), -1)):
        for cell in np.flatnonzero(cells):
            codes[cell] = 1 + plane
    occupied = [code > 0 for code in codes]
    for cell, below in enumerate(support):
        if not occupied[cell] and (below < 0 or occupied[below]):
            codes[cell] = 1 + len(observation)
    return codes


def places_of(built: NTupleNetwork, codes: list[int]) -> NDArray[np.int64]:
    """[K, T] the place of each group's entry, as the lookup adds it up."""
    looked_up = built.lookup.starts.astype(np.int64)
    for cell, code in enumerate(codes):
        looked_up = looked_up + built.lookup.parts[cell, code]
    return looked_up.reshape(built.groups.shape[:2])


@pytest.mark.parametrize("spec", [FOUR, TOE])
@pytest.mark.parametrize("plies", [0, 3, 4])
def test_a_value_is_the_sum_of_what_the_tables_hold(spec: GameSpec, plies: int) -> None:
    built = network(spec, tuples=5, tuple_size=4)
    built.array[:] = np.random.default_rng(0).normal(0, 0.1, built.array.shape)
    assert spec.board is not None
    shown = positions(spec.name, plies)
    for observation, value in zip(shown, built(torch.from_numpy(shown)), strict=True):
        places = places_of(built, slow_codes(observation, spec.board.support))
        total = built.array[plies % 2][places].sum()
        assert value.item() == pytest.approx(math.tanh(total), abs=1e-6)


@pytest.mark.parametrize("spec", [FOUR, TOE])
def test_two_boards_share_an_entry_where_all_cells_of_its_group_are_alike(spec: GameSpec) -> None:
    built = network(spec, tuples=40, tuple_size=5)
    assert spec.board is not None
    shown = np.concatenate([positions(spec.name, plies) for plies in range(5)])
    contents: dict[int, tuple[int, ...]] = {}
    seen = [set[tuple[int, ...]]() for _ in range(built.groups.shape[1])]
    for observation in shown:
        codes = slow_codes(observation, spec.board.support)
        for image, places in zip(built.groups, places_of(built, codes).tolist(), strict=True):
            for number, (group, place) in enumerate(zip(image, places, strict=True)):
                content = (number, *(codes[cell] for cell in group))
                assert contents.setdefault(place, content) == content
                seen[number].add(content)
    assert sum(map(len, seen)) == len(contents)
    assert len(contents) > 500


@pytest.mark.parametrize(
    ("group", "entries"),
    [
        ((0, 7), 7),  # none, 2 kinds of one stone, 4 of two
        ((0, 7, 1, 8), 7 * 7),
        ((14, 21), 8 + 4),  # 8: a stone can or cannot be laid there; 4 are for what cannot be
        ((0, 14), 3 * 4),  # not above one another
        ((3, 10, 17, 4), 15 * 3),
    ],
)
def test_tables_have_entries_for_what_gravity_allows(group: tuple[int, ...], entries: int) -> None:
    mirrored = [cell // 7 * 7 + 6 - cell % 7 for cell in group]
    assert NTupleNetwork(FOUR, np.array([[group], [mirrored]])).tables.shape == (2, entries)


def test_a_position_that_cannot_be_reads_within_the_tables() -> None:
    """Stones in the air have numbers behind the last table."""
    built = network(FOUR, tuples=20, tuple_size=6)
    floating = np.random.default_rng(0).integers(0, 3, (200, 6, 7))
    observations = np.stack([floating == 1, floating == 2], axis=1).astype(np.int8)
    assert FOUR.board is not None
    places = [places_of(built, slow_codes(one, FOUR.board.support)) for one in observations]
    assert np.max(places) < built.array.shape[1]
    assert torch.isfinite(built(torch.from_numpy(observations))).all()


@pytest.mark.parametrize("spec", [FOUR, TOE])
def test_a_value_does_not_depend_on_the_positions_before_it(spec: GameSpec) -> None:
    """Groups without a changed cell are not looked up again."""
    built = network(spec, tuples=7, tuple_size=3)
    built.array[:] = np.random.default_rng(0).normal(0, 0.1, built.array.shape)
    game = make(spec.name, 8)
    game.reset(np.arange(8), np.arange(8, dtype=np.uint64))
    shown = []
    for ply in range(6):
        shown += [positions(spec.name, ply, count=2), *(game.observation[[e]] for e in range(8))]
        after = afterstates_of(game, np.arange(8))
        shown.append(after.observation)
        game.step(np.arange(8) % 7 if ply < 1 else game.mask.argmax(axis=1))
    for observations in shown:
        together = built(torch.from_numpy(observations))
        alone = [built(torch.from_numpy(one[None])) for one in observations]
        assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("spec", [FOUR, TOE])
def test_symmetric_positions_have_equal_values(spec: GameSpec) -> None:
    built = network(spec, tuples=7, tuple_size=3)
    built.array[:] = np.random.default_rng(0).normal(0, 0.1, built.array.shape)
    shown = positions(spec.name, 4)
    values = built(torch.from_numpy(shown))
    assert len(torch.unique(values)) > 10
    for symmetry in spec.symmetries:
        image = shown.reshape(len(shown), -1)[:, list(symmetry.observation)].reshape(shown.shape)
        torch.testing.assert_close(built(torch.from_numpy(image)), values)


def groups(built: NTupleNetwork) -> NDArray[np.int64]:
    """[T, L] without the images."""
    return built.groups[0]


def test_walks_are_different_groups_of_neighbouring_cells() -> None:
    walks = groups(network(FOUR, tuples=60, tuple_size=6))
    assert walks.shape == (60, 6)
    mirror = np.arange(42).reshape(6, 7)[:, ::-1].ravel()
    assert len({frozenset(map(frozenset, (walk, mirror[walk]))) for walk in walks}) == 60
    for walk in walks:
        reached, rows, columns = {walk[0]}, walk // 7, walk % 7
        near = np.maximum(abs(rows[:, None] - rows), abs(columns[:, None] - columns)) <= 1
        for _ in walk:
            reached |= {b for i, a in enumerate(walk) if a in reached for b in walk[near[i]]}
        assert len(reached) == len(set(walk)) == 6


def test_lines_are_all_straight_lines_once_for_each_symmetry() -> None:
    # edge, middle and diagonal
    assert len(groups(network(TOE, tuple_kind="lines", tuple_size=3))) == 3
    # of 69 lines of four, 3 in the middle column are their own mirror images
    lines = groups(network(FOUR, tuple_kind="lines", tuple_size=4))
    assert len(lines) == 3 + (69 - 3) / 2


def test_a_small_board_has_fewer_groups_than_asked_for() -> None:
    # all cells but a corner, an edge or the centre
    assert len(groups(network(TOE, tuples=1_000, tuple_size=8))) == 3


def test_equal_arguments_make_equal_groups() -> None:
    first, second = (groups(network(FOUR, tuples=20)) for _ in range(2))
    assert (first == second).all()
    # more groups are the same and further ones
    assert (first[:10] == groups(network(FOUR, tuples=10))).all()


def test_groups_are_those_of_all_agent_files() -> None:
    """A file has the tables only: with other groups an agent would be worthless, without a word."""
    cells = network(FOUR, tuples=20).groups.reshape(-1, 8).T.astype("<u4")
    assert hashlib.sha256(cells.tobytes()).hexdigest()[:16] == "0fb2eeced9a3bc80"


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (spec_of("connect_four"), {}, "afterstates = on"),
        (afterstate_spec(spec_of("ludo")), {}, "declares its board"),
        (dataclasses.replace(FOUR, returns=None), {}, "range of its returns"),
        (FOUR, {"tuples": 0}, "tuples of network ntuples"),
        (FOUR, {"tuples": 2.5}, "tuples of network ntuples"),
        (TOE, {"tuple_size": 10}, "from 1 to 9"),
        (FOUR, {"tuple_kind": "rings"}, "walk or lines"),
        (FOUR, {"tuple_size": 20}, "at most 1,073,741,824 weights"),
        (TOE, {"tuple_kind": "lines", "tuple_size": 4}, "longest line"),
    ],
)
def test_what_cannot_be_is_refused(spec: GameSpec, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ntuples(spec, **arguments)


def test_tables_are_saved_and_loaded_with_an_agent(tmp_path: Any) -> None:
    spec = PolicySpec("tic_tac_toe", NetworkSpec("ntuples", {"tuple_size": 4}), afterstates=True)
    built = build_network(spec)
    assert isinstance(built, NTupleNetwork)
    assert count_weights(spec) == built.array.size
    weights = np.random.default_rng(0).normal(size=built.array.shape).astype(np.float32)
    agent = DQNAgent(spec, weights={"tables": weights})
    agent.save(tmp_path / "agent.safetensors")
    loaded = DQNAgent.load(tmp_path / "agent.safetensors")
    assert (loaded.get_weights()["tables"] == weights).all()
