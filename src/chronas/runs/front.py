"""The step that finds a front: several networks from fast to accurate, from one search, measured together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from chronas.errors import UsageError
from chronas.files import read_as, write_json
from chronas.networks import save_state
from chronas.pareto import hypervolume, non_dominated
from chronas.predictors import Predictor
from chronas.progress import Progress, silent
from chronas.records import Front, FrontNetwork, Trial
from chronas.runs.config import require_usable, search_costs
from chronas.runs.exported import export
from chronas.runs.network_costs import NetworkCosts, costs_of
from chronas.runs.run import Run
from chronas.runs.selection import search
from chronas.runs.training import INHERITED, read_trained, train_architecture
from chronas.search import SearchResult, find_front
from chronas.tables import CostTable
from chronas.units import LATENCY

FILE, FOLDER = "front.json", "front"
SCHEMA = "chronas.front/2"


def search_front(run: Run, predictors: Mapping[str, Predictor], table: CostTable, progress: Progress = silent) -> Front:
    """The front of the run's own search, stored in `front.json`; an existing front is loaded.

    The finished search is loaded, so this only adds the searcher's work for each limit, and one campaign. If the search
    gives weights, each network has them in `front/<number>`, with its test and its exported files.

    Args:
        run: a run whose config asks for a front.
        predictors: cost -> predictor; includes latency.
        table: the table of the predictors; its slowest network is the reference point of the hypervolume.
        progress: called after each step.

    Raises:
        UsageError: the search is gradient-based, and the latency predictor is not differentiable.
    """
    if not (run.folder / FILE).exists():
        assert run.config.front is not None
        objective = run.config.objective
        searcher = type(run.searcher)
        require_usable(type(predictors[LATENCY]), searcher, "a front")
        task = run.task(run.role, objective, search_costs(objective, predictors, searcher))
        found = search(run, run.role, objective, predictors, progress=progress)
        with run.timed("search front", progress) as shown:
            chosen = find_front(found, task, LATENCY, run.config.front, shown)
        costs = costs_of(run, "front", [each.architecture for each in chosen], progress)
        reference = float(table.costs().max()), 100.0 / run.data_facts.classes
        front = front_of(chosen, costs, *reference, run.config.limits)
        if searcher.gives_weights:
            front = replace(front, networks=_with_weights(run, found, front.networks, progress))
        write_json(run.folder / FILE, SCHEMA, asdict(front))
    return read_front(run)


def _with_weights(
    run: Run, found: SearchResult, networks: Sequence[FrontNetwork], progress: Progress
) -> list[FrontNetwork]:
    """The networks with the search's weights: recalibrated, tested and exported, each in `front/<number>`."""
    done = []
    for number, network in enumerate(networks, start=1):
        progress("front", number - 1, len(networks), f"weights of network {number}")
        place, architecture = f"{FOLDER}/{number}", run.space.parse(network.architecture)
        folder, weights = run.folder / place, found.weights(architecture)
        assert weights is not None  # as the searcher gives weights
        further = run.folder / "networks" / f"front-{number}" / INHERITED  # where `chronas train --front` begins
        further.parent.mkdir(parents=True, exist_ok=True)
        save_state(further, weights, {"architecture": network.architecture})
        if not (folder / "result.json").exists():
            train_architecture(
                folder, architecture, run.size, run.data, run.config.recipe,
                validation_share=run.config.validation_share, seed=run.config.seed,
                initial=weights, retrain=False, init=run.facts.init,
            )  # fmt: skip
        export(folder, folder, space=run.space)
        done.append(replace(network, folder=place, test_percent=read_trained(folder, run.space).accuracy_percent))
    progress("front", len(networks), len(networks), "")
    return done


def front_of(
    chosen: Sequence[Trial],
    costs: Mapping[str, NetworkCosts],
    reference_ms: float,
    reference_percent: float,
    limits: Mapping[str, float],
) -> Front:
    """A front with measured costs, and its hypervolume up to a reference point.

    A network that was predicted inside a limit but measured outside is listed, but does not dominate others.

    Args:
        chosen: the networks by rising quality.
        costs: text of the architecture -> costs.
        reference_ms: latency of the reference point.
        reference_percent: accuracy of the reference point.
        limits: limits for the upper end of each network's interval, by cost, in its unit.
    """
    found = [costs[str(each.architecture)] for each in chosen]
    missed = [[cost for cost, limit in limits.items() if each[cost].high > limit] for each in found]
    inside = np.array([not each for each in missed], dtype=bool)
    latencies = np.array([each[LATENCY].value for each in found])
    wrong = np.array([100.0 - each.score for each in chosen])
    points = np.stack([latencies, wrong], axis=1)[inside]
    area = hypervolume(points, (reference_ms, 100.0 - reference_percent))
    kept = np.zeros(len(found), dtype=bool)
    kept[inside] = non_dominated(np.stack([latencies, -np.arange(len(found), dtype=np.float64)], axis=1)[inside])
    networks = [
        FrontNetwork(
            architecture=str(one.architecture),
            accuracy_percent=one.score,
            latency=replace(each[LATENCY], predicted=one.costs[LATENCY]),
            dominated=not on_front and not outside,
            missed=outside,
        )
        for one, each, on_front, outside in zip(chosen, found, kept.tolist(), missed, strict=True)
    ]
    whole = reference_ms * (100.0 - reference_percent)
    return Front(networks, reference_ms, reference_percent, area, area / whole)


def read_front(run: Run) -> Front:
    """Read the front that `search_front` stored.

    Raises:
        UsageError: the run has no front.
        DataError: its file is damaged.
    """
    if not (run.folder / FILE).exists():
        raise UsageError(f"{run.folder} has no front: begin a run or a search with --front 8, or finish the one here")
    return read_as(run.folder / FILE, SCHEMA, Front, oldest=1, mend=_with_source)


def _with_source(content: dict[str, Any]) -> dict[str, Any]:
    """Upgrade a front of an earlier version, which stored the source separately from the latency."""
    for network in content["networks"]:
        network["latency"]["source"] = network.pop("source")
    return content
