"""Ludo for two, three and four players; the rules stand in `docs/games/ludo.md`.

`rules.py` is written for any number of seats, which it reads off the shape of a state; `two.py`,
`three.py` and `four.py` declare one each.
"""
