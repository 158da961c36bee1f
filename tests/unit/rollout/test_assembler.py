from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from observed_assembler import Assembler
from transitions_reference import Decision, Match, Position, assert_rows, transitions

from sparring.games.spec import GameSpec


class Arrays:
    """The views of a batched game, to be filled by what stands below."""

    def __init__(self, num_slots: int, num_players: int, dtype: str = "int16") -> None:
        self.spec = GameSpec(
            name="toy",
            num_players=num_players,
            num_actions=3,
            observation_shape=(2, 2),
            observation_dtype=dtype,
            max_plies=99,
        )
        self.num_slots = num_slots
        self.seat = np.zeros(num_slots, np.int64)
        self.observation = np.zeros((num_slots, 2, 2), dtype)
        self.mask = np.zeros((num_slots, 3), np.bool_)
        self.rewards = np.zeros((num_slots, num_players), np.float32)
        self.terminated = np.ones(num_slots, np.bool_)
        self.truncated = np.zeros(num_slots, np.bool_)
        self.plies = np.zeros(num_slots, np.int64)

    def position(self, slot: int) -> Position:
        return Position(int(self.seat[slot]), self.observation[slot].copy(), self.mask[slot].copy())


class RandomGame(Arrays):
    """Everything is drawn: who moves next (the same seat again, too), who is paid, how it ends.
    Each view of each position is unique.
    """

    def __init__(
        self,
        num_slots: int,
        num_players: int,
        dtype: str,
        ends: float,
        cuts: float,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(num_slots, num_players, dtype)
        self.ends, self.cuts, self.rng = ends, cuts, rng
        self.match = np.zeros(num_slots, np.int64)
        self.ply = np.zeros(num_slots, np.int64)

    def reset(self, slots: NDArray[np.int64]) -> None:
        for slot in slots:
            self.match[slot] += 1
            self.ply[slot] = 0
            self.terminated[slot] = self.truncated[slot] = False
            self._show(slot)

    def step(self, actions: NDArray[np.int64]) -> None:
        self.rewards[:] = 0.0
        for slot in np.flatnonzero(actions >= 0):
            self.ply[slot] += 1
            self.rewards[slot] = self.rng.integers(-2, 3, self.spec.num_players) * (
                self.rng.random() < 0.5
            )
            draw = self.rng.random()
            self.terminated[slot] = draw < self.ends
            self.truncated[slot] = self.ends <= draw < self.ends + self.cuts
            self._show(slot)

    def _show(self, slot: int) -> None:
        self.seat[slot] = self.rng.integers(self.spec.num_players)
        if self.terminated[slot]:
            self.observation[slot], self.mask[slot] = 0, False
        else:
            self.observation[slot] = [
                [slot + 1, self.match[slot]],
                [self.ply[slot], self.seat[slot]],
            ]
            self.mask[slot] = self.rng.permutation(
                [True, self.rng.random() < 0.5, self.rng.random() < 0.5]
            )


@dataclass(frozen=True)
class Case:
    seed: int
    bootstrap: str
    num_players: int
    n_steps: int
    gamma: float
    envs: int = 4
    ends: float = 0.1
    cuts: float = 0.05
    learn_all: bool = False
    dtype: str = "int16"
    ticks: int = 60


def play(case: Case) -> tuple[NDArray[Any], list[Match]]:
    """Rows as the assembler made them, handed on, saved and restored at random moments; and the
    record of all matches.
    """
    rng = np.random.default_rng(case.seed)
    game = RandomGame(case.envs, case.num_players, case.dtype, case.ends, case.cuts, rng)
    options: dict[str, Any] = {
        "bootstrap": case.bootstrap,
        "n_steps": case.n_steps,
        "gamma": case.gamma,
        "block": 1,
    }
    assembler = Assembler(game, **options)
    blocks, matches, current = [assembler.rows.copy()], [], {}
    learns = np.zeros((case.envs, case.num_players), np.bool_)
    for tick in range(case.ticks):
        ended = np.flatnonzero(game.terminated | game.truncated)
        begun = ended[rng.random(len(ended)) < 0.7]  # the others stay idle for a tick
        game.reset(begun)
        for slot in begun:
            learns[slot] = case.learn_all | (rng.random(case.num_players) < 0.6)
            current[slot] = Match(int(slot), tuple(learns[slot].tolist()))
            matches.append(current[slot])
        actions = np.array([_choice(game, slot, rng) for slot in range(case.envs)], np.int64)
        version = tick // 7
        before = [game.position(slot) for slot in range(case.envs)]
        assembler.decide(actions, learns, version)
        game.step(actions)
        for slot in np.flatnonzero(actions >= 0):
            rewards = tuple(game.rewards[slot].tolist())
            current[slot].decisions.append(
                Decision(tick, before[slot], int(actions[slot]), version, rewards)
            )
            current[slot].terminated = bool(game.terminated[slot])
            current[slot].cut = game.position(slot) if game.truncated[slot] else None
        assembler.settle(actions)
        blocks.append(assembler.rows.copy())
        assembler.clear()
        if rng.random() < 0.1:
            state = assembler.get_state()
            assembler.decide(actions, learns, -9)  # what is saved is a copy
            assembler = Assembler(game, **options)
            assembler.set_state(state)
    return np.concatenate(blocks), matches


def _choice(game: RandomGame, slot: int, rng: np.random.Generator) -> int:
    over = game.terminated[slot] or game.truncated[slot]
    return -1 if over or rng.random() < 0.1 else int(rng.choice(np.flatnonzero(game.mask[slot])))


@settings(max_examples=120, deadline=None)
@given(
    st.builds(
        Case,
        seed=st.integers(0, 2**32),
        bootstrap=st.sampled_from(["own_turn", "zero_sum"]),
        num_players=st.integers(2, 4),
        n_steps=st.sampled_from([1, 2, 3, 5]),
        gamma=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
        envs=st.integers(1, 5),
        ends=st.sampled_from([0.02, 0.1, 0.5]),
        cuts=st.sampled_from([0.0, 0.05, 0.3]),
        learn_all=st.booleans(),
        dtype=st.sampled_from(["int8", "int16", "float64"]),
    )
)
def test_equals_the_reference(case: Case) -> None:
    rows, matches = play(case)
    assert_rows(
        rows, transitions(matches, bootstrap=case.bootstrap, n_steps=case.n_steps, gamma=case.gamma)
    )


@pytest.mark.parametrize("bootstrap", ["own_turn", "zero_sum"])
def test_the_random_matches_have_everything_in_them(bootstrap: str) -> None:
    """Guards the test above: matches are, for example, cut while a decision waits."""
    case = Case(0, bootstrap, 2, n_steps=3, gamma=0.5, ticks=300)
    rows, matches = play(case)
    assert len(rows) > 100
    assert any(m.cut and m.cut.seat != m.decisions[-1].position.seat for m in matches)
    assert any(m.cut and m.cut.seat == m.decisions[-1].position.seat for m in matches)
    assert any(not m.terminated and not m.cut for m in matches)  # still going on
    assert {0.0, 0.125, 0.25, 0.5} == set(rows["discount"].tolist())
    assert (
        {1, -1} == set(rows["sign"].tolist())
        if bootstrap == "zero_sum"
        else set(rows["sign"].tolist()) == {1}
    )
    assert any(
        a.position.seat == b.position.seat
        for m in matches
        for a, b in zip(m.decisions, m.decisions[1:], strict=False)
    )


class Script(Arrays):
    """One match of given plies: each is (seat that moves, what each seat is paid). The position
    before ply i (from 1) shows i.
    """

    def __init__(
        self, plies: list[tuple[int, tuple[float, ...]]], end: str, seat_at_the_end: int = 0
    ) -> None:
        super().__init__(1, len(plies[0][1]))
        self.scripted, self.end, self.seat_at_the_end = plies, end, seat_at_the_end
        self.played = 0
        self.terminated[0] = False
        self._show()

    def step(self, actions: NDArray[np.int64]) -> None:
        self.rewards[0] = self.scripted[self.played][1]
        self.played += 1
        over = self.played == len(self.scripted)
        self.terminated[0], self.truncated[0] = (
            over and self.end == "terminated",
            over and self.end == "truncated",
        )
        self._show()

    def _show(self) -> None:
        shown = not self.terminated[0]
        self.seat[0] = (
            self.scripted[self.played][0]
            if self.played < len(self.scripted)
            else self.seat_at_the_end
        )
        self.observation[0], self.mask[0] = shown * (self.played + 1), shown


def script(
    plies: list[tuple[int, tuple[float, ...]]],
    end: str = "terminated", seat_at_the_end: int = 0,
    *, bootstrap: str, n_steps: int = 1, learns: tuple[bool, ...] | None = None,
) -> list[tuple[int, float, int, float, int]]:  # fmt: skip
    """(position, R, next position or 0, discount, sign) of every transition, with gamma 1/2."""
    game = Script(plies, end, seat_at_the_end)
    assembler = Assembler(game, bootstrap=bootstrap, n_steps=n_steps, gamma=0.5, block=64)
    who = np.array([learns or [True] * game.spec.num_players])
    for _ in plies:
        assembler.decide(np.zeros(1, np.int64), who, 0)
        game.step(np.zeros(1, np.int64))
        assembler.settle(np.zeros(1, np.int64))
    rows = assembler.rows
    columns = (
        rows["observation"][:, 0, 0],
        rows["R"],
        rows["next_observation"][:, 0, 0],
        rows["discount"],
        rows["sign"],
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


WON = [
    (0, (0.0, 0.0)),
    (1, (0.0, 0.0)),
    (0, (0.0, 0.0)),
    (1, (0.0, 0.0)),
    (0, (1.0, -1.0)),
]  # seat 0 wins at its third ply


def test_zero_sum_by_hand() -> None:
    assert script(WON, bootstrap="zero_sum") == [
        (1, 0.0, 2, 0.5, -1),
        (2, 0.0, 3, 0.5, -1),
        (3, 0.0, 4, 0.5, -1),
        (4, 0.0, 5, 0.5, -1),
        (
            5,
            1.0,
            0,
            0.0,
            1,
        ),  # none for the loser: its last one bootstraps from position 5, the opponent's
    ]


def test_own_turn_by_hand() -> None:
    assert script(WON, bootstrap="own_turn") == [
        (1, 0.0, 3, 0.5, 1),
        (2, 0.0, 4, 0.5, 1),
        (3, 0.0, 5, 0.5, 1),
        (5, 1.0, 0, 0.0, 1),  # at the end: seat 0, then seat 1
        (4, -1.0, 0, 0.0, 1),  # the loser learns that it lost, though it did not move last
    ]


def test_zero_sum_over_two_and_three_plies_by_hand() -> None:
    assert script(WON, bootstrap="zero_sum", n_steps=2) == [
        (1, 0.0, 3, 0.25, 1),  # two plies on it is the same seat's turn
        (2, 0.0, 4, 0.25, 1),
        (3, 0.0, 5, 0.25, 1),
        (4, -0.5, 0, 0.0, 1),  # -1 one ply later
        (5, 1.0, 0, 0.0, 1),
    ]
    assert script(WON, bootstrap="zero_sum", n_steps=3) == [
        (1, 0.0, 4, 0.125, -1),
        (2, 0.0, 5, 0.125, -1),
        (3, 0.25, 0, 0.0, 1),
        (4, -0.5, 0, 0.0, 1),
        (5, 1.0, 0, 0.0, 1),
    ]


def test_own_turn_over_two_decisions_by_hand() -> None:
    assert script(WON, bootstrap="own_turn", n_steps=2) == [
        (1, 0.0, 5, 0.25, 1),
        (3, 0.5, 0, 0.0, 1),  # +1 one own decision later
        (5, 1.0, 0, 0.0, 1),
        (2, -0.5, 0, 0.0, 1),
        (4, -1.0, 0, 0.0, 1),
    ]


def test_an_extra_turn_by_hand() -> None:
    """Seat 0 moves twice in a row: the sign is by seat, and one own decision follows another with
    no ply in between.
    """
    plies = [(0, (0.0, 0.0)), (0, (0.0, 0.0)), (1, (-1.0, 1.0))]
    assert script(plies, bootstrap="zero_sum") == [
        (1, 0.0, 2, 0.5, 1),
        (2, 0.0, 3, 0.5, -1),
        (3, 1.0, 0, 0.0, 1),
    ]
    assert script(plies, bootstrap="zero_sum", n_steps=2) == [
        (1, 0.0, 3, 0.25, -1),
        (2, -0.5, 0, 0.0, 1),
        (3, 1.0, 0, 0.0, 1),
    ]
    assert script(plies, bootstrap="own_turn") == [
        (1, 0.0, 2, 0.5, 1),
        (2, -1.0, 0, 0.0, 1),
        (3, 1.0, 0, 0.0, 1),
    ]


def test_a_draw_is_a_draw_for_both() -> None:
    """The board fills on seat 0's ply; seat 1's last transition ends with 0 as well."""
    plies = [(0, (0.0, 0.0)), (1, (0.0, 0.0)), (0, (0.0, 0.0))]
    assert script(plies, bootstrap="own_turn") == [
        (1, 0.0, 3, 0.5, 1),
        (3, 0.0, 0, 0.0, 1),
        (2, 0.0, 0, 0.0, 1),
    ]
    assert script(plies, bootstrap="zero_sum")[-1] == (3, 0.0, 0, 0.0, 1)


def test_rewards_between_own_decisions_by_hand() -> None:
    """Rewards of others' plies count in full up to the own next decision; before the first decision
    they are dropped.
    """
    plies = [(0, (1.0, 9.0)), (1, (2.0, 4.0)), (1, (3.0, 5.0)), (0, (4.0, 6.0))]
    assert script(plies, bootstrap="own_turn") == [
        (2, 4.0, 3, 0.5, 1),
        (1, 6.0, 4, 0.5, 1),  # 1 + 2 + 3
        (4, 4.0, 0, 0.0, 1),
        (3, 11.0, 0, 0.0, 1),  # 5 + 6; the 9 is nobody's
    ]
    assert script(plies, bootstrap="own_turn", n_steps=2) == [
        (1, 8.0, 0, 0.0, 1),  # 6 + 4 / 2
        (4, 4.0, 0, 0.0, 1),
        (2, 9.5, 0, 0.0, 1),  # 4 + 11 / 2
        (3, 11.0, 0, 0.0, 1),
    ]
    assert script(plies, bootstrap="zero_sum", n_steps=2) == [
        (1, 2.0, 3, 0.25, -1),  # as seat 0 sees it: 1 + 2 / 2
        (2, 6.5, 4, 0.25, -1),  # as seat 1 sees it: 4 + 5 / 2
        (3, 8.0, 0, 0.0, 1),  # 5 + 6 / 2
        (4, 4.0, 0, 0.0, 1),
    ]


def test_a_game_of_three_pays_every_seat() -> None:
    """Seat 1 wins before seat 0's second turn: +1 and -1/2 for each of the others, whose last
    decisions were plies ago.
    """
    plies = [(0, (0.0, 0.0, 0.0)), (2, (0.0, 0.0, 0.0)), (1, (-0.5, 1.0, -0.5))]
    assert script(plies, bootstrap="own_turn") == [
        (1, -0.5, 0, 0.0, 1),
        (3, 1.0, 0, 0.0, 1),
        (2, -0.5, 0, 0.0, 1),
    ]


def test_a_seat_that_never_decided_has_no_transition() -> None:
    assert script([(0, (1.0, -1.0))], bootstrap="own_turn") == [(1, 1.0, 0, 0.0, 1)]


@pytest.mark.parametrize("seat_to_move", [0, 1])
def test_a_cut_match_by_hand(seat_to_move: int) -> None:
    """Positions 1, 2, 3 were played, 4 is the cut one. Ply 3 pays seat 0 a fourth."""
    plies = [(0, (0.0, 0.0)), (1, (0.0, 0.0)), (0, (0.25, 0.0))]
    own_turn = script(plies, "truncated", seat_to_move, bootstrap="own_turn")
    assert own_turn == [
        (1, 0.0, 3, 0.5, 1),
        (3, 0.25, 4, 0.5, 1) if seat_to_move == 0 else (2, 0.0, 4, 0.5, 1),
    ]
    sign = 1 if seat_to_move == 0 else -1
    zero_sum = script(plies, "truncated", seat_to_move, bootstrap="zero_sum")
    assert zero_sum == [(1, 0.0, 2, 0.5, -1), (2, 0.0, 3, 0.5, -1), (3, 0.25, 4, 0.5, sign)]
    longer = script(plies, "truncated", seat_to_move, bootstrap="zero_sum", n_steps=4)
    assert longer == [
        (1, 0.0625, 4, 0.125, sign),
        (2, 0.0, 4, 0.25, -sign),
        (3, 0.25, 4, 0.5, sign),
    ]


def test_only_seats_that_learn_have_transitions() -> None:
    assert script(WON, bootstrap="own_turn", learns=(False, True)) == [
        (2, 0.0, 4, 0.5, 1),
        (4, -1.0, 0, 0.0, 1),
    ]
    # In zero_sum the other seat's plies still count as steps and as next states.
    assert script(WON, bootstrap="zero_sum", learns=(False, True)) == [
        (2, 0.0, 3, 0.5, -1),
        (4, 0.0, 5, 0.5, -1),
    ]
    assert script(WON, bootstrap="zero_sum", n_steps=2, learns=(False, True)) == [
        (2, 0.0, 4, 0.25, 1),
        (4, -0.5, 0, 0.0, 1),
    ]


def test_an_idle_slot_is_left_alone() -> None:
    game = Script(WON, "terminated")
    assembler = Assembler(game, bootstrap="zero_sum", n_steps=1, gamma=0.5, block=8)
    both, idle = np.ones((1, 2), np.bool_), np.full(1, -1)
    assembler.decide(np.zeros(1, np.int64), both, 0)
    game.step(np.zeros(1, np.int64))
    assembler.settle(np.zeros(1, np.int64))
    for _ in range(3):
        assembler.decide(idle, both, 0)
        game.rewards[:] = 7.0  # of some earlier ply: an idle slot is paid nothing
        assembler.settle(idle)
    assert len(assembler.rows) == 0
    assembler.decide(np.zeros(1, np.int64), both, 0)
    assert assembler.rows["R"].tolist() == [0.0]
    assert assembler.rows["next_observation"][:, 0, 0].tolist() == [2]


def test_the_version_is_that_of_the_decision() -> None:
    """A match goes on into the next round: its open decision keeps the version that made it."""
    game = Script(WON, "terminated")
    assembler = Assembler(game, bootstrap="zero_sum", n_steps=2, gamma=0.5, block=64)
    for version in (3, 3, 4, 5, 8):
        assembler.decide(np.zeros(1, np.int64), np.ones((1, 2), np.bool_), version)
        game.step(np.zeros(1, np.int64))
        assembler.settle(np.zeros(1, np.int64))
    assert assembler.rows["version"].tolist() == [3, 3, 4, 5, 8]


def test_as_many_rows_as_one_tick_can_complete_fit_behind_a_block() -> None:
    """The output has room for a block that is not yet full and a tick in which every decision
    leaves.
    """
    n, steps, block = 3, 4, 5
    game = RandomGame(n, 3, "int8", ends=0.0, cuts=0.0, rng=np.random.default_rng(0))
    game.reset(np.arange(n))
    game.mask[:] = True
    assembler = Assembler(game, bootstrap="own_turn", n_steps=steps, gamma=1.0, block=block)
    learns, actions = np.ones((n, 3), np.bool_), np.zeros(n, np.int64)

    def tick(seat: int, ends: bool) -> None:
        game.seat[:], game.terminated[:] = seat, False
        assembler.decide(actions, learns, 0)
        game.terminated[:] = ends
        assembler.settle(actions)

    for seat in (0, 1, 2):
        for _ in range(steps):
            tick(seat, ends=False)
    assert len(assembler.rows) == 0
    tick(0, ends=False)
    assert len(assembler.rows) == n < block
    tick(0, ends=True)
    assert len(assembler.rows) == 2 * n + n * 3 * steps
