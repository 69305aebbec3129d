"""Checks of arguments of public functions: each gives the value in its right type, or a `UsageError`."""

from __future__ import annotations

import functools
import inspect
import operator
import os
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin

from chronas.errors import UsageError, excerpt

LARGEST_SEED = 2**31 - 1  # libraries that we give seeds to take no larger ones


def whole(value: Any, name: str, least: int = 0, most: int | None = None) -> int:
    """A whole number, also one of numpy's.

    Raises:
        UsageError: it is none, is a bool, or is outside `least`..`most`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least or (most is not None and number > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UsageError(f"{name} should be a whole number {bounds}, got {excerpt(repr(value))}")
    return number


def seed_of(value: Any) -> int:
    """A seed; raises as `whole`."""
    return whole(value, "seed", most=LARGEST_SEED)


def path_of(value: Any, name: str = "path") -> Path:
    """A path from a text or a path.

    Raises:
        UsageError: it is neither, is empty, or has a NUL or bytes that are no UTF-8, which libraries below refuse.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise UsageError(f"{name} should be a path, got {type(value).__name__}: {excerpt(repr(value))}")
    text = str(os.fspath(value))
    if not text or "\0" in text:
        raise UsageError(f"{name} should be a path, got {excerpt(text)}")
    if any("\ud800" <= sign <= "\udfff" for sign in text):  # so Python writes such bytes
        raise UsageError(f"{name} should be a path in UTF-8, got {excerpt(text)}: rename it")
    return Path(text)


def require_kind(value: Any, name: str, *kinds: type) -> None:
    """Check the type of an argument.

    Raises:
        UsageError: it has none of these types.
    """
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise UsageError(f"{name} should be a {wanted}, got {type(value).__name__}: {excerpt(repr(value))}")


Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def checked(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """A public function whose arguments are checked against its annotations before it begins.

    Raises:
        UsageError: an argument has another type, is missing, or does not exist.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise UsageError(f"{function.__name__}(...): {error}") from error
        for name, value in given.items():
            _require_fitting(function, name, value)
        return function(*args, **kwargs)

    return call


def _require_fitting(function: Callable[..., Any], name: str, value: Any) -> None:
    fits = _check_of(function, name)
    plain = value.item() if type(value).__module__ == "numpy" and not value.shape else value
    if fits is not None and not fits(plain):
        hint = function.__annotations__[name]
        got = f"{type(value).__name__}: {excerpt(repr(value))}"
        raise UsageError(f"{function.__name__}(...): {name} should be {hint}, got {got}")


@functools.cache
def _check_of(function: Callable[..., Any], name: str) -> Callable[[Any], bool] | None:
    """Whether a value fits a parameter; None for one without an annotation that is known when the program runs."""
    text = function.__annotations__.get(name)
    kind = inspect.signature(function).parameters[name].kind
    if text is None or kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
        return None
    try:
        hint = eval(text, function.__globals__) if isinstance(text, str) else text  # noqa: S307 - our own annotation
    except NameError:  # it is imported for type checkers alone
        return None
    return _check_for(hint)


def _check_for(hint: Any) -> Callable[[Any], bool]:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    if get_origin(hint) in (Union, UnionType):
        ways = [_check_for(each) for each in get_args(hint)]
        return lambda value: any(fits(value) for fits in ways)
    if isinstance(hint, type) and get_origin(hint) is None and hint not in (int, float, bool, str):
        return lambda value: isinstance(value, hint)
    adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, strict=True))

    def fits(value: Any) -> bool:
        try:
            adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    return fits
