"""Backgammon without a doubling cube; the rules stand in `docs/games/backgammon.md`.

`rules.py` has the rules. The modules `winloss.py` and `full.py` declare one way of scoring each.
"""
