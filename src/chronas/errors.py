"""The error classes. A user sees a `ChronasError` as one line: what was expected, what was got, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LONGEST_EXCERPT = 80


class ChronasError(Exception):
    """Base of every error that a user can cause or fix; the command line ends with its `exit_code`."""

    exit_code = 2


class UsageError(ChronasError):
    """A wrong argument, name or combination of settings."""


class ParseError(UsageError):
    """A text (architecture, config, duration) that does not have the expected form."""


class OutOfReachError(ChronasError):
    """No architecture is predicted to keep the limits."""


class DivergedError(ChronasError):
    """A training or a search whose loss is not a finite number."""


class NotRegisteredError(ChronasError):
    """A file made with a user's own space, predictor or other object that this program does not know."""


class DataError(ChronasError):
    """A file or data set that is missing, damaged or lacks required content."""


class MismatchError(ChronasError):
    """Two things that do not belong together, such as a table of another space, size or device than asked for."""


class DeviceError(ChronasError):
    """A device that is not on this machine, or that refuses a request."""


class MissingExtraError(ChronasError):
    """An optional package that is not installed; the message gives its purpose and the command to install it."""


class LimitMissedError(ChronasError):
    """No architecture was found whose measured cost is within the limit."""

    exit_code = 1


def unknown_name(kind: str, got: str, valid: Iterable[str]) -> UsageError:
    """The error for a name that does not exist; the nearest valid names come first.

    Args:
        kind: the kind of thing that the name stands for, for example "space".
        got: the name as the user wrote it.
        valid: all valid names.
    """
    names = sorted(valid)
    near = difflib.get_close_matches(got, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(f"unknown {kind} {excerpt(got)}: {hint}valid names are {', '.join(names)}")


def excerpt(text: str) -> str:
    """The beginning of a user's text, quoted and short enough for a one-line error."""
    return repr(text if len(text) <= LONGEST_EXCERPT else f"{text[: LONGEST_EXCERPT - 3]}...")


@contextmanager
def said_as(kind: type[ChronasError], message: str) -> Iterator[None]:
    """Turn every error of a user's code, or of a runtime below it, into one of ours; our own pass.

    Args:
        kind: the class to raise.
        message: what went wrong; the error's class and first line follow it.
    """
    try:
        yield
    except ChronasError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - such code may raise anything
        raise kind(f"{message} ({type(error).__name__}: {reason(error)})") from error


def reason(error: BaseException) -> str:
    """The first line of a library's error; of a pydantic error, the first field and its problem."""
    if hasattr(error, "errors"):
        first = error.errors()[0]
        return ": ".join(filter(None, [".".join(map(str, first["loc"])), problem(first["msg"])]))
    return str(error).partition("\n")[0]


def problem(message: str) -> str:
    """A message of pydantic for the middle of a sentence, with the case of names in it as it is."""
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
