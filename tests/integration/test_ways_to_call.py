"""Ways to call `train_dqn` from the root of a checkout, all side by side; and
`python test_parallel.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from child_processes import HANG, wait_until, workers_of

from sparring.storage.run_directory import RunDirectory

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CALL = (
    "from train_dqn import train_dqn; agent = train_dqn(n_episodes=150, num_workers=2{more}); "
    "print('trained', agent.spec.game)"
)
NOTEBOOK = """
import sys, nbclient, nbformat
cells = [nbformat.v4.new_code_cell(code) for code in sys.argv[1:]]
client = nbclient.NotebookClient(
    nbformat.v4.new_notebook(cells=cells), kernel_name="python3",
    timeout=600, startup_timeout=600, iopub_timeout=600,
)
book = client.execute()
print("".join(output.get("text", "") for cell in book.cells for output in cell.outputs))
"""


def environment() -> dict[str, str]:
    path = os.pathsep.join(
        [str(ROOT), os.environ.get("PYTHONPATH", "")]
    )  # as if the checkout were the folder that we are in
    return {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def launch(arguments: list[str], folder: Path, stdin: str | None = None) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment(),
    )
    assert process.stdin is not None
    if stdin is not None:
        process.stdin.write(stdin)
    process.stdin.close()
    process.stdin = None
    return process


def six_calls(folder: Path) -> dict[str, tuple[int, str]]:
    """Six calls at the same time in one folder: by way of calling the exit status and what was
    said.
    """
    call, spawned = CALL.format(more=""), CALL.format(more=", start_method='spawn'")
    for name, script in (("script", call), ("spawning", spawned)):
        (folder / f"{name}.py").write_text(script.replace("; ", "\n"))
    (folder / "guarded.py").write_text(
        "if __name__ == '__main__':\n    " + call.replace("; ", "\n    ")
    )
    running = {
        "an unguarded script": launch(["script.py"], folder),
        "an unguarded script that spawns": launch(["spawning.py"], folder),
        "a guarded script": launch(["guarded.py"], folder),
        "python -c": launch(["-c", call], folder),
        "standard input": launch(["-"], folder, stdin=call.replace("; ", "\n")),
        "a notebook": launch(["-c", NOTEBOOK, *call.split("; ")], folder),
    }
    ended = {}
    for way, process in running.items():
        said, _ = process.communicate(timeout=HANG)
        ended[way] = process.returncode, said
    return ended


def test_train_dqn_is_called_in_six_ways_side_by_side(tmp_path: Path) -> None:
    calls = six_calls(tmp_path)
    for way, (status, said) in calls.items():
        assert status == 0, (way, said)
        assert said.count("trained connect_four") == 1, (way, said)
        assert "Traceback" not in said, way
        assert "failed" not in said, way
    assert "\x1b" not in calls["a notebook"][1], "a notebook gets plain lines"
    runs = tmp_path / "runs"
    assert {path.name for path in runs.iterdir()} == {
        f"connect_four-{number}" for number in range(1, 7)
    }
    agents = set()
    for path in runs.iterdir():
        with RunDirectory.open(runs, path.name) as run:
            assert run.load_checkpoint()["learner"]["updates"] > 0
        agents.add((path / "last.safetensors").read_bytes())
    assert len(agents) == 1, "equal calls, equal agents"


def test_the_short_parallel_run_passes() -> None:
    with launch(["test_parallel.py"], ROOT) as process:
        said, _ = process.communicate(timeout=HANG)
    assert process.returncode == 0, said
    lines = said.splitlines()
    assert len(lines) == 8
    assert all(line.startswith("ok     ") for line in lines)


def test_the_short_parallel_run_fails_with_a_worker() -> None:
    with launch(["test_parallel.py"], ROOT) as process:
        wait_until(lambda: bool(workers_of(process.pid)), pause=0.1)
        workers_of(process.pid)[0].kill()
        said, _ = process.communicate(timeout=HANG)
    assert process.returncode == 1, said
    [line] = said.splitlines()
    assert line.startswith("FAILED 2 worker processes answered")
