"""`chronas report RUN`: the page of a run, from what its folder holds."""

from __future__ import annotations

from chronas.cli.options import Options, read_options
from chronas.cli.run import tell
from chronas.cli.run_argument import take_run
from chronas.errors import UsageError
from chronas.runs import show

DESCRIPTION = "Write report.html of a run folder: chronas report RUN."


def main(words: list[str]) -> int:
    """Write the page and tell what is in it."""
    run, again, rest = take_run(words, "chronas report")
    options = read_options(Options, rest, prog="chronas report RUN", description=DESCRIPTION)
    if run is None:
        raise UsageError("expected a run folder: chronas report RUN")
    if again:
        raise UsageError("a report is made anew each time: leave --again out")
    tell(run, show(run), as_json=options.json_answer)
    return 0
