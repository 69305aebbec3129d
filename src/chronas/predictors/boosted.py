"""Boosted trees (LightGBM, extra `boosted`) on the residuals of a ridge regression; not differentiable.

Friedman, Greedy function approximation, 2001; Ke et al., LightGBM, 2017. Among 18 learned predictors on NAS benchmarks,
trees did well with few samples (White et al., arXiv 2104.01177). Only fitting needs LightGBM: fitted trees are arrays,
so a saved predictor needs no extra package.

Letters: N rows, B batch, Q features, P columns of the basis, K members, R trees, M nodes of a tree.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from chronas.predictors.cv_ensemble import MemberPredictor, MembersConfig, Rest
from chronas.predictors.features import Basis
from chronas.predictors.predictor import Shape, State

DECIMALS = 6
NODES = ("feature", "threshold", "below", "above", "value")


class BoostedConfig(MembersConfig):
    """Number and size of the trees."""

    trees: int = Field(default=150, ge=1, le=10_000, description="largest number of trees of a member")
    leaves: int = Field(default=8, ge=2, le=256, description="largest number of leaves of a tree")
    least_rows: int = Field(default=5, ge=1, le=10_000, description="smallest number of rows in a leaf")
    learning_rate: float = Field(default=0.1, gt=0.0, le=1.0, description="share of the residual that a tree removes")
    feature_share: float = Field(default=0.5, gt=0.0, le=1.0, description="share of the features that a tree may use")


class BoostedTrees(MemberPredictor):
    """Ridge regression plus boosted trees, on costs or their logarithms."""

    name = "boosted"
    Config = BoostedConfig
    differentiable = False
    config: BoostedConfig

    @classmethod
    def unavailable(cls) -> str | None:
        """The reason why this predictor cannot be fitted here: LightGBM is not installed."""
        if importlib.util.find_spec("lightgbm") is None:
            return "its trees are grown by LightGBM, which is not installed: pip install 'chronas[boosted]'"
        return None

    def _learn_rest(self, rest: Rest, generator: torch.Generator) -> dict[str, Tensor]:
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        design = _rounded(rest.design)
        forests = [
            _trees(self._boosted(design, left, ~hidden, seed))
            for left, hidden in zip(rest.left, rest.held_out, strict=True)
        ]
        state = _arrays(forests)
        values = _values(design, state).cumsum(dim=1)  # [K, R, N]
        judged = [rest.share_and_error(values[:, count]) for count in range(values.shape[1])]
        best = min(range(len(judged)), key=lambda count: judged[count][1])
        state = {name: nodes[:, : best + 1] for name, nodes in state.items()}
        state["value"] = judged[best][0] * state["value"]
        return {**state, "projection": rest.features.projection, "centre": rest.features.centre}

    def _boosted(self, design: Tensor, left: Tensor, seen: Tensor, seed: int) -> Any:
        import lightgbm

        config = self.config
        settings = {
            "objective": "regression",
            "num_leaves": config.leaves,
            "min_data_in_leaf": config.least_rows,
            "min_data_in_bin": 1,
            "learning_rate": config.learning_rate,
            "feature_fraction": config.feature_share,
            "feature_pre_filter": False,
            "boost_from_average": False,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "seed": seed,
            "verbosity": -1,
        }
        rows = lightgbm.Dataset(design[seen].numpy(), left[seen].numpy(), params=settings)
        return lightgbm.train(settings, rows, num_boost_round=config.trees)

    def _rest(self, codes: Tensor, inputs: Basis, state: State) -> Tensor:  # noqa: ARG002 - the basis holds the codes
        return _values(_rounded((inputs.columns() - state["centre"]) @ state["projection"].T), state).sum(dim=1)

    def _rest_shapes(self) -> dict[str, Shape]:
        nodes: Shape = (self.config.members, "R", "M")
        return {**dict.fromkeys(NODES, nodes), "projection": ("Q", "P"), "centre": ("P",)}


def _rounded(design: Tensor) -> Tensor:
    """Features without rounding errors of sums, which depend on the batch: a tree could split between them."""
    return design.round(decimals=DECIMALS)


def _trees(booster: Any) -> list[list[tuple[int, float, int, int, float]]]:
    """The nodes of each tree, in the order of `NODES`; the first is the root, and a leaf points to itself."""
    found = []
    for tree in booster.dump_model()["tree_info"]:
        nodes: list[tuple[int, float, int, int, float]] = []
        _add(tree["tree_structure"], nodes)
        found.append(nodes)
    return found


def _add(node: dict[str, Any], nodes: list[tuple[int, float, int, int, float]]) -> int:
    """Append a node and all its descendants; returns its index."""
    number = len(nodes)
    nodes.append((0, 0.0, number, number, float(node.get("leaf_value", 0.0))))
    if "split_feature" in node:
        below, above = _add(node["left_child"], nodes), _add(node["right_child"], nodes)
        nodes[number] = (node["split_feature"], node["threshold"], below, above, 0.0)
    return number


def _arrays(forests: list[list[list[tuple[int, float, int, int, float]]]]) -> dict[str, Tensor]:
    """The nodes of all members' trees, padded to the largest numbers of trees and nodes [K, R, M] each."""
    trees, most = max(map(len, forests)), max(len(tree) for forest in forests for tree in forest)
    table = np.zeros((len(NODES), len(forests), trees, most))
    for member, forest in enumerate(forests):
        for number, nodes in enumerate(forest):
            table[:, member, number, : len(nodes)] = np.array(nodes).T
    return {name: torch.from_numpy(values.copy()) for name, values in zip(NODES, table, strict=True)}


def _values(design: Tensor, state: State) -> Tensor:
    """The output of each tree for features [B, Q]: [K, R, B]."""
    feature, below, above = (state[name].long() for name in ("feature", "below", "above"))
    shape = (*feature.shape[:2], len(design))
    at = torch.zeros(shape, dtype=torch.long)
    rows = torch.arange(len(design)).expand(shape)
    while True:
        asked = design[rows, feature.gather(2, at)]
        onwards = torch.where(asked <= state["threshold"].gather(2, at), below.gather(2, at), above.gather(2, at))
        if torch.equal(onwards, at):
            return state["value"].gather(2, at)
        at = onwards
