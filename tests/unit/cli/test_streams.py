"""Standard streams that are closed, and pipes whose reader has gone."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from child_processes import HANG

LATER = "import time; from sparring.cli import main; time.sleep(0.3); raise SystemExit(main({!r}))"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "argv",
    [["--help"], ["train", "--help-all"], ["tournament", "--help"], ["games"], ["train", "chses"]],
    ids=" ".join,
)
def test_a_reader_that_goes_away_causes_no_error(argv: list[str], unbuffered: str) -> None:
    """Of standard error too, where a mistake is reported."""
    with subprocess.Popen(
        [sys.executable, "-c", LATER.format(argv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if argv[-1] == "chses" else subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        if process.stderr is not None:
            assert process.stderr.read() == b""
    assert process.returncode == 1


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=HANG, cwd=folder, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "status"), [("games", 0), ("train --help", 0), ("train chses", 2)]
)
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_change_no_exit_status(
    arguments: str, status: int, closed: str, tmp_path: Path
) -> None:
    python = shlex.quote(sys.executable)
    done = shell(f"{python} -m sparring {arguments} {closed}", tmp_path)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "PYTHONUNBUFFERED=1 "])
@pytest.mark.parametrize(
    ("arguments", "full", "status", "lines"),
    [
        ("games", ">/dev/full", 1, 1),
        ("train --help-all", ">/dev/full", 1, 1),
        ("train chses", "2>/dev/full", 2, 0),
        ("games", ">/dev/full 2>/dev/full", 1, 0),
    ],
)
def test_output_that_a_full_disk_does_not_take_is_one_line(
    arguments: str, full: str, status: int, lines: int, unbuffered: str, tmp_path: Path
) -> None:
    done = shell(
        f"{unbuffered}{shlex.quote(sys.executable)} -m sparring {arguments} {full}", tmp_path
    )
    line = "sparring: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (status, line * lines)


def test_a_file_does_not_take_the_place_of_closed_output(tmp_path: Path) -> None:
    script = (
        "import sys; from sparring.cli.streams import open_closed_streams; open_closed_streams(); "
        "file = open('it', 'w'); print('lost', flush=True); sys.exit(file.fileno() <= 2)"
    )
    done = shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} >&-", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "it").read_text() == ""
