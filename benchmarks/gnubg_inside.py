"""Runs inside GNU Backgammon's own Python: answers positions that come through a pipe with the best
moves at 0 plies.

    gnubg -t -q -r -p gnubg_inside.py

The environment variable GNUBG_PIPES names two file descriptors. From the first it reads the number
of positions as a line, then 52 bytes for each: 25 counts of the other seat's checkers, 25 of the
seat that moves, each by its own points from 1 to 24 and then the bar, and the two dice. To the
second it writes a line for each: from and to of each checker that moves, 25 for the bar and 0 for
off.
"""

import os

import gnubg

reads, writes = (int(number) for number in os.environ["GNUBG_PIPES"].split())
positions, answers = os.fdopen(reads, "rb"), os.fdopen(writes, "w")
money = {**gnubg.cubeinfo(1, -1, 0, 0, (0, 0), 0), "jacoby": 0}  # gammons count without a cube
exactly = gnubg.evalcontext(0, 0, 1, 0, 0.0)  # cubeless, 0 plies, deterministic, no noise
for line in positions:
    for _ in range(int(line)):
        row = tuple(positions.read(52))
        move = gnubg.findbestmove((row[:25], row[25:50]), money, exactly, row[50:])
        answers.write(" ".join(map(str, move)) + "\n")
    answers.flush()
