"""Runs inside GNU Backgammon's own Python: values boards that come through a pipe, at 0 plies.

    gnubg -t -q -r -p gnubg_inside.py

The environment variable GNUBG_PIPES names two file descriptors. From the first it reads the number
of boards as a line, then 50 bytes for each: 25 counts of the seat that has moved, 25 of the seat
that throws next, points 1 to 24 and the bar. To the second it writes a line for each board: the
chances of the seat that throws next to win, to win a gammon, a backgammon, to lose a gammon, a
backgammon.
"""

import os

import gnubg

reads, writes = (int(number) for number in os.environ["GNUBG_PIPES"].split())
boards, answers = os.fdopen(reads, "rb"), os.fdopen(writes, "w")
money = gnubg.cubeinfo(1, -1, 0, 0, (0, 0), 0)
exactly = gnubg.evalcontext(0, 0, 1, 0, 0.0)  # no cube, 0 plies, deterministic, no noise
for line in boards:
    for _ in range(int(line)):
        board = boards.read(50)
        chances = gnubg.evaluate((tuple(board[:25]), tuple(board[25:])), money, exactly)
        answers.write(" ".join(map(repr, chances[:5])) + "\n")
    answers.flush()
