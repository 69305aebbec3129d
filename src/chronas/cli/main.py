"""Entry point: finds the command, runs it inside the border, returns the exit code."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from types import ModuleType

from chronas.cli import COMMANDS, SHARED
from chronas.cli.errors import Border
from chronas.errors import UsageError, unknown_name

EPILOGUE = """Answers go to stdout (--json for programs), progress and notes to stderr.
Exit codes: 0 done, 1 the answer is no (limit missed), 2 wrong use or a limit out of reach, 70 a fault of chronas,
130 interrupted.
`chronas COMMAND --help` tells a command's options; --debug shows the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with Border(debug=_take(words, "--debug")) as border:
        border.exit_code = _dispatch(words, own_process=arguments is None)
    return border.exit_code


def _dispatch(words: list[str], *, own_process: bool) -> int:
    if not words or words[0] in {"-h", "--help"}:
        sys.stdout.write(help_text())
        return 0
    if words[0] == "--version":
        from chronas import __version__

        sys.stdout.write(f"chronas {__version__}\n")
        return 0
    if words[0] not in COMMANDS:
        raise unknown_name("command", words[0], COMMANDS)
    if "TORCHELASTIC_RUN_ID" in os.environ and words[0] not in SHARED:  # torchrun sets it in what it starts
        raise UsageError(f"torchrun is for {', '.join(SHARED)}, got {words[0]}: start it as one process")
    load = _load_uncollected if own_process else importlib.import_module
    exit_code: int = load(COMMANDS[words[0]][0]).main(words[1:])
    return exit_code


def _load_uncollected(module: str) -> ModuleType:
    """Import for good: looking for garbage in what stays takes a quarter of a query's time."""
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        gc.freeze()
        gc.enable()


def help_text() -> str:
    """The text of `chronas --help`."""
    lines = [f"  {name:<9} {line}" for name, (_, line) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: chronas COMMAND [OPTIONS]",
            "",
            "Find the most accurate neural network that meets a latency limit on your device.",
            "",
            "commands:",
            *lines,
            "",
            EPILOGUE,
            "",
        ]
    )


def _take(words: list[str], flag: str) -> bool:
    """Whether `flag` is among the words; it is removed."""
    found = flag in words
    while flag in words:
        words.remove(flag)
    return found


if __name__ == "__main__":
    sys.exit(main())
