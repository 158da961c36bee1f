from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from child_processes import HANG
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from sparring.errors import FileFormatError, StorageError
from sparring.storage import tensors
from sparring.storage.checkpoint import load, save

PLAIN = [
    "?",
    "i1",
    "u1",
    "<i2",
    "<u2",
    "<i4",
    "<u4",
    "<i8",
    "<u8",
    "<f2",
    "<f4",
    "<f8",
    ">i2",
    ">u4",
    ">f4",
    ">f8",
]
TRANSITION = np.dtype(
    [
        ("observation", np.int8, (2, 3, 3)),
        ("mask", np.bool_, (9,)),
        ("action", np.int32),
        ("R", np.float32),
        ("sign", np.int8),
    ],
    align=True,
)
NESTED = np.dtype(
    [("board", [("cells", ">i2", (2, 2)), ("count", "u1")], (3,)), ("seat", "i1"), ("clock", "f8")],
    align=True,
)
SPREAD = np.dtype(
    {"names": ["b", "a"], "formats": ["<u4", "i1"], "offsets": [9, 2], "itemsize": 20}
)


def filled(dtype: Any, shape: tuple[int, ...], seed: int = 0) -> NDArray[Any]:
    """Arbitrary bytes in every field; booleans stay 0 or 1."""
    dtype = np.dtype(dtype)
    array = np.zeros(shape, dtype)
    if dtype.names is not None:
        for index, name in enumerate(dtype.names):
            array[name] = filled(array[name].dtype, array[name].shape, seed + index)
        return array
    random = np.random.default_rng(seed)
    if dtype.kind == "b":
        return np.asarray(random.random(shape) < 0.5)
    return random.integers(0, 100, shape).astype(dtype)


def assert_same(left: Any, right: Any) -> None:
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, list):
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert_same(a, b)
    elif isinstance(left, np.ndarray):
        assert (left.dtype, left.shape, left.dtype.isalignedstruct) == (
            right.dtype,
            right.shape,
            right.dtype.isalignedstruct,
        )
        np.testing.assert_array_equal(left, right)
        assert right.flags.writeable
        assert right.flags.c_contiguous
    elif isinstance(left, float):
        assert left.hex() == right.hex()
    else:
        assert left == right


def round_trip(tmp_path: Path, tree: dict[str, Any]) -> dict[str, Any]:
    save(tmp_path / "tree", tree)
    return load(tmp_path / "tree")


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 0, 2), (2, 3, 4)])
@pytest.mark.parametrize("dtype", PLAIN)
def test_plain_arrays(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    tree = {"part": {"array": filled(dtype, shape)}}
    assert_same(tree, round_trip(tmp_path, tree))


@pytest.mark.parametrize("shape", [(), (0,), (7,), (2, 3)])
@pytest.mark.parametrize(
    "dtype", [TRANSITION, NESTED, SPREAD], ids=["transition", "nested", "spread"]
)
def test_structured_arrays_keep_every_offset(
    dtype: np.dtype[Any], shape: tuple[int, ...], tmp_path: Path
) -> None:
    tree = {"replay": {"rows": filled(dtype, shape)}}
    loaded = round_trip(tmp_path, tree)
    assert_same(tree, loaded)
    read = loaded["replay"]["rows"].dtype
    assert (read.itemsize, read.fields) == (dtype.itemsize, dtype.fields)
    assert TRANSITION.itemsize == 40
    assert TRANSITION.fields["action"][1] == 28  # type: ignore[index]  # 18 + 9 bytes, one of padding


def test_structured_array_lies_in_the_file_as_its_bytes(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    rows = filled(TRANSITION, (5,))
    save(tmp_path / "tree", {"replay": {"rows": rows}})
    stored = load_file(tmp_path / "tree" / "replay.safetensors")
    assert list(stored) == ["/replay/rows"]
    assert stored["/replay/rows"].tobytes() == rows.tobytes()


@pytest.mark.parametrize(
    "view",
    [np.transpose, lambda a: a[::2], lambda a: a[:, 1:3], np.asfortranarray, lambda a: a[::-1]],
)
@pytest.mark.parametrize("dtype", ["<f4", TRANSITION], ids=["plain", "structured"])
def test_arrays_that_are_not_contiguous(dtype: Any, view: Any, tmp_path: Path) -> None:
    whole = filled(dtype, (6, 4))
    np.testing.assert_array_equal(round_trip(tmp_path, {"a": view(whole)})["a"], view(whole))


def test_read_only_arrays_are_left_alone(tmp_path: Path) -> None:
    rows = filled(TRANSITION, (5,))
    rows.view(np.uint8)[:] = 1
    before = rows.tobytes()
    rows.flags.writeable = False
    np.testing.assert_array_equal(round_trip(tmp_path, {"rows": rows})["rows"], rows)
    assert rows.tobytes() == before


def test_padding_does_not_tell_equal_trees_apart(tmp_path: Path) -> None:
    """One byte after the mask, three after the sign: 18 + 9 + 1, 4, 4, 1 + 3."""
    clean, dirty = filled(TRANSITION, (5,)), filled(TRANSITION, (5,))
    dirty.view(np.uint8).reshape(5, 40)[:, [27, 37, 38, 39]] = 0xAA
    assert clean.tobytes() != dirty.tobytes()
    np.testing.assert_array_equal(clean, dirty)
    save(tmp_path / "clean", {"rows": clean})
    save(tmp_path / "dirty", {"rows": dirty})
    assert contents(tmp_path / "clean") == contents(tmp_path / "dirty")


def test_padding_in_nested_structures_is_found(tmp_path: Path) -> None:
    ones = np.zeros(3, NESTED)
    ones.view(np.uint8)[:] = 1
    save(tmp_path / "tree", {"a": ones})
    values = load(tmp_path / "tree")["a"].view(np.uint8).reshape(3, -1)
    # A board is 4 cells of 2 bytes, the count, one byte of padding; three boards, the seat, one
    # byte of padding, the clock.
    board = [1] * 9 + [0]
    assert values[1].tolist() == [*board, *board, *board, 1, 0, *([1] * 8)]


def test_scalars_come_back_exactly(tmp_path: Path) -> None:
    tree = {
        "counters": {
            "updates": 12,
            "huge": 2**127 + 3,
            "minus": -(2**90),
            "true": True,
            "none": None,
            "text": 'ü "\\ \n \ud800',
        },
        "floats": [0.1, -0.0, 1e-320, 1.7976931348623157e308, math.inf, -math.inf, math.nan],
        "empty": {"dict": {}, "list": []},
        "top": 1,
    }
    assert_same(tree, round_trip(tmp_path, tree))


@pytest.mark.parametrize(
    "kind", [np.random.PCG64, np.random.Philox, np.random.MT19937, np.random.SFC64]
)
def test_generators_go_on_where_they_were(kind: Any, tmp_path: Path) -> None:
    generator = np.random.Generator(kind(5))
    generator.random(13)
    loaded = round_trip(tmp_path, {"generators": {"replay": generator.bit_generator.state}})
    other = np.random.Generator(kind(0))
    other.bit_generator.state = loaded["generators"]["replay"]
    assert other.random(5).tolist() == generator.random(5).tolist()


def test_lists_hold_trees_and_arrays(tmp_path: Path) -> None:
    workers = [{"state": filled(NESTED, (2,), seed), "ply": seed} for seed in range(3)]
    tree = {
        "workers": workers,
        "arrays": [np.arange(3), None, [np.ones(2, np.float32)]],
        "none": None,
    }
    assert_same(tree, round_trip(tmp_path, tree))


def test_odd_keys_below_the_top_cannot_collide(tmp_path: Path) -> None:
    tree = {
        "a": {
            "b/c": np.array(1),
            "b": {"c": np.array(2)},
            "b~1c": np.array(3),
            "": np.array(4),
            "__metadata__": np.array(5),
            "é": 6,
        }
    }
    assert_same(tree, round_trip(tmp_path, tree))


def test_keys_keep_their_order(tmp_path: Path) -> None:
    tree = {"z": 1, "a": {"y": np.zeros(1), "b": 2, "a": np.zeros(2)}}
    loaded = round_trip(tmp_path, tree)
    assert (list(loaded), list(loaded["a"])) == (["z", "a"], ["y", "b", "a"])


def test_all_files_of_a_checkpoint_have_the_same_mode(tmp_path: Path) -> None:
    save(tmp_path / "tree", {"networks": {"w": np.zeros(3)}, "n": 1})
    assert len({file.stat().st_mode for file in (tmp_path / "tree").iterdir()}) == 1


def test_one_file_for_each_part_that_has_arrays(tmp_path: Path) -> None:
    save(
        tmp_path / "tree",
        {
            "networks": {"w": np.zeros(3)},
            "replay": {"rows": np.zeros(2, TRANSITION)},
            "counters": {"n": 1},
        },
    )
    assert sorted(contents(tmp_path / "tree")) == [
        "manifest.json",
        "networks.safetensors",
        "replay.safetensors",
        "state.json",
    ]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
shapes = hnp.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=3)
field_dtypes = st.recursive(
    st.sampled_from(PLAIN).map(np.dtype),
    lambda field: st.builds(
        lambda fields, align: np.dtype(
            [(f"f{index}", *each) for index, each in enumerate(fields)], align=align
        ),
        st.lists(st.tuples(field, st.sampled_from([(), (1,), (2, 3)])), min_size=1, max_size=4),
        st.booleans(),
    ),
    max_leaves=6,
)
arrays = st.builds(filled, field_dtypes, shapes, st.integers(0, 9))
trees = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True),
    st.recursive(
        scalars | arrays,
        lambda node: st.lists(node, max_size=3) | st.dictionaries(st.text(), node, max_size=3),
        max_leaves=8,
    ),
    max_size=3,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=trees)
def test_any_tree_comes_back_and_saves_to_the_same_bytes(
    tree: dict[str, Any], tmp_path: Path
) -> None:
    save(tmp_path / "first", tree)
    loaded = load(tmp_path / "first")
    assert_same(tree, loaded)
    save(tmp_path / "second", loaded)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        ((1, 2), "builtins.tuple at /part/x"),
        (np.float64(1.0), "numpy.float64 at /part/x"),
        (np.int64(1), "numpy.int64 at /part/x"),
        (b"bytes", "builtins.bytes at /part/x"),
        ({1: 2}, "only str keys: got 1 in /part/x"),
        ([{"y": object()}], "builtins.object at /part/x/0/y"),
        (np.array([object()]), "dtype object at /part/x"),
        (np.array(["text"]), "at /part/x"),
        (np.array([1j]), "dtype complex128 at /part/x"),
        (np.zeros(2, [("a", "O")]), "dtype object at /part/x"),
        (np.zeros(2, "V4"), "at /part/x"),
        (np.ma.masked_array([1.0]), "MaskedArray at /part/x"),
    ],
)
def test_what_would_come_back_as_something_else_is_refused(
    leaf: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match=message):
        save(tmp_path / "tree", {"part": {"x": leaf}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "a/b", "..", "a.b", 1, "é"])
def test_top_level_keys_are_file_names(key: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="top-level key"):
        save(tmp_path / "tree", {key: 1})


def rewrite(path: Path, change: Any) -> None:
    """Change state.json and make the manifest agree, as an attacker would."""
    from sparring.storage.atomic import write_directory

    files = contents(path)
    del files["manifest.json"]
    state = json.loads(files["state.json"])
    change(state)
    write_directory(path, {**files, "state.json": json.dumps(state).encode()})


@pytest.mark.parametrize(
    "dtype",
    [
        "O",
        "object",
        "<f4,<f4",
        "__import__('os').system('false')",
        ["<f4", "x"],
        {"names": ["a"]},
        "|V40",
        None,
        ["<f4", [10**9]],
    ],
)
def test_a_forged_dtype_is_refused(dtype: Any, tmp_path: Path) -> None:
    save(tmp_path / "tree", {"rows": filled(TRANSITION, (5,))})

    def forge(state: dict[str, Any]) -> None:
        state["opaque"]["/rows"]["dtype"] = dtype

    rewrite(tmp_path / "tree", forge)
    with pytest.raises(FileFormatError, match="not a checkpoint that this version can read"):
        load(tmp_path / "tree")


def test_another_version_says_so(tmp_path: Path) -> None:
    save(tmp_path / "tree", {"n": 1})
    rewrite(tmp_path / "tree", lambda state: state.update(format=99))
    with pytest.raises(FileFormatError, match="another version: got 99, expected 7"):
        load(tmp_path / "tree")


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    save(tmp_path / "tree", {"a": np.arange(4), "n": 3})
    for file in sorted((tmp_path / "tree").iterdir()):
        good = file.read_bytes()
        for position in range(0, len(good), 11):
            file.write_bytes(
                good[:position] + bytes([good[position] ^ 0x40]) + good[position + 1 :]
            )
            with pytest.raises(FileFormatError):
                load(tmp_path / "tree")
        file.write_bytes(good)
    assert load(tmp_path / "tree")["n"] == 3


def run_python(source: str, *arguments: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(source), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_is_light() -> None:
    loaded = run_python(
        "import sys, sparring.storage.run_directory; print(*sorted(sys.modules))"
    ).split()
    assert not {"torch", "numba", "pydantic"} & set(loaded)


def test_a_large_replay_is_saved_without_a_copy_in_memory(tmp_path: Path) -> None:
    """Growth of the peak while 120 MB of rows with padding and 40 MB of weights are saved: measured
    0 MB, one copy would be 160.
    """
    growth = run_python(
        """
        import re, sys
        from pathlib import Path
        import numpy as np
        from sparring.storage import checkpoint

        def peak():  # MB; of this program only, unlike ru_maxrss, which begins with the parent's
            status = Path("/proc/self/status").read_text()
            return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024

        fields = [("observation", "i1", (84,)), ("mask", "?", (7,)), ("R", "f4"), ("sign", "i1")]
        dtype = np.dtype(fields, align=True)
        rows = np.zeros(120_000_000 // dtype.itemsize, dtype)
        rows["R"] = 1
        checkpoint.save(Path(sys.argv[1]) / "warm", {"a": np.ones(3)})
        tree = {"replay": {"rows": rows}, "networks": {"w": np.ones(10_000_000, "f4")}}
        before = peak()
        assert before > 160
        checkpoint.save(Path(sys.argv[1]) / "large", tree)
        print(peak() - before)
        """,
        str(tmp_path),
    )
    assert int(growth) < 20


def test_arrays_are_read_into_memory_that_is_given(tmp_path: Path) -> None:
    rows, priorities = filled(TRANSITION, (5,)), np.arange(5.0)
    save(tmp_path / "tree", {"replay": {"rows": rows, "priorities": priorities}, "w": np.ones(3)})
    memory, small = np.zeros(8, TRANSITION), np.zeros(4)
    tree = load(
        tmp_path / "tree",
        into={
            "/replay/rows": memory.view(np.uint8), "/replay/priorities": small.view(np.uint8),
            "/no such array": small.view(np.uint8),
        },
    )  # fmt: skip
    assert np.shares_memory(tree["replay"]["rows"], memory)
    np.testing.assert_array_equal(memory[:5], rows)
    assert not memory.view(np.uint8)[5 * TRANSITION.itemsize :].any()
    np.testing.assert_array_equal(tree["replay"]["priorities"], priorities)
    assert not small.any(), "five do not fit into four"


def test_safetensors_reads_what_is_written_and_the_other_way_round(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    arrays = {f"{dtype} {shape}": filled(dtype, shape) for dtype in tensors.DTYPES for shape in [
        (), (0,), (7,), (2, 3)
    ]}  # fmt: skip
    tensors.write(tmp_path / "ours", arrays)
    save_file(arrays, tmp_path / "theirs", metadata={"by": "the library"})
    for read in (load_file(tmp_path / "ours"), tensors.read(tmp_path / "theirs", {})):
        assert read.keys() == arrays.keys()
        for name, array in arrays.items():
            assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(read[name], array)


def forged(header: object, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> object:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0", (2**63).to_bytes(8, "little"), (1000).to_bytes(8, "little") + b"{}",
        forged(b"[1"), forged([]), forged(b"[" * 100_000), forged({"x": 1}), forged({"x": {}}),
        forged(entry(dtype="object")), forged(entry(dtype=["F32"])), forged(entry(shape=(3,))),
        forged(entry(shape=(-2,))), forged(entry(shape=(1.5,))), forged(entry(shape=None)),
        forged(entry(offsets=(-8, 0))), forged(entry(offsets=(8, 0))),
        forged(entry(offsets=(0, 9))), forged(entry(offsets=(4, 12))),
        forged(entry(offsets=("0", "8"))), forged(entry(shape=(2**61,), offsets=(0, 2**63))),
    ],
)  # fmt: skip
def test_a_forged_file_of_arrays_is_refused(content: bytes, tmp_path: Path) -> None:
    from sparring.storage.atomic import write_directory

    save(tmp_path / "tree", {"x": np.zeros(2, np.float32)})
    files = contents(tmp_path / "tree") | {"x.safetensors": content}
    del files["manifest.json"]
    write_directory(tmp_path / "tree", files)
    with pytest.raises(FileFormatError, match="not a checkpoint that this version can read"):
        load(tmp_path / "tree")


def test_arrays_beyond_the_memory_are_one_line_at_once(tmp_path: Path) -> None:
    """A sparse file with a header that fits: only its size tells."""
    size = 8 * 2**40
    path = tmp_path / "x.safetensors"
    path.write_bytes(forged(entry("U8", [size], [0, size]), b""))
    os.truncate(path, path.stat().st_size + size)
    with pytest.raises(MemoryError):
        tensors.read(path, {})


def test_a_full_disk_is_one_line_with_the_bytes_that_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "7", {"a": np.zeros(3)})

    def full(path: Path, arrays: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensors, "write", full)
    with pytest.raises(StorageError, match=r"7: No space left on device; 8,000,\d\d\d bytes are"):
        save(tmp_path / "7", {"a": np.zeros(1_000_000)})
    np.testing.assert_array_equal(load(tmp_path / "7")["a"], np.zeros(3))
