"""What is known: costs of many architectures of one space and skeleton on one device, with provenance.

table = CostTable.from_journal(Path("journal.sqlite"))
table.save(Path("costs.parquet"))
print(table.repeatability(), pareto_front(errors_and_costs))

What brings torch or scipy is imported when it is first asked for: a query of a table does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chronas.names import named
from chronas.tables.accuracies import read_accuracies
from chronas.tables.answer import Answer, block_answers
from chronas.tables.block_table import BlockTable, is_block_table
from chronas.tables.columns import COST_COLUMNS
from chronas.tables.files import shipped_files, shipped_tables, table_files, table_path
from chronas.tables.pareto import pareto_front
from chronas.tables.provenance import Additivity, Check, Provenance
from chronas.tables.query import Query, parse_condition
from chronas.tables.repeatability import Repeatability
from chronas.tables.sharing import for_all, to_measure
from chronas.tables.table import CostTable, is_table

if TYPE_CHECKING:
    from chronas.tables.blocks import BlockCosts, BlockNetworks, added_up, as_block_table
    from chronas.tables.check import checked
    from chronas.tables.comparison import Agreement, Best, Comparison, compare
    from chronas.tables.estimated import estimated_table
    from chronas.tables.hw_nas_bench import HwNasBench
    from chronas.tables.hw_nas_bench_api import HWNASBenchAPI
    from chronas.tables.order import Order, same_order
    from chronas.tables.plain import Plain, PlainColumn, read_plain

__all__ = [
    "Agreement",
    "Answer",
    "Best",
    "BlockTable",
    "COST_COLUMNS",
    "Additivity",
    "BlockCosts",
    "BlockNetworks",
    "Check",
    "Comparison",
    "CostTable",
    "HWNASBenchAPI",
    "HwNasBench",
    "Order",
    "Plain",
    "PlainColumn",
    "Provenance",
    "Query",
    "Repeatability",
    "added_up",
    "block_answers",
    "as_block_table",
    "checked",
    "compare",
    "estimated_table",
    "for_all",
    "is_block_table",
    "is_table",
    "pareto_front",
    "parse_condition",
    "read_accuracies",
    "read_plain",
    "same_order",
    "shipped_files",
    "shipped_tables",
    "table_files",
    "table_path",
    "to_measure",
]

LATER = {
    "Agreement": "chronas.tables.comparison:Agreement",
    "Best": "chronas.tables.comparison:Best",
    "Comparison": "chronas.tables.comparison:Comparison",
    "BlockCosts": "chronas.tables.blocks:BlockCosts",
    "BlockNetworks": "chronas.tables.blocks:BlockNetworks",
    "HWNASBenchAPI": "chronas.tables.hw_nas_bench_api:HWNASBenchAPI",
    "HwNasBench": "chronas.tables.hw_nas_bench:HwNasBench",
    "Order": "chronas.tables.order:Order",
    "Plain": "chronas.tables.plain:Plain",
    "PlainColumn": "chronas.tables.plain:PlainColumn",
    "read_plain": "chronas.tables.plain:read_plain",
    "same_order": "chronas.tables.order:same_order",
    "added_up": "chronas.tables.blocks:added_up",
    "as_block_table": "chronas.tables.blocks:as_block_table",
    "checked": "chronas.tables.check:checked",
    "compare": "chronas.tables.comparison:compare",
    "estimated_table": "chronas.tables.estimated:estimated_table",
}


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return named("name", name, LATER)
