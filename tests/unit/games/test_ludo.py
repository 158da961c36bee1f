"""The compiled game against the page written slowly, over random matches with the same throws."""

from __future__ import annotations

import numpy as np
import pytest
from ludo_positions import GAMES
from ludo_reference import Match, throws_of

from sparring.games import make, spec_of
from sparring.games.spec import BatchedGame


class Recording:
    """Random matches in all slots of a game, tick by tick, with observations of the first slots."""

    def __init__(
        self, game: BatchedGame, keys: np.ndarray, rng: np.random.Generator, watched: int
    ) -> None:
        self.watched = watched
        self.rows, self.observations, self.actions = [], [], []
        game.reset(np.arange(game.num_slots), keys)
        self._look(game)
        while not np.all(game.terminated | game.truncated):
            legal = game.mask & ~game.truncated[:, None]
            actions = np.where(
                legal.any(axis=1), np.where(legal, rng.random(legal.shape), -1.0).argmax(axis=1), -1
            )
            game.step(actions)
            self.actions.append(actions)
            self._look(game)
        self.rows, self.observations, self.actions = (
            np.array(self.rows),
            np.array(self.observations),
            np.array(self.actions),
        )

    def _look(self, game: BatchedGame) -> None:
        seat = np.where(game.terminated, -1, game.seat)  # after the end it is nobody's turn
        self.rows.append(
            np.column_stack(
                [seat, game.mask, game.rewards, game.terminated, game.truncated, game.plies]
            ).astype(np.float32)
        )
        self.observations.append(game.observation[: self.watched].copy())


def row(match: Match) -> tuple[float, ...]:
    seat, legal = -1 if match.terminated else match.seat, match.legal
    mask = (0 in legal, 1 in legal, 2 in legal, 3 in legal)
    return (seat, *mask, *match.rewards, match.terminated, match.truncated, match.plies)


def check_match(recording: Recording, slot: int, key: int, num_players: int) -> list[float]:
    """Play the match again by the page; returns what it paid."""
    match = Match(num_players, throws_of(key))
    watched, rows = slot < recording.watched, [row(match)]
    actions = recording.actions[:, slot]
    for ply, action in enumerate(actions[actions >= 0].tolist()):
        if watched:
            assert recording.observations[ply, slot].tolist() == match.observation().tolist(), (
                key,
                ply,
            )
        match.play(action)
        rows.append(row(match))
    played = np.array(rows, np.float32)
    differ = np.flatnonzero((recording.rows[: len(rows), slot] != played).any(axis=1))
    assert not len(differ), (
        key,
        differ[0],
        recording.rows[differ[0], slot].tolist(),
        rows[differ[0]],
    )
    assert match.terminated or match.truncated
    assert not (watched and match.terminated and recording.observations[len(rows) - 1, slot].any())
    return match.rewards


def check(num_players: int, matches: int, watched: int, chunk: int = 500) -> None:
    rng = np.random.default_rng(num_players)
    game = make(GAMES[num_players], chunk)
    winners = np.zeros(num_players, int)
    for _ in range(matches // chunk):
        keys = rng.integers(2**64, size=chunk, dtype=np.uint64)
        recording = Recording(game, keys, rng, watched)
        for slot, key in enumerate(keys.tolist()):
            winners[np.argmax(check_match(recording, slot, key, num_players))] += 1
    assert np.all(winners > matches / num_players / 2)


@pytest.mark.parametrize("num_players", GAMES)
def test_some_matches_go_by_the_page(num_players: int) -> None:
    check(num_players, matches=100, watched=100, chunk=100)


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("num_players", GAMES)
def test_ten_thousand_matches_go_by_the_page(num_players: int) -> None:
    check(num_players, matches=10_000, watched=25)


@pytest.mark.parametrize("num_players", GAMES)
def test_what_the_game_declares(num_players: int) -> None:
    spec = spec_of(GAMES[num_players])
    assert spec.num_players == num_players
    assert spec.num_actions == 4
    assert spec.observation_shape == (4 * 58 + 4 * 6 + (num_players - 1) * 59 + 6 + 2,)
    assert spec.observation_dtype == "int8"
    assert spec.max_plies == {2: 1000, 3: 1500, 4: 2000}[num_players]
    assert spec.returns == (-1 / (num_players - 1), 1)
    assert spec.chance
    assert spec.zero_sum
    assert not spec.hidden_information


@pytest.mark.parametrize("players", [2, 3, 4])
def test_raw_is_the_same_game_without_the_facts(players):
    """Random matches to their ends, tick by tick."""
    slots, rng = 32, np.random.default_rng(players)
    keys = rng.integers(2**64, size=slots, dtype=np.uint64)
    shown, raw = (
        make(f"ludo(num_players={players},observation={kind})", slots) for kind in ("facts", "raw")
    )
    for game in (shown, raw):
        game.reset(np.arange(slots), keys)
    facts = np.s_[4 * 58 : 4 * 58 + 4 * 6]
    while not np.all(raw.terminated | raw.truncated):
        for view in ("seat", "mask", "rewards", "terminated", "truncated", "plies"):
            assert np.array_equal(getattr(raw, view), getattr(shown, view)), view
        assert np.array_equal(raw.observation, np.delete(shown.observation, facts, axis=1))
        draws = np.where(raw.mask & ~raw.truncated[:, None], rng.random(raw.mask.shape), -1.0)
        actions = np.where(draws.max(axis=1) < 0, -1, draws.argmax(axis=1))
        shown.step(actions)
        raw.step(actions)
    assert np.array_equal(raw.rewards, shown.rewards)
    assert np.array_equal(raw.terminated, shown.terminated)
    assert raw.spec.observation_shape == (4 * 58 + (players - 1) * 59 + 8,)
