"""`chronas data show`: what will be read from a data set, before any work."""

from __future__ import annotations

from dataclasses import asdict

from chronas.cli.flags import DataOptions
from chronas.cli.options import Call
from chronas.cli.output import note, write, write_json, write_table
from chronas.cli.steps import check_new
from chronas.data import class_counts, contact_sheet, largest_share, load_dataset
from chronas.files import write_bytes
from chronas.progress import progress_display


def show(call: Call[DataOptions]) -> int:
    """Read a data set, then show its splits, classes and what was left out."""
    options = call.options
    check_new(options.sheet, flag="--sheet")
    with progress_display() as progress:
        data = load_dataset(options.data, image_size=options.image_size, progress=progress)
    classes = class_counts(data)
    shares = {
        part: largest_share(images.labels)
        for part, images in (("train", data.train), ("validation", data.validation), ("test", data.test))
        if images is not None
    }
    if options.sheet is not None:
        write_bytes(options.sheet, contact_sheet(data))
    if options.json_answer:
        facts = {"data": data.name, "shape": data.shape, "classes": [asdict(each) for each in classes]}
        write_json({**facts, "largest_share_percent": shares, "notes": list(data.notes)})
        return 0
    channels, height, width = data.shape
    write(f"{data.name}: {width}x{height} pixels, {'grey' if channels == 1 else 'colour'}, {data.classes} classes\n")
    parts = [part for part in ("train", "validation", "test") if part in shares]
    total = ("all", *(sum(getattr(each, part) for each in classes) for part in parts))
    write_table(
        ("class", *parts), [total, *((each.name, *(getattr(each, part) for part in parts)) for each in classes)]
    )
    largest = ", ".join(f"{share:.1f} % of {part}" for part, share in shares.items())
    write(f"\nThe largest class has {largest}: a network that always names it is right that often.")
    for text in data.notes:
        write(f"{text[:1].upper()}{text[1:]}.")
    if options.sheet is not None:
        note(f"contact sheet: {options.sheet}")
    return 0
