"""Cost tables: costs of many architectures of one space and size on one device, with provenance.

table = CostTable.from_journal(Path("journal.sqlite"))
table.save(Path("costs.parquet"))
print(table.repeatability())

Names that need torch or scipy are imported when they are first used, so that queries of a table do not need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chronas.registry import imported
from chronas.tables.block_table import BlockTable, is_block_table
from chronas.tables.bundled import shipped_files, shipped_tables, table_files, table_path
from chronas.tables.columns import COST_COLUMNS
from chronas.tables.cost_record import CostRecord, block_records
from chronas.tables.deduplicate import expanded, representatives
from chronas.tables.foreign import read_accuracies
from chronas.tables.parquet import to_pandas
from chronas.tables.provenance import Additivity, Check, Provenance, Repeatability
from chronas.tables.query import Query, parse_condition
from chronas.tables.table import CostTable, is_table

if TYPE_CHECKING:
    from chronas.tables.analytical import analytical_table
    from chronas.tables.blocks import BlockCosts, BlockNetworks, added_up, as_block_table
    from chronas.tables.comparison import Agreement, Best, Comparison, RankAgreement, compare, rank_agreement
    from chronas.tables.foreign import ForeignColumn, ForeignTable, read_foreign
    from chronas.tables.hw_nas_bench import HwNasBench
    from chronas.tables.hw_nas_bench_api import HWNASBenchAPI
    from chronas.tables.remeasure import remeasured

__all__ = [
    "Agreement",
    "CostRecord",
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
    "RankAgreement",
    "ForeignTable",
    "ForeignColumn",
    "Provenance",
    "Query",
    "Repeatability",
    "added_up",
    "block_records",
    "as_block_table",
    "remeasured",
    "compare",
    "analytical_table",
    "expanded",
    "is_block_table",
    "is_table",
    "parse_condition",
    "read_accuracies",
    "read_foreign",
    "rank_agreement",
    "to_pandas",
    "shipped_files",
    "shipped_tables",
    "table_files",
    "table_path",
    "representatives",
]

LATER = {
    "Agreement": "chronas.tables.comparison:Agreement",
    "Best": "chronas.tables.comparison:Best",
    "Comparison": "chronas.tables.comparison:Comparison",
    "BlockCosts": "chronas.tables.blocks:BlockCosts",
    "BlockNetworks": "chronas.tables.blocks:BlockNetworks",
    "HWNASBenchAPI": "chronas.tables.hw_nas_bench_api:HWNASBenchAPI",
    "HwNasBench": "chronas.tables.hw_nas_bench:HwNasBench",
    "RankAgreement": "chronas.tables.comparison:RankAgreement",
    "ForeignTable": "chronas.tables.foreign:ForeignTable",
    "ForeignColumn": "chronas.tables.foreign:ForeignColumn",
    "read_foreign": "chronas.tables.foreign:read_foreign",
    "rank_agreement": "chronas.tables.comparison:rank_agreement",
    "added_up": "chronas.tables.blocks:added_up",
    "as_block_table": "chronas.tables.blocks:as_block_table",
    "remeasured": "chronas.tables.remeasure:remeasured",
    "compare": "chronas.tables.comparison:compare",
    "analytical_table": "chronas.tables.analytical:analytical_table",
}


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return imported(LATER[name])
