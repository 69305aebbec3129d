"""`chronas measure adaptive`: measures as many networks as a predictor needs, and no more."""

from __future__ import annotations

from collections.abc import Sequence

from chronas.cli.flags import AdaptiveOptions
from chronas.cli.options import Call, Groups
from chronas.cli.output import write, write_json, write_table
from chronas.cli.steps import check_new, find_costs, journal_beside, published_size, size_of
from chronas.devices import device_class, make_device
from chronas.errors import UsageError
from chronas.measurement import Plan, read_journal
from chronas.predictors import Enough, make_predictor, measure_until, predictor_class
from chronas.spaces import Architecture, make_space
from chronas.tables import CostTable

WORDS = {
    "error": "Reached: the error is below {wanted:g} %.",
    "noise": "The error is as small as the measurements' own noise: more networks will not bring it to {wanted:g} %, "
    "more rounds (--plan.rounds) may.",
    "budget": "The budget of {networks} networks is spent before {wanted:g} %: move the table away and give more "
    "--networks; the journal is continued.",
}


def adaptive_groups_of(options: AdaptiveOptions) -> Groups:
    """Size, device, plan and predictor."""
    return Groups(
        {
            "size": published_size(make_space(options.space), None),
            "device": device_class(options.device).Config(),
            "plan": Plan(),
            "predictor": predictor_class(options.predictor).Config(),
        }
    )


def adaptive(call: Call[AdaptiveOptions]) -> int:
    """Measure, then report the number of networks and the error."""
    options = call.options
    check_new(options.out)
    if options.cost is not None and options.cost not in {"latency_ms", *options.costs}:
        raise UsageError(f"--cost {options.cost} is not measured: give it to --costs too")
    space, journal = make_space(options.space), journal_beside(options.out)
    device, size = make_device(options.device, call.groups["device"]), size_of(call, space)

    def measure(architectures: Sequence[Architecture]) -> CostTable:
        return find_costs(call, device, size, architectures, journal, options.costs)

    begun = [space.parse(text) for text in read_journal(journal).networks] if journal.exists() else []
    found = measure_until(
        make_predictor(options.predictor, space, size, call.groups["predictor"]),
        measure,
        error_percent=options.until_mape,
        budget=options.networks,
        seed=options.seed,
        begun=begun,
        cost=options.cost,
    )
    chance = f"{found.steps[-1].random} networks at random, others where {options.predictor} was unsure,"
    found.table.from_source(f"{found.table.provenance.source}; {chance}").save(options.out)
    _show(found, options)
    return 0


def _show(found: Enough, options: AdaptiveOptions) -> None:
    """The steps and the result."""
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
