"""What the conformance checks answer, laid out for people."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from sparring.games.conformance.findings import Finding

_WIDTH = 80  # columns


@dataclass
class Report:
    """What was checked, on how much play, and what was found. Each of the `checks` looks for one kind of mistake."""

    game: str = ""
    checks: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    matches: int = 0
    plies: int = 0
    cut_after: int = 0  # plies after which the check left matches that went on
    left: int = 0  # kinds that were not looked for, because what was found would show in them too

    @property
    def passed(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        """The verdict, what was done for it, then a paragraph for each finding."""
        verdict = f"{self.game}: {len(self.findings) or 'no'} finding{'s' * (len(self.findings) != 1)}"
        looked = (
            f"{len(self.checks)} kind{'s' * (len(self.checks) != 1)} of mistake looked for in {self.matches} matches, {self.plies} plies"
        )
        cut = [f"matches left after {self.cut_after} plies: longer ones take too much time or memory"] if self.cut_after else []
        left = [f"{self.left} more to look for once this is mended"] if self.left else []
        paragraphs = [_paragraph(number, finding) for number, finding in enumerate(self.findings, 1)]
        return "\n\n".join(["\n".join([verdict, looked, *cut, *left]), *paragraphs])


def _paragraph(number: int, finding: Finding) -> str:
    parts = {"got": finding.got, "expected": finding.expected, "mend": finding.remedy}
    lines = [_hanging(f"   {label:<9} ", text) for label, text in parts.items()]
    return "\n".join([_hanging(f"{number}. ", f"{finding.check}: {finding.what}"), *lines])


def _hanging(label: str, text: str) -> str:
    """`text` behind `label`, its later lines indented below its first."""
    return textwrap.fill(
        text, _WIDTH, initial_indent=label, subsequent_indent=" " * len(label), break_long_words=False, break_on_hyphens=False
    )
