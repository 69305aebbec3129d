"""`chronas explore`: a page in the browser on which networks, devices and a limit are chosen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli.options import Options, read_options
from chronas.cli.output import write, write_json
from chronas.explore import Settings, load_catalogue, serve

DESCRIPTION = """Serve a page on which you choose networks, a device and a limit, and see what is best within it.

It knows the tables that come with chronas and those that you give. It is served to this machine alone unless --host
says otherwise. Nothing is sent anywhere."""


class ExploreOptions(Options):
    """Options of `chronas explore`."""

    tables: Annotated[tuple[Path, ...], tyro.conf.Positional] = Field(
        default=(), description="tables of costs that chronas wrote (Parquet), or folders of such"
    )
    accuracies: Path | None = Field(
        default=None,
        description="Parquet file with architectures (`architecture`, `arch_str`, `index` or `arch_idx`) and percent "
        "in columns with acc in their name",
    )
    host: str = Field(default=Settings().host, description="address to listen at; 0.0.0.0 lets other machines in")
    port: int = Field(default=Settings().port, ge=0, le=65535, description="port to listen at; 0 takes a free one")
    browser: Annotated[bool, tyro.conf.FlagCreatePairsOff] = Field(
        default=False, description="open the page in a browser"
    )


def main(words: list[str]) -> int:
    """Read the files first, so that what is wrong with them is told here, then serve until interrupted."""
    options = read_options(ExploreOptions, words, prog="chronas explore", description=DESCRIPTION)
    load_catalogue(options.tables, options.accuracies)
    settings = Settings(host=options.host, port=options.port, browser=options.browser)
    serve(settings, options.tables, options.accuracies, lambda url: announce(url, as_json=options.json_answer))
    return 0


def announce(url: str, *, as_json: bool) -> None:
    """Tell the page's address, at once even where stdout is no terminal."""
    if as_json:
        write_json({"url": url})
    else:
        write(url)
    sys.stdout.flush()
    sys.stderr.write("open it in a browser; Ctrl-C ends it\n")
