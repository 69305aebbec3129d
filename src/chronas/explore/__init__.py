"""A web page that shows the best network within a limit on a device, for people who know no hardware.

catalogue = load_catalogue((Path("costs.parquet"),), accuracies=Path("accuracy.parquet"))
serve(Settings(), (Path("costs.parquet"),), Path("accuracy.parquet"))
"""

from __future__ import annotations

from chronas.explore.catalogue import Collection, Quantity, load_catalogue
from chronas.explore.server import Settings, serve
from chronas.explore.tradeoff import Plane

__all__ = ["Collection", "Plane", "Quantity", "Settings", "load_catalogue", "serve"]
