from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.networks import save_state
from chronas.networks.standalone import DTYPES, read_safetensors


@settings(max_examples=40, deadline=None)
@given(
    entries=st.dictionaries(
        st.text(min_size=1),
        st.tuples(st.sampled_from(list(DTYPES)), st.lists(st.integers(0, 4), max_size=4)),
        max_size=4,
    )
)
def test_it_reads_what_is_written(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, tuple[str, list[int]]]
) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randint(0, 2, shape, generator=generator).to(DTYPES[kind])
        for name, (kind, shape) in entries.items()
    }
    path = tmp_path_factory.mktemp("weights") / "a.safetensors"
    save_state(path, tensors, {})
    loaded = read_safetensors(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_a_cut_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_state(path, {"a": torch.ones(4, 4)}, {})
    whole = path.read_bytes()
    for length in (0, 4, 8, 40, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a.safetensors is cut off"):
            read_safetensors(path)
    path.write_bytes(whole.replace(b'"F32"', b'"F99"'))
    with pytest.raises(ValueError, match=r"a should be \[4, 4\] of F99"):
        read_safetensors(path)
    with pytest.raises(FileNotFoundError):
        read_safetensors(tmp_path / "absent")
