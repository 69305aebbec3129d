"""Writes `infer.py` and `infer.cpp`: examples that name an image's class with an exported file, without chronas.

Both are filled in from `infer.py.txt` and `infer.cpp.txt`: the model's file, the shape of an image, the scaling of
pixels, and the names of the classes.
"""

from __future__ import annotations

import string
from pathlib import Path

from chronas.files import write_text
from chronas.networks.construction import Preprocessing
from chronas.networks.onnx import OUTPUT_NAME
from chronas.networks.onnx_converters import INPUT_NAME

INFERENCE = ("infer.py", "infer.cpp")
TEMPLATES = Path(__file__).parent
ESCAPED = '"\\?'  # question marks, as two of them begin a trigraph


def write_inference(
    folder: Path, input_shape: tuple[int, ...], preprocessing: Preprocessing, model: str = "model.onnx"
) -> list[Path]:
    """Write `infer.py` and `infer.cpp` for a model in the same folder.

    Args:
        folder: the folder to write to.
        input_shape: channels, height and width of an image.
        preprocessing: scaling of pixels, and names of the classes.
        model: name of the ONNX file that they use.

    Raises:
        DataError: a file cannot be written.
    """
    channels, height, width = input_shape
    mean, std, classes = preprocessing.mean, preprocessing.std, preprocessing.class_names
    same = {"MODEL": model, "INPUT": INPUT_NAME, "OUTPUT": OUTPUT_NAME}
    filled: dict[str, dict[str, object]] = {
        "infer.py": {"SHAPE": tuple(input_shape), "MEAN": mean, "STD": std, "CLASSES": classes},
        "infer.cpp": {
            **{"CHANNELS": channels, "HEIGHT": height, "WIDTH": width},
            **{"MEAN": ", ".join(map(repr, mean)), "STD": ", ".join(map(repr, std))},
            "CLASSES": ", ".join(map(_cpp_text, classes)),
        },
    }
    for name in INFERENCE:
        template = string.Template((TEMPLATES / f"{name}.txt").read_text(encoding="utf-8"))
        write_text(folder / name, template.substitute(same, **filled[name]))
    return [folder / name for name in INFERENCE]


def _cpp_text(text: str) -> str:
    """A text as a C++ literal in ASCII; every other byte of its UTF-8 form is octal."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in ESCAPED else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{plain}"'
