"""Look-ahead in solved Connect Four positions: milliseconds of one core a move, many positions
searched together and one by one, and the share of moves that keep the value.

    python benchmarks/lookahead.py AGENT --depths 1 2 4 6 --positions 500
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from sparring.dqn.agent import DQNAgent
from sparring.dqn.tree_search import Lookahead
from sparring.evaluation import solved_positions as solved
from sparring.opponents.lookahead import agent_player

FILE = Path(__file__).parents[1] / "tests" / "data" / "connect_four" / "positions.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("agent")
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 1, 2, 4, 6])
    parser.add_argument("--positions", type=int, default=2500, help="of the odd rows")
    parser.add_argument("--alone", type=int, default=20, help="searched one by one")
    parser.add_argument("--nodes", type=int, help="positions that the search of a move may look at")
    given = parser.parse_args()
    torch.set_num_threads(1)
    policy = DQNAgent.load(given.agent).policy()
    positions = solved.load_positions(FILE, "odd")
    game = solved.set_up_positions(positions)
    slots = np.linspace(0, game.num_slots - 1, given.positions).astype(np.int64)
    keeping = positions.keeping
    for depth in given.depths:
        player = agent_player("agent", policy, lookahead=Lookahead(depth, given.nodes))
        player.act(game, slots[:1], np.ones((1, 2)))  # compiles
        started = time.process_time()
        actions = player.act(game, slots, np.ones((len(slots), 2)))
        together = (time.process_time() - started) / len(slots)
        some = slots[:: max(1, len(slots) // given.alone)]
        started = time.process_time()
        alone = [player.act(game, slot, np.ones((1, 2)))[0] for slot in some[:, None]]
        one = (time.process_time() - started) / len(some)
        kept = keeping[slots, actions].mean()
        same = np.mean(actions[:: max(1, len(slots) // given.alone)] == alone)
        print(
            f"depth {depth}: {1e3 * together:8.3f} ms a move together, {1e3 * one:8.3f} ms alone; "
            f"{kept:.4f} of {len(slots)} moves keep the value; {same:.0%} of moves alike",
            flush=True,
        )


if __name__ == "__main__":
    main()
