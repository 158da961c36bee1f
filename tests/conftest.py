"""No example of a property fails by the clock: how long one takes is a matter of what else the
machine does.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
