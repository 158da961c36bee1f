"""`sparring export`: an agent as an ONNX graph, or as a folder for the Hugging Face Hub."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import tomli_w

from sparring.cli.agent_commands import AGENT, LOADING, faults_kept
from sparring.cli.options import Form, Option, parse_all, switch, whole_number
from sparring.cli.streams import print_json, progress_on_stderr
from sparring.cli.train_options import JSON
from sparring.config.schema import TrainConfig
from sparring.config.sources import read_toml
from sparring.errors import FileFormatError, InputError
from sparring.opponents.found import FoundAgent, find_agent
from sparring.storage.reports import newest_values

_MATCHES: Final = 1000
_PLACES: Final = ("name", "runs_dir", "pool_dir", "ray_address")  # settings of one machine
_REPOSITORY: Final = re.compile(r"([\w.-]+/)?[\w.-]+")
_GRAPH: Final = "with --onnx"
_FOLDER: Final = "with --hub"

EXPORT: Final = Form(
    "Write an agent as an ONNX graph, or for the Hugging Face Hub.",
    [AGENT],
    {
        "options": [
            switch("onnx", "Write an ONNX graph, checked against torch; needs sparring[onnx]."),
            Option("hub", "Write a new folder with the agent and its model card.", "FOLDER"),
            JSON,
        ],
        _GRAPH: [
            Option(
                "out",
                "File of the graph; default: beside the agent's.",
                "FILE",
                synonyms=("output",),
            )
        ],
        _FOLDER: [
            Option(
                "results",
                "Results for the card: what `sparring evaluate --json` has printed. Default: the "
                "agent is evaluated.",
                "FILE",
            ),
            Option(
                "matches",
                "Matches of that evaluation against each opponent.",
                "INT",
                whole_number,
                default=f"{_MATCHES}",
            ),
            Option(
                "push",
                "Send the folder to this repository of huggingface.co, and make it if there is "
                "none; needs sparring[hub].",
                "REPO",
            ),
        ],
        **LOADING,
    },
)


def export(argv: Sequence[str], prog: str) -> int:
    """Answer `sparring export`."""
    given = parse_all(EXPORT, argv, prog=prog)
    _check(given)
    found = find_agent(given.agent, given.runs_dir, game=given.game, network=given.network)
    with progress_on_stderr(given.json), faults_kept(found):  # games may print
        figures = _write_graph(found, given) if given.onnx else _write_folder(found, given)
    if given.json:
        print_json(figures)
    return 0


def _check(given: SimpleNamespace) -> None:
    """Raise `InputError` for options that contradict one another."""
    if given.onnx == (given.hub is not None):
        raise InputError(
            "sparring export",
            got="--onnx and --hub" if given.onnx else "neither --onnx nor --hub",
            expected="one of --onnx and --hub FOLDER",
        )
    group, needed = (_FOLDER, "--hub FOLDER") if given.onnx else (_GRAPH, "--onnx")
    for option in EXPORT.groups[group]:
        if getattr(given, option.name) is not None:
            raise InputError(option.flag, expected=f"{needed} as well")
    if given.results is not None and given.matches is not None:
        raise InputError("--matches with --results", expected="one of them")
    if given.push is not None and not _REPOSITORY.fullmatch(given.push):
        raise InputError("--push", got=repr(given.push), expected="a repository such as me/agent")


def _write_graph(found: FoundAgent, given: SimpleNamespace) -> dict[str, Any]:
    file = found.folder / f"{found.path.stem}.onnx" if given.out is None else Path(given.out)
    if file.resolve() == found.path.resolve():
        raise InputError("--out", got=str(file), expected="another file than the agent's")
    from sparring.cli.evaluate import load_agent
    from sparring.export.graph import onnx_graph
    from sparring.storage.atomic import write_file

    graph = onnx_graph(load_agent(found))
    write_file(file, graph.content)
    print(
        f"{file}: {len(graph.content) / 1e6:,.2f} MB\nin {graph.positions:,} positions of its play "
        f"onnxruntime and torch differ by at most {graph.max_difference:.1e}"
    )
    return {
        "agent": str(found.path),
        "file": str(file),
        "bytes": len(graph.content),
        "positions": graph.positions,
        "max_difference": graph.max_difference,
    }


def _write_folder(found: FoundAgent, given: SimpleNamespace) -> dict[str, Any]:
    from sparring.cli.evaluate import load_agent
    from sparring.export import hub

    folder = Path(given.hub)
    hub.check_folder(folder)
    if given.push is not None:
        hub.client()
    agent = load_agent(found)
    card = hub.model_card(
        agent,
        trained=_trained(found.path.parent),
        settings=_settings(found.path.parent),
        results=_results(found, given),
        repo=given.push,
    )
    hub.write_folder(folder, agent, card)
    print(f"{folder}: agent.safetensors and its card, README.md")
    figures = {"agent": str(found.path), "folder": str(folder), "pushed": None}
    if given.push is not None:
        figures["pushed"] = hub.push(folder, given.push)
        print(f"pushed to {figures['pushed']}")
    return figures


def _results(found: FoundAgent, given: SimpleNamespace) -> str:
    """Text of given results, or of new ones."""
    from sparring.cli import report
    from sparring.cli.evaluate import evaluate_matches

    if given.results is None:
        matches = _MATCHES if given.matches is None else given.matches
        figures = evaluate_matches(found, (), matches=matches, seed=0)
    else:
        figures = _read_results(Path(given.results))
    text = io.StringIO()
    try:
        with redirect_stdout(text):
            report.print_evaluation(figures)
    except (AttributeError, KeyError, TypeError, ValueError, StopIteration):
        raise _no_results(given.results) from None
    if not text.getvalue():
        raise _no_results(given.results)
    return text.getvalue()


def _read_results(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise FileFormatError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise _no_results(file) from None


def _no_results(file: object) -> FileFormatError:
    return FileFormatError(f"{file} is not what `sparring evaluate --json` prints")


def _trained(run: Path) -> str:
    """The length of a run so far; empty where there is none."""
    values = newest_values(run / "metrics.jsonl", "train/n_updates")
    try:
        matches, updates = values["rollout/episodes"], values["train/n_updates"]
        plies = values["plies"]
    except KeyError:
        return ""
    return f"Its run: {matches:,.0f} matches, {plies:,.0f} plies, {updates:,.0f} updates."


def _settings(run: Path) -> str:
    """The settings of a run that are not the defaults, as TOML; empty where there is no run."""
    try:
        config = read_toml(run / "config.toml")
    except FileFormatError:
        return ""
    defaults = TrainConfig().model_dump(mode="json")
    return tomli_w.dumps(
        {
            name: value
            for name, value in config.items()
            if name not in _PLACES and value != defaults.get(name)
        }
    )
