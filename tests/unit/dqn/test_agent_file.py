from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file
from safetensors.numpy import save as safetensors_save

from sparring.dqn.agent import DQNAgent
from sparring.dqn.agent_file import decode_agent, encode_agent
from sparring.errors import FileFormatError

DESCRIPTION = {
    "game": "connect_four",
    "network": {"factory": "mlp", "arguments": {"hidden": [512, 512], "dueling": False}},
    "encoding": 1,
}


def tensors() -> dict[str, NDArray[Any]]:
    return {
        "layers.0.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
        "layers.0.bias": np.arange(3, dtype=np.float32),
        "scale": np.array(2.5),
        "steps": np.array(7, np.int64),
    }


AGENT = {
    "game": "tic_tac_toe",
    "network": {"factory": "mlp", "arguments": {}},
    "encoding": {"shape": [2, 3, 3], "dtype": "int8", "actions": 9},
}
VALID = encode_agent(tensors(), DESCRIPTION)


@pytest.mark.parametrize("form", ["bytes", "path", "str"])
def test_round_trip(form: str, tmp_path: Path) -> None:
    path = tmp_path / "agent.safetensors"
    path.write_bytes(VALID)
    sources: dict[str, bytes | str | Path] = {"bytes": VALID, "path": path, "str": str(path)}
    read, description = decode_agent(sources[form])
    assert description == DESCRIPTION
    assert sorted(read) == sorted(tensors())
    for name, tensor in tensors().items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
        np.testing.assert_array_equal(read[name], tensor)


def test_one_metadata_key_with_canonical_json(tmp_path: Path) -> None:
    from safetensors import safe_open

    (tmp_path / "agent").write_bytes(VALID)
    with safe_open(tmp_path / "agent", framework="np") as file:
        metadata = file.metadata()
    expected = (
        '{"encoding":1,"format":1,"game":"connect_four",'
        '"network":{"arguments":{"dueling":false,"hidden":[512,512]},"factory":"mlp"}}'
    )
    assert metadata == {"sparring": expected}
    assert sorted(load_file(tmp_path / "agent")) == sorted(tensors())


def test_equal_agents_are_equal_bytes_whatever_the_order() -> None:
    shuffled = dict(reversed(tensors().items()))
    assert encode_agent(shuffled, dict(reversed(DESCRIPTION.items()))) == VALID


def test_bytes_do_not_depend_on_the_process() -> None:
    source = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "import test_agent_file; print(test_agent_file.VALID.hex())"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", source, str(Path(__file__).parent)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        assert (
            subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            ).stdout.strip()
            == VALID.hex()
        )


def test_a_changed_weight_or_description_changes_the_bytes() -> None:
    other = tensors()
    other["layers.0.bias"][0] += 1
    assert encode_agent(other, DESCRIPTION) != VALID
    assert encode_agent(tensors(), {**DESCRIPTION, "encoding": 2}) != VALID


@pytest.mark.parametrize(
    "view",
    [
        np.transpose,
        np.asfortranarray,
        lambda a: a[::2],
        lambda a: a[:, ::-1],
        lambda a: a.astype(">f4"),
    ],
)
def test_arrays_that_do_not_lie_in_order(view: Any) -> None:
    weight = view(np.arange(12, dtype=np.float32).reshape(3, 4))
    read, _ = decode_agent(encode_agent({"w": weight}, {}))
    np.testing.assert_array_equal(read["w"], weight)


def test_loaded_tensors_may_be_changed() -> None:
    read, _ = decode_agent(VALID)
    read["scale"][...] = 1.0


@pytest.mark.parametrize("description", [{"rate": float("nan")}, {"format": 2}])
def test_descriptions_that_cannot_be_kept(description: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        encode_agent(tensors(), description)


def with_metadata(metadata: dict[str, str] | None) -> bytes:
    return safetensors_save(tensors(), metadata=metadata)


def bfloat16() -> bytes:
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    return len(header).to_bytes(8, "little") + header + b"\0\0"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged or not an agent file"),
        (np.random.default_rng(0).bytes(4096), "damaged or not an agent file"),
        (b"PK\x03\x04 a zip of pickles", "damaged or not an agent file"),
        (VALID[:-1], "damaged or not an agent file"),
        (VALID + b"x", "damaged or not an agent file"),
        (VALID[:100], "damaged or not an agent file"),
        (bfloat16(), "not an agent file"),
        (with_metadata(None), "not an agent file of Sparring"),
        (with_metadata({"format": "pt"}), "not an agent file of Sparring"),
        (with_metadata({"sparring": "no json"}), "not an agent file of Sparring"),
        (with_metadata({"sparring": "[1]"}), "not an agent file of Sparring"),
        (with_metadata({"sparring": "{}"}), "not an agent file of Sparring"),
        (with_metadata({"sparring": "[" * 100_000}), "not an agent file of Sparring"),
        (with_metadata({"sparring": '{"format": 2}'}), "another version: got 2, expected 1"),
    ],
)
def test_bad_files_are_one_clear_line(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "agent.safetensors"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=message) as caught:
        decode_agent(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    with pytest.raises(FileFormatError, match=message):
        decode_agent(data)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        decode_agent(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match="cannot be read: Is a directory"):
        decode_agent(str(tmp_path))


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, len(VALID) - 1), patch=st.binary(min_size=1, max_size=12))
def test_overwritten_bytes_give_an_agent_or_a_clear_error(position: int, patch: bytes) -> None:
    data = (VALID[:position] + patch + VALID[position + len(patch) :])[: len(VALID)]
    with suppress(FileFormatError):
        read, description = decode_agent(data)
        assert isinstance(description, dict)
        assert all(isinstance(tensor, np.ndarray) for tensor in read.values())


@pytest.mark.parametrize("head", [b"", b"\x08\0\0\0\0\0\0\0{}      "])
def test_the_size_of_a_file_is_looked_at_before_it_is_read(head: bytes, tmp_path: Path) -> None:
    """20 GB, of which nothing is on the disk."""
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(20 * 10**9)
    with pytest.raises(FileFormatError, match="damaged or not an agent file"):
        decode_agent(path)


def test_a_large_file_that_claims_its_size_is_refused_by_its_shapes(tmp_path: Path) -> None:
    """The header is that of an agent for tic-tac-toe with 20 GB of weights."""
    weights = encode_agent({"w": np.zeros(1, np.float32)}, AGENT)
    size = int.from_bytes(weights[:8], "little")
    count = 5 * 10**9
    header = json.loads(weights[8 : 8 + size])
    header["w"] |= {"shape": [count], "data_offsets": [0, 4 * count]}
    text = json.dumps(header).encode()
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + 4 * count)
    with pytest.raises(FileFormatError, match="a network that cannot be built: got weights of"):
        DQNAgent.load(path)
