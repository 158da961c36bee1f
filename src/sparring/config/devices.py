"""Names of devices, and what several learners (ranks), one for each, need of the other settings."""

from __future__ import annotations

from typing import Any, Final

from sparring.errors import ConfigurationError

_GPU: Final = r"cuda:(0|[1-9][0-9]?)"  # torch wraps higher numbers around; no leading zero
DEVICE_PATTERN: Final = rf"^(auto|cpu|cuda|{_GPU})$"
DEVICES_PATTERN: Final = rf"^(cpu:([2-9]|[1-9][0-9])|{_GPU}(,{_GPU})+)$"


def device_names(devices: str) -> list[str]:
    """Return the device of each rank: "cpu:2" stands for cpu and cpu."""
    kind, _, count = devices.partition(":")
    return [kind] * int(count) if kind == "cpu" else devices.split(",")


def num_ranks(devices: str | None) -> int:
    """Return the number of learners of a run; None stands for one."""
    return 1 if devices is None else len(device_names(devices))


def check_ranks(options: Any) -> None:
    """Raise `ConfigurationError` if the settings of a run cannot be shared out over its ranks."""
    ranks = num_ranks(options.devices)
    for field in ("batch_size", "buffer_size"):
        if getattr(options, field) % ranks:
            raise ConfigurationError(
                f"{field} cannot be shared out over the {ranks} devices",
                got=getattr(options, field),
                expected=f"a multiple of {ranks}",
            )
    if ranks > 1 and options.learning_starts < ranks:
        raise ConfigurationError(
            "learning_starts",
            got=options.learning_starts,
            expected=f"at least {ranks}: one transition for each of the {ranks} devices",
        )
