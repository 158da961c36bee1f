"""Pictures of runs and tournaments, as PNG files. Only the command line imports this room, when it
needs it.
"""

from __future__ import annotations

from sparring.errors import InputError

try:
    import matplotlib as _matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise InputError(
        "pictures need a library that is not here",
        got=str(error),
        remedy="pip install 'sparring[plot]'",
    ) from None
