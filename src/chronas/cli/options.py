"""Reads command lines into pydantic models by argparse: a field is a flag, a group of settings is `--group.field`.

call = read(MeasureOptions, ["--networks", "20", "--plan.rounds", "3"], "chronas measure run", groups_of)
call.options.networks, call.groups["plan"]
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Generic, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from chronas.arguments import path_of
from chronas.cli.words import KINDS, split_names, without_groups
from chronas.errors import UsageError, excerpt, problem, unknown_name
from chronas.registry import imported

MOST_DIGITS = 15


class Options(BaseModel):
    """Base of all commands' options: frozen, and with `--json`.

    Attributes:
        POSITIONAL: fields without a flag, in their order.
        FIRST: fields that the first help shows; empty means all.
        HIDDEN: fields that are read, so that an error can say why they are refused, and that help leaves out.
        PRESET: whether a preset or a run gives the defaults, so that only `--help all` shows them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    POSITIONAL: ClassVar[tuple[str, ...]] = ()
    FIRST: ClassVar[tuple[str, ...]] = ()
    HIDDEN: ClassVar[tuple[str, ...]] = ()
    PRESET: ClassVar[bool] = False

    json_answer: bool = Field(default=False, validation_alias="json", description="answer in JSON, for programs")


Model = TypeVar("Model", bound=Options)


@dataclass(frozen=True)
class Groups:
    """Settings that depend on the first flags.

    Attributes:
        parts: the groups with their defaults, by name.
        defaults: defaults of single flags for help, if they differ from the model's.
        base: the object that the groups were made from, for the command.
    """

    parts: Mapping[str, BaseModel] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    base: Any = None


GroupsOf = Callable[[Any], Groups]  # from the options, as far as they can be read without the groups


@dataclass(frozen=True)
class Call(Generic[Model]):
    """A command line that was read.

    Attributes:
        options: the single flags.
        groups: the groups of settings, by name.
        flags: the flags that were given, such as "--plan.rounds".
        line: the command line as it was typed.
        base: see `Groups`.
    """

    options: Model
    groups: Mapping[str, BaseModel]
    flags: frozenset[str]
    line: str
    base: Any = None


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises an error instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` with the message."""
        raise UsageError(message)


def read(
    model: type[Model], words: Sequence[str], line: str, prog: str, groups_of: GroupsOf | None = None
) -> Call[Model]:
    """A command line as options and groups.

    Args:
        model: model of the single flags.
        words: words after the command.
        line: all words as they were typed.
        prog: the command, for messages.
        groups_of: creates the groups from the options without them.

    Raises:
        UsageError: a flag is unknown or missing, or a value does not fit.
    """
    try:
        words = list(split_names(words))
        if groups_of is None:
            groups = Groups()
        else:
            values, _ = _values(_parser(model, Groups(), prog), [*without_groups(words)])
            groups = groups_of(_validated(model, values))
        values, unknown = _values(_parser(model, groups, prog), words)
        if unknown:
            raise _unknown(unknown[0], model, groups)
        single = {name: value for name, value in values.items() if "." not in name}
        parts = {name: _validated_part(name, part, values) for name, part in groups.parts.items()}
        flags = frozenset(_flag(model, name) for name in values)
        return Call(_validated(model, single), parts, flags, line, groups.base)
    except UsageError as error:
        raise UsageError(f"{error}; see {prog} --help") from error


def groups_for_help(model: type[Options], words: Sequence[str], prog: str, groups_of: GroupsOf) -> Groups:
    """The groups for a command line with `--help`, from its other words.

    Raises:
        UsageError: a value among the words does not fit.
    """
    values, _ = _values(_parser(model, Groups(), prog), [*without_groups(list(split_names(words)))])
    return groups_of(_validated(model, values, allow_missing=True))


def help_text(
    model: type[Options], groups: Groups, prog: str, description: str, more: Mapping[str, str], topic: str | None = None
) -> str:
    """The help of a command: its first flags, one group, or all.

    Args:
        model: model of the single flags.
        groups: the groups of settings.
        prog: the command.
        description: text above the flags.
        more: groups -> description.
        topic: None for the first flags, a group's name, "more" for the other single flags, or "all".

    Raises:
        UsageError: there is no such topic.
    """
    fields = [name for name in model.model_fields if name not in model.HIDDEN]
    rest = [name for name in fields if model.FIRST and name not in model.FIRST]
    topics = {**({"more": "all other flags without a group"} if rest else {}), **more}
    if topic is not None and topic not in {*topics, "all"}:
        raise unknown_name("topic of help", topic, {**topics, "all": ""})
    shown = {
        None: [name for name in fields if name not in rest],
        "all": fields,
        "more": rest,
    }.get(topic, [])
    parts = {name: part for name, part in groups.parts.items() if name in more}
    parser = _parser(model, replace(groups, parts=parts), prog, shown=shown, topic=topic)
    parser.description = description
    if topic is None and topics:
        width = max(map(len, topics))
        lines = "\n".join(f"  {name:<{width}}  {what}" for name, what in topics.items())
        parser.epilog = f"more flags, listed by `{prog} --help NAME` or `--help all`:\n{lines}"
    return parser.format_help()


# ---- models become parsers


def _parser(
    model: type[Options],
    groups: Groups,
    prog: str,
    *,
    shown: Sequence[str] | None = None,
    topic: str | None = "all",
) -> Parser:
    positional = " ".join(_usage(model, name) for name in model.POSITIONAL)
    parser = Parser(
        prog,
        usage=" ".join(filter(None, [prog, positional, "[FLAGS]"])),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28),
        argument_default=argparse.SUPPRESS,
        add_help=False,
        allow_abbrev=False,
    )
    add_flags(parser, model, groups, shown=shown, topic=topic)
    return parser


def add_flags(
    parser: argparse.ArgumentParser,
    model: type[Options],
    groups: Groups,
    *,
    shown: Sequence[str] | None = None,
    topic: str | None = "all",
) -> None:
    """Add the flags of a command to a parser.

    Args:
        parser: the parser that gets them.
        model: model of the single flags.
        groups: groups of settings.
        shown: single flags; None means all.
        topic: the group to add, "all", or None for none.
    """
    flags = parser.add_argument_group("flags")
    given = parser.add_argument_group("given first") if model.POSITIONAL else flags
    last = [name for name in model.model_fields if name not in model.FIRST and name != "json_answer"]
    for name in dict.fromkeys([*model.FIRST, *last, "json_answer"]):
        info = model.model_fields[name]
        if shown is None or name in shown:
            default = groups.defaults.get(name, None if model.PRESET else info.default)
            positional = name in model.POSITIONAL
            _add(given if positional else flags, name, info, default, positional=positional)
    for group, part in groups.parts.items():
        if topic in (group, "all"):
            titled = parser.add_argument_group(group)
            for name, info in type(part).model_fields.items():
                _add(titled, f"{group}.{name}", info, getattr(part, name))


def _add(
    parser: argparse._ActionsContainer,
    name: str,
    info: FieldInfo,
    default: object,
    *,
    positional: bool = False,
) -> None:
    kind, many, _ = _kind(info.annotation)
    text = (info.description or "").replace("%", "%%")
    if default not in (None, (), "", False, PydanticUndefined):
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
        text += f" (default: {shown})".replace("%", "%%")
    if positional:
        parser.add_argument(name, nargs="*" if many else "?", metavar=name.upper(), help=text)
    elif kind is bool:
        flag = _spelled(str(info.validation_alias or name))
        group, dot, last = flag.removeprefix("--").rpartition(".")
        opposite = f"not {flag}" if default else argparse.SUPPRESS
        parser.add_argument(flag, dest=name, action="store_const", const="true", help=text)
        parser.add_argument(f"--{group}{dot}no-{last}", dest=name, action="store_const", const="false", help=opposite)
    elif many:
        parser.add_argument(
            _spelled(name), dest=name, metavar=_metavar(name, kind), help=text, nargs="*", action="extend"
        )
    else:
        parser.add_argument(_spelled(name), dest=name, metavar=_metavar(name, kind), help=text)


def _kind(annotation: Any) -> tuple[Any, bool, bool]:
    """The type of one value, whether several values are allowed, and whether none is."""
    optional = False
    if get_origin(annotation) in (Union, UnionType):
        inner = [each for each in get_args(annotation) if each is not NoneType]
        optional = len(inner) < len(get_args(annotation))
        annotation = inner[0]
    many = get_origin(annotation) is tuple
    annotation = get_args(annotation)[0] if many else annotation
    return (get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation), many, optional


def _metavar(name: str, kind: Any) -> str:
    if name in KINDS:
        return f"{{{','.join(imported(KINDS[name]))}}}"
    if get_origin(kind) is Literal:
        return f"{{{','.join(map(str, get_args(kind)))}}}"
    return str(getattr(kind, "__name__", kind)).upper()


def _usage(model: type[Options], name: str) -> str:
    info = model.model_fields[name]
    _, many, _ = _kind(info.annotation)
    text = name.upper() + (" ..." if many else "")
    return text if info.is_required() else f"[{text}]"


def _spelled(name: str) -> str:
    return "--" + name.replace("_", "-")


def _flag(model: type[Options], name: str) -> str:
    """The spelling of a field on a command line."""
    if name in model.POSITIONAL:
        return name.upper()
    info = model.model_fields.get(name)
    return _spelled(str((info and info.validation_alias) or name))


# ---- words become values


def _values(parser: Parser, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    found, unknown = parser.parse_known_args(list(words))
    return vars(found), unknown


def _validated(model: type[Model], values: Mapping[str, Any], *, allow_missing: bool = False) -> Model:
    for kind in KINDS:
        if isinstance(values.get(kind), str) and values[kind] not in (names := imported(KINDS[kind])):
            raise unknown_name(kind, values[kind], names)
    named = {}
    for name, info in model.model_fields.items():
        if name in values and not (name in model.POSITIONAL and values[name] == []):  # [] where none is given
            named[str(info.validation_alias or name)] = _converted(values[name], info)
    _require_moderate(model, values)
    _require_paths(model, values)
    try:
        return model.model_validate(named)
    except ValidationError as error:
        wrong = [each for each in error.errors() if not (allow_missing and each["type"] == "missing")]
        if wrong:
            raise _invalid(wrong[0], "", model) from None
        return model.model_construct(**named)


def _validated_part(group: str, part: BaseModel, values: Mapping[str, Any]) -> BaseModel:
    fields = type(part).model_fields
    texts = {name: values[f"{group}.{name}"] for name in fields if f"{group}.{name}" in values}
    _require_moderate(type(part), texts, group)
    given = {name: _converted(text, fields[name]) for name, text in texts.items()}
    try:
        return type(part).model_validate({**{name: getattr(part, name) for name in fields}, **given})
    except ValidationError as error:
        raise _invalid(error.errors()[0], group, type(part)) from None


def _require_moderate(model: type[BaseModel], values: Mapping[str, Any], group: str = "") -> None:
    """Check that whole numbers have at most `MOST_DIGITS` digits; libraries below take no larger ones."""
    for name, value in values.items():
        if name in model.model_fields and _kind(model.model_fields[name].annotation)[0] is int:
            for text in value if isinstance(value, list) else [value]:
                if sum(map(str.isdigit, str(text))) > MOST_DIGITS:
                    flag = _spelled(f"{group}.{name}") if group else _flag(model, name)  # type: ignore[arg-type]
                    raise UsageError(f"{flag}: should have at most {MOST_DIGITS} digits, got {excerpt(str(text))}")


def _require_paths(model: type[Model], values: Mapping[str, Any]) -> None:
    for name, info in model.model_fields.items():
        if name in values and _kind(info.annotation)[0] is Path:
            for text in values[name] if isinstance(values[name], list) else [values[name]]:
                path_of(text, _flag(model, name))


def _converted(text: Any, info: FieldInfo) -> Any:
    """A text as None or as a number among given choices, which pydantic does not convert itself."""
    kind, many, optional = _kind(info.annotation)
    if many and isinstance(text, list):
        return None if optional and [each.lower() for each in text] == ["none"] else tuple(text)
    if optional and isinstance(text, str) and text.lower() == "none":
        return None
    if get_origin(kind) is Literal:
        return next((choice for choice in get_args(kind) if str(choice) == text), text)
    return text


def _invalid(error: Any, group: str, model: type[BaseModel]) -> UsageError:
    place = [part for part in error["loc"] if isinstance(part, str) and part in {*model.model_fields, "json"}]
    message = problem(error["msg"])
    if not place:
        return UsageError(f"{group}: {message}" if group else message)
    name = ".".join(filter(None, [group, place[0]]))
    flag = _flag(model, name) if issubclass(model, Options) else _spelled(name)
    if error["type"] == "missing":
        return UsageError(f"{flag} is needed: {model.model_fields[place[0]].description}")
    return UsageError(f"{flag}: {message}, got {excerpt(str(error['input']))[1:-1]}")


def _unknown(word: str, model: type[Options], groups: Groups) -> UsageError:
    flag = word.partition("=")[0]
    known = [_flag(model, name) for name in model.model_fields if name not in model.POSITIONAL]
    known += [_spelled(f"{group}.{name}") for group, part in groups.parts.items() for name in type(part).model_fields]
    if not flag.startswith("-"):
        return UsageError(f"nothing takes {word!r} here")
    near = difflib.get_close_matches(flag, known, n=1, cutoff=0.6)
    return UsageError(f"there is no option {flag}" + (f": did you mean {near[0]}?" if near else ""))
