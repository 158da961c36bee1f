"""Ablations of a Connect Four preset: one training per row, each with one part changed, all for the
same wall time.

    python benchmarks/ablations.py  # all rows of the preset quick-dqn, 3 minutes each
    python benchmarks/ablations.py --preset strong-dqn --minutes 10 --row preset --row no_dueling

Exploration and learning rate follow the clock, while those of a normal run follow its matches, so
that every row has the same time. Agents are evaluated greedily on the even rows of the solved
positions in which moves differ in outcome (the odd rows are for choosing hyperparameters), and in
1,000 matches against each of two scripted players.

Every row is appended to OUT/results.jsonl as soon as it is done, and is not trained again with the
same settings and minutes unless `--again` is given: a table can be made in several sittings.
OUT/table.md and OUT/table.png show all results.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import torch
import tyro
from ablation_rows import GAME, ROWS, plan, trained_with

from sparring.config.schema import TrainConfig
from sparring.errors import InputError, SparringError, nearest
from sparring.evaluation import evaluate
from sparring.evaluation import solved_positions as solved
from sparring.opponents.players import NetworkPlayer
from sparring.training import TrainResult, train

POSITIONS: Final = Path(__file__).parents[1] / "tests" / "data" / "connect_four" / "positions.csv"
OPPONENTS: Final = ("one_ply", "minimax:4")
MATCHES: Final = 1_000
EVALUATION_SEED: Final = 1  # the same openings for every row

Record = dict[str, Any]  # a line of results.jsonl


@dataclass(frozen=True)
class Settings:
    """Rows, minutes and files."""

    minutes: float = 3.0
    """Wall time of each training."""
    row: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A row to train, can be repeated; default: all rows."""
    out: Path = Path("benchmarks/results/ablations")
    """Folder for results, agents and pictures."""
    preset: str = "quick-dqn"
    """Preset of Connect Four that the rows change."""
    seed: int = 0
    """Seed of every training."""
    again: bool = False
    """Train rows again that have results; the newest result counts."""


def main(settings: Settings) -> None:
    """Train missing rows, then show all. Raises `SparringError` for invalid options."""
    if not 0.0 < settings.minutes < math.inf:
        raise InputError("--minutes", got=settings.minutes, expected="a positive number")
    for name in settings.row:
        if name not in ROWS:
            raise InputError(
                "unknown row",
                got=repr(name),
                expected=f"one of {', '.join(ROWS)}",
                remedy=nearest(name, ROWS),
            )
    torch.set_num_threads(1)
    configs, left_out = plan(settings.preset, settings.seed)
    for name in settings.row or ROWS:
        if name in left_out:
            print(f"{name} is left out: {left_out[name]}")
        elif not settings.again and name in results(settings, {name: configs[name]}):
            print(f"{name} has a result already")
        else:
            keep(settings.out / "results.jsonl", trained_row(settings, name, configs[name]))
    show(settings, results(settings, configs))


def trained_row(settings: Settings, name: str, config: TrainConfig) -> Record:
    """Train and evaluate one row."""
    print(f"{name}: {ROWS[name].why}", flush=True)
    result = trained(settings, name, config)
    key = {
        "row": name,
        "why": ROWS[name].why,
        "preset": settings.preset,
        "minutes": settings.minutes,
        "settings": trained_with(config),
    }
    counts = {
        "matches": result.episodes,
        "plies": result.plies,
        "updates": result.updates,
        "seconds": result.seconds,
    }
    return {
        **key,
        **counts,
        "agent": str(result.agent.relative_to(settings.out)),
        **evaluated(result),
    }


def trained(settings: Settings, name: str, config: TrainConfig) -> TrainResult:
    """Train; keep agents and metrics of the run. Raises KeyboardInterrupt if Ctrl-C ended it."""
    runs = settings.out / "runs"
    free = next(run for n in itertools.count(1) if not (runs / (run := f"{name}-{n}")).exists())
    changes = {"max_minutes": settings.minutes, "name": free, "runs_dir": str(runs)}
    result = train(config.model_copy(update=changes), console=False)
    for checkpoint in (result.run / "checkpoints").iterdir():
        shutil.rmtree(checkpoint)  # the replay, mostly
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def evaluated(result: TrainResult) -> dict[str, Any]:
    """Value-preserving shares where moves differ, and results of matches."""
    player = NetworkPlayer("agent", result.trained.policy())
    shares: dict[str, Any] = {}
    rows: solved.Rows
    for rows in ("even", "odd"):
        positions = solved.load_positions(POSITIONS, rows)
        shares[rows] = solved.play_positions(
            player, positions, solved.set_up_positions(positions), seed=EVALUATION_SEED
        ).matters.as_dict()
    return {**shares, **evaluate(player, GAME, OPPONENTS, matches=MATCHES, seed=EVALUATION_SEED)}


def keep(path: Path, record: Record) -> None:
    """Append one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, sort_keys=True) + "\n")


def read(settings: Settings) -> list[Record]:
    """All lines of OUT/results.jsonl."""
    path = settings.out / "results.jsonl"
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if path.exists()
        else []
    )


def results(settings: Settings, configs: Mapping[str, TrainConfig]) -> dict[str, Record]:
    """The newest result of each row that has one, the best agent first."""
    newest = {
        json.dumps([one["minutes"], one["settings"]], sort_keys=True): one for one in read(settings)
    }
    keys = {
        name: json.dumps([settings.minutes, trained_with(config)], sort_keys=True)
        for name, config in configs.items()
    }
    found = {name: newest[key] for name, key in keys.items() if key in newest}
    return dict(sorted(found.items(), key=lambda item: -item[1]["even"]["value_preserving"]))


def show(settings: Settings, found: Mapping[str, Record]) -> None:
    """The table on standard output and in OUT/table.md, the picture in OUT/table.png."""
    if not found:
        return
    print("\n".join(table(found)))
    (settings.out / "table.md").write_text(
        "\n".join(markdown(settings, found)) + "\n", encoding="utf-8"
    )
    from dots import save_dots  # matplotlib is an extra

    even = [record["even"] for record in found.values()]
    save_dots(
        settings.out / "table.png",
        list(found),
        [one["value_preserving"] for one in even],
        [tuple(one["interval95"]) for one in even],
        xlabel="value-preserving moves, where moves differ",
        title=f"Connect Four, {settings.minutes:g} minutes a row",
        marked="preset",
    )


def table(found: Mapping[str, Record]) -> list[str]:
    """At most 80 columns wide."""
    names = (
        f"{'':17}{'even':>6}{'95 %':>13}{'odd':>7}"
        + "".join(f"{name:>10}" for name in OPPONENTS)
        + f"{'matches':>11}{'s':>6}"
    )
    lines = ["value-preserving share where moves differ (even, odd rows); scores", names]
    for name, record in found.items():
        even, odd = record["even"], record["odd"]
        low, high = even["interval95"]
        scores = "".join(f"{record['opponents'][other]['score']:10.3f}" for other in OPPONENTS)
        shares = f"{even['value_preserving']:6.3f}{f'{low:.3f}-{high:.3f}':>13}"
        shares += f"{odd['value_preserving']:7.3f}"
        lines.append(f"{name:17}{shares}{scores}{record['matches']:11,}{record['seconds']:6.0f}")
    return lines


def markdown(settings: Settings, found: Mapping[str, Record]) -> list[str]:
    """The same as a table for GitHub, with more columns."""
    names = [
        "row",
        "what is different",
        "even rows",
        "odd rows",
        *OPPONENTS,
        "matches",
        "plies",
        "updates",
        "s",
    ]
    lines = [
        f"Connect Four, preset {settings.preset}, {settings.minutes:g} minutes a row, "
        f"seed {settings.seed}.",
        "",
    ]
    lines += [f"| {' | '.join(names)} |", f"|---|---|{'---:|' * (len(names) - 2)}"]
    for name, record in found.items():
        cells = [name, record["why"]]
        cells += [
            with_interval(record[rows]["value_preserving"], record[rows]["interval95"])
            for rows in ("even", "odd")
        ]
        cells += [
            with_interval(one["score"], one["interval95"])
            for one in (record["opponents"][other] for other in OPPONENTS)
        ]
        cells += [f"{record[count]:,.0f}" for count in ("matches", "plies", "updates", "seconds")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def with_interval(value: float, interval: list[float]) -> str:
    """As in "0.712 (0.690 to 0.733)"."""
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings, description=__doc__))
    except SparringError as error:
        print(f"ablations: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
