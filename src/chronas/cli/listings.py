"""Lists of devices, sensors, spaces and presets, and the completion of shells."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import shtab
from pydantic import BaseModel

from chronas.cli.commands import COMMANDS, Command
from chronas.cli.flags import CompletionOptions, DevicesOptions, ExploreOptions
from chronas.cli.options import Call, Groups, Options, add_flags, groups_for_help
from chronas.cli.output import note, write, write_json, write_table
from chronas.devices import DEVICES, Device, device_class
from chronas.explore import Settings, load_catalogue, serve
from chronas.measurement import SENSORS, Sensor, sensor_class
from chronas.registry import imported
from chronas.runs import preset_summaries
from chronas.spaces import SPACES, make_space


def devices(call: Call[DevicesOptions]) -> int:
    """List the devices, or the sensors."""
    if call.options.sensors:
        rows = [_row("sensor", name, sensor_class(name)) for name in SENSORS]
    else:
        rows = [_row("device", name, device_class(name)) for name in DEVICES]
    return _show(rows, as_json=call.options.json_answer)


def spaces(call: Call[Options]) -> int:
    """List the spaces."""
    rows = []
    for name in SPACES:
        space = make_space(name)
        operations = dict.fromkeys(option for decision in space.decisions for option in decision.options)
        rows.append(
            {
                "space": name,
                "architectures": f"{space.cardinality:,}",
                "decisions": len(space.decisions),
                "encoding": space.encoding_length,
                "operations": ", ".join(operations),
                "sizes": ", ".join(space.sizes),
            }
        )
    return _show(rows, as_json=call.options.json_answer)


def presets(call: Call[Options]) -> int:
    """List the presets."""
    rows = [{"preset": name, "what": what} for name, what in preset_summaries().items()]
    return _show(rows, as_json=call.options.json_answer)


def completion(call: Call[CompletionOptions]) -> int:
    """Write the completion script for a shell."""
    root = argparse.ArgumentParser("chronas")
    below = {"": root.add_subparsers()}
    for name, command in COMMANDS.items():
        *begun, last = name.split()
        for depth in range(len(begun)):
            prefix = " ".join(begun[: depth + 1])
            if prefix not in below:
                group = below[" ".join(begun[:depth])].add_parser(begun[depth], help=f"{prefix} ...")
                below[prefix] = group.add_subparsers()
        parser = below[" ".join(begun)].add_parser(last, help=command.summary, allow_abbrev=False)
        model = command.model()
        add_flags(parser, model, Groups(_groups(name, command, model)))
        for action in parser._actions:  # noqa: SLF001 - read by shtab
            words = str(action.metavar)
            if words.startswith("{"):
                action.choices = words.strip("{}").split(",")
            elif "PATH" in words or action.dest in model.POSITIONAL:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    write(shtab.complete(root, call.options.shell))
    return 0


def _groups(name: str, command: Command, model: type[Options]) -> Mapping[str, BaseModel]:
    """The groups of a command with its default names; none for `retarget`, where they depend on a run."""
    if command.groups_of is None or name == "retarget":
        return {}
    groups_of = imported(f"chronas.cli.{command.action.partition(':')[0]}:{command.groups_of}")
    return groups_for_help(model, [], f"chronas {name}", groups_of).parts


def _show(rows: Sequence[dict[str, Any]], *, as_json: bool) -> int:
    if as_json:
        write_json(rows)
    else:
        write_table(list(rows[0]), [list(row.values()) for row in rows])
    return 0


def _row(kind: str, name: str, found: type[Device] | type[Sensor]) -> dict[str, str]:
    reason = found.unavailable()
    what = (found.__doc__ or "").strip().splitlines()[0]
    return {kind: name, "here": "yes" if reason is None else f"no: {reason}", "what": what}


# ----
# `chronas explore`: a page in the browser for choosing networks, devices and a limit.


def explore(call: Call[ExploreOptions]) -> int:
    """Read the files first, so that errors in them are reported at once, then serve until interrupted."""
    options = call.options
    load_catalogue(options.tables, options.accuracies)
    settings = Settings(host=options.host, port=options.port, browser=options.browser)
    serve(settings, options.tables, options.accuracies, lambda url: announce(url, as_json=options.json_answer))
    return 0


def announce(url: str, *, as_json: bool) -> None:
    """Print the page's address, without delay even if stdout is not a terminal."""
    if as_json:
        write_json({"url": url})
    else:
        write(url)
    sys.stdout.flush()
    note("open it in a browser; Ctrl-C ends it")
