"""The contract suites on classes from outside the package."""

from __future__ import annotations

from chronas.search import Searcher, make_searcher, searcher_class
from chronas.testing import SearcherContract, SpaceContract
from outside_space import PatchSpace


def made(name: str, **settings: int) -> Searcher:
    return make_searcher(name, searcher_class(name).Config(width=8, depth=1, **settings))


class TestPatchSpace(SpaceContract):
    space = PatchSpace()


class TestDartsOnPatches(SearcherContract):
    searcher = staticmethod(lambda: made("darts", epochs=2, warmup_epochs=0))
    space = PatchSpace()


class TestEvolutionOnPatches(SearcherContract):
    searcher = staticmethod(lambda: made("evolution", epochs=1, architectures=3))
    space = PatchSpace()
