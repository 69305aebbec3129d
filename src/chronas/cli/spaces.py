"""`chronas spaces`: the search spaces, their sizes and operations."""

from __future__ import annotations

from chronas.cli.options import Options, read_options
from chronas.cli.output import write_json, write_table
from chronas.spaces import SPACES, make_space


def main(words: list[str]) -> int:
    """List the spaces."""
    options = read_options(Options, words, prog="chronas spaces", description="The search spaces of chronas.")
    rows = []
    for name in SPACES:
        space = make_space(name)
        operations = dict.fromkeys(option for decision in space.decisions for option in decision.options)
        rows.append(
            {
                "space": name,
                "architectures": f"{space.cardinality:,}",
                "decisions": len(space.decisions),
                "encoding": space.encoding_length,
                "operations": ", ".join(operations),
                "sizes": ", ".join(space.sizes),
            }
        )
    if options.json_answer:
        write_json(rows)
    else:
        write_table(list(rows[0]), [list(row.values()) for row in rows])
    return 0
