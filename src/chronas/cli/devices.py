"""`chronas devices`: the devices that chronas knows, and which of them this machine has."""

from __future__ import annotations

from chronas.cli.answers import write_json, write_table
from chronas.cli.options import Options, read_options
from chronas.devices import DEVICES, device_class


def main(words: list[str]) -> int:
    """List the devices."""
    options = read_options(Options, words, prog="chronas devices", description="The devices that chronas knows.")
    rows = []
    for name in DEVICES:
        device = device_class(name)
        reason = device.unavailable()
        what = (device.__doc__ or "").strip().splitlines()[0]
        rows.append({"device": name, "here": "yes" if reason is None else f"no: {reason}", "what": what})
    if options.json_answer:
        write_json(rows)
    else:
        write_table(list(rows[0]), [list(row.values()) for row in rows])
    return 0
