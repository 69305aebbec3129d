"""Lists the images of a folder: one folder for each class, or names with labels in a `metadata.csv`; and its splits.

photos/cat/1.jpg                    classes are folders; some images are set apart for testing
photos/train/cat/1.jpg, test/...    splits are folders: train, val and test, or names like Training and Testing
photos/train/metadata.csv           labels are in a file beside the images: file_name, label (as Hugging Face's)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import torch

from chronas.data.decoding import SUFFIXES, decode, divided
from chronas.data.images import Images, RawDataset
from chronas.errors import DataError, excerpt
from chronas.names import checked_name
from chronas.progress import Progress, silent
from chronas.reading import read_csv

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
METADATA = "metadata.csv"
FILE_COLUMNS = ("file_name", "filename", "file", "image", "path")
LABEL_COLUMNS = ("label", "labels", "class", "category", "target")
MOST_FILES = 2_000_000
LEAST_SHOWN = 3


def split_of(name: str) -> str | None:
    """The part that a folder's or file's name stands for: "train", "validation" or "test"; None for other names."""
    return SPLITS.get(name.lower())


@dataclass
class Listing:
    """The labelled images of a source, before they are decoded.

    Attributes:
        parts: part -> image files and their class, by part: "train", "validation", "test".
        class_names: the classes of the training images, sorted.
        notes: sentences about what is left out.
    """

    parts: dict[str, list[tuple[Path, str]]] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


@dataclass
class _Found:
    """Files below a folder, by their path in it; and what is left out, by reason."""

    images: dict[PurePosixPath, Path] = field(default_factory=dict)
    metadata: dict[PurePosixPath, Path] = field(default_factory=dict)
    folders: set[PurePosixPath] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)


def read_folder(folder: Path, progress: Progress = silent, *, side: int | None = None) -> RawDataset:
    """Read the images of a folder.

    Args:
        folder: the folder.
        progress: called with the step "decode".
        side: as for `decode`.

    Raises:
        DataError: as `list_folder`; or an image cannot be read.
    """
    listing = list_folder(folder)
    numbers = {name: number for number, name in enumerate(listing.class_names)}
    paths = {part: [path for path, _ in items] for part, items in listing.parts.items()}
    every = [path for part in paths.values() for path in part]
    decoded = decode([str(path) for path in every], every, progress, side=side)
    pixels = divided(decoded.pixels, {part: len(files) for part, files in paths.items()})
    images = {
        part: Images(pixels[part], torch.tensor([numbers[name] for _, name in items], dtype=torch.int64))
        for part, items in listing.parts.items()
    }
    notes = (*listing.notes, *decoded.notes)
    return RawDataset(images["train"], images.get("test"), listing.class_names, images.get("validation"), notes)


def list_folder(folder: Path) -> Listing:
    """List the images of a folder with their classes and parts.

    Raises:
        DataError: there are fewer than two classes, a class without images, a class that training lacks, a name that is
            not UTF-8, or a `metadata.csv` that does not fit its folder.
    """
    found = _walk(folder)
    listing = Listing()
    tops = sorted({path.parts[0] for path in found.folders})
    parts = {name: part for name in tops if (part := split_of(name)) is not None}
    for part in set(parts.values()):
        both = sorted(name for name, each in parts.items() if each == part)
        if len(both) > 1:
            raise DataError(f"{folder} has {' and '.join(both)}, which both are its {part} split: keep or rename one")
    parted = any(part == "train" and _is_split(found, name) for name, part in parts.items())
    if PurePosixPath(METADATA) in found.metadata:
        _by_metadata(found, PurePosixPath(), None, listing)
    elif parted:
        for name, part in sorted(parts.items(), key=lambda each: list(dict.fromkeys(SPLITS.values())).index(each[1])):
            if PurePosixPath(name) / METADATA in found.metadata:
                _by_metadata(found, PurePosixPath(name), part, listing)
            else:
                _by_folders(folder, found, PurePosixPath(name), part, listing)
        unread = [name for name in tops if name not in parts]
        if unread:
            listing.notes.append(f"not read, as they are no split: {', '.join(unread[:LEAST_SHOWN])}")
    else:
        _by_folders(folder, found, PurePosixPath(), "train", listing)
    listing.notes += [f"left out: {count} {what}" for what, count in sorted(found.left_out.items())]
    return listing


def _walk(folder: Path) -> _Found:
    """All visible files and folders; linked folders are entered once."""
    found, seen = _Found(), set()
    for root, names, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        inside = PurePosixPath(Path(root).relative_to(folder).as_posix())
        hidden = [name for name in names if _is_hidden(name)]
        if hidden:
            found.left_out["hidden folders"] += len(hidden)
        names[:] = sorted(name for name in names if name not in hidden)
        found.folders |= {inside / name for name in names}
        for name in sorted(files):
            _sort_in(found, inside / name, Path(root) / name)
        if len(found.images) > MOST_FILES:
            raise DataError(f"{folder} has over {MOST_FILES:,} images, more than are held in memory")
    return found


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _sort_in(found: _Found, inside: PurePosixPath, path: Path) -> None:
    suffix = inside.suffix.lower()
    if _is_hidden(inside.name):
        found.left_out["hidden files"] += 1
    elif suffix in SUFFIXES:
        found.images[inside] = path
    elif inside.name.lower() == METADATA:
        found.metadata[inside.with_name(METADATA)] = path
    else:
        found.left_out[f"files that end in {suffix}" if suffix else "files without an ending"] += 1


def _is_split(found: _Found, name: str) -> bool:
    """Whether a folder holds folders or a `metadata.csv`, so that it is no class."""
    inside = PurePosixPath(name)
    return inside / METADATA in found.metadata or any(path.parent == inside for path in found.folders)


def _by_folders(folder: Path, found: _Found, inside: PurePosixPath, part: str, listing: Listing) -> None:
    """Add the images below a folder whose folders are classes."""
    depth = len(inside.parts)
    names = sorted(path.name for path in found.folders if path.parent == inside)
    below = {path: file for path, file in found.images.items() if path.is_relative_to(inside)}
    flat = [path for path in below if len(path.parts) == depth + 1]
    if part == "train":
        _check_classes(folder / inside, names, len(flat))
        listing.class_names = tuple(names)
    elif not names and flat:
        listing.notes.append(
            f"{inside} has {len(flat)} images that lie in no folder of a class: they have no labels and are not read"
        )
        return
    elif not below:
        raise DataError(f"{folder / inside} holds no images: a split must not be empty")
    items = listing.parts.setdefault(part, [])
    for name in names:
        if name not in listing.class_names:
            known = ", ".join(listing.class_names)
            raise DataError(f"{folder / inside / name} is a class that the training images lack; they have {known}")
        inner = inside / name
        mine = sorted((file, name) for path, file in below.items() if path.is_relative_to(inner))
        if not mine:
            endings = ", ".join(SUFFIXES)
            raise DataError(f"{folder / inside / name} holds no image ({endings}): add some or remove the folder")
        items += mine
    if flat:
        found.left_out[f"images that lie in no class folder of {inside if depth else folder.name}"] += len(flat)


def _check_classes(folder: Path, names: Sequence[str], flat: int) -> None:
    for name in names:
        checked_name(name, "class")
    if len(names) < 2:
        got = f"one ({names[0]})" if names else "none"
        beside = f"; {flat} images lie in it directly, which have no labels without a {METADATA}" if flat else ""
        raise DataError(f"{folder} must hold one folder of images for each of at least two classes, got {got}{beside}")


def _by_metadata(found: _Found, inside: PurePosixPath, part: str | None, listing: Listing) -> None:
    """Add the images that a `metadata.csv` lists; without a part, it says or paths say which part an image is of."""
    path = found.metadata[inside / METADATA]
    columns = read_csv(path)
    files, labels = _column(path, columns, FILE_COLUMNS), _column(path, columns, LABEL_COLUMNS)
    splits = columns.get("split", [""] * len(files))
    given: dict[PurePosixPath, str] = {}
    for file, label, split in zip(files, labels, splits, strict=True):
        place = inside / PurePosixPath(file.replace("\\", "/"))
        if place not in found.images:
            raise DataError(f"{path} names {excerpt(file)}, which is no image in its folder: correct or remove the row")
        checked_name(label, "class")
        if split and split_of(split) is None:
            raise DataError(f"{path} has the split {excerpt(split)}, which is none of {', '.join(SPLITS)}: rename it")
        if given.setdefault(place, label) != label:
            raise DataError(f"{path} gives {excerpt(file)} the classes {given[place]} and {label}: keep one")
        first = place.parts[0] if len(place.parts) > 1 else ""
        mine = part or split_of(split) or split_of(first) or "train"
        listing.parts.setdefault(mine, []).append((found.images[place], label))
    names = {label for _, label in listing.parts.get("train", [])}
    if len(names) < 2:
        raise DataError(f"{path} should give at least two classes of training images, got {', '.join(names) or 'none'}")
    listing.class_names = tuple(sorted(names, key=lambda name: (int(name), "") if name.isdecimal() else (-1, name)))
    for each, items in listing.parts.items():
        unknown = [label for _, label in items if label not in names]
        if unknown:
            raise DataError(f"{path}: {each} images have the class {unknown[0]}, which the training images lack")
    listed = sum(map(len, listing.parts.values()))
    unlisted = sum(path.is_relative_to(inside) for path in found.images) - (listed if part is None else len(files))
    if unlisted > 0:
        found.left_out[f"images that {inside / METADATA} does not list"] += unlisted


def _column(path: Path, columns: Mapping[str, list[str]], names: Sequence[str]) -> list[str]:
    known = {name.lower(): name for name in columns}
    name = next((known[name] for name in names if name in known), None)
    if name is None:
        raise DataError(f"{path} should have a column {' or '.join(names)}, got {', '.join(columns)}: rename one")
    return columns[name]
