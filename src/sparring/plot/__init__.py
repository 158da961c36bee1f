"""Pictures of runs and tournaments, as PNG files. Only commands that draw import this room."""

from __future__ import annotations

from sparring.errors import InputError

try:
    import matplotlib as _matplotlib  # noqa: F401
except ModuleNotFoundError:
    raise InputError("plotting needs matplotlib: pip install 'sparring[plot]'") from None
