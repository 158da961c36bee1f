"""A folder as the Hugging Face Hub expects it: the agent file and a model card, `README.md`."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Final

from sparring.dqn.agent import DQNAgent
from sparring.dqn.networks import FACTORIES
from sparring.errors import InputError, SparringError
from sparring.games import is_built_in
from sparring.storage.atomic import write_file

_AGENT: Final = "agent.safetensors"
_CARD: Final = "README.md"
_LOADING: Final = """\
import numpy as np
{imports}from sparring import DQNAgent
from sparring.games import make

agent = DQNAgent.load({arguments})
game = make(agent.spec.game, num_slots=1)
game.reset(np.array([0]), np.array([1], np.uint64))  # slot 0, random seed 1
print(agent.act(game))  # its move"""


def check_folder(folder: Path) -> None:
    """Raise `InputError` if a file would be overwritten."""
    taken = [path for path in (folder / _AGENT, folder / _CARD) if path.exists()]
    if folder.exists() and not folder.is_dir():
        taken = [folder]
    if taken:
        raise InputError(f"{taken[0]} is already there", remedy="choose another folder")


def client() -> ModuleType:
    """huggingface_hub. Raises `InputError` where it is not installed."""
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise InputError("--push needs huggingface_hub: pip install 'sparring[hub]'") from None
    module: ModuleType = huggingface_hub
    return module


def write_folder(folder: Path, agent: DQNAgent, card: str) -> None:
    """Write the agent and its card. Raises `StorageError`."""
    write_file(folder / _AGENT, agent.to_bytes())
    write_file(folder / _CARD, card.encode())


def push(folder: Path, repo: str) -> str:
    """Send the two files to the repository, which is made if need be; return its address.

    Raises `SparringError` if it fails: the library's errors are of many kinds.
    """
    api = client().HfApi()
    try:
        address = api.create_repo(repo, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            allow_patterns=[_AGENT, _CARD],
            commit_message="Agent and card, by sparring export",
        )
    except Exception as error:
        reason = " ".join(str(error).split())
        raise SparringError(
            f"{repo} was not pushed: {type(error).__name__}: {reason:.200}; {folder} is complete, "
            f"so after `hf auth login` try: hf upload {repo} {folder}"
        ) from error
    return str(address)


def model_card(
    agent: DQNAgent, *, trained: str, settings: str, results: str, repo: str | None
) -> str:
    """The card in Markdown. `trained`: how long, a sentence; `settings`: TOML; `results`: text of
    80 columns. Parts that are empty are left out.
    """
    spec = agent.spec
    tags = ["reinforcement-learning", "self-play", "deep-q-learning", spec.game.partition("(")[0]]
    values = "positions after moves" if spec.afterstates else "the actions of the seat to move"
    facts = {
        "Game": f"`{spec.game}`, {agent.game.num_players} players",
        "Network": f"`{spec.network.factory}` with `{json.dumps(dict(spec.network.arguments))}`, "
        f"{agent.policy().num_parameters:,} weights",
        "It values": values,
        "Observation": f"{spec.network_game.observation_dtype} "
        f"{list(spec.network_game.observation_shape)}",
        "Actions": f"{agent.game.num_actions}",
    }
    parts = [
        "---",
        "library_name: sparring",
        "pipeline_tag: reinforcement-learning",
        f"tags: {json.dumps(tags)}",  # JSON is YAML
        "---",
        "",
        f"# An agent for {spec.game}",
        "",
        "Trained by Sparring, parallel self-play DQN.",
        *([trained] if trained else []),
        "",
        *(f"- {name}: {fact}" for name, fact in facts.items()),
        *_block("Results", "text", results),
        *_block("How to load it", "python", _loading(agent, repo)),
        "",
        f"`sparring play {_AGENT}` plays against it in the terminal, and with `--web` in the "
        "browser.",
        *_block("Training settings", "toml", settings),
    ]
    return "\n".join(parts) + "\n"


def _block(title: str, language: str, text: str) -> list[str]:
    """A code block under a title; nothing for an empty text."""
    if not text:
        return []
    return ["", f"## {title}", "", f"```{language}", textwrap.dedent(text).rstrip(), "```"]


def _loading(agent: DQNAgent, repo: str | None) -> str:
    """The code that loads the agent; what is not built in has to be named."""
    spec, imports = agent.spec, ""
    arguments = f'"{_AGENT}"'
    if repo is not None:
        imports = "from huggingface_hub import hf_hub_download\n"
        arguments = f'hf_hub_download("{repo}", "{_AGENT}")'
    if not is_built_in(spec.game):
        arguments += f", game={json.dumps(spec.game)}"
    if spec.network.factory not in FACTORIES:
        arguments += f", network={json.dumps(spec.network.factory)}"
    return _LOADING.format(imports=imports, arguments=arguments)
