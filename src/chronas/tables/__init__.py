"""What is known: costs of many architectures of one space and skeleton on one device, with provenance.

table = CostTable.from_journal(Path("journal.sqlite"))
table.save(Path("costs.parquet"))
print(table.repeatability(), pareto_front(errors_and_costs))
"""

from __future__ import annotations

from chronas.tables.check import checked
from chronas.tables.columns import COST_COLUMNS
from chronas.tables.pareto import pareto_front
from chronas.tables.provenance import Check, Provenance
from chronas.tables.repeatability import Repeatability
from chronas.tables.sharing import for_all, to_measure
from chronas.tables.shipped import shipped_tables
from chronas.tables.table import CostTable

__all__ = [
    "COST_COLUMNS",
    "Check",
    "CostTable",
    "Provenance",
    "Repeatability",
    "checked",
    "for_all",
    "pareto_front",
    "shipped_tables",
    "to_measure",
]
