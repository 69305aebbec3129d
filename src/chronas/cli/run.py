"""`chronas run`: the whole loop in one folder, resumable at any point."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import tyro
from pydantic import Field, create_model

from chronas.cli.errors import resumable
from chronas.cli.options import Options, part, read_names, read_options, with_names
from chronas.cli.output import progress_display, write, write_json, write_table
from chronas.devices import DEVICES
from chronas.errors import UsageError
from chronas.predictors import PREDICTORS
from chronas.records import Estimate
from chronas.reports import TWO_COLUMNS, Report, two_rows, two_words
from chronas.runs import LIMITS, PRESETS, Run, RunConfig, execute, make_preset, preset_summaries
from chronas.search import SEARCHERS
from chronas.spaces import SPACES
from chronas.units import COST_UNITS, cost_word

CHOICES = {"space": SPACES, "device": DEVICES, "searcher": SEARCHERS, "predictor": PREDICTORS}
PARTS = ("device", "searcher", "predictor")
DEFAULT_PRESET = "digits-cpu"
DESCRIPTION = f"""Measure the device, learn its latency, search, train, export, measure again, report.

A preset sets everything, flags change it. A run that was stopped goes on with the same command,
or with: chronas run --resume FOLDER

The supernet of a finished run can be searched for another device, without training it again:
chronas run --reuse RUN --device NAME --limit-ms MS (more with: chronas run --reuse RUN --help)

Presets:
{chr(10).join(f"- {name}: {what}" for name, what in preset_summaries().items())}"""


def main(words: list[str]) -> int:
    """Run or resume, then tell what was found."""
    if "--resume" in words:
        return _resume(words)
    if any(word.partition("=")[0] == "--reuse" for word in words):
        from chronas.cli.reuse import reuse

        return reuse(words)
    return run_preset(words, DEFAULT_PRESET, prog="chronas run", description=DESCRIPTION)


def run_preset(words: list[str], preset: str, *, prog: str, description: str, folder: str | None = None) -> int:
    """Run a preset with the changes that flags ask for.

    Args:
        words: after the command.
        preset: the one to take where `--preset` names none.
        prog: the command, for help and for the command line that the run keeps.
        description: for help.
        folder: the run's folder below `runs/` where `--out` names none; the preset's name where it is None.
    """
    line = shlex.join([*prog.split(), *words])
    chosen, rest = read_names(words, {"preset": PRESETS, **CHOICES}, {"preset": preset})
    name = chosen.pop("preset")
    base = limit_alone(make_preset(name, chosen), words)
    model = options_model(RunOptions, base, name, Path("runs") / (folder or name))
    options = read_options(model, rest, prog=prog, description=description)
    run = Run.create(options.out, config_of(base, options), command=line)
    return finish(run, as_json=options.json_answer)


def limit_alone(base: RunConfig, words: list[str]) -> RunConfig:
    """Limits or a front on the command line take the place of the preset's weight, unless one is given there too."""
    flags = {word.partition("=")[0] for word in words}
    limited = any(f"--{field.replace('_', '-')}" in flags for field in (*LIMITS.values(), "front"))
    if limited and "--latency-weight" not in flags:
        return base.model_copy(update={"latency_weight": 0.0})
    return base


class RunOptions(Options):
    """Options of `chronas run` besides the config's."""

    out: Path = Field(description="folder of the run")


Model = TypeVar("Model", bound=RunOptions)


def options_model(model: type[Model], base: RunConfig, preset: str, out: Path) -> type[Model]:
    """The options of a run with these defaults: `device_config` becomes the group `--device.*`, and so on."""
    named = with_names(model, {"preset": PRESETS, **CHOICES}, {"preset": preset, **base.model_dump(include={*CHOICES})})
    return with_config(named, base, out)


def with_config(model: type[Model], base: RunConfig, out: Path, leave_out: Collection[str] = ()) -> type[Model]:
    """A model with the fields of a config, which are its defaults, but for its names and those to leave out."""
    fields: dict[str, Any] = {"out": (Path, Field(default=out, description="folder of the run"))}
    for name, field in RunConfig.model_fields.items():
        if name in CHOICES or name in leave_out:
            continue
        value = getattr(base, name)
        group = name.removesuffix("_config")
        kind: Any = type(value) if group in PARTS else field.annotation
        for rule in field.metadata:
            kind = Annotated[kind, rule]
        if type(None) in get_args(field.annotation):
            kind = Annotated[kind, tyro.conf.arg(metavar=get_args(field.annotation)[0].__name__.upper())]
        fields[group] = (kind, Field(default=value, description=field.description))
    return create_model(model.__name__, __base__=model, **fields)


def config_of(base: RunConfig, options: RunOptions) -> RunConfig:
    """The config that the options ask for, in the space, device, searcher and predictor of `base`."""
    values = {name: getattr(options, name, getattr(base, name)) for name in RunConfig.model_fields}
    names = {name: getattr(base, name) for name in CHOICES}
    return RunConfig(**{**values, **names, **{f"{name}_config": part(options, name) for name in PARTS}})


def finish(run: Run, *, as_json: bool) -> int:
    """Execute a run to its end and tell the answer; 1 where the limit is missed."""
    sys.stderr.write(f"run folder: {run.folder}\n")
    with resumable(f"chronas run --resume {shlex.quote(str(run.folder))}"), progress_display() as progress:
        report = execute(run, progress)
    tell(run, report, as_json=as_json)
    return 1 if report.verdict.met is False else 0


def tell(run: Run, report: Report, *, as_json: bool) -> None:
    """The answer on stdout."""
    rows = [
        {
            "network": network.name,
            "accuracy_percent": network.accuracy_percent,
            **told_costs(network.costs),
            "parameters": network.parameters,
            "macs": network.macs,
            "architecture": network.architecture,
        }
        for network in report.networks
    ]
    costs = [name for network in report.networks[:1] for cost in network.costs for name in cost_columns(cost)]
    path = str(run.folder / "report.html")
    if as_json:
        beside = {} if report.two is None else {"devices": asdict(report.two)}
        verdict = {"verdict": report.verdict.text, "met": report.verdict.met}
        write_json({**verdict, "networks": rows, **beside, "report": path})
        return
    columns = ("network", "accuracy %", *costs, "parameters", "MACs")
    if rows:
        write_table(columns, [list(row.values())[:-1] for row in rows])
        write("")
    if report.two is not None:
        write_table(TWO_COLUMNS, two_rows(report.two))
        write("\n".join(["", *two_words(report.two), ""]))
    write(f"{report.verdict.text}\nreport: {path}")


def told_costs(costs: Mapping[str, Estimate]) -> dict[str, float | None]:
    """The costs of a network for an answer: what was found, the upper end of its interval, what was predicted."""
    told: dict[str, float | None] = {}
    for cost, found in costs.items():
        word, _, unit = cost.rpartition("_")
        told |= {cost: found.value, f"{word}_high_{unit}": found.high, f"{word}_predicted_{unit}": found.predicted}
    return told


def cost_columns(cost: str) -> tuple[str, str, str]:
    """What stands over the columns of `told_costs` in a table for people."""
    return f"{cost_word(cost)} {COST_UNITS[cost]}", "at most", "predicted"


def _resume(words: list[str]) -> int:
    rest = [word for word in words if word != "--json"]
    if len(rest) != 2 or rest[0] != "--resume":
        raise UsageError("expected `chronas run --resume FOLDER`, with nothing else but --json: its settings are in it")
    return finish(Run.open(Path(rest[1])), as_json="--json" in words)
