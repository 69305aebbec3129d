"""Some training images of each class as one picture, `examples.png`, so that the report shows what was searched on."""

from __future__ import annotations

import base64

from chronas.data import contact_sheet
from chronas.files import write_bytes
from chronas.runs.run import Run

PICTURE = "examples.png"
ROWS = 10  # classes that are shown


def write_examples(run: Run) -> None:
    """Write the picture, once."""
    if not (run.folder / PICTURE).exists():
        write_bytes(run.folder / PICTURE, contact_sheet(run.data, ROWS))


def read_examples(run: Run) -> str | None:
    """The picture as PNG in base64; None if the run has none."""
    path = run.folder / PICTURE
    return base64.b64encode(path.read_bytes()).decode("ascii") if path.exists() else None
