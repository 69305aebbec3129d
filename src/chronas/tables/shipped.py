"""The tables that come with chronas: Parquet files in the folder `shipped` beside this file."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "shipped"


def shipped_tables() -> list[Path]:
    """The files of the tables that come with chronas, by name; none where it was installed without them."""
    return sorted(FOLDER.glob("*.parquet"))
