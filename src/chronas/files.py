"""Files that are whole or absent: atomic writes, commits of several files, checksums, JSON with a schema."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pydantic import TypeAdapter

from chronas.arguments import path_of
from chronas.errors import DataError
from chronas.reading import LARGEST, parse_json, read_within, readable

COMMIT_SCHEMA = "chronas.commit/2"
COPY = "use a copy, or move it away and run the same again"
Content = TypeVar("Content")


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` by one atomic rename, so that readers see either the old or the new file.

    Raises:
        DataError: the disk is full or the folder cannot be written; an older file at `path` stays as it was.
    """
    path = path_of(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_temporaries(path.parent, path.name)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=temporary_prefix(path.name), delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        advice = "what was there before is untouched; free space or choose another folder"
        raise DataError(f"cannot write {path}: {error.strerror}; {advice}") from error


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 `content` to `path` by one atomic rename; raises as `write_bytes`."""
    write_bytes(path, content.encode())


def write_json(path: Path, schema: str, content: dict[str, Any]) -> None:
    """Write `content` as indented JSON after its `schema`, such as `chronas.run/1`; raises as `write_bytes`."""
    write_text(path, json.dumps({"schema": schema, **content}, indent=2, allow_nan=False) + "\n")


def read_json(
    path: Path,
    schema: str,
    *,
    oldest: int | None = None,
    mend: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Read a JSON object that `write_json` wrote with the same `schema` or an earlier version of it.

    Args:
        path: the file.
        schema: kind and version, such as `chronas.run/2`.
        oldest: the earliest version that is accepted too; its keys are renamed. None accepts only `schema`.
        mend: upgrades the content of an earlier version where renaming keys is not enough.

    Raises:
        DataError: the file is missing, no JSON object, or of another schema.
    """
    text = read_within(path, LARGEST["json"])
    try:
        content = parse_json(text)
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON ({error}): {COPY}") from error
    kind, _, newest = schema.rpartition("/")
    known = {schema, *(f"{kind}/{version}" for version in range(oldest or int(newest), int(newest)))}
    if not isinstance(content, dict) or content.get("schema") not in known:
        got = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{path} should have schema {schema!r} but has {got!r}: another version of chronas made it, or it is "
            f"another file; do the step that makes it again, in a new folder"
        )
    found: dict[str, Any] = content
    if content["schema"] != schema:
        with readable(path, f"file of {kind}", COPY):
            found = upgraded(content) if mend is None else mend(upgraded(content))
    return {key: value for key, value in found.items() if key != "schema"}


def read_as(
    path: Path,
    schema: str,
    kind: type[Content],
    *,
    oldest: int | None = None,
    mend: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Content:
    """Read a JSON object that `write_json` wrote into a dataclass whose fields are its keys.

    Args:
        path: the file.
        schema: the kind and version that the file must have.
        kind: the dataclass; unknown keys are ignored.
        oldest: as for `read_json`.
        mend: upgrades the content of an earlier version.

    Raises:
        DataError: as `read_json`, or a key is missing or its value has the wrong type; the message names the key.
    """
    content = read_json(path, schema, oldest=oldest, mend=mend)
    with readable(path, f"file of {schema}", COPY):
        return TypeAdapter(kind).validate_python(content)


def sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits; raises `OSError` if the file cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(content: Any) -> str:
    """A content hash (16 hexadecimal digits) of JSON data; the order of keys does not matter."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


TEMPORARY = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-\w+")


def temporary_prefix(name: str) -> str:
    """The beginning of the name of a temporary file or folder that will be renamed to `name`, with its owner."""
    return f".{name}.{_host()}-{os.getpid()}-"


def clear_temporaries(folder: Path, name: str) -> None:
    """Remove temporary files and folders for `name` whose process on this machine has ended."""
    escaped = glob.escape(name)
    for path in (*folder.glob(f".{escaped}.*-*-*"), *folder.glob(f"..{escaped}.*-*-*")):  # or of a staged file
        found = TEMPORARY.fullmatch(path.name)
        if found is not None and found["host"] == _host() and not _is_alive(int(found["pid"])):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def other_names(folder: Path, names: Iterable[str]) -> list[str]:
    """The names in a folder besides these and their temporary files; those of ended processes are removed."""
    for name in names:
        clear_temporaries(folder, name)
    own = tuple(f".{name}." for name in names)
    found = sorted({path.name for path in folder.iterdir()} - set(names))
    return [name for name in found if not (name.startswith(own) and TEMPORARY.fullmatch(name))]


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _is_alive(pid: int) -> bool:
    import psutil  # only where something was left

    return bool(psutil.pid_exists(pid))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `folder` by one rename at the end; after an error nothing is left.

    Raises:
        DataError: it cannot be written, or something else has appeared at `folder`.
    """
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_temporaries(folder.parent, folder.name)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=temporary_prefix(folder.name)))
        temporary.chmod(0o755)
        yield temporary
        temporary.rename(folder)  # an empty folder is replaced
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror}; choose another folder") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


class Commit:
    """Several files that are written together: all of them, also if the process is killed in between.

    with Commit(out) as commit:
        table.save(commit.staged(out))
        blocks.save(commit.staged(other))

    Files are staged beside their places. At the end a list of them is written, they are renamed, and the list is
    removed. `finish_commit` goes on after a kill.
    """

    def __init__(self, first: Path) -> None:
        self._list = _list_of(first)
        self._staged: dict[Path, Path] = {}

    def __enter__(self) -> Commit:
        return self

    def staged(self, path: Path) -> Path:
        """The place to write the content of a file to."""
        folder = path.parent
        folder.mkdir(parents=True, exist_ok=True)
        clear_temporaries(folder, path.name)
        self._staged[path] = folder / f"{temporary_prefix(path.name)}staged"
        return self._staged[path]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            folder = self._list.parent.resolve()  # paths from there hold after a move, and in any working directory
            names = {os.path.relpath(path.resolve(), folder): each.name for path, each in self._staged.items()}
            write_json(self._list, COMMIT_SCHEMA, {"files": names})
            _rename(self._list, names)
        for temporary in self._staged.values():
            temporary.unlink(missing_ok=True)


def finish_commit(first: Path) -> bool:
    """Finish a commit that was killed after all its files were staged; whether there was one.

    Raises:
        DataError: its list is damaged.
    """
    path = _list_of(first)
    if not path.exists():
        return False
    content = read_json(path, COMMIT_SCHEMA)
    with readable(path, "list of files to write", "remove it"):
        names = content["files"]
        for file, name in names.items():
            place = path.parent / file
            if Path(name).name != name or TEMPORARY.fullmatch(name) is None or place.is_dir():
                raise ValueError(f"it names {name}")
            if not place.exists() and not place.with_name(name).exists():
                raise ValueError(f"{place} is neither written nor staged")
    _rename(path, names)
    return True


def _list_of(first: Path) -> Path:
    return first.parent / f".{first.name}.commit"


def _rename(path: Path, names: Mapping[str, str]) -> None:
    try:
        for file, name in names.items():
            place = path.parent / file
            temporary = place.with_name(name)
            if temporary.exists():  # it may be renamed already
                temporary.replace(place)
        path.unlink()
    except OSError as error:
        raise DataError(f"cannot write {error.filename}: {error.strerror}; run the same again") from error


# ----
# Keys of files of earlier versions, and their present names.

RENAMED = {
    "skeleton": "size",
    "classes": "outputs",
    "foreign_cores": "background_cores",
    "quiet_ms": "idle_reference_ms",
    "interface": "preprocessing",
    "logits": "alphas",
    "edge_logits": "edge_alphas",
    "trained": "warm_start",
    "logits_learning_rate": "alphas_learning_rate",
    "logits_beta_1": "alphas_beta_1",
    "logits_beta_2": "alphas_beta_2",
    "logits_weight_decay": "alphas_weight_decay",
    "frame": "size",
    "choice": "rerank",
    "initial": "initial_random",
    "together": "proposals",
    "capacity": "macs_weight",
    "gain": "synflow_weight",
    "dilution": "skip_penalty",
    "drawn": "pool",
    "value_ms": "value",
    "low_ms": "low",
    "high_ms": "high",
}

RENAMED_SETTINGS = {("scale", "ms"): "linear"}  # of a predictor

PREDICTOR_TENSORS = {
    "median_ms": "median",
    "base_ms": "base",
    "slopes": "coefficients",
    "slopes_ms": "coefficients",
    "variance_ms2": "variance",
    "covariance_ms2": "covariance",
}

PREDICTOR_REPORT = {
    "measured_ms": "measured",
    "predicted_ms": "predicted",
    "predicted_std_ms": "predicted_std",
    "rmse_ms": "rmse",
}


def upgraded(content: Any, renamed: Mapping[str, str] = RENAMED) -> Any:
    """JSON content with keys and settings renamed to the present names, at every depth; current content stays the same.

    Args:
        content: dicts, lists, texts, numbers and None.
        renamed: earlier name -> present name.
    """
    if isinstance(content, dict):
        current = {
            key: RENAMED_SETTINGS.get((key, value), value) if isinstance(value, str) else value
            for key, value in content.items()
        }
        return {renamed.get(key, key): upgraded(value, renamed) for key, value in current.items()}
    return [upgraded(value, renamed) for value in content] if isinstance(content, list) else content
