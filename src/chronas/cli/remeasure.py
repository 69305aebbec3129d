"""`chronas measure --check TABLE`: how well a table's measurements repeat in new rounds, told and kept in the table."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from pydantic import Field

from chronas.cli.errors import resumable
from chronas.cli.options import Options, read_options
from chronas.cli.output import progress_display
from chronas.cli.table import show_table
from chronas.devices import device_like
from chronas.runs import Run
from chronas.tables import CostTable, remeasured

DESCRIPTION = """Measure a sample of a table's networks again in new rounds, and tell how well the two agree.

TABLE is a table of costs or a run folder. The answer is kept in the table, the new samples in a journal beside it."""


class CheckOptions(Options):
    """Options of `chronas measure --check`."""

    check: Path = Field(description="a table of costs that was measured here, or a run folder")
    networks: int = Field(default=100, ge=2, description="how many of its networks are measured again")
    seed: int = Field(default=0, ge=0, description="which of its networks")


def main(words: list[str]) -> int:
    """Check a table."""
    words = ["--help"] if {"-h", "--help"} & set(words) else words
    options = read_options(CheckOptions, words, prog="chronas measure --check TABLE", description=DESCRIPTION)
    path = options.check
    run = Run.open(path) if path.is_dir() else None
    path = path / "costs.parquet" if path.is_dir() else path
    with nullcontext() if run is None else run.working():
        table = CostTable.load(path)
        journal = path.with_name(f"{path.stem}.check-{len(table.provenance.checks) + 1}.sqlite")
        device = device_like(table.provenance.device)
        with resumable("the same command"), progress_display() as progress:
            table = remeasured(table, device, journal, networks=options.networks, seed=options.seed, progress=progress)
        table.save(path)
    show_table(table, path, as_json=options.json_answer, rows=0)
    return 0
