"""`chronas train`: one architecture from scratch, or all that a run has found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from chronas.cli.errors import resumable
from chronas.cli.options import Options, part, read_names, read_options, with_names, with_parts
from chronas.cli.output import progress_display, write_json, write_table
from chronas.cli.run_argument import take_run
from chronas.data import load_dataset
from chronas.errors import UsageError
from chronas.progress import Progress, silent
from chronas.runs import (
    EXPORTED,
    Run,
    Trained,
    measure_found,
    read_choices,
    read_front,
    read_trained,
    train_architecture,
    train_network,
)
from chronas.spaces import SPACES, Architecture, NetworkScale, make_space
from chronas.training import LAUNCHED, RECIPES, ProcessGroup, Recipe, launched_group, make_recipe

DESCRIPTION = """Train one architecture from scratch; keep the checkpoint that validates best; test it once at the end.

Given a run folder, `chronas train RUN` trains what the run has found and measures it again, and `chronas train RUN
--front 2 3` trains these networks of its front, in RUN/networks/front-2 and front-3. A training that was
stopped goes on with the same command. --space says how to read the architecture, --preset sets the recipe,
--recipe.* changes it. Processes share every batch with: torchrun --nproc-per-node 2 -m chronas.cli.main train ..."""


OURS = {"architecture.json", "training", "result.json"}


class TrainOptions(Options):
    """Options of `chronas train` besides the recipe."""

    architecture: str = Field(description="text form: Genotype(normal=[...], ...) or |nor_conv_3x3~0|+|...")
    data: str = Field(default="digits", description="digits, cifar10, cifar100, a folder or an .npz file")
    out: Path = Field(default=Path("trained"), description="folder of the training")
    validation_share: float = Field(default=0.1, gt=0, lt=0.9, description="share that only chooses the checkpoint")
    seed: int = Field(default=0, ge=0, description="of weights, split, order and augmentation")
    size: NetworkScale = Field(default=NetworkScale())


class RunOptions(Options):
    """Options of `chronas train RUN`."""

    front: tuple[int, ...] = Field(default=(), description="train these networks of the run's front, by number")


def main(words: list[str]) -> int:
    """Train, then tell accuracy and size."""
    run, again, words = take_run(words, "chronas train", {"--front"})
    if run is not None:
        return _of_run(run, words, again=again)
    valid = {"space": SPACES, "preset": RECIPES}
    names, words = read_names(words, valid, {"space": "darts", "preset": "digits-small"})
    model = with_parts(with_names(TrainOptions, valid, names), {"recipe": make_recipe(names["preset"])})
    options = read_options(model, words, prog="chronas train", description=DESCRIPTION)
    with launched_group() as group:
        _train(options, Recipe.model_validate(part(options, "recipe")), names["space"], group)
        if group.first:
            show_trained([read_trained(options.out)], as_json=options.json_answer)
    return 0


def _train(options: TrainOptions, recipe: Recipe, space_name: str, group: ProcessGroup) -> None:
    _check_folder(options.out)
    space = make_space(space_name)
    architecture = space.parse(options.architecture)
    data = load_dataset(options.data)
    with resumable("the same command"), _progress_of(group) as progress:
        train_architecture(
            options.out,
            architecture,
            options.size.for_data(data.shape, data.classes),
            data,
            recipe,
            validation_share=options.validation_share,
            seed=options.seed,
            progress=progress,
            group=group,
        )


@contextmanager
def _progress_of(group: ProcessGroup) -> Iterator[Progress]:
    """Only the first process shows where training is."""
    if not group.first:
        yield silent
        return
    with progress_display() as progress:
        yield progress


def _check_folder(folder: Path) -> None:
    """Refuse a file, and a folder that holds other things than a training."""
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - OURS):
        raise UsageError(f"{folder} exists and holds no training: choose another --out, nothing is overwritten")


def _of_run(run: Run, words: list[str], *, again: bool) -> int:
    if LAUNCHED in os.environ:
        raise UsageError("a run measures what it trains, by itself: train its --architecture with torchrun instead")
    options = read_options(RunOptions, words, prog="chronas train RUN", description=DESCRIPTION)
    with run.working(), resumable(_command(run, options.front)), progress_display() as progress:
        chosen = _of_front(run, options.front) if options.front else read_choices(run)
        if again:
            run.set_aside(*(() if options.front else EXPORTED))
            run.set_aside(*(f"networks/{role}/{name}" for role in chosen for name in ("training", "result.json")))
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
        UsageError: the run has no front, or no such number.
    """
    networks = read_front(run).networks
    wrong = [number for number in numbers if not 1 <= number <= len(networks)]
    if wrong:
        raise UsageError(
            f"the front of {run.folder} has networks 1 to {len(networks)}, got {wrong[0]}: give one of these"
        )
    return {f"front-{number}": run.space.parse(networks[number - 1].architecture) for number in numbers}


def show_trained(networks: list[Trained], *, as_json: bool) -> None:
    """Accuracies and sizes on stdout."""
    rows = [
        {
            "network": network.role,
            "accuracy_percent": network.accuracy_percent,
            "validation_accuracy_percent": network.validation_accuracy_percent,
            "parameters": network.parameters,
            "macs": network.macs,
            "training_s": network.training_s,
            "architecture": str(network.architecture),
        }
        for network in networks
    ]
    if as_json:
        write_json(rows)
    else:
        columns = ("network", "accuracy %", "validation %", "parameters", "MACs", "seconds")
        write_table(columns, [list(row.values())[:-1] for row in rows])
