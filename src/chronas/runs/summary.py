"""The report of a run, from its folder; it only reads files, so a report can be repeated at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from chronas.devices import described, device_differences
from chronas.errors import DeviceError, LimitMissedError
from chronas.files import read_as, write_json
from chronas.predictors import PredictorReport
from chronas.progress import Progress, silent
from chronas.records import NetworkOnBoth, Role, SearchedDevice, TrainedNetwork, TrialRecord, TwoDevices, amounts_text
from chronas.reports import Report, SearchSummary, Verdict, verdict_on
from chronas.runs.beside import read_beside
from chronas.runs.config import DataFacts, RunConfig
from chronas.runs.cost_model import read_report
from chronas.runs.examples import read_examples
from chronas.runs.float32_beside import read_both
from chronas.runs.front import FILE as FRONT
from chronas.runs.front import read_front
from chronas.runs.int8 import read_int8
from chronas.runs.network_costs import NetworkCosts, beside_predicted, costs_of, measured, recorded
from chronas.runs.run import Run
from chronas.runs.selection import HISTORY_SCHEMA, SCORED_SCHEMA, read_choice
from chronas.runs.training import read_trained, trained_weights
from chronas.spaces import Architecture
from chronas.tables import CostTable, rank_agreement
from chronas.units import cost_word

MISSED_SCHEMA = "chronas.missed/1"
FINAL = "final"  # the campaign that measures all trained networks together, at the end
ROLES: tuple[Role, ...] = ("weight-0", "latency-term", "limit", "random", "random-search")
FILES = {
    "model.safetensors": "trained weights",
    "model.onnx": "the network with its weights, checked against PyTorch",
    "model.int8.onnx": "the network in int8, as it was tested and measured",
    "model.py": "the network's source; needs only torch",
    "architecture.json": "space, architecture and size",
    "infer.py": "names an image's class; needs numpy, onnxruntime and pillow",
    "infer.cpp": "the same in C++; needs ONNX Runtime's headers and library",
    "costs.parquet": "measured costs of the random networks",
    "journal.sqlite": "every sample that was measured",
    "predictor/predictor.safetensors": "the fitted predictor",
}


@dataclass(frozen=True)
class Missed:
    """The content of `missed.json`."""

    message: str


@dataclass(frozen=True)
class History:
    """The content of a search's `history.json`: one dict for each epoch."""

    epochs: list[dict[str, Any]]


@dataclass(frozen=True)
class ScoredRows:
    """The content of a search's `scored.json`."""

    rows: list[TrialRecord]


def summarise(run: Run) -> Report:
    """Everything that the run has done so far, as a report; unfinished steps are left out.

    Raises:
        DataError: a file of the run is damaged.
    """
    facts = run.facts
    networks = trained_networks(run)
    found = name_of(run.role, run.config) if any(network.role == run.role for network in networks) else None
    table = CostTable.load(run.folder / "costs.parquet", run.space) if (run.folder / "costs.parquet").exists() else None
    images = run.data_facts.test
    verdict = (
        unfinished(run)
        if found is None
        else verdict_on(
            networks,
            found,
            run.config.limits,
            images,
            statistic=run.config.plan.statistic,
            longer=run.config.length_flag,
        )
    )
    return Report(
        title=f"{run.space.name} on {run.data_facts.name} for {facts.device.get('name', run.config.device)}",
        created=facts.created,
        command=run.command,
        verdict=verdict,
        limits=run.config.limits,
        found=found,
        test_images=images,
        asked=asked(run),
        device=facts.device,
        plan=run.config.plan.model_dump(mode="json"),
        measured=dict(table.quality()) if table else {},
        predictor=predictor_report(run),
        searches=searches(run),
        networks=networks,
        files={name: what for name, what in FILES.items() if (run.folder / name).exists()},
        timings=run.timings,
        notes=notes(run),
        versions=facts.versions,
        two=read_devices(run),
        front=read_front(run) if (run.folder / FRONT).exists() else None,
        beside=read_beside(run),
        examples=read_examples(run),
    )


def write_missed(run: Run, missed: LimitMissedError) -> None:
    """Store the reason why no architecture was chosen, for the report."""
    write_json(run.folder / "missed.json", MISSED_SCHEMA, asdict(Missed(str(missed))))


def unfinished(run: Run) -> Verdict:
    """The verdict on a run without a network: the limit is missed, or the run is not finished."""
    path = run.folder / "missed.json"
    if path.exists():
        return Verdict(met=False, text=read_as(path, MISSED_SCHEMA, Missed).message)
    return Verdict(met=None, text=f"The run is not finished; go on with: chronas resume {quote(str(run.folder))}")


def _data_text(facts: DataFacts) -> str:
    validation = f", {facts.validation} validation" if facts.validation else ""
    text = f"{facts.name}: {facts.train} training{validation} and {facts.test} test images"
    return ". ".join([text, *(f"{note[:1].upper()}{note[1:]}" for note in facts.notes)])


def asked(run: Run) -> dict[str, str]:
    """The user's request, label -> value."""
    config, facts, device = run.config, run.data_facts, run.config.device
    if run.recorded:
        device = f"{described(run.facts.device)}, not on this machine"
    weights = {cost_word(cost): f"{weight:g}" for cost, weight in config.weights.items()}
    return {
        "data": _data_text(facts),
        "space": config.space,
        "network": str(run.size),
        "device": device,
        "limits": amounts_text(config.limits) or "none",
        "weights": ", ".join(f"{word} {weight}" for word, weight in weights.items()) or "none",
        "searcher": config.searcher,
        "predictor": f"{config.predictor}, from {config.networks} measured networks",
        "training": f"{config.training_length}, batch {config.recipe.batch}",
        **({} if config.teacher is None else {"teacher": config.teacher}),
        **({} if config.init is None else {"initial weights": config.init}),
        "seed": str(config.seed),
        **({} if run.reused is None else {"supernet": f"that of a run for {run.reused.facts.device['name']}"}),
    }


def predictor_report(run: Run) -> PredictorReport | None:
    """The predictor's report, if it is fitted."""
    folder = run.folder / "predictor"
    return read_report(folder) if (folder / "report.json").exists() else None


def searches(run: Run) -> list[SearchSummary]:
    """The finished searches, the run's own first."""
    found = []
    for role in sorted(ROLES, key=lambda name: name != run.role):
        folder, network = run.folder / "search" / role, run.folder / "networks" / role
        if (folder / "history.json").exists():
            history = read_as(folder / "history.json", HISTORY_SCHEMA, History, oldest=1)
            compared = list(read_choice(network).compared) if (network / "choice.json").exists() else []
            found.append(
                SearchSummary(name_of(role, run.config), run.space.name, history.epochs, scored(folder), compared)
            )
    return found


def name_of(role: Role, config: RunConfig) -> str:
    """The display name of a network of a run: its search's request, with the words of weighted costs."""
    words = [cost_word(cost) for cost in config.weights]
    terms = " and ".join([", ".join(words[:-1]), *words[-1:]]) if len(words) > 1 else "".join(words)
    names: dict[Role, str] = {
        "weight-0": "accuracy alone",
        "latency-term": f"{terms} term{'s' if len(words) > 1 else ''}",
        "limit": "limit",
        "random": "random, equal latency",
        "random-search": "random search",
    }
    return names[role]


def scored(folder: Path) -> list[TrialRecord]:
    """The supernet's scores of the found architecture and of random ones, from a search's folder."""
    path = folder / "scored.json"
    return read_as(path, SCORED_SCHEMA, ScoredRows, oldest=1, mend=_mended).rows if path.exists() else []


def _mended(content: dict[str, Any]) -> dict[str, Any]:
    """Upgrade scores of an earlier version, which only had latency."""
    rows = [
        {
            "architecture": row["architecture"],
            "score": row["accuracy_percent"],
            "costs": {"latency_ms": row["latency_ms"]},
        }
        for row in content["rows"]
    ]
    return {"rows": rows}


def trained_networks(run: Run) -> list[TrainedNetwork]:
    """All networks that are trained and measured, the run's own first."""
    folders = {role: run.folder / "networks" / role for role in sorted(ROLES, key=lambda name: name != run.role)}
    trained = {role: read_trained(path, run.space) for role, path in folders.items() if (path / "result.json").exists()}
    costs = final_costs(run, [each.architecture for each in trained.values()])
    networks = []
    for role, each in trained.items():
        if (known := costs.get(str(each.architecture))) is not None:
            networks.append(
                TrainedNetwork(
                    name=name_of(role, run.config),
                    role=role,
                    architecture=str(each.architecture),
                    space=run.space.name,
                    accuracy_percent=each.accuracy_percent if each.int8 is None else each.int8.accuracy_percent,
                    validation_accuracy_percent=each.validation_accuracy_percent,
                    costs=beside_predicted(known, read_choice(folders[role]).predicted),
                    macs=each.macs,
                    parameters=each.parameters,
                    training_s=each.training_s,
                    confusion=each.by_class,
                    still_learning=each.still_learning,
                    float32_accuracy_percent=None if each.int8 is None else each.accuracy_percent,
                    int8_latency_share=None if (two := read_both(folders[role])) is None else two.share,
                )
            )
    return networks


def final_costs(run: Run, architectures: Sequence[Architecture]) -> dict[str, NetworkCosts]:
    """The costs of trained networks by text: from the final campaign or, if the device is not here, as recorded."""
    if run.recorded:
        return recorded(run, architectures) if architectures else {}
    journal = run.folder / f"{FINAL}.sqlite"
    return measured(journal) if journal.exists() else {}


def notes(run: Run) -> list[str]:
    """Notes for the reader: settings smaller than a paper's, limits that were tightened."""
    found = [
        "The test images were used once for each network, after its training; no search or choice has seen them.",
    ]
    if run.recorded:
        found.append(
            f"Not measured here: device {described(run.facts.device)} is not on this machine. The costs of a network "
            f"are those of the given table or, where the table lacks it, predicted."
        )
    int8 = read_int8(network_of(run))
    if int8 is not None:
        found.append(
            f"Networks are quantised to int8 on {int8.calibration_images} training images. Accuracies are those of the "
            "int8 files in ONNX Runtime, which were also measured at the end."
        )
    patience = run.config.recipe.patience
    for role in ROLES:
        path = run.folder / "networks" / role / "choice.json"
        if patience and (path.parent / "result.json").exists():
            stopped = read_trained(path.parent, run.space).stopped_epoch
            found += [] if stopped is None else [f"{name_of(role, run.config)}: {stopped_words(stopped, patience)}."]
        if path.exists():
            name, choice = name_of(role, run.config), read_choice(path.parent)
            found += [f"{name}: a candidate was over a limit or too close to it ({e})" for e in choice.tried]
            if role == run.role and choice.margin == 0 and run.config.limits and run.config.rerank.margin > 0:
                found.append(
                    f"{name}: no candidate was predicted inside by a margin of {run.config.rerank.margin:g} "
                    f"standard deviation(s), so one without that margin was taken."
                )
    return found


def stopped_words(epoch: int, patience: int) -> str:
    """The end of a training by the recipe's patience, in words."""
    best = epoch - patience
    return f"its training ended after epoch {epoch}, as its validation accuracy had not risen since epoch {best}"


# ----
# Comparison of two devices: the network found for each, measured on both, and their ranking of random networks.

SCHEMA = "chronas.two-devices/2"
DEVICES_FILE = "devices.json"
CAMPAIGN = "both"


def compare_devices(run: Run, progress: Progress = silent) -> None:
    """Measure the networks of a run and of the run that it reuses on both devices, and write `devices.json`.

    Both networks are measured in one campaign on each device, so that both see the same drift. For a device that is not
    here, costs come from its table or, if the table lacks a network, from predictions.
    """
    source = run.reused
    assert source is not None
    runs = (source, run)
    found = [each.space.parse(read_choice(network_of(each)).architecture) for each in runs]
    weights = {
        network: trained_weights(each, each.role)
        for network, each in zip(found, runs, strict=True)
        if trained_weights(each, each.role).exists()
    }
    costs = [
        costs_of(each, CAMPAIGN, found, progress, weights=weights) if is_here(each) else recorded(each, found)
        for each in runs
    ]
    order = rank_agreement(*(CostTable.load(each.folder / "costs.parquet", each.space) for each in runs))
    report = TwoDevices(
        space=run.space.name,
        devices=[searched_device(each, other) for each, other in (runs, runs[::-1])],
        networks=[on_both(each, network, costs) for each, network in zip(runs, found, strict=True)],
        architectures=order.architectures,
        pairs_percent=order.pairs_percent,
        kendall=order.kendall,
    )
    write_json(run.folder / DEVICES_FILE, SCHEMA, asdict(report))


def read_devices(run: Run) -> TwoDevices | None:
    """Read the result of `compare_devices` from a run's folder; None if there is none yet."""
    path = run.folder / DEVICES_FILE
    return read_as(path, SCHEMA, TwoDevices, oldest=1, mend=_with_sources) if path.exists() else None


def _with_sources(content: dict[str, Any]) -> dict[str, Any]:
    """Upgrade a comparison of an earlier version, which stored sources separately from costs."""
    for network in content["networks"]:
        for costs, source in zip(network["costs"], network.pop("sources"), strict=True):
            for cost in costs.values():
                cost["source"] = source
    return content


def network_of(run: Run) -> Path:
    """The folder of the network that a run's own search found."""
    return run.folder / "networks" / run.role


def is_here(run: Run) -> bool:
    """Whether exactly the device of a run is on this machine now."""
    if run.recorded:
        return False
    try:
        return not device_differences(run.device.fingerprint(), run.facts.device)
    except DeviceError:
        return False


def searched_device(run: Run, other: Run) -> SearchedDevice:
    """Facts about the device of a run; if both runs have devices of one name, it includes their differences."""
    mine, theirs = run.facts.device, other.facts.device
    name = str(mine["name"]) if not run.recorded else described(mine)
    if mine["name"] == theirs["name"]:
        differing = [key for key in mine if mine[key] != theirs.get(key)]
        name += f" ({', '.join(f'{key} {mine[key]}' for key in differing)})"
    table = CostTable.load(run.folder / "costs.parquet", run.space)
    return SearchedDevice(
        name=name,
        limits=run.config.limits,
        search_s=run.timings.get(f"search {run.role}"),
        kendall_again=table.repeatability().kendall,
    )


def on_both(run: Run, network: Architecture, costs: list[dict[str, NetworkCosts]]) -> NetworkOnBoth:
    """A network that a run found, with its costs on each device."""
    folder = network_of(run)
    trained = read_trained(folder, run.space) if (folder / "result.json").exists() else None
    known = [each[str(network)] for each in costs]
    return NetworkOnBoth(
        architecture=str(network),
        accuracy_percent=None if trained is None else trained.accuracy_percent,
        costs=[dict(each) for each in known],
    )
