"""`chronas train` and `chronas export`: one architecture from scratch, or the networks of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from chronas.cli.flags import ExportOptions, TrainOptions
from chronas.cli.options import Call, Groups
from chronas.cli.output import note, resumable, write, write_json, write_table
from chronas.cli.steps import changed_recipe, check_new, check_training, run_of
from chronas.data import DATASETS, Dataset, Normalisation, load_dataset
from chronas.errors import UsageError
from chronas.files import other_names, whole_folder
from chronas.progress import Progress, progress_display, silent
from chronas.runs import (
    BESIDE_FILE,
    EXPORTED,
    INT8_MODEL,
    Run,
    Trained,
    export_own,
    initial_of,
    measure_found,
    read_choices,
    read_front,
    read_int8,
    read_trained,
    teacher_of,
    train_architecture,
    train_network,
)
from chronas.runs import export as export_trained
from chronas.spaces import Architecture, NetworkScale, make_space
from chronas.training import LAUNCHED, ProcessGroup, Recipe, launched_group, make_recipe, recipe_for, recipe_words

ELSEWHERE = frozenset({"--batch", "--dtype", "--out"})  # flags of an export that leaves a run's own as it is
TRAINED = ("training", "result.json", "int8.json", "both_dtypes.json", INT8_MODEL)
OURS = {"architecture.json", "training", "result.json"}


def groups_of(options: TrainOptions) -> Groups:
    """Size and recipe."""
    return Groups({"size": NetworkScale(), "recipe": make_recipe(options.recipe, otherwise=_usual(options.data))})


def _usual(data: str) -> Recipe:
    """The recipe of data where nothing else is chosen: small for the data sets that come with chronas."""
    return make_recipe("digits-small" if data in DATASETS.built_in else "cifar10-cpu")


def train(call: Call[TrainOptions]) -> int:
    """Train, then show accuracy and size."""
    options = call.options
    own = run_of(call, "train", {"--front"})
    if own is not None:
        return _of_run(own, options)
    if options.front:
        raise UsageError("--front trains networks of the front of a run folder: chronas train RUN --front 2 3")
    if options.architecture is None:
        raise UsageError("--architecture is needed: the text form of a network, or give a run folder")
    with launched_group() as group:
        _train(call, options.architecture, group)
        if group.first:
            show_trained([read_trained(options.out)], as_json=options.json_answer)
    return 0


def _train(call: Call[TrainOptions], text: str, group: ProcessGroup) -> None:
    options = call.options
    check_training(call)
    _check_folder(options.out)
    architecture = make_space(options.space).parse(text)
    torch.set_num_threads(options.threads)
    data = load_dataset(options.data, image_size=options.image_size)
    chosen = (options.recipe, data.name, len(data.train), _usual(options.data))
    for text in filter(None, [*data.notes, recipe_words(*chosen)]) if group.first else ():
        note(text)
    normalisation = Normalisation.of(data.train)
    teacher = None if options.teacher is None else teacher_of(options.teacher, data, normalisation)
    size = NetworkScale.model_validate(call.groups["size"]).for_data(data.shape, data.classes)
    recipe, initial = changed_recipe(call, recipe_for(*chosen)), None
    if options.init is not None:
        auxiliary = recipe.auxiliary_weight > 0
        initial = initial_of(options.init, architecture, size, seed=options.seed, auxiliary=auxiliary)
        if group.first:
            note(f"init: {initial.words}")
    with resumable("the same command"), _progress_of(group) as progress:
        train_architecture(
            options.out,
            architecture,
            size,
            data,
            recipe,
            validation_share=options.validation_share,
            seed=options.seed,
            initial=None if initial is None else initial.weights_of(architecture),
            init=None if initial is None else initial.given.checksum,
            budget=options.budget,
            teacher=teacher,
            progress=progress,
            group=group,
        )


@contextmanager
def _progress_of(group: ProcessGroup) -> Iterator[Progress]:
    """A progress display for the first process only."""
    if not group.first:
        yield silent
        return
    with progress_display() as progress:
        yield progress


def _check_folder(folder: Path) -> None:
    """Refuse a file, and a folder with other content than a training."""
    if folder.exists() and (not folder.is_dir() or other_names(folder, OURS)):
        raise UsageError(f"{folder} exists and holds no training: choose another --out, nothing is overwritten")


def _of_run(run: Run, options: TrainOptions) -> int:
    if LAUNCHED in os.environ:
        raise UsageError("a run measures what it trains, by itself: train its --architecture with torchrun instead")
    with run.working(), resumable(_command(run, options.front)), progress_display() as progress:
        chosen = _of_front(run, options.front) if options.front else read_choices(run)
        if options.again:
            run.set_aside(*(() if options.front else (*EXPORTED, INT8_MODEL, BESIDE_FILE)))
            run.set_aside(*(f"networks/{role}/{name}" for role in chosen for name in TRAINED))
        trained = [train_network(run, role, architecture, progress) for role, architecture in chosen.items()]
        if not options.front:  # those of a front are measured already
            measure_found(run, chosen, progress)
    show_trained(trained, as_json=options.json_answer)
    return 0


def _command(run: Run, front: tuple[int, ...]) -> str:
    return " ".join([f"chronas train {run.folder}", *(["--front", *map(str, front)] if front else [])])


def _of_front(run: Run, numbers: tuple[int, ...]) -> dict[str, Architecture]:
    """The networks of the run's front by the names of their folders.

    Raises:
        UsageError: the run has no front, or the front has no such number.
    """
    networks = read_front(run).networks
    wrong = [number for number in numbers if not 1 <= number <= len(networks)]
    if wrong:
        raise UsageError(
            f"the front of {run.folder} has networks 1 to {len(networks)}, got {wrong[0]}: give one of these"
        )
    return {f"front-{number}": run.space.parse(networks[number - 1].architecture) for number in numbers}


def show_trained(networks: list[Trained], *, as_json: bool) -> None:
    """Show accuracies and sizes on stdout, and on stderr whose training was too short or ended early."""
    for network in networks:
        if network.still_learning:
            note(f"the training of {network.role} ended while its loss was still falling: train longer")
        if network.stopped_epoch is not None:
            note(f"the training of {network.role} ended after epoch {network.stopped_epoch} by its validation")
    rows = [
        {
            "network": network.role,
            "accuracy_percent": network.accuracy_percent,
            **({} if network.int8 is None else {"int8_accuracy_percent": network.int8.accuracy_percent}),
            "balanced_accuracy_percent": None if (by := network.by_class) is None else by.balanced_accuracy_percent,
            "largest_class_percent": None if by is None else by.largest_class_percent,
            "validation_accuracy_percent": network.validation_accuracy_percent,
            "parameters": network.parameters,
            "macs": network.macs,
            "training_s": network.training_s,
            "steps": network.steps,
            "stopped_epoch": network.stopped_epoch,
            "still_learning": network.still_learning,
            "architecture": str(network.architecture),
        }
        for network in networks
    ]
    if as_json:
        write_json(rows)
    else:
        columns = (
            "network",
            "accuracy %",
            *(["int8 %"] if any(network.int8 is not None for network in networks) else []),
            "balanced %",
            "largest class %",
            "validation %",
            "parameters",
            "MACs",
            "seconds",
        )
        write_table(columns, [list(row.values())[: len(columns)] for row in rows])


def _exported(options: ExportOptions, own: Run | None) -> tuple[list[Path], Trained | None]:
    """Export a trained network to `--out`, which is written whole or not at all; in int8 also its accuracies."""
    check_new(options.out)
    folder = options.network if own is None else own.folder / "networks" / own.role
    if folder is None:
        raise UsageError("--network is needed: a folder that `chronas train` wrote, or give a run folder")
    own = own or _run_around(folder)
    calibration = _calibration(options, own) if options.dtype == "int8" else None
    with whole_folder(options.out) as unfinished:
        paths = export_trained(
            folder,
            unfinished,
            batch=None if options.batch == "dynamic" else options.batch,
            space=None if own is None else own.space,
            calibration=calibration,
            seed=0 if own is None else own.config.seed,
        )
        int8 = read_int8(unfinished)
    tested = None if int8 is None else replace(read_trained(folder, None if own is None else own.space), int8=int8)
    return [options.out / path.relative_to(unfinished) for path in paths], tested


def _run_around(network: Path) -> Run | None:
    """The run that networks/NAME is in; None for a folder of `chronas train`."""
    folder = network.resolve().parent.parent
    return Run.open(folder) if (folder / "run.json").exists() else None


def _calibration(options: ExportOptions, own: Run | None) -> Dataset:
    """The data of the run, or that of the command line."""
    if own is not None:
        if options.data is not None or options.image_size is not None:
            raise UsageError(f"{own.folder} knows its images: leave --data and --image-size out")
        return own.data
    if options.data is None:
        raise UsageError(
            "int8 is calibrated on the images of the training: give --data, and --image-size if it had one"
        )
    return load_dataset(options.data, image_size=options.image_size)


def export(call: Call[ExportOptions]) -> int:
    """Export, then list the files."""
    options = call.options
    own = run_of(call, "export", ELSEWHERE)
    images = sorted(call.flags & {"--data", "--image-size"})
    if images and options.dtype != "int8":
        raise UsageError(f"{images[0]} is for --dtype int8, which is calibrated on images")
    tested = None
    if own is None or call.flags & ELSEWHERE:
        paths, tested = _exported(options, own)
    else:
        with own.working():
            if options.again:
                own.set_aside(*EXPORTED, INT8_MODEL)
            paths = export_own(own)
    files = [str(path) for path in paths]
    if tested is None or tested.int8 is None:
        write_json(files) if options.json_answer else write("\n".join(files))
        return 0
    int8, before = tested.int8.accuracy_percent, tested.accuracy_percent
    if options.json_answer:
        write_json({"files": files, "accuracy_percent": int8, "float32_accuracy_percent": before})
    else:
        write("\n".join([*files, f"test accuracy {int8:.2f} % in int8, {before:.2f} % in float32"]))
    return 0
