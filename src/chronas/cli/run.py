"""`chronas run`, `demo`, `resume`, `retarget` and `report`: the whole loop in one folder, resumable at any point."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chronas.cli.flags import DemoOptions, ReportOptions, ResumeOptions, RetargetOptions, RunOptions
from chronas.cli.options import Call, Groups
from chronas.cli.output import note, resumable, write, write_json, write_table
from chronas.cli.steps import EPOCHS, changed_recipe, check_training
from chronas.devices import DEVICES, device_class
from chronas.errors import UsageError
from chronas.predictors import predictor_class
from chronas.progress import progress_display
from chronas.records import Estimate
from chronas.reports import BESIDE, BESIDE_COLUMNS, TWO_COLUMNS, Report, beside_rows, two_rows, two_words
from chronas.runs import (
    FIELDS,
    Run,
    RunConfig,
    RunSettings,
    compare_with,
    config_again,
    device_of,
    execute,
    implied,
    limits_alone,
    make_preset,
    preset_for,
    read_network,
    show,
)
from chronas.tables import CostTable, table_path
from chronas.training import Recipe, make_recipe, recipe_for, recipe_words
from chronas.units import COST_UNITS, cost_word

NAMES = ("space", "device", "searcher", "predictor")
PARTS = {"device": "device_config", "searcher": "searcher_config", "predictor": "predictor_config"}
SAME = ("size", "plan", "rerank", "recipe")  # groups that are fields of the config under the same name


def groups_of(options: RunOptions) -> Groups:
    """All groups of the preset, with its settings for the chosen names."""
    return groups_of_config(with_recipe(make_preset(preset_of(options), chosen_names(options)), options))


def with_recipe(base: RunConfig, options: RunOptions) -> RunConfig:
    """The config with the recipe that the command line names; one that depends on the data is chosen later."""
    return base.model_copy(update={"recipe": make_recipe(options.recipe, otherwise=base.recipe)})


def preset_of(options: RunOptions) -> str:
    """The preset of a command line: the given one, or the usual one for its data."""
    given = options.model_fields_set
    usual = options.BY_DATA and "preset" not in given and "data" in given
    return preset_for(options.data) if usual else options.preset


def chosen_names(options: RunOptions) -> dict[str, str]:
    """The names that the command line gives."""
    return {name: getattr(options, name) for name in NAMES if name in options.model_fields_set}


def groups_of_config(base: RunConfig) -> Groups:
    """The groups with the settings of a config as defaults."""
    parts = {**{name: getattr(base, name) for name in SAME}, **{name: getattr(base, at) for name, at in PARTS.items()}}
    defaults = {name: getattr(base, name) for name in RunSettings.model_fields}
    return Groups(parts, defaults, base)


def config_of(call: Call[Any]) -> RunConfig:
    """The config for a command line; missing settings are those of the base.

    Limits or a front replace the base's latency weight, unless a weight is given too.

    Raises:
        UsageError: the length of the training is given twice.
    """
    check_training(call)
    base: RunConfig = call.base
    asked = {name for name in call.options.model_fields_set if name in RunSettings.model_fields}
    given = {name: getattr(call.options, name) for name in asked - {*NAMES}}
    size = {"size"} if any(flag.startswith("--size.") for flag in call.flags) else set()
    given |= implied({*asked, *size, *({"epochs"} if EPOCHS in call.flags else ())})
    groups = {PARTS.get(name, name): part for name, part in call.groups.items()}
    searcher: Any = groups["searcher_config"]
    timed = "minutes" in type(searcher).model_fields and "--searcher.minutes" not in call.flags
    if timed and "--searcher.epochs" in call.flags:
        groups["searcher_config"] = searcher.model_copy(update={"minutes": 0.0})
    kept = {name: getattr(base, name) for name in RunConfig.model_fields}
    return RunConfig(**{**kept, **groups, **limits_alone(given)})


def create(call: Call[Any], out: Path, table: CostTable | None = None) -> Run:
    """Create or resume the run of a command line, with the recipe for its data, which is told if there was a choice."""
    config = config_of(call)

    def recipe_of(data: str, images: int) -> Recipe:
        return changed_recipe(call, recipe_for(call.options.recipe, data, images, config.recipe))

    own = Run.create(out, config, command=call.line, table=table, recipe_of=recipe_of)
    for text in filter(None, [recipe_words(call.options.recipe, *own.images_for_recipes, call.base.recipe)]):
        note(text)
    if own.initial is not None:
        note(f"init: {own.initial.words}")
    return own


def run(call: Call[RunOptions]) -> int:
    """Run or resume, then show the result."""
    out = call.options.out or Path("runs") / preset_of(call.options)
    return finish(create(call, out), as_json=call.options.json_answer)


def demo(call: Call[DemoOptions]) -> int:
    """Run the preset of the demo."""
    out = call.options.out or Path("runs/demo")
    return finish(create(call, out), as_json=call.options.json_answer)


def resume(call: Call[ResumeOptions]) -> int:
    """Resume a run."""
    return finish(Run.open(call.options.run), as_json=call.options.json_answer)


def report(call: Call[ReportOptions]) -> int:
    """Write the page and show its result; with `--compare`, measure networks beside the found one first."""
    options, own = call.options, Run.open(call.options.run)
    if not options.compare and (options.input_shape or options.mean or options.std):
        raise UsageError("--input-shape, --mean and --std are for --compare: name the networks to compare")
    if options.compare:
        given = [read_network(source, options.input_shape or None) for source in options.compare]
        with own.working(), progress_display() as progress:
            compare_with(own, given, progress, mean=options.mean, std=options.std)
    show_answer(own, show(own), as_json=call.options.json_answer)
    return 0


# ---- another device


def retarget_groups_of(options: RetargetOptions) -> Groups:
    """The groups that can change, with the settings of the run that is searched again.

    Raises:
        UsageError: no device is given, and no table has one.
    """
    if "run" not in options.model_fields_set:
        raise UsageError("they depend on the run and the device; give RUN and --device as well")
    source = Run.open(options.run)
    table = None if options.table is None else CostTable.load(table_path(options.table))
    predictor = options.predictor if "predictor" in options.model_fields_set else source.config.predictor
    same = predictor == source.config.predictor
    predictor_config = source.config.predictor_config if same else predictor_class(predictor).Config()
    if "device" in options.model_fields_set:
        device, device_config = options.device, device_class(options.device).Config()
    elif table is not None:
        device, device_config = device_of(table)
    elif type(source.searcher).gives_weights:
        device, device_config = source.config.device, source.config.device_config
    else:
        raise UsageError(
            f"a run is searched again for another device: give --device, one of {', '.join(DEVICES)}, or --table"
        )
    return groups_of_config(config_again(source, device, device_config, predictor, predictor_config))


def retarget(call: Call[RetargetOptions]) -> int:
    """Create or resume the new run, and show the result.

    Raises:
        UsageError: a flag is given that a run with a warm start cannot change.
    """
    options, source = call.options, Run.open(call.options.run)
    fixed = {f"--{name.replace('_', '-')}" for name in (*FIELDS, "preset")}
    given = [flag for flag in sorted(call.flags) if flag.partition(".")[0] in fixed and "--searcher." not in flag]
    if given:
        raise UsageError(
            f"{given[0]} cannot be given to `chronas retarget`: space, size, data, recipe, "
            f"searcher and seed are those of {source.folder}, because its trained weights depend on them"
        )
    table = None if options.table is None else CostTable.load(table_path(options.table))
    config = config_of(call)
    if table is None and (config.device, config.device_config) == (source.config.device, source.config.device_config):
        table = CostTable.load(source.folder / "costs.parquet", source.space)  # the same device: nothing to measure
    out = options.out or Path("runs") / f"{source.folder.resolve().name}-{config.device}"
    return finish(Run.create(out, config, command=call.line, table=table, source=source), as_json=options.json_answer)


# ---- answers


def finish(own: Run, *, as_json: bool) -> int:
    """Execute a run to its end and show the result; returns 1 if the limit is missed."""
    note(f"run folder: {own.folder}")
    for text in own.data_facts.notes:
        note(text)
    with resumable(f"chronas resume {shlex.quote(str(own.folder))}"), progress_display() as progress:
        found = execute(own, progress)
    show_answer(own, found, as_json=as_json)
    return 1 if found.verdict.met is False else 0


def show_answer(own: Run, found: Report, *, as_json: bool) -> None:
    """Show the result on stdout."""
    rows = [
        {
            "network": network.name,
            "accuracy_percent": network.accuracy_percent,
            **({} if found.in_float32 else {"float32_accuracy_percent": network.float32_accuracy_percent}),
            "balanced_accuracy_percent": None if (by := network.confusion) is None else by.balanced_accuracy_percent,
            **flat_costs(network.costs),
            "parameters": network.parameters,
            "macs": network.macs,
            "architecture": network.architecture,
        }
        for network in found.networks
    ]
    costs = [name for network in found.networks[:1] for cost in network.costs for name in cost_columns(cost)]
    path = str(own.folder / "report.html")
    if as_json:
        beside: dict[str, Any] = {} if found.two is None else {"devices": asdict(found.two)}
        beside |= {"beside": [asdict(each) for each in found.beside]} if found.beside else {}
        verdict = {
            "verdict": found.verdict.text,
            "met": found.verdict.met,
            "warnings": list(found.verdict.warnings),
            "largest_class_percent": next(
                (each.confusion.largest_class_percent for each in found.networks if each.confusion is not None), None
            ),
        }
        write_json({**verdict, "networks": rows, **beside, "report": path})
        return
    accuracies = ["accuracy %"] if found.in_float32 else ["int8 accuracy %", "in float32 %"]
    columns = ("network", *accuracies, "balanced %", *costs, "parameters", "MACs")
    if rows:
        write_table(columns, [list(row.values())[:-1] for row in rows])
        write("")
    if found.beside:
        write_table(BESIDE_COLUMNS, beside_rows(found.beside), f"{BESIDE}:")
        write("")
    if found.two is not None:
        write_table(TWO_COLUMNS, two_rows(found.two))
        write("\n".join(["", *two_words(found.two), ""]))
    write("\n".join([found.verdict.text, *found.verdict.warnings, f"report: {path}"]))


def flat_costs(costs: Mapping[str, Estimate]) -> dict[str, float | None]:
    """The costs of a network for JSON: each value, the upper end of its interval, and the prediction."""
    flat: dict[str, float | None] = {}
    for cost, found in costs.items():
        word, _, unit = cost.rpartition("_")
        flat |= {cost: found.value, f"{word}_high_{unit}": found.high, f"{word}_predicted_{unit}": found.predicted}
    return flat


def cost_columns(cost: str) -> tuple[str, str, str]:
    """Headings of the columns of `flat_costs` in a table for people."""
    return f"{cost_word(cost)} {COST_UNITS[cost]}", "at most", "predicted"
