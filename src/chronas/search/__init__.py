"""Finding one: searchers that return architectures, with their history.

found = make_searcher("pc-darts").search(task)
for candidate in found.candidates(limit_ms=12.0):
    print(candidate.architecture, candidate.predicted_ms)
"""

from __future__ import annotations

from chronas.search.derive import Candidate, candidates
from chronas.search.objective import CostFunction, Objective, ObjectiveConfig
from chronas.search.relaxation import Relaxation

__all__ = ["Candidate", "CostFunction", "Objective", "ObjectiveConfig", "Relaxation", "candidates"]
