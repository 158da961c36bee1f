"""`sparring doctor`: one line a finding, with its remedy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparring.cli.streams import fitted, print_json, progress_on_stderr
from sparring.cli.train_options import doctor_form, parse_train
from sparring.errors import counted

if TYPE_CHECKING:
    from sparring.doctor import Finding


def doctor(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring doctor`: 1 if something stands in the way of the run."""
    arguments = parse_train(argv, prog=prog, form_of=doctor_form)
    with progress_on_stderr(arguments.json):
        from sparring.doctor import examine

        found = examine(arguments.config)
    problems = sum(finding.level == "problem" for finding in found)
    if arguments.json:
        entries = [dataclasses.asdict(finding) for finding in found]
        print_json({"passed": not problems, "findings": entries})
    else:
        print_findings(found)
    return 1 if problems else 0


def print_findings(found: Sequence[Finding]) -> None:
    """Print a line a finding, and what follows from all of them."""
    for finding in found:
        print(fitted(f"{finding.level:8} {finding.topic}: {finding.line}", 9))
    counts = {
        level: sum(finding.level == level for finding in found) for level in ("problem", "warning")
    }
    shown = [counted(number, level) for level, number in counts.items() if number]
    rest = "nothing stands in the way of this run" if not counts["problem"] else "see above"
    print(f"{', '.join([*shown, rest])}.")
