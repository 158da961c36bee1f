"""Play in the browser. Only `sparring play --web` imports this room."""

from __future__ import annotations

from sparring.errors import InputError

try:
    import fastapi as _fastapi  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401
except ModuleNotFoundError:
    raise InputError("--web needs fastapi and uvicorn: pip install 'sparring[web]'") from None
