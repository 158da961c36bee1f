"""Check of a machine before a long run.

`machine.py` gathers facts, `needs.py` says what the settings of a run ask for, `checks.py` compares
them. Where `sparring train` makes the same check, it says the same line.
"""

from __future__ import annotations

from sparring.config.schema import TrainConfig
from sparring.doctor.checks import CHECKS
from sparring.doctor.findings import Finding, refusal
from sparring.doctor.machine import Machine, look
from sparring.doctor.needs import Needs, needs_of, ray_address_of
from sparring.errors import InputError
from sparring.runtime import default_start_method

__all__ = ["Finding", "examine", "findings"]


def examine(config: TrainConfig) -> list[Finding]:
    """Check this machine for a run with these settings; nothing is left behind.

    Settings with which no run could start are a finding, too; what a run needs beside is then that
    of the smallest one.
    """
    found = []
    try:
        needs = needs_of(config)
    except InputError as error:
        found = [refusal("settings", error)]
        needs = Needs(
            device=config.device, backend=config.backend, ray_address=ray_address_of(config)
        )
    start_method = config.start_method or default_start_method()
    machine = look(
        config.runs_dir,
        start_method,
        processes=needs.starts_processes,
        ray=needs.ray_address,
    )
    return [*found, *findings(machine, needs)]


def findings(machine: Machine, needs: Needs) -> list[Finding]:
    """Run all checks."""
    return [finding for check in CHECKS for finding in check(machine, needs)]
