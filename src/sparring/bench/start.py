"""Time that a crew of workers takes to answer after the start of the fork server, and the memory
that each has for itself.

    python -m sparring.bench.start 46 bfloat16

A program of its own, because one fork server serves a process for all its life. The last line is
{"seconds", "private_bytes": [...]}.
"""

from __future__ import annotations

import json
import sys
import time

from sparring.bench.work import MLP
from sparring.bench.workers import Weighed, open_crew

_FIRST_ANSWER = 1  # match


def main(count: int, precision: str) -> None:
    """Start `count` workers, and print."""
    begun = time.perf_counter()
    with open_crew(MLP, count, precision, body=Weighed) as crew:
        crew.start(_FIRST_ANSWER)
        crew.finish()
        seconds = time.perf_counter() - begun
        for _ in range(2):  # after which everything that a round needs has been touched
            crew.start()
            crew.finish()
        private = (
            [state["private_bytes"] for state in crew.states()] if sys.platform == "linux" else []
        )
    print(json.dumps({"seconds": seconds, "private_bytes": private}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
