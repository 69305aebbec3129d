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
from typing import Annotated, Any, Literal, TypeVar

import tyro
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from chronas.errors import UsageError, unknown_name

Model = TypeVar("Model", bound=BaseModel)
VALIDATION = re.compile(
    r"Error parsing (\S+): \d+ validation errors? for \w+ (?:(Value error,)|(\S+)) (.*?) "
    r"\[type=.*?input_value=(.*?), input_type=\w+\].*"
)
NO_TYPE = re.compile(r"no type matching (\S+) could be instantiated from \[(.*?)\]\. Got errors:.*")
SIMILAR = re.compile(r"(?:Perhaps you meant:|Arguments similar to (\S+):) (--\S+).*?(?=Arguments similar to|$)")
NAMED = {  # what the names decide, for help
    "preset": "settings to begin with",
    "space": "search space",
    "device": "device that is measured; decides which --device.* there are",
    "dataset": "whose images decide the size: their size and number of classes",
    "searcher": "search algorithm; decides which --searcher.* there are",
    "predictor": "latency predictor; decides which --predictor.* there are",
}
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

    `--<kind> NAME:VALUE` stands for `--<kind> NAME --<kind>.NAME VALUE`: the setting that the entry is named after.

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
        value, colon, setting = value.partition(":")
        if value not in valid[kind]:
            raise unknown_name(kind, value, valid[kind])
        names[kind] = value
        if colon:
            rest.append(f"--{kind}.{value}={setting}")
    return names, rest


def with_parts(base: type[Model], parts: Mapping[str, BaseModel]) -> type[Model]:
    """A model of `base` and one more group of options for each part, which is its default: `--device.threads`."""
    fields: dict[str, Any] = {name: (type(part), Field(default=part)) for name, part in parts.items()}
    return create_model(base.__name__, __base__=base, **fields)


def with_names(base: type[Model], valid: Mapping[str, Mapping[str, object]], names: Mapping[str, str]) -> type[Model]:
    """A model of `base` that lists `--<kind> NAME` in its help; `read_names` has taken them out of the words before.

    Args:
        base: the model.
        valid: for each kind, the dict of its names.
        names: the name of each kind that is chosen.
    """
    fields: dict[str, Any] = {}
    for kind, table in valid.items():
        choice: Any = Literal.__getitem__((*table, *({names[kind]} - {*table})))
        flag = Annotated[choice, tyro.conf.arg(name=kind)]
        fields[f"{kind}_name"] = (flag, Field(default=names[kind], description=NAMED[kind]))
    return create_model(base.__name__, __base__=base, **fields)


def part(options: BaseModel, name: str) -> BaseModel:
    """The group of options that `with_parts` added under `name`."""
    found = getattr(options, name)
    assert isinstance(found, BaseModel)
    return found


def read_options(model: type[Model], words: list[str], *, prog: str, description: str) -> Model:
    """An instance of `model` from flags; `--help` prints and ends the process.

    Raises:
        UsageError: an unknown flag or a value that does not fit, in one line.
    """
    errors = io.StringIO()
    try:
        if {"-h", "--help"} & set(words):
            return tyro.cli(model, args=words, prog=prog, description=description)
        with contextlib.redirect_stderr(errors), _wide_terminal():
            return tyro.cli(model, args=words, prog=prog, description=description)
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


def one_line(box: str) -> str:
    """The message and the suggestion of one of tyro's error boxes, on one line."""
    lines = [BOX.sub("", line) for line in box.splitlines()]
    text = " ".join(line for line in lines[1:] if line.strip("-") and "errors.pydantic.dev" not in line)
    text = re.sub(r"(Argument helptext:|For full helptext).*", "", re.sub(r"\s+", " ", text))
    text = NO_TYPE.sub(r"expected \1, got \2", text)
    text = VALIDATION.sub(_invalid, SIMILAR.sub(_similar, text))
    return text.strip() or "the options could not be read"


def _invalid(found: re.Match[str]) -> str:
    """A pydantic error; one about several fields of a group together tells its own story."""
    if found[2]:
        return f"{found[1]}: {found[4]}"
    return f"{_field(f'{found[1]}.{found[3]}')}: {found[4].lower()}, got {found[5]}"


def _similar(found: re.Match[str]) -> str:
    """The first flag that tyro suggests, without its help."""
    return f"(did you mean {found[2]}{f' for {found[1]}' if found[1] else ''}?) "


def _field(name: str) -> str:
    """The flag of a field such as `plan.max_rounds`; the options themselves, no group, are named by their class."""
    group, _, rest = name.partition(".")
    return f"--{(name if group.islower() else rest).replace('_', '-')}"
