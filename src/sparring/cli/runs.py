"""Commands about runs: `runs`, `watch`, `compare`.

None takes a lock or writes into a run, so it may be training. matplotlib is imported only where
something is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sparring.cli.agent_commands import RUNS_DIR
from sparring.cli.options import Argument, Form, Option, parse_all
from sparring.cli.streams import fitted, print_json, progress_on_stderr, terminal_columns
from sparring.cli.train_options import JSON
from sparring.config.sources import AUTO, read_toml
from sparring.errors import FileFormatError, InputError, Interrupted
from sparring.storage.reports import newest_values
from sparring.storage.run_directory import find_run, runs_in, state_of

_EPISODES: Final = "rollout/episodes"
_SCORE: Final = "eval/score"
_WINS: Final = "eval/win_rate/"
_RETURNS: Final = "eval/return/"
_HEAD: Final = ("run", "game", "state", "matches", "size", "score", "against")
_NUMBERS: Final = ("matches", "size", "score")

RUNS: Final = Form(
    "List the runs: game, state, matches, strength at the newest evaluation, size on disk.",
    [],
    {"options": [RUNS_DIR, JSON]},
)


@dataclass(frozen=True)
class Summary:
    """One run. `game`, `matches`, `score` and `reported` are None while unknown, `win_rates` and
    `mean_returns` are by opponent, `reported` is the time of the newest report in seconds since
    1970, `bytes` the size of all its files.
    """

    name: str
    game: str | None
    state: str
    reason: str
    matches: int | None
    score: float | None
    win_rates: Mapping[str, float]
    mean_returns: Mapping[str, float]
    bytes: int
    reported: float | None


def runs(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring runs`."""
    given = parse_all(RUNS, argv, prog=prog)
    folder = Path(given.runs_dir)
    found = summaries(folder)
    populations = sorted(path.parent.name for path in folder.glob("*/population.json"))
    if given.json:
        print_json({"runs": [asdict(run) for run in found], "populations": populations})
        return 0
    print("\n".join(_table(found)) if found else f"no runs in {folder}; sparring train starts one")
    for name in populations:
        print(f"population {name}: sparring runs --runs-dir {folder / name}")
    return 0


def summaries(folder: Path) -> list[Summary]:
    """The runs in a directory, the one with the newest report first."""
    return sorted(map(_summary, runs_in(folder)), key=lambda run: run.reported or 0, reverse=True)


def _summary(run: Path) -> Summary:
    state, values = state_of(run), newest_values(run / "metrics.jsonl", _SCORE)
    matches = values.get(_EPISODES)
    return Summary(
        name=run.name,
        game=game_of(run),
        state=state.state,
        reason=state.reason,
        matches=None if matches is None else int(matches),
        score=values.get(_SCORE),
        win_rates=_below(_WINS, values),
        mean_returns=_below(_RETURNS, values),
        bytes=sum(_sizes(run)),
        reported=values.get("wall_time"),
    )


def game_of(run: Path) -> str | None:
    """The game in the configuration of a run."""
    try:
        game = read_toml(run / "config.toml").get("game")
    except FileFormatError:
        return None
    return game if isinstance(game, str) else None


def _below(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    return {tag.removeprefix(prefix): v for tag, v in values.items() if tag.startswith(prefix)}


def _sizes(folder: Path) -> Iterator[int]:
    """Sizes of all files; a training may delete some meanwhile."""
    for path in folder.rglob("*"):
        try:
            yield 0 if path.is_dir() else path.lstat().st_size
        except OSError:
            continue


def _table(found: Sequence[Summary]) -> Iterator[str]:
    """Lines of the table; what stands in its last column has lines of its own where the terminal is
    too narrow.
    """
    rows = [_HEAD, *map(_row, found)]
    lines = _aligned(rows)
    if max(map(len, lines)) <= terminal_columns():
        yield from lines
        return
    for line, (*_, against) in zip(_aligned([row[:-1] for row in rows]), rows, strict=True):
        yield line
        if against:
            yield fitted(f"  {against}", 2)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows with columns of equal width, numbers at their right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:>{width}}" if _HEAD[place] in _NUMBERS else f"{cell:{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(run: Summary) -> tuple[str, ...]:
    strength = [f"{name} {100 * share:.0f} %" for name, share in run.win_rates.items()]
    if not strength:
        strength = [f"{name} {value:+.3g}" for name, value in run.mean_returns.items()]
    return (
        run.name,
        run.game or "?",
        run.state,
        "-" if run.matches is None else f"{run.matches:,}",
        f"{run.bytes / 1e6:,.1f} MB",
        "-" if run.score is None else f"{run.score:.3g}",
        ", ".join(strength),
    )


WATCH: Final = Form(
    "Show the console of a run from another terminal, until it ends.",
    [Argument("run", "RUN", "Run name or run directory.")],
    {"options": [RUNS_DIR]},
)


def watch(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring watch`."""
    given = parse_all(WATCH, argv, prog=prog)
    run = find_run(given.runs_dir, given.run)
    n_episodes, max_minutes = _length_of(run)
    from sparring.monitor import console_of
    from sparring.monitor.watch import WatchedRun

    console = console_of(quiet=False)
    try:
        WatchedRun(run, n_episodes=n_episodes, max_minutes=max_minutes, console=console).show()
    except Interrupted as stop:
        raise Interrupted("the run itself goes on", stop.signal) from None
    return int(console.quiet)  # the output could not be written


def _length_of(run: Path) -> tuple[int, float | None]:
    """Matches, and minutes if these are its length. Raises `FileFormatError`."""
    file = run / "config.toml"
    config = read_toml(file)
    matches, minutes = config.get("n_episodes"), config.get("max_minutes", AUTO)
    if not isinstance(matches, int) or matches < 1:
        raise FileFormatError(f"{file} has no n_episodes", got=repr(matches))
    if isinstance(minutes, int | float) and minutes > 0:
        return matches, minutes
    return matches, None


_MOST_RUNS: Final = 8
COMPARE: Final = Form(
    "Draw the curves of several runs in one picture: score, win rates, loss, Q-values over plies.",
    [Argument("runs", "RUN", "Run names or run directories, 2 to 8.", many=True)],
    {
        "options": [
            Option(
                "out",
                "The PNG file.",
                "FILE",
                default="comparison.png",
                absent="comparison.png",
            ),
            RUNS_DIR,
            JSON,
        ]
    },
)


def compare(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring compare`."""
    given = parse_all(COMPARE, argv, prog=prog)
    paths = list(dict.fromkeys(find_run(given.runs_dir, run) for run in given.runs))
    if not 2 <= len(paths) <= _MOST_RUNS:
        raise InputError(
            "compare", got=f"{len(paths)} runs", expected=f"2 to {_MOST_RUNS} different ones"
        )
    with progress_on_stderr(given.json):
        from sparring.plot.compare import save_comparison
        from sparring.plot.metrics import read_metrics

        metrics = [read_metrics(path / "metrics.jsonl") for path in paths]
        save_comparison(
            Path(given.out), dict(zip(_labels(paths), metrics, strict=True)), _games(paths)
        )
        print(given.out)
    if given.json:
        figures: dict[str, Any] = {"runs": [str(path) for path in paths], "picture": given.out}
        print_json(figures)
    return 0


def _labels(paths: Sequence[Path]) -> list[str]:
    """Names of the runs, their paths where two have the same name."""
    names = [path.resolve().name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _games(paths: Sequence[Path]) -> str:
    return ", ".join(dict.fromkeys(game_of(path) or "?" for path in paths))
