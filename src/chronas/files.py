"""Files that are whole or absent: atomic writes, checksums, and JSON with a schema version."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from chronas.arguments import path_of
from chronas.errors import DataError
from chronas.reading import LARGEST, parse_json, read_within, readable

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
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
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
