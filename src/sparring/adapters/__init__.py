"""Games of other libraries behind the batched protocol, named by their scheme: `openspiel:go(board_size=5)`, `pettingzoo:classic/chess-v6`.

Each module offers `make(name, num_slots)`, and is imported only when a game of its library is asked for. Both turn one match of their
library into a `Match`, which `LoopedGame` carries.
"""
