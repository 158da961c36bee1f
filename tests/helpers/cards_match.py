"""A game of three with chance and hidden cards: each seat may change its card once for another, and
the highest card wins.
"""

from __future__ import annotations

import numpy as np

from sparring.games import GameSpec


class Cards:
    """Action 0 keeps the card, 1 draws another. Cards are 1 to 99; seats with equal highest cards
    share the win.
    """

    spec = GameSpec(
        num_players=3, num_actions=2, observation_shape=(2,), observation_dtype="int8", max_plies=3,
        chance=True, hidden_information=True,
    )  # fmt: skip

    def reset(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.seat = 0
        self.cards = [int(card) for card in rng.integers(1, 100, 3)]

    def mask(self) -> list[bool]:
        return [True, True]

    def observe(self, seat: int) -> list[int]:
        return [self.cards[seat], self.seat]

    def step(self, action: int) -> tuple[list[float] | None, bool]:
        if action == 1:
            self.cards[self.seat] = int(self.rng.integers(1, 100))
        self.seat += 1
        if self.seat < 3:
            return None, False
        self.seat = 0
        best = [card == max(self.cards) for card in self.cards]
        return [1.0 / sum(best) if won else 0.0 for won in best], True

    def __str__(self) -> str:
        return " ".join(f"card {card}" for card in self.cards)

    def action_text(self, action: int) -> str:
        return ("keep", "draw")[action]
