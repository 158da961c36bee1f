"""`sparring play GAME --web` as it is typed, with the agent that comes along."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from child_processes import HANG
from trial_runs import COMMAND

pytest.importorskip("fastapi", reason="sparring[web] is not installed")
pytest.importorskip("uvicorn", reason="sparring[web] is not installed")

pytestmark = pytest.mark.slow


def ask(address: str, **body: Any) -> Any:
    sent = json.dumps(body).encode() if body else None
    request = Request(address, sent, {"content-type": "application/json"})
    with urlopen(request, timeout=HANG) as answer:
        return json.load(answer)


def test_the_page_comes_from_an_empty_directory_and_ends_by_ctrl_c(tmp_path: Path) -> None:
    words = [*COMMAND, "play", "tic_tac_toe", "--web", "--no-browser", "--seat", "1"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "in the browser" in process.stdout.readline()
        address = process.stdout.readline().strip()
        facts = ask(f"{address}api/facts")
        assert facts["first"]["players"] == ["agent", None]
        assert [level["name"] for level in facts["levels"]] == ["agent"]
        first = {"seed": facts["first"]["seed"], "match": 1, "moves": []}
        assert ask(f"{address}api/reply", **first, player="agent")["movers"] == [0]
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG) == 130
    assert not list(tmp_path.iterdir())
