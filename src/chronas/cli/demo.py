"""`chronas demo`: the whole loop on digits and this CPU, in minutes."""

from __future__ import annotations

from chronas.cli.run import run_preset

DESCRIPTION = """The whole loop in minutes: measure random DARTS networks on this CPU, learn their latency, search
handwritten digits with and without a latency term, train what was found, compare with random networks,
write report.html. The settings are those of `chronas run --preset digits-cpu`."""


def main(words: list[str]) -> int:
    """Run the preset `digits-cpu`."""
    return run_preset(words, "digits-cpu", prog="chronas demo", description=DESCRIPTION, folder="demo")
