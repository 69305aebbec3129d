"""`chronas run --reuse RUN --device NAME`: another device, searched for with what a finished run has learnt."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from chronas.cli.options import read_names, read_options, with_names
from chronas.cli.run import RunOptions, config_of, finish, limit_alone, with_config
from chronas.devices import DEVICES, device_class
from chronas.errors import UsageError
from chronas.predictors import PREDICTORS, predictor_class
from chronas.runs import FIELDS, Run, RunConfig, config_again, device_of
from chronas.tables import CostTable, table_path

NAMES = {"device": DEVICES, "predictor": PREDICTORS}
PROG = "chronas run --reuse RUN"
DESCRIPTION = """Search again for another device, with the supernet or the networks that a finished run has trained.

Space, size, data, recipe, searcher and seed are those of RUN, which stays as it is. The new device is measured, or
known by --table; the report compares what was found for both, measured on both where they are here."""


class ReuseOptions(RunOptions):
    """What `chronas run --reuse` has besides those options of `chronas run` that can change."""

    table: Path | None = Field(
        default=None,
        description="costs on the device instead of measuring: a Parquet file, or the name of a table that comes with "
        "chronas; without --device, its device is searched for",
    )


def reuse(words: list[str]) -> int:
    """Make the new run, or go on with it, and tell what was found."""
    line = shlex.join(["chronas", "run", *words])
    folder, words = _taken(words, "--reuse")
    if folder is None:
        raise UsageError("--reuse needs the folder of a finished run: chronas run --reuse RUN --device NAME")
    source = Run.open(Path(folder))
    _refuse_fixed(words, source)
    path, _ = _taken(words, "--table")
    table = None if path is None else CostTable.load(table_path(Path(path)))
    chosen, rest = read_names(words, NAMES, {})
    base = limit_alone(_base(source, chosen, table, words), words)
    out = Path("runs") / f"{source.folder.resolve().name}-{base.device}"
    model = with_names(ReuseOptions, NAMES, {"device": base.device, "predictor": base.predictor})
    options = read_options(with_config(model, base, out, FIELDS), rest, prog=PROG, description=DESCRIPTION)
    run = Run.create(options.out, config_of(base, options), command=line, table=table, source=source)
    return finish(run, as_json=options.json_answer)


def _base(source: Run, chosen: dict[str, str], table: CostTable | None, words: Sequence[str]) -> RunConfig:
    """The settings before flags change them.

    Raises:
        UsageError: no device is named, and no table tells one.
    """
    predictor = chosen.get("predictor", source.config.predictor)
    same = predictor == source.config.predictor
    predictor_config = source.config.predictor_config if same else predictor_class(predictor).Config()
    if "device" in chosen:
        device, device_config = chosen["device"], device_class(chosen["device"]).Config()
    elif table is not None:
        device, device_config = device_of(table)
    elif {"--help", "-h"} & set(words):
        device, device_config = source.config.device, source.config.device_config
    else:
        raise UsageError(f"--reuse searches for another device: give --device, one of {', '.join(DEVICES)}, or --table")
    return config_again(source, device, device_config, predictor, predictor_config)


def _taken(words: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """The value of a flag, None where it is not given, and the other words."""
    rest = list(words)
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == flag:
            end = number + 1 if equals else number + 2
            del rest[number:end]
            return (value or None) if equals else next(iter(words[number + 1 : end]), None), rest
    return None, rest


def _refuse_fixed(words: Sequence[str], source: Run) -> None:
    """Hold that no flag is among the words that a run that reuses another cannot change.

    Raises:
        UsageError: one is.
    """
    fixed = {f"--{name.replace('_', '-')}" for name in (*FIELDS, "preset")}
    for word in words:
        flag = word.partition("=")[0].partition(".")[0]
        if flag in fixed and not word.startswith("--searcher."):
            raise UsageError(
                f"{word.partition('=')[0]} cannot be given with --reuse: space, size, data, recipe, searcher and seed "
                f"are those of {source.folder}, whose search has learnt with them"
            )
