from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.errors import DataError
from chronas.files import fingerprint, read_json, sha256, write_bytes, write_json, write_text

SCHEMA = "chronas.test/1"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
contents = st.dictionaries(st.text().filter(lambda key: key != "schema"), json_values, max_size=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@given(content=contents)
def test_json_comes_back_as_it_was(folder: Path, content: dict[str, object]) -> None:
    write_json(folder / "a.json", SCHEMA, content)
    assert read_json(folder / "a.json", SCHEMA) == content


@given(content=contents, share=st.floats(0, 0.999))
def test_a_cut_file_is_refused(folder: Path, content: dict[str, object], share: float) -> None:
    path = folder / "cut.json"
    write_json(path, SCHEMA, content)
    whole = path.read_bytes().rstrip()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"cut\.json is not valid JSON .*run the same again"):
        read_json(path, SCHEMA)


@pytest.mark.parametrize("text", ["[1]", "{}", '{"schema": "chronas.test/2"}', "3", "null"])
def test_another_schema_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match="should have schema 'chronas.test/1' but has"):
        read_json(tmp_path / "a.json", SCHEMA)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(DataError, match="not valid JSON"):
        read_json(tmp_path / "a.json", SCHEMA)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*absent\.json: No such file"):
        read_json(tmp_path / "absent.json", SCHEMA)


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", SCHEMA, {"latency_ms": float("nan")})
    assert not list(tmp_path.iterdir())


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_the_old_file_and_leaves_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(DataError, match=r"cannot write .*a\.txt: No space left on device; .*free space"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write"):
        write_bytes(tmp_path / "file" / "a.bin", b"")


def test_folders_are_made_and_files_replaced(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / "a.txt"
    write_text(path, "ä")
    write_text(path, "ö")
    assert path.read_bytes() == "ö".encode()
    assert path.stat().st_mode & 0o777 == 0o644


def test_checksums_are_sha256(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"chronas")
    assert sha256(tmp_path / "a.bin") == hashlib.sha256(b"chronas").hexdigest()


def test_a_fingerprint_depends_on_content_alone() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert len(fingerprint(None)) == 16
