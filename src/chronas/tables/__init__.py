"""Cost tables: costs of many architectures of one space and size on one device, with provenance.

table = CostTable.from_journal(Path("journal.sqlite"))
table.save(Path("costs.parquet"))
print(table.repeatability())

Names that need torch or scipy are imported when they are first used, so that queries of a table do not need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronas.registry import lazily

if TYPE_CHECKING:
    from chronas.tables.block_table import BlockTable, is_block_table
    from chronas.tables.blocks import BlockCosts, BlockNetworks, added_up, as_block_table
    from chronas.tables.bundled import (
        accuracies_path,
        is_table,
        journal_beside,
        shipped_accuracies,
        shipped_files,
        shipped_tables,
        table_files,
        table_path,
    )
    from chronas.tables.comparison import Agreement, Best, Comparison, RankAgreement, compare, rank_agreement
    from chronas.tables.cost_record import CostRecord, block_records
    from chronas.tables.deduplicate import expanded, representatives
    from chronas.tables.foreign import ForeignColumn, ForeignTable, read_accuracies, read_foreign
    from chronas.tables.hw_nas_bench import HwNasBench
    from chronas.tables.hw_nas_bench_api import HWNASBenchAPI
    from chronas.tables.parquet import to_pandas
    from chronas.tables.provenance import COST_COLUMNS, Additivity, Check, Provenance, Repeatability
    from chronas.tables.query import Query, parse_condition
    from chronas.tables.remeasure import analytical_table, remeasured
    from chronas.tables.spreadsheet import is_accuracy
    from chronas.tables.table import CostTable

__all__ = [
    "Additivity",
    "Agreement",
    "Best",
    "BlockCosts",
    "BlockNetworks",
    "BlockTable",
    "COST_COLUMNS",
    "Check",
    "Comparison",
    "CostRecord",
    "CostTable",
    "ForeignColumn",
    "ForeignTable",
    "HWNASBenchAPI",
    "HwNasBench",
    "Provenance",
    "Query",
    "RankAgreement",
    "Repeatability",
    "accuracies_path",
    "added_up",
    "analytical_table",
    "as_block_table",
    "block_records",
    "compare",
    "expanded",
    "is_accuracy",
    "is_block_table",
    "is_table",
    "journal_beside",
    "parse_condition",
    "rank_agreement",
    "read_accuracies",
    "read_foreign",
    "remeasured",
    "representatives",
    "shipped_accuracies",
    "shipped_files",
    "shipped_tables",
    "table_files",
    "table_path",
    "to_pandas",
]

__getattr__ = lazily(
    __name__,
    {
        "block_table": "BlockTable is_block_table",
        "blocks": "BlockCosts BlockNetworks added_up as_block_table",
        "bundled": "accuracies_path is_table journal_beside shipped_accuracies shipped_files shipped_tables "
        "table_files table_path",
        "comparison": "Agreement Best Comparison RankAgreement compare rank_agreement",
        "cost_record": "CostRecord block_records",
        "foreign": "ForeignColumn ForeignTable read_accuracies read_foreign",
        "hw_nas_bench": "HwNasBench",
        "hw_nas_bench_api": "HWNASBenchAPI",
        "parquet": "to_pandas",
        "provenance": "Additivity COST_COLUMNS Check Provenance Repeatability",
        "query": "Query parse_condition",
        "deduplicate": "expanded representatives",
        "remeasure": "analytical_table remeasured",
        "spreadsheet": "is_accuracy",
        "table": "CostTable",
    },
)
