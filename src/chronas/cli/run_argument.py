"""Step commands on a run folder: `chronas fit runs/mine`, and `--again` to do one anew; the old result is kept."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from chronas.errors import UsageError
from chronas.runs import Run


def take_run(words: list[str], command: str, takes: Collection[str] = ()) -> tuple[Run | None, bool, list[str]]:
    """The run that a command line names by its first word, if it does.

    Args:
        words: after the command.
        command: for messages.
        takes: flags with values that the command takes beside a run as well.

    Returns:
        The run or None, whether `--again` was given, and the words that are left: with a run `--json` and `takes`.

    Raises:
        UsageError: options beside a run folder; its settings are in it.
        DataError: the folder holds no run.
    """
    if not words or words[0].startswith("-"):
        return None, False, words
    rest = [word for word in words[1:] if word != "--again"]
    wrong = [word for word in _without_values(rest, takes) if word not in {"--json", "--help", "-h"}]
    if wrong:
        raise UsageError(
            f"`{command} RUN` takes its settings from the run, so {' '.join(wrong)} cannot be given; "
            f"give --again to do the step anew, or start another run"
        )
    return Run.open(Path(words[0])), "--again" in words, rest


def _without_values(words: list[str], flags: Collection[str]) -> list[str]:
    """The words without these flags and what follows each up to the next flag."""
    left, taken = [], False
    for word in words:
        taken = word.partition("=")[0] in flags if word.startswith("-") else taken
        left += [] if taken else [word]
    return left
