"""`chronas export`: a trained network as safetensors, ONNX and one Python file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from chronas.cli.options import Options, read_options
from chronas.cli.output import write, write_json
from chronas.cli.run_argument import take_run
from chronas.errors import UsageError
from chronas.runs import EXPORTED, export, export_own

DESCRIPTION = """Write a trained network as model.safetensors, model.onnx (checked against PyTorch) and model.py, which
needs only torch.

Given a run folder, `chronas export RUN` exports what the run found; --network exports any folder of `chronas train`."""


class ExportOptions(Options):
    """Options of `chronas export`."""

    network: Path = Field(description="folder that `chronas train` wrote, or networks/<role> of a run")
    out: Path = Field(default=Path("exported"), description="folder to write to")
    batch: int = Field(default=1, ge=1, le=4096, description="static batch of the ONNX file")


def main(words: list[str]) -> int:
    """Export, then name the files."""
    run, again, rest = take_run(words, "chronas export")
    if run is not None:
        as_json = read_options(Options, rest, prog="chronas export RUN", description=DESCRIPTION).json_answer
        with run.working():
            if again:
                run.set_aside(*EXPORTED)
            paths = export_own(run)
    else:
        options = read_options(ExportOptions, rest, prog="chronas export", description=DESCRIPTION)
        if options.out.exists():
            raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
        as_json = options.json_answer
        paths = export(options.network, options.out, batch=options.batch)
    if as_json:
        write_json([str(path) for path in paths])
    else:
        write("\n".join(map(str, paths)))
    return 0
