"""Time from the start of the fork server until all of a group of workers have answered, and the
private memory of each.

    python -m sparring.bench.start 46 bfloat16

A program of its own, because a process has one fork server for its whole life. The last line is
{"seconds", "private_bytes": [...]}.
"""

from __future__ import annotations

import json
import sys
import time

from sparring.bench.work import MLP
from sparring.bench.workers import MemoryReporter, open_group

_FIRST_ANSWER = 1  # match


def main(count: int, precision: str) -> None:
    """Start `count` workers, and print."""
    begun = time.perf_counter()
    with open_group(MLP, count, precision, body=MemoryReporter) as group:
        group.start(_FIRST_ANSWER)
        group.finish()
        seconds = time.perf_counter() - begun
        for _ in range(2):  # afterwards all memory that a round needs has been touched
            group.start()
            group.finish()
        private = (
            [state["private_bytes"] for state in group.states()] if sys.platform == "linux" else []
        )
    print(json.dumps({"seconds": seconds, "private_bytes": private}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
