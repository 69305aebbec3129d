"""One error tree. A user sees a `ChronasError` as one line: what was expected, what was got, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_EXCERPT = 80


class ChronasError(Exception):
    """Base of every error that a user can cause or mend; `exit_code` is what the command line ends with."""

    exit_code = 2


class UsageError(ChronasError):
    """A wrong argument, name or combination of settings."""


class ParseError(UsageError):
    """A text (architecture, config, duration) that does not have the promised form."""


class OutOfReachError(ChronasError):
    """Limits that nothing is predicted to keep."""


class DivergedError(ChronasError):
    """A training or a search whose loss is no longer a finite number."""


class NotRegisteredError(ChronasError):
    """A file of somebody's own space, predictor or another thing that this program does not have."""


class DataError(ChronasError):
    """A file or data set that is missing, damaged or does not hold what it must hold."""


class MismatchError(ChronasError):
    """Two things that do not belong together: a table of another space, size or device than asked."""


class DeviceError(ChronasError):
    """A device that is not on this machine or that refuses what it was asked for."""


class MissingExtraError(ChronasError):
    """An optional package that is not installed; the message says what it is for and how to install it."""


class LimitMissedError(ChronasError):
    """No architecture was found whose measured cost lies within the limit."""

    exit_code = 1


def unknown_name(kind: str, got: str, valid: Iterable[str]) -> UsageError:
    """The error for a name that does not exist, with the nearest valid names first.

    Args:
        kind: what the name should name, for example "space".
        got: the name as the user wrote it.
        valid: all valid names.
    """
    names = sorted(valid)
    near = difflib.get_close_matches(got, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(f"unknown {kind} {excerpt(got)}: {hint}valid names are {', '.join(names)}")


def excerpt(text: str) -> str:
    """The beginning of what a user gave, quoted, short enough for a one-line error."""
    return repr(text if len(text) <= LONGEST_EXCERPT else f"{text[: LONGEST_EXCERPT - 3]}...")
