"""The words of a command line before argparse reads them: spellings of flags, and settings of groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chronas.registry import imported

KINDS = {  # fields that take a name -> where the names are
    "preset": "chronas.runs:PRESETS",
    "space": "chronas.spaces:SPACES",
    "device": "chronas.devices:DEVICES",
    "searcher": "chronas.search:SEARCHERS",
    "predictor": "chronas.predictors:PREDICTORS",
    "recipe": "chronas.training:RECIPES",
}


def split_names(words: Sequence[str]) -> Iterator[str]:
    """The words with - instead of _ in flags, and `--device NAME:VALUE` as `--device NAME --device.NAME VALUE`."""
    before = ""
    for word in words:
        flag, equals, value = word.partition("=")
        if flag.startswith("--"):
            flag = flag.replace("_", "-")
            word = flag + equals + value
        kind = (flag if equals else before).removeprefix("--")
        name, colon, setting = (value if equals else word).partition(":")
        if colon and kind in KINDS and name in imported(KINDS[kind]):
            yield f"--{kind}={name}" if equals else name
            yield f"--{kind}.{name}={setting}"
        else:
            yield word
        before = word


def without_groups(words: Sequence[str]) -> Iterator[str]:
    """The words without settings of groups; each such setting is assumed to have one value."""
    skip = False
    for word in words:
        flag, equals, _ = word.partition("=")
        grouped = flag.startswith("--") and "." in flag
        if not grouped and not (skip and not word.startswith("--")):
            yield word
        skip = grouped and not equals
