"""A predictor that is fitted on few networks of a table and judged on all others, as a new device's would be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import BaseModel

from chronas import predictors
from chronas.errors import DataError
from chronas.predictors.evaluation import BASELINES, DEGENERATE_SHARE, PredictorReport, curve_of, report_on, twins
from chronas.predictors.predictor import Predictor
from chronas.predictors.samples import Choose, choose_samples
from chronas.tables import CostTable

FEWEST_LEFT = 5  # networks to judge on


def fit_on_samples(
    name: str,
    table: CostTable,
    *,
    samples: int,
    choose: Choose = "spread",
    config: BaseModel | None = None,
    seed: int = 0,
) -> tuple[Predictor, PredictorReport]:
    """Fit a predictor on some networks of a table, and report how it does on those that are left.

    Twins of the samples (isomorphic, or the same graph) are not judged on.

    Args:
        name: a key of `PREDICTORS`.
        table: of one space, skeleton and device.
        samples: how many networks to fit on.
        choose: which ones, as `choose_samples` has it.
        config: of the predictor's own `Config` class; None means its defaults.
        seed: of the choice and the fits.

    Returns:
        The predictor fitted on the samples, and the report on the others.

    Raises:
        UsageError: no such predictor, or another's config.
        DataError: fewer samples than the predictor needs, or more than the table has to spare, or costs that nothing
            can be learned from.
    """
    predictor = predictors.make_predictor(name, table.space, table.provenance.skeleton, config)
    if samples < predictor.minimum:
        raise DataError(f"{name} needs at least {predictor.minimum} samples, asked for {samples}: ask for more")
    if samples + FEWEST_LEFT > len(table):
        raise DataError(
            f"{samples} samples and {FEWEST_LEFT} networks to judge on need a table of {samples + FEWEST_LEFT}, "
            f"got {len(table)}: ask for fewer, or fit on all of them"
        )
    architectures, measured = table.architectures(), table.costs()
    codes = table.space.encode(architectures)
    rows = choose_samples(choose, predictor, codes, measured, samples, seed)
    cost = table.provenance.cost
    predictor.fit(codes[rows], measured[rows], seed=seed, cost=cost)
    alike = twins(architectures)
    left = np.flatnonzero(~np.isin(alike, alike[rows]))
    if len(left) < FEWEST_LEFT:
        raise DataError(f"all but {len(left)} networks are twins of the samples: ask for fewer samples than {samples}")
    others = {}
    for baseline in BASELINES:
        other = predictors.make_predictor(baseline, predictor.space, predictor.skeleton)
        if samples >= other.minimum:
            other.fit(codes[rows], measured[rows], seed=seed, cost=cost)
            others[baseline] = other.predict(codes[left]).mean_ms
    texts = [str(architectures[row]) for row in left]
    report = report_on(table, texts, measured[left], predictor, predictor.predict(codes[left]), others, samples=samples)
    judged = left[measured[left] >= DEGENERATE_SHARE * np.median(measured)]
    return predictor, replace(report, curve=curve_of(predictor, codes, measured, rows, judged, seed))
