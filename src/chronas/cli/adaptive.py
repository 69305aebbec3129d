"""`chronas measure --until-mape 4`: as many networks as a predictor needs, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from chronas.cli.costs import find_costs
from chronas.cli.options import Options, part, read_names, read_options, with_names, with_parts
from chronas.cli.output import write, write_json, write_table
from chronas.cli.table import journal_beside
from chronas.devices import DEVICES, device_class, make_device
from chronas.errors import UsageError
from chronas.measurement import Cost, Plan, read_journal
from chronas.predictors import PREDICTORS, Enough, make_predictor, measure_until, predictor_class
from chronas.spaces import SPACES, Architecture, NetworkSize, make_space
from chronas.tables import CostTable

DESCRIPTION = """Measure networks of a space on a device until a predictor's error on networks not seen is small enough.

Measured is what the predictor is least sure of, and random networks to judge it on. It ends where the error is reached,
where the measurements' own noise is, or where the budget is spent (--networks), and says which."""
WORDS = {
    "error": "Reached: the error is below {wanted:g} %.",
    "noise": "The error is as small as the measurements' own noise: more networks will not bring it to {wanted:g} %, "
    "more rounds (--plan.rounds) may.",
    "budget": "The budget of {networks} networks is spent before {wanted:g} %: move the table away and give more "
    "--networks, the journal goes on.",
}


class UntilOptions(Options):
    """Options of `chronas measure --until-mape` that do not depend on names."""

    until_mape: float = Field(gt=0, le=100, description="wanted mean absolute error on networks not seen, in percent")
    networks: int = Field(default=500, ge=1, description="the budget: most networks that are measured")
    seed: int = Field(default=0, ge=0, description="of networks and fits")
    out: Path = Field(default=Path("costs.parquet"), description="table to write; the journal lies beside it (.sqlite)")
    plan: Plan = Field(default=Plan())
    costs: tuple[Cost, ...] = Field(default=(), description="what to measure beside the latency, after it")
    cost: str | None = Field(default=None, description="whose error it is, of --costs; by default the latency's")


def main(words: list[str]) -> int:
    """Measure, then tell how many were enough."""
    valid = {"space": SPACES, "device": DEVICES, "predictor": PREDICTORS}
    names, words = read_names(words, valid, {"space": "darts", "device": "onnxruntime-cpu", "predictor": "lpm"})
    space = make_space(names["space"])
    size = next(iter(space.sizes.values()))
    parts = {
        "device": device_class(names["device"]).Config(),
        "predictor": predictor_class(names["predictor"]).Config(),
    }
    model = with_parts(with_names(UntilOptions, valid, names), {"size": size, **parts})
    options = read_options(model, words, prog="chronas measure --until-mape", description=DESCRIPTION)
    if options.out.exists():
        raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
    if options.cost is not None and options.cost not in {"latency_ms", *options.costs}:
        raise UsageError(f"--cost {options.cost} is not measured: give it to --costs too")
    journal = journal_beside(options.out)
    device = make_device(names["device"], part(options, "device"))
    chosen = NetworkSize.model_validate(part(options, "size"))

    def measure(architectures: Sequence[Architecture]) -> CostTable:
        return find_costs(device, chosen, architectures, options.plan, options.costs, journal, words)

    begun = [space.parse(text) for text in read_journal(journal).networks] if journal.exists() else []
    found = measure_until(
        make_predictor(names["predictor"], space, chosen, part(options, "predictor")),
        measure,
        error_percent=options.until_mape,
        budget=options.networks,
        seed=options.seed,
        begun=begun,
        cost=options.cost,
    )
    chance = f"{found.steps[-1].random} networks at random, others where {names['predictor']} was unsure,"
    found.table.from_source(f"{found.table.provenance.source}; {chance}").save(options.out)
    _show(found, options)
    return 0


def _show(found: Enough, options: UntilOptions) -> None:
    """The steps and what they came to."""
    rows = [(s.networks, s.random, s.error_percent, s.standard_error_percent, s.noise_percent) for s in found.steps]
    columns = ("networks", "random", "error %", "+-", "noise %")
    if options.json_answer:
        keys = ("networks", "random", "error_percent", "standard_error_percent", "noise_percent")
        steps = [dict(zip(keys, row, strict=True)) for row in rows]
        write_json({"path": str(options.out), "reason": found.reason, "steps": steps})
        return
    write_table(columns, rows)
    write("\n" + WORDS[found.reason].format(wanted=options.until_mape, networks=len(found.table)))
    write(f"table: {options.out}")
