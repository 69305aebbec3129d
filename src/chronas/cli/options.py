"""Command-line options made from the configs themselves, by tyro; parse and validation errors become our one line.

names, rest = read_names(words, {"device": DEVICES}, {"device": "onnxruntime-cpu"})
options = read_options(Options, rest, prog="chronas measure")
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

import tyro
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from chronas.errors import UsageError, unknown_name

Model = TypeVar("Model", bound=BaseModel)
VALIDATION = re.compile(
    r"Error parsing (\S+): \d+ validation errors? for \w+ (\S+) (.*?) \[type=.*?input_value=(.*?), input_type=\w+\].*"
)
WIDE = "400"  # columns, so that tyro does not wrap what we put on one line
BOX = re.compile(r"^[│╭╰╮╯─|+\s]+|[│╭╰╮╯─|+\s]+$")


class Options(BaseModel):
    """Base of all commands' options: frozen, and with `--json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    json_answer: Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff] = Field(
        default=False, description="answer in JSON, for programs"
    )


def read_names(
    words: list[str], valid: Mapping[str, Mapping[str, object]], defaults: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Take `--<kind> NAME` (or `--<kind>=NAME`) for each kind out of `words`.

    Args:
        words: the command line.
        valid: for each kind, the dict of its names.
        defaults: the name of each kind that is taken where none is given.

    Returns:
        The names by kind, and the words that are left.

    Raises:
        UsageError: an unknown name, or a flag without one.
    """
    names, rest, queue = dict(defaults), [], list(words)
    while queue:
        word = queue.pop(0)
        flag, equals, value = word.partition("=")
        kind = flag.removeprefix("--")
        if not flag.startswith("--") or kind not in valid:
            rest.append(word)
            continue
        if not equals:
            if not queue:
                raise UsageError(f"{flag} needs a name: one of {', '.join(valid[kind])}")
            value = queue.pop(0)
        if value not in valid[kind]:
            raise unknown_name(kind, value, valid[kind])
        names[kind] = value
    return names, rest


def with_parts(base: type[Model], parts: Mapping[str, BaseModel]) -> type[Model]:
    """A model of `base` and one more group of options for each part, which is its default: `--device.threads`."""
    fields: dict[str, Any] = {name: (type(part), Field(default=part)) for name, part in parts.items()}
    return create_model(base.__name__, __base__=base, **fields)


def part(options: BaseModel, name: str) -> BaseModel:
    """The group of options that `with_parts` added under `name`."""
    found = getattr(options, name)
    assert isinstance(found, BaseModel)
    return found


def read_options(
    model: type[Model], words: list[str], *, prog: str, description: str, default: Model | None = None
) -> Model:
    """An instance of `model` from flags; `--help` prints and ends the process.

    Raises:
        UsageError: an unknown flag or a value that does not fit, in one line.
    """
    errors = io.StringIO()
    try:
        if {"-h", "--help"} & set(words):
            return _parse(model, words, prog, description, default)
        with contextlib.redirect_stderr(errors), _wide_terminal():
            return _parse(model, words, prog, description, default)
    except SystemExit as end:
        if end.code in {0, None}:
            raise
        raise UsageError(f"{one_line(errors.getvalue())}; see {prog} --help") from None
    except ValidationError as error:
        first = error.errors()[0]
        flag = _field(".".join(map(str, first["loc"])))
        raise UsageError(f"{flag}: {first['msg'].lower()}, got {first['input']}; see {prog} --help") from None


@contextlib.contextmanager
def _wide_terminal() -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDE
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def _parse(model: type[Model], words: list[str], prog: str, description: str, default: Model | None) -> Model:
    if default is None:
        return tyro.cli(model, args=words, prog=prog, description=description)
    return tyro.cli(model, args=words, prog=prog, description=description, default=default)


def one_line(box: str) -> str:
    """The message and the suggestion of one of tyro's error boxes, on one line."""
    lines = [BOX.sub("", line) for line in box.splitlines()]
    text = " ".join(line for line in lines[1:] if line.strip("-") and "errors.pydantic.dev" not in line)
    text = re.sub(r"(Argument helptext:|For full helptext).*", "", re.sub(r"\s+", " ", text))
    text = VALIDATION.sub(lambda found: f"{_field(f'{found[1]}.{found[2]}')}: {found[3].lower()}, got {found[4]}", text)
    return text.strip() or "the options could not be read"


def _field(name: str) -> str:
    """The flag of a field such as `plan.max_rounds`; the options themselves, no group, are named by their class."""
    group, _, rest = name.partition(".")
    return f"--{(name if group.islower() else rest).replace('_', '-')}"
