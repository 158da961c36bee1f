"""Standard output for results, standard error for progress."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def progress_on_stderr(wanted: bool) -> Iterator[None]:
    """Redirect what is printed to standard error: standard output is for the one JSON object."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def print_json(values: Mapping[str, Any]) -> None:
    """Print `values` as one line of JSON."""
    print(json.dumps(values, allow_nan=False))
