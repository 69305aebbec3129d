"""A report with made-up but plausible numbers, for tests and for looking at the page. Nothing here was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from chronas.measurement import summarise
from chronas.predictors import CurvePoint, PredictorReport, Scores
from chronas.records import Estimate, TrainedNetwork, TrialRecord
from chronas.reports import Report, SearchSummary, verdict_on
from chronas.spaces import make_space
from chronas.tables import Repeatability

EPOCHS = 30
LIMIT_MS = 2.6


def sample_report(space: str = "darts", *, limit: bool = True, answer: bool = True) -> Report:
    """A run with a search at weight 0, one with a limit, random search and a random network of equal cost."""
    networks = sample_networks(space, "limit" if limit else "latency-term")
    limits = {"latency_ms": LIMIT_MS} if limit else {}
    own = "within the limit" if limit else "latency term"
    return Report(
        title="A digits classifier within 2.6 ms on one CPU thread",
        created="2026-03-14T10:22:05+00:00",
        command="chronas run --data digits --limit-ms 2.6 --baseline --seed 3",
        verdict=verdict_on(networks, networks[0].name, limits, test_images=360),
        limits=limits,
        found=networks[0].name if answer else None,
        test_images=360,
        asked={
            "Data": "digits: 1,437 training and 360 test images, 1x8x8, 10 classes",
            "Space": f"{space}, cifar stem, width 16, depth 5",
            "Limit": f"{LIMIT_MS} ms" if limit else "none",
            "Searcher": "darts, first order, 30 epochs, batch 64",
            "Seed": "3",
        },
        device={
            "name": "onnxruntime-cpu",
            "cpu": "AMD EPYC 9B14",
            "cores": 2,
            "os": "Linux 6.1",
            "runtime": "onnxruntime",
            "version": "1.22.0",
            "threads": 1,
            "batch": 1,
            "dtype": "float32",
        },
        plan={
            "rounds": 3,
            "max_rounds": 6,
            "warmup": 3,
            "repeats": 10,
            "statistic": "minimum",
            "interval_percent": 5.0,
        },
        measured={
            "repeatability": "Kendall 0.950, 0.9 % apart between halves",
            "drift": "2.7 %",
        },
        predictor=sample_predictor(space),
        searches=[sample_search("weight 0", space, pull=0.0), sample_search(own, space, pull=1.0)],
        networks=networks if answer else [],
        files={
            "model.onnx": "the network for ONNX Runtime, checked against PyTorch",
            "model.safetensors": "its weights",
            "model.py": "its source, which needs torch alone",
            "costs.parquet": "all measured latencies",
        },
        timings={
            "measure 300 networks": 212.0,
            "fit predictor": 9.1,
            "search": 148.0,
            "train 4 networks": 264.0,
            "export": 2.2,
        },
        notes=[
            "12 of 300 intervals stayed wider than 5 % after 6 rounds: the machine was busy.",
            "<b>escaped</b> & shown",
        ],
        versions={"chronas": "0.1.0", "torch": "2.13.0", "onnxruntime": "1.22.0", "python": "3.11.9"},
    )


def sample_networks(space: str, own_role: str) -> list[TrainedNetwork]:
    """Four trained networks, the found one first."""
    texts = [str(a) for a in make_space(space).sample(4, seed=5)]
    rows: list[tuple[str, Any, float, float, float, int, int]] = [
        (
            "within the limit" if own_role == "limit" else "latency term",
            own_role,
            98.33,
            2.38,
            2.44,
            9_410_000,
            118_000,
        ),
        ("weight 0", "weight-0", 98.61, 3.52, 3.41, 15_200_000, 187_000),
        ("random search", "random-search", 97.78, 2.57, 2.49, 10_900_000, 131_000),
        ("random of equal cost", "random", 97.22, 2.41, 2.45, 9_900_000, 122_000),
    ]
    return [
        TrainedNetwork(
            name=name,
            role=role,
            architecture=text,
            space=space,
            accuracy_percent=accuracy,
            validation_accuracy_percent=accuracy + 0.4,
            costs={"latency_ms": replace(latency(measured), predicted=predicted)},
            macs=macs,
            parameters=parameters,
            training_s=66.0,
        )
        for text, (name, role, accuracy, predicted, measured, macs, parameters) in zip(texts, rows, strict=True)
    ]


def latency(value_ms: float) -> Estimate:
    """Three rounds around a value."""
    rounds = [[value_ms * scale * (1 + 0.004 * repeat) for repeat in range(10)] for scale in (0.99, 1.0, 1.012)]
    return summarise(rounds, "minimum")


def sample_predictor(space: str) -> PredictorReport:
    """Out-of-fold predictions of 300 architectures with an error of some 4 %."""
    generator = np.random.default_rng(0)
    measured = generator.lognormal(1.05, 0.22, 300)
    predicted = measured * generator.normal(1.0, 0.045, 300)
    worse = {name: measured * generator.normal(1.0, spread, 300) for name, spread in (("lookup", 0.09), ("macs", 0.15))}
    return PredictorReport(
        predictor="lpm",
        architectures=tuple(map(str, make_space(space).sample(300, seed=9))),
        measured=tuple(map(float, measured)),
        predicted=tuple(map(float, predicted)),
        predicted_std=tuple(map(float, 0.05 * measured)),
        scores=Scores.of(measured, predicted),
        baselines={name: Scores.of(measured, values) for name, values in worse.items()},
        repeatability=Repeatability(kendall=0.87, spearman=0.97, median_difference_percent=2.1, networks=300),
        coverage_90_percent=88.0,
        degenerate=(),
        folds=5,
        curve=(CurvePoint(30, 9.0, 0.71), CurvePoint(60, 6.5, 0.77), CurvePoint(120, 5.0, 0.82)),
    )


def sample_search(name: str, space: str, *, pull: float) -> SearchSummary:
    """A search whose alphas drift apart; `pull` towards cheap operations and lower latency."""
    generator = np.random.default_rng(1)
    decisions = make_space(space).decisions
    aims = [
        generator.normal(0, 0.3, len(d.relaxed)) + np.linspace(0.2, 1.2 - 1.4 * pull, len(d.relaxed)) for d in decisions
    ]
    history = []
    for epoch in range(EPOCHS):
        share = epoch / (EPOCHS - 1)
        history.append(
            {
                "epoch": epoch,
                "train_loss": 2.2 * float(np.exp(-4 * share)) + 0.05,
                "validation_loss": 2.2 * float(np.exp(-3.4 * share)) + 0.11 + 0.02 * pull,
                "validation_accuracy": 98 - 84 * float(np.exp(-6 * share)),
                "expected_latency_ms": 3.3 + 0.3 * share - 1.25 * pull * (1 - float(np.exp(-5 * share))),
                "multiplier.latency_ms": pull * max(0.0, 1.4 * share * float(np.exp(-2.2 * share))),
                "mode_latency_ms": 3.3 - 0.9 * pull * (epoch > 4) + 0.1 * (epoch % 3),
                "entropy": 40.0 * (1 - 0.3 * share),
                "skip_connections": int(2 + 4 * share * pull),
                "alphas": [list(map(float, 1.6 * share * aim)) for aim in aims],
            }
        )
    scored = [
        TrialRecord(str(a), float(generator.normal(91, 3)), {"latency_ms": float(generator.lognormal(1.05, 0.2))})
        for a in make_space(space).sample(10, seed=2)
    ]
    found = TrialRecord(str(make_space(space).sample(1, seed=5)[0]), 96.4, {"latency_ms": 2.4 if pull else 3.4})
    return SearchSummary(name=name, space=space, history=history, scored=[found, *scored])
