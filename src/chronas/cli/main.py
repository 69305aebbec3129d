"""The entry point: finds the command, runs it with error handling, returns the exit code."""

from __future__ import annotations

import gc
import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from types import ModuleType

from chronas.cli.commands import COMMANDS, OLD_COMMANDS, OLD_FLAGS, Command
from chronas.cli.output import Border, escape_unknown_characters
from chronas.errors import UsageError, unknown_name

HELP = ("-h", "--help")
# Commands whose threads wait for each other asleep: on a busy machine, threads that wait in a loop take the time of the
# others. It would change PyTorch's latency with several threads, so not where that is timed.
TRAINING = ("demo", "run", "resume", "retarget", "search", "train")
EPILOGUE = """Answers go to stdout (--json for programs), progress and notes to stderr.
Exit codes: 0 done, 1 the answer is no (limit missed), 2 wrong use or a limit out of reach, 70 a fault of chronas,
130 interrupted.
`chronas COMMAND --help` lists a command's flags; --debug shows the traceback of an error."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        escape_unknown_characters()
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    with Border(debug=debug) as border:
        border.exit_code = _dispatch(words, own_process=arguments is None)
    return border.exit_code


def help_text(prefix: str = "") -> str:
    """The text of `chronas --help`, or of `chronas measure --help`: the commands that begin with these words."""
    begin = f"{prefix} " if prefix else ""
    found = {name: command.summary for name, command in COMMANDS.items() if name.startswith(begin)}
    width = max(map(len, found))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in found.items()]
    purpose = "" if prefix else "Find the most accurate neural network that meets a latency limit on your device.\n\n"
    usage = f"usage: chronas {prefix or 'COMMAND'}{' COMMAND' if prefix else ''} [FLAGS]"
    return "\n".join([usage, "", f"{purpose}commands:", *lines, "", EPILOGUE, ""])


def find_command(words: Sequence[str]) -> tuple[str, Command, list[str]]:
    """The name of a command, the command, and the words after its name.

    Raises:
        UsageError: there is no such command; for names of earlier versions, the message has the new one.
    """
    name = next((name for name in (" ".join(words[:count]) for count in (3, 2, 1)) if name in COMMANDS), "")
    for flag in (word.partition("=")[0] for word in words):
        new = OLD_FLAGS.get((name or words[0], flag))
        if new is not None:
            raise UsageError(f"`chronas {words[0]} {flag}` is now: chronas {new}")
    if name:
        return name, COMMANDS[name], list(words[len(name.split()) :])
    begun = next((" ".join(words[:count]) for count in (2, 1) if _below(" ".join(words[:count]))), "")
    got = " ".join(words).removeprefix(begun).split()
    if got:
        error = unknown_name(f"command of `chronas {begun}`" if begun else "command", got[0], _below(begun))
    else:
        error = UsageError(f"`chronas {begun}` needs one of {', '.join(_below(begun))}")
    raise UsageError(f"{error}; {OLD_COMMANDS[begun]}") if begun in OLD_COMMANDS else error


def _below(prefix: str) -> list[str]:
    """The next words of the commands that begin with a prefix."""
    begin = f"{prefix} " if prefix else ""
    return list(dict.fromkeys(name.removeprefix(begin).split()[0] for name in COMMANDS if name.startswith(begin)))


def _dispatch(words: list[str], *, own_process: bool) -> int:
    if not words or words[0] in HELP:
        sys.stdout.write(help_text())
        return 0
    if words[0] == "--version":
        from chronas import __version__

        sys.stdout.write(f"chronas {__version__}\n")
        return 0
    plain = [word for word in words if word not in HELP]
    if len(plain) < len(words) and " ".join(plain) not in COMMANDS and _below(" ".join(plain)):
        sys.stdout.write(help_text(" ".join(plain)))
        return 0
    name, command, rest = find_command(words)
    if "TORCHELASTIC_RUN_ID" in os.environ and not command.shared:  # torchrun sets it in its processes
        able = ", ".join(each for each, found in COMMANDS.items() if found.shared)
        raise UsageError(f"torchrun is for {able}, got {name}: start it as one process")
    if own_process and name in TRAINING and "--device.threads" not in " ".join(rest):
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
    load = _load_uncollected if own_process else importlib.import_module
    flags = command.model(load)
    options = importlib.import_module("chronas.cli.options")
    prog = f"chronas {name}"
    module, _, action = f"chronas.cli.{command.action}".partition(":")
    if set(HELP) & set(rest):
        topic = next(
            (word for at, word in zip(rest, rest[1:], strict=False) if at in HELP and not word.startswith("-")), None
        )
        groups = options.Groups()
        description = command.description
        if topic is not None and command.groups_of is not None:
            asked = [word for word in rest if word not in (*HELP, topic)]
            try:
                groups = options.groups_for_help(flags, asked, prog, getattr(load(module), command.groups_of))
            except UsageError as error:  # the groups of `retarget` are known once its run and device are
                description += f"\n\nNo groups are shown here: {error}"
        sys.stdout.write(options.help_text(flags, groups, prog, description, command.groups, topic))
        return 0
    found = load(module)
    groups_of = None if command.groups_of is None else getattr(found, command.groups_of)
    line = shlex.join(["chronas", *words])
    exit_code: int = getattr(found, action)(options.read(flags, rest, line, prog, groups_of))
    return exit_code


def _load_uncollected(module: str) -> ModuleType:
    """Import a module without garbage collection, which would take a quarter of a query's time."""
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
