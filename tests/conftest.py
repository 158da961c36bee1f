"""No example of a property fails by the clock: how long one takes is a matter of what else the
machine does.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

# Compiled code is kept once per checkout, for all tests and the processes that they start.
os.environ.setdefault("SPARRING_CACHE_DIR", str(Path(__file__).parents[1] / ".cache" / "sparring"))

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
