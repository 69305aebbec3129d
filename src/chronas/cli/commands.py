"""The commands of the command line: their one-line help, and the place of their code.

A command is only imported when it runs; its help imports only its flags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

PLAN = {"plan": "rounds, repeats and the wanted width of intervals"}
SIZE = {"size": "size of the networks: width, depth, images, classes"}
DEVICE = {"device": "settings of the device: threads, batch, dtype"}
PREDICTOR = {"predictor": "settings of the predictor"}
RECIPE = {"recipe": "training settings: epochs, learning rate, augmentation"}
LOOP = {
    **SIZE,
    **DEVICE,
    **PLAN,
    **PREDICTOR,
    "searcher": "settings of the searcher: epochs, networks, widths",
    "rerank": "candidates that are compared before one is chosen, and their margin",
    **RECIPE,
}


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        summary: one line of help.
        action: module in `chronas.cli` and its function, which takes a `Call` and returns the exit code.
        flags: model of its flags, in `chronas.cli.flags` or in the module of `chronas.cli` that stands before it.
        description: text of its help.
        groups: groups of flags -> description.
        groups_of: function of that module that creates the groups.
        shared: whether several processes of torchrun can share its work.
    """

    summary: str
    action: str
    flags: str
    description: str
    groups: Mapping[str, str] = field(default_factory=dict)
    groups_of: str | None = None
    shared: bool = False

    def model(self, load: Callable[[str], ModuleType] = import_module) -> Any:
        """The model of its flags; `load` imports a module by its name."""
        module, _, name = self.flags.rpartition(":")
        return getattr(load(f"chronas.cli.{module or 'flags'}"), name)


COMMANDS = {
    "demo": Command(
        "the whole loop on pictures made on the spot and this CPU, in minutes",
        "run:demo",
        "DemoOptions",
        "The whole loop in minutes, on pictures of textured shapes that are made on the spot: measure random networks\n"
        "on this CPU, learn their latency, search with and without a latency term, train what was found, and compare\n"
        "with random networks and with five convolutions written by hand. The settings are those of\n"
        "`chronas run --preset shapes-cpu`.",
        LOOP,
        "groups_of",
    ),
    "run": Command(
        "the whole loop: measure, fit, search, train, export, measure again, report",
        "run:run",
        "RunOptions",
        "Measure the device, learn its latency, search, train, export, measure again, report.\n\n"
        "A preset sets everything, flags change it; `chronas presets` lists them. The same command, or\n"
        "`chronas resume FOLDER`, resumes a stopped run. `chronas retarget FOLDER --device NAME` searches a\n"
        "finished run again for another device, without training its supernet again.",
        LOOP,
        "groups_of",
    ),
    "resume": Command(
        "resume a stopped run",
        "run:resume",
        "ResumeOptions",
        "Resume a stopped run; its settings are in its folder.",
    ),
    "retarget": Command(
        "search a finished run again for another device, with its trained weights",
        "run:retarget",
        "RetargetOptions",
        "Search again for another device, with the trained supernet or networks of a finished run.\n\n"
        "Space, size, data, recipe, searcher and seed are those of RUN, which is not changed. The new device is\n"
        "measured, or its costs come from --table. The report compares the networks found for both devices, measured\n"
        "on each device that is here.",
        {**DEVICE, **PLAN, **PREDICTOR, "rerank": LOOP["rerank"]},
        "retarget_groups_of",
    ),
    "measure run": Command(
        "measure random networks of a space on a device: a table of costs",
        "measure:run",
        "MeasureOptions",
        "Measure random networks of a space on a device: a table of costs, and a journal of every sample.\n\n"
        "With a run folder, it does this step of the run.",
        {**SIZE, **DEVICE, **PLAN},
        "groups_of",
    ),
    "measure net": Command(
        "measure networks of your own side by side: ONNX files, modules, what chronas found",
        "net:measure",
        "NetOptions",
        "Measure networks of your own side by side: latency with its interval, MACs, parameters, and accuracy.\n\n"
        "All are timed in each round, in a new random order, on each device. FILE.py:FUNCTION runs that Python file.",
        {**DEVICE, **PLAN},
        "groups_of",
    ),
    "measure lookup": Command(
        "measure each block of a chain of layers, and the accuracy of their sums",
        "measure:lookup",
        "LookupOptions",
        "Measure each distinct block of a space of layers, and the accuracy of sums of blocks for whole networks.\n\n"
        "A block is measured in a network of cheapest blocks (skip), in all layers of its shape at once. The table\n"
        "has these networks and whole ones. The same command resumes a stopped measurement.",
        {**SIZE, **DEVICE, **PLAN},
        "lookup_groups_of",
    ),
    "measure adaptive": Command(
        "measure as many networks as a predictor needs, and no more",
        "measure:adaptive",
        "AdaptiveOptions",
        "Measure networks of a space on a device until a predictor's error on unseen networks is small enough.\n\n"
        "It measures networks with the most uncertain predictions, and random ones to score the predictor. It ends at\n"
        "the wanted error, at the noise of the measurements, or when the budget is spent (--networks).",
        {**SIZE, **DEVICE, **PLAN, **PREDICTOR},
        "adaptive_groups_of",
    ),
    "measure bundle": Command(
        "write a folder that measures networks elsewhere, with only numpy and ONNX Runtime",
        "measure:bundle",
        "BundleOptions",
        "Write a folder whose run.py measures networks on another machine, with only numpy and ONNX Runtime.\n\n"
        "`chronas table import bundle` reads the results.",
        {**SIZE, **DEVICE, **PLAN},
        "groups_of",
    ),
    "measure check": Command(
        "measure a sample of a table again, and report their agreement",
        "measure:check",
        "CheckOptions",
        "Measure a sample of a table's networks again in new rounds, and report their agreement.\n\n"
        "The result is stored in the table, the new samples in a journal next to it.",
    ),
    "fit": Command(
        "learn a cost predictor from a table",
        "fit:fit",
        "FitOptions",
        "Learn a cost predictor from a table, and report its error on unseen architectures.\n\n"
        "With --transfer-from a device is learned from few networks and the tables of other devices.\n"
        "With a run folder, it does this step of the run.",
        PREDICTOR,
        "groups_of",
    ),
    "search": Command(
        "search an architecture for a data set, with a latency weight or limit",
        "search:search",
        "SearchOptions",
        "Search an architecture with a latency weight or limit, choose by measuring, store it in a run folder.\n\n"
        "With a run folder, it does this step of the run. Otherwise --table gives the costs, and --out becomes a run\n"
        "folder whose later steps (train, export, report) use the same settings; flags are those of `chronas run`.\n"
        "Several processes share every batch of a gradient-based searcher, such as darts, with:\n"
        "torchrun --nproc-per-node 2 -m chronas search ...",
        LOOP,
        "groups_of",
        shared=True,
    ),
    "train": Command(
        "train one architecture from scratch, or the networks of a run",
        "train:train",
        "TrainOptions",
        "Train one architecture from scratch; keep the checkpoint with the best validation; test once at the end.\n\n"
        "With a run folder, it trains the networks of the run and measures them again; with --front 2 3 these\n"
        "networks of its front. The same command resumes a stopped training.\n"
        "Several processes share every batch with:\n"
        "torchrun --nproc-per-node 2 -m chronas train ...",
        {"size": "size of the network: width, depth", **RECIPE},
        "groups_of",
        shared=True,
    ),
    "export": Command(
        "write a trained network as safetensors, ONNX and one Python file",
        "train:export",
        "ExportOptions",
        "Write a trained network as model.safetensors, model.onnx (checked against PyTorch) and model.py, which needs\n"
        "only torch, with examples of inference in Python and C++. --dtype int8 adds an int8 file and tests it.\n\n"
        "With a run folder, it exports the network of the run; --network exports any folder of `chronas train`.",
    ),
    "report": Command(
        "write the page of a run, with your own networks beside the found one",
        "run:report",
        "ReportOptions",
        "Write report.html of a run folder again, from its content.\n\n"
        "--compare measures networks of your own beside the found one, on the run's device and test images.",
    ),
    "data show": Command(
        "what a data set holds, and what is left out",
        "data:show",
        "DataOptions",
        "Read a data set as a run would, and show its splits, classes, sizes, and what is left out and why.",
    ),
    "table list": Command(
        "the tables that come with chronas; every command takes their names instead of a file",
        "table:list_tables",
        "options:Options",
        "List the tables that come with chronas, by name.\n\n"
        "`chronas table query NAME` searches one, `chronas table show NAME` describes it.",
    ),
    "table show": Command(
        "a summary of a table: origin, repeatability, fastest networks",
        "table:show",
        "table_flags:ShowOptions",
        "Show a summary of a cost table: its origin, range and repeatability, and its fastest networks.",
    ),
    "table query": Command(
        "costs of architectures on every device: by index, text, filter or Pareto front",
        "query:query",
        "table_flags:QueryOptions",
        "Show the costs of architectures on every device, from tables of one space and network size.\n\n"
        "Columns are named DEVICE.COST (raspi4.latency_ms); a unique ending is enough. Unknown values are shown as a\n"
        "dash, and are null in JSON and files.",
    ),
    "table compare": Command(
        "rank correlations of devices, and the costs of each device's best network on the others",
        "import_and_compare:compare_tables",
        "table_flags:CompareOptions",
        "Compare devices: Kendall and Spearman of each pair, and with multiplications (MACs) and parameters.\n\n"
        "With accuracies: the most accurate architecture within each device's limit, and its cost on every other\n"
        "device, relative to that device's limit.",
    ),
    "table build": Command(
        "measure all architectures of a space on a device",
        "measure:build",
        "table_flags:BuildOptions",
        "Measure all architectures of a space on a device: a table with their official indices.\n\n"
        "Architectures with the same graph are measured once if the device drops unneeded parts of a network.\n"
        "The same command resumes a stopped measurement. --networks measures a random part. To add more\n"
        "networks, move the table away and repeat the command with a larger number.",
        {**SIZE, **DEVICE, **PLAN},
        "groups_of",
    ),
    "table import bundle": Command(
        "a table from the results of a bundle (results.jsonl)",
        "import_and_compare:import_bundle",
        "table_flags:ImportBundleOptions",
        "Create a table from the results of a bundle's run.py, and a journal of every sample next to it.\n\n"
        "Networks without all rounds are left out.",
    ),
    "table import csv": Command(
        "tables from a CSV or Parquet file of another source, one for each device",
        "import_and_compare:import_file",
        "table_flags:ImportFileOptions",
        "Create one table for each device from a CSV or Parquet file that has a row for each architecture.\n\n"
        "Architectures are text (architecture, arch_str, arch) or official indices (index, arch_idx). Costs are\n"
        "columns that end in their unit (raspi4_ms, eyeriss_energy_mj); --columns names others, of any unit.",
    ),
    "table import hw-nas-bench": Command(
        "HW-NAS-Bench's official pickle, one table for each device",
        "import_and_compare:import_hw_nas_bench",
        "table_flags:ImportHwNasBenchOptions",
        "Read HW-NAS-Bench v1.0 (HW-NAS-Bench-v1_0.pickle, which you provide) and write its costs as Parquet.\n\n"
        "NAS-Bench-201: one table for each data set and device, and the products that its API calls\n"
        "average_hw_metric. FBNet: one table of blocks for each data set. No code in the file is run.",
    ),
    "devices": Command(
        "all devices of chronas, and those that this machine has",
        "listings:devices",
        "DevicesOptions",
        "All devices of chronas, and those that this machine has.",
    ),
    "spaces": Command(
        "the search spaces, their sizes and operations",
        "listings:spaces",
        "options:Options",
        "The search spaces of chronas, and those of installed packages.",
    ),
    "presets": Command(
        "the presets of `chronas run`, and their purposes",
        "listings:presets",
        "options:Options",
        "The presets of `chronas run`, and their purposes.",
    ),
    "explore": Command(
        "a page in the browser: networks, devices, a limit, and the best network within it",
        "listings:explore",
        "ExploreOptions",
        "Serve a page on which you choose networks, a device and a limit, and see the best network within it.\n\n"
        "It has the tables that come with chronas and those that you give. Only this machine can open it, unless\n"
        "--host says otherwise. Nothing is sent anywhere.",
    ),
    "completion": Command(
        "the completion script for your shell",
        "listings:completion",
        "CompletionOptions",
        "Write the script that completes commands and flags: source <(chronas completion bash)",
    ),
}
OLD_FLAGS = {  # a command and its flag in earlier versions -> the present command
    ("run", "--resume"): "resume FOLDER",
    ("run", "--reuse"): "retarget RUN",
    ("measure", "--check"): "measure check TABLE",
    ("measure", "--lookup"): "measure lookup",
    ("measure", "--until-mape"): "measure adaptive --until-mape PERCENT",
    ("measure", "--bundle"): "measure bundle --out FOLDER",
    ("train", "--preset"): "train --recipe NAME",
}
OLD_COMMANDS = {  # commands of earlier versions that are now several
    "measure": "`chronas measure` of earlier versions is `chronas measure run`",
    "table import": "a CSV or Parquet file is read by `chronas table import csv FILE`, results.jsonl by "
    "`chronas table import bundle FILE`",
}
