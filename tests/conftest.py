"""Settings of all tests: no example of a property fails by the clock, because the machine may be
busy.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

# Compiled code is kept once per checkout, for all tests and the processes that they start.
os.environ.setdefault("SPARRING_CACHE_DIR", str(Path(__file__).parents[1] / ".cache" / "sparring"))

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
