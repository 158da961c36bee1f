"""Ludo for two, three and four players; the rules stand in `docs/games/ludo.md`.

`rules.py` is written for any number of seats, which it reads off the shape of a state. The modules
`facts_P.py` and `raw_P.py` declare one number P and one observation each.
"""
