"""Commands about games and the machine: `games`, `check-game`, `replay`, `bench`.

torch and the games are imported only after the command line was checked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from sparring.bench import PARTS, check_parts, check_seconds
from sparring.cli.options import Argument, Form, Option, parse_all, real_number
from sparring.cli.streams import print_json, progress_on_stderr
from sparring.cli.train_options import JSON

GAMES: Final = Form("List the games that come with Sparring.", [], {"options": []})


def games(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring games`."""
    parse_all(GAMES, argv, prog=prog)
    from sparring.cli import report
    from sparring.games import names, player_numbers, spec_of

    report.print_games([(spec_of(name), player_numbers(name)) for name in names()])
    return 0


CHECK_GAME: Final = Form(
    "Check a game for bugs and say how to fix them. Exit status 1 if there are any.",
    [Argument("game", "GAME", "Game name, or module:Class for your own.")],
    {"options": [JSON]},
)


def check_game(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring check-game`."""
    given = parse_all(CHECK_GAME, argv, prog=prog)
    from sparring import conformance
    from sparring.games import make

    with progress_on_stderr(given.json):  # games may print
        found = conformance.check(partial(make, given.game), given.game)
    if given.json:
        findings = [dataclasses.asdict(finding) for finding in found.findings]
        figures = {
            "matches": found.matches,
            "plies": found.plies,
            "kinds": found.checks,
            "kinds_left": found.left,
        }
        print_json({"game": found.game, "passed": found.passed, **figures, "findings": findings})
    else:
        print(found)
    return 0 if found.passed else 1


REPLAY: Final = Form(
    "Replay a match in which a game failed. Exit status 1 if it fails again.",
    [Argument("file", "FILE", "File in the folder faults of a run.")],
    {
        "options": [
            Option("game", "Game to play; naming module:Class allows importing it.", "NAME"),
            JSON,
        ]
    },
)


def replay(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring replay`."""
    given = parse_all(REPLAY, argv, prog=prog)
    from sparring.cli import replay as replaying

    with progress_on_stderr(given.json):
        figures = replaying.replay(Path(given.file), given.game)
    if given.json:
        print_json(figures)
    return 1 if figures["again"] else 0


BENCH: Final = Form(
    "Measure how fast this machine trains: each part, and how close it is to the hardware limit. "
    "About ten minutes for everything.",
    [],
    {
        "options": [
            Option(
                "part",
                f"{', '.join(PARTS)}; may be repeated. Default: all.",
                "NAME",
                takes="repeated",
                absent=(),
            ),
            Option(
                "seconds",
                "Seconds per measurement; each side of a comparison has five.",
                "FLOAT",
                real_number,
                default="0.7",
                absent=0.7,
            ),
            JSON,
        ]
    },
)


def bench(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring bench`."""
    given = parse_all(BENCH, argv, prog=prog)
    parts, seconds = check_parts(given.part), check_seconds(given.seconds)
    with progress_on_stderr(given.json):
        from sparring.bench.run import run

        report = run(parts, seconds)
    if given.json:
        print_json(report)
    return 0
