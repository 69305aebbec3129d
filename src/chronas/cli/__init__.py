"""The command line. `COMMANDS` maps a command to its module and one line of help, so that help imports nothing heavy.

$ chronas --help
$ chronas demo
"""

from __future__ import annotations

__all__ = ["COMMANDS", "SHARED"]

COMMANDS = {
    "demo": ("chronas.cli.demo", "the whole loop on digits and this CPU, in minutes"),
    "run": ("chronas.cli.run", "the whole loop: measure, fit, search, train, export, measure again, report"),
    "measure": ("chronas.cli.measure", "measure random networks of a space on a device: a table of costs"),
    "fit": ("chronas.cli.fit", "learn a cost predictor from a table"),
    "search": ("chronas.cli.search", "search an architecture for a data set, with a latency weight or limit"),
    "train": ("chronas.cli.train", "train one architecture from scratch"),
    "export": ("chronas.cli.export", "write a trained network as safetensors, ONNX and one Python file"),
    "report": ("chronas.cli.report", "write the page of a run"),
    "table": ("chronas.cli.table", "tables of costs: show, query, compare, import, build"),
    "devices": ("chronas.cli.devices", "the devices that chronas knows, and which of them this machine has"),
    "spaces": ("chronas.cli.spaces", "the search spaces, their sizes and operations"),
    "explore": ("chronas.cli.explore", "a page in the browser: networks, devices, a limit, and what is best within it"),
}
SHARED = ("train", "search")  # commands whose work the processes of torchrun can share
