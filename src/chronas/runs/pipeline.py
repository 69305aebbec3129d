"""A whole run, callable from Python: measure, fit, search, train, export, measure again, report.

config = make_preset("digits-cpu")
report = execute(Run.create(Path("runs/demo"), config, command="chronas demo"))
print(report.verdict.text)
"""

from __future__ import annotations

from collections.abc import Mapping

from chronas.errors import LimitMissedError
from chronas.progress import Progress, silent
from chronas.reports import Report, write_page
from chronas.runs.by_hand import beside_by_hand
from chronas.runs.cost_model import fit_all, look_first, measure
from chronas.runs.examples import write_examples
from chronas.runs.exported import export_own
from chronas.runs.fitted_size import fit_size
from chronas.runs.float32_beside import time_both
from chronas.runs.forecast import Forecast
from chronas.runs.front import search_front
from chronas.runs.network_costs import costs_of
from chronas.runs.run import Run
from chronas.runs.selection import Finder
from chronas.runs.summary import FINAL, compare_devices, summarise, write_missed
from chronas.runs.training import deployed_file, train_network
from chronas.spaces import Architecture


def execute(run: Run, progress: Progress = silent) -> Report:
    """Execute the run's config, or resume an earlier attempt; ends with `report.html`.

    Args:
        run: the folder and its config.
        progress: called after each step.

    Raises:
        LimitMissedError: no architecture keeps the limit; the report is written anyway and says so.
        ChronasError: anything that the user can fix; finished steps stay.
    """
    with run.working():
        forecast = Forecast(run, progress)
        write_examples(run)
        try:
            fit_size(run, progress)
            look_first(run, progress)
            table = measure(run, forecast)
            predictors = fit_all(run, table, forecast)
            forecast.try_training(table)
            networks = find(run, Finder(run, predictors, table, forecast))
        except LimitMissedError as missed:
            write_missed(run, missed)
            show(run)
            raise
        if run.config.front is not None:
            search_front(run, predictors, table, forecast)
        for role, architecture in networks.items():
            train_network(run, role, architecture, forecast)
        export_own(run)
        measure_found(run, networks, progress)
        forecast.finished()
        return show(run)


def measure_found(run: Run, networks: Mapping[str, Architecture], progress: Progress = silent) -> None:
    """Measure all networks with their trained weights in one campaign, so that they can be compared.

    In int8, the measured files are those that were calibrated and tested, and the run's own network is also timed in
    float32 beside. If the device is not here, nothing is measured. A run that reuses another run is compared with it,
    and with `by_hand` five convolutions are trained and measured beside it.
    """
    weights = {architecture: deployed_file(run, role) for role, architecture in networks.items()}
    costs_of(run, FINAL, list(weights), progress, weights=weights)
    time_both(run, progress)
    if run.reused is not None and run.reused.device.fingerprint() != run.device.fingerprint():
        compare_devices(run, progress)
    if run.config.by_hand:
        beside_by_hand(run, progress)


def find(run: Run, finder: Finder) -> dict[str, Architecture]:
    """The architectures to train, by role: the run's own, and with `baseline` also those to compare with."""
    networks: dict[str, Architecture] = {run.role: finder.own()}
    if run.config.baseline:
        if run.role != "weight-0":
            networks["weight-0"] = finder.weight_zero()
        networks["random"] = finder.random()
        networks["random-search"] = finder.random_search()
    return networks


def show(run: Run) -> Report:
    """Write `report.html` from the folder's content, and return the report."""
    report = summarise(run)
    write_page(run.folder / "report.html", report, run.space)
    return report
