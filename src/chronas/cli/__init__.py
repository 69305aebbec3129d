"""The command line: `main` runs a command, `COMMANDS` lists all commands."""

from __future__ import annotations

from chronas.cli.commands import COMMANDS, Command

__all__ = ["COMMANDS", "Command"]
