"""`sparring train` and `sparring resume`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparring.cli.signals import print_result
from sparring.cli.streams import print_json, progress_on_stderr, say
from sparring.cli.train_options import parse_resume, parse_train

if TYPE_CHECKING:
    from sparring.training import TrainResult


def train(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring train`; an unknown game is reported without waiting for torch."""
    arguments = parse_train(argv, prog=prog)
    from sparring.games import check_name

    check_name(arguments.config.game)
    with progress_on_stderr(arguments.json):
        from sparring import training

        result = training.train(arguments.config)
    return _report(result, as_json=arguments.json)


def resume(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring resume`; an unknown run is reported without waiting for torch."""
    arguments = parse_resume(argv, prog=prog)
    from sparring.storage.run_directory import RunDirectory

    with RunDirectory.open(arguments.runs_dir, arguments.run):
        pass
    with progress_on_stderr(arguments.json):
        from sparring import training

        result = training.resume(
            arguments.run,
            runs_dir=arguments.runs_dir,
            overrides=arguments.overrides,
            learner_from=arguments.learner_from,
        )
    return _report(result, as_json=arguments.json)


def _report(result: TrainResult, *, as_json: bool) -> int:
    """Print the result, and return the exit status: 128 + the signal that stopped the run."""
    print_result(lambda: _print(result, as_json=as_json), stopped=result.interrupted)
    return 128 + result.signal if result.interrupted else 0


def _print(result: TrainResult, *, as_json: bool) -> None:
    from sparring.cli import report
    from sparring.storage.run_directory import FAULTS, as_argument
    from sparring.training import faults_saved

    if as_json:
        print_json(report.training_figures(result))
    else:
        with faults_saved(result.run / FAULTS):
            report.print_training(result)
    if result.interrupted:
        again = f"{report.command()} resume {as_argument(result.run)}"
        say(f"interrupted; saved. Continue with: {again}")
