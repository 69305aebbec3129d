from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from chronas.errors import DataError
from chronas.networks import load_state, save_state

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(4, 3, 3, 3, generator=generator)
    return {
        "weight": weight,
        "tied": weight,
        "channels_last": weight.to(memory_format=torch.channels_last),
        "transposed": torch.randn(3, 5, generator=generator).t(),
        "step": torch.tensor(7),
        "generator": generator.get_state(),
        "mask": torch.tensor([True, False]),
        "half": torch.randn(3, generator=generator).bfloat16(),
        "empty": torch.zeros(0, 4),
    }


def test_everything_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "last.safetensors"
    content = {"epoch": 3, "history": [{"loss": 0.1, "best": None}], "name": "Größe"}
    save_state(path, tensors(), content)
    loaded, again = load_state(path)
    assert again == content
    assert loaded.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
        assert loaded[name].is_contiguous()


@settings(max_examples=30, deadline=None)
@given(content=st.dictionaries(st.text(), JSON, max_size=4))
def test_any_json_comes_back(tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]) -> None:
    path = tmp_path_factory.mktemp("state") / "a.safetensors"
    save_state(path, {}, content)
    assert load_state(path) == ({}, content)


@pytest.mark.parametrize("content", [{"loss": float("nan")}, {"loss": float("inf")}, {"tensor": torch.ones(1)}])
def test_content_that_is_not_json_is_refused_and_the_old_file_stays(tmp_path: Path, content: dict[str, object]) -> None:
    path = tmp_path / "a.safetensors"
    save_state(path, {"a": torch.ones(2)}, {"epoch": 1})
    with pytest.raises(DataError, match="finite numbers"):
        save_state(path, {"a": torch.zeros(2)}, content)
    assert load_state(path)[1] == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_cut_anywhere_is_refused_in_one_line(tmp_path: Path) -> None:
    path, cut = tmp_path / "a.safetensors", tmp_path / "cut.safetensors"
    save_state(path, tensors(), {"epoch": 1})
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(DataError) as caught:
            load_state(cut)
        assert "\n" not in str(caught.value)
        assert str(cut) in str(caught.value)


def test_no_flipped_bit_goes_unnoticed_in_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_state(path, {"a": torch.arange(100.0)}, {"epoch": 1})
    whole = bytearray(path.read_bytes())
    for position in range(len(whole) - 400, len(whole), 57):
        damaged = whole.copy()
        damaged[position] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="checksum"):
            load_state(path)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_damaged_header_gives_our_error_or_the_same_tensors(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("state") / "a.safetensors"
    save_state(path, {"a": torch.arange(4.0)}, {"epoch": 1})
    damaged = bytearray(path.read_bytes())
    damaged[position % len(damaged)] = value
    path.write_bytes(damaged)
    try:
        loaded, content = load_state(path)
    except DataError:
        return
    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {"a": [0.0, 1.0, 2.0, 3.0]}
    assert content == {"epoch": 1}


def test_a_file_whose_checksum_is_of_bytes_alone_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"a": torch.arange(4.0)}
    checksum = f"{zlib.crc32(tensors['a'].numpy().tobytes()):08x}"
    save_file(
        tensors,
        path,
        {"chronas": json.dumps({"schema": "chronas.state/1", "crc32": checksum, "content": {"epoch": 1}})},
    )
    loaded, content = load_state(path)
    assert loaded["a"].tolist() == [0.0, 1.0, 2.0, 3.0] and content == {"epoch": 1}


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.ones(1)}, foreign)
    with pytest.raises(DataError, match=r"schema 'chronas.state/2' but has None"):
        load_state(foreign)
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(DataError, match="no safetensors file"):
        load_state(tmp_path / "a.pt")
    with pytest.raises(DataError, match="No such file"):
        load_state(tmp_path / "absent.safetensors")
    with pytest.raises(DataError, match="Is a directory"):
        load_state(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": "chronas.state/1", "crc32": "00000000", "content": [1]}', "should have schema"),
        ('{"schema": "chronas.state/1", "crc32": "00000000"}', "should have schema"),
        ('{"schema": "chronas.state/1", ', "no safetensors file"),
        ("[1]", "should have schema"),
    ],
)
def test_content_of_another_kind_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file({}, path, {"chronas": text})
    with pytest.raises(DataError, match=message):
        load_state(path)


def test_the_same_state_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = (
        "import sys, torch; from pathlib import Path; from chronas.networks import save_state; "
        "save_state(Path(sys.argv[1]), {'a': torch.ones(2), 'b': torch.zeros(3)}, {'x': 1, 'y': [2], 'z': 'three'})"
    )
    paths = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for path in paths:
        subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert len({path.read_bytes() for path in paths}) == 1


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_state(path, {"a": torch.ones(2, 3)}, {})
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["a"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
