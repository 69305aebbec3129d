"""`chronas explore`: a page in the browser for choosing networks, devices and a limit."""

from __future__ import annotations

import sys

from chronas.cli.flags import ExploreOptions
from chronas.cli.options import Call
from chronas.cli.output import write, write_json
from chronas.explore import Settings, load_catalogue, serve


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
    sys.stderr.write("open it in a browser; Ctrl-C ends it\n")
