"""The examples of inference beside an export: the Python one runs, the C++ one compiles and prepares images alike."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from chronas.data import Normalisation
from chronas.networks import Preprocessing, build, write_inference, write_onnx
from chronas.spaces import NetworkSize, make_space

STUB = Path(__file__).parent / "onnxruntime_stub"
SHAPE = (3, 6, 9)
NAMES = ("plain", 'a "quoted" \\ one', "Käfer", "what??=", "$MODEL", "new\nline")
KNOWN = Preprocessing((0.1, 0.25, 0.7), (0.5, 1.0, 0.3), NAMES)
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
PREPARED = Normalisation(KNOWN.mean, KNOWN.std)(torch.from_numpy(PIXELS).permute(2, 0, 1)[None])[0].numpy()


def run(command: list[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, encoding="utf-8"
    )


def exported(folder: Path, model: str = "model.onnx", batch: int | None = 1) -> Path:
    size = NetworkSize(input_shape=SHAPE, outputs=len(NAMES), width=4, depth=1)
    network = build(make_space("nasbench201").sample(1, seed=3)[0], size).eval()
    write_onnx(folder / model, network, SHAPE, batch=batch)
    write_inference(folder, SHAPE, KNOWN, model)
    return folder


@pytest.mark.parametrize("batch", [1, 3, None])
def test_the_python_example_names_the_class_that_the_model_gives(batch: int | None, tmp_path: Path) -> None:
    folder = exported(tmp_path / "exported", "model.int8.onnx", batch)
    Image.fromarray(PIXELS).save(tmp_path / "image.png")
    np.save(tmp_path / "image.npy", PIXELS.transpose(2, 0, 1))
    session = onnxruntime.InferenceSession(str(folder / "model.int8.onnx"), providers=["CPUExecutionProvider"])
    logits = session.run(None, {"images": np.repeat(PREPARED[None], batch or 1, axis=0)})[0][0]
    chances = np.exp(logits) / np.exp(logits).sum()
    answer = run([sys.executable, "-I", folder / "infer.py", tmp_path / "image.png", tmp_path / "image.npy"])
    said = f"{NAMES[int(chances.argmax())]} {100 * chances.max():.2f} %\n"
    assert answer.stdout == "".join(f"{tmp_path / name}: {said}" for name in ("image.png", "image.npy")), answer.stderr


def test_the_python_example_reads_images_as_training_does(tmp_path: Path) -> None:
    """Upright, over white, scaled with the middle kept: the same pixels as the data's own decoder gives."""
    from chronas.data.decoding import decode

    write_inference(tmp_path, (3, 32, 32), KNOWN)
    read = runpy.run_path(str(tmp_path / "infer.py"))["read_pixels"]
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 130, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.convert("L").save(tmp_path / "grey.png")
    clear = image.convert("RGBA")
    clear.putalpha(60)
    clear.save(tmp_path / "clear.png")
    paths = [tmp_path / name for name in ("turned.jpg", "grey.png", "clear.png")]
    expected = decode([path.name for path in paths], paths, side=32, grey=False).pixels.numpy()
    assert all((read(path) == pixels).all() for path, pixels in zip(paths, expected, strict=True))


def test_the_python_example_says_in_a_line_what_it_cannot_read(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (tmp_path / "text.png").write_text("no image")
    np.save(tmp_path / "other.npy", PIXELS)
    for name, expected in (
        ("text.png", "cannot identify"),
        ("other.npy", "expected uint8"),
        ("no.png", "No such file"),
    ):
        answer = run([sys.executable, folder / "infer.py", tmp_path / name])
        assert answer.returncode == 1 and expected in answer.stderr and answer.stderr.count("\n") == 1
    assert run([sys.executable, folder / "infer.py"]).stderr.startswith("usage:")


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("g++") or shutil.which("clang++")
    if found is None:
        pytest.skip("no C++ compiler on this machine: install g++ to test infer.cpp")
    return found


@pytest.fixture(scope="module")
def program(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`infer.cpp` with a stand-in for ONNX Runtime, which keeps the network's input and gives logits of a file."""
    folder = tmp_path_factory.mktemp("cpp")
    write_inference(folder, SHAPE, KNOWN)
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", STUB]
    made = run([compiler, *flags, folder / "infer.cpp", "-o", folder / "infer"])
    assert made.returncode == 0, made.stderr
    return folder / "infer"


def logits_file(path: Path, best: int) -> Path:
    np.where(np.arange(len(NAMES)) == best, 2.0, 0.0).astype(np.float32).tofile(path)
    return path


@pytest.mark.parametrize("best", range(len(NAMES)))
def test_the_cpp_example_names_the_class_of_the_largest_logit(best: int, program: Path, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "image.ppm")
    model, input_file = logits_file(tmp_path / "model", best), tmp_path / "input"
    answer = run([program, tmp_path / "image.ppm", model], INPUT_FILE=str(input_file))
    chance = 100 * np.exp(2) / (np.exp(2) + len(NAMES) - 1)
    assert answer.stdout == f"{tmp_path / 'image.ppm'}: {NAMES[best]} {chance:.2f} %\n"
    assert np.array_equal(np.fromfile(input_file, np.float32).reshape(SHAPE), PREPARED), "scaled as in training"


def test_the_cpp_example_takes_raw_numbers_and_comments_in_headers(program: Path, tmp_path: Path) -> None:
    model, input_file = logits_file(tmp_path / "model", 0), tmp_path / "input"
    PREPARED.tofile(tmp_path / "image.raw")
    (tmp_path / "image.ppm").write_bytes(b"P6\n# 9 wide\n9 # 6 high\n6\n255\n" + PIXELS.tobytes())
    for name in ("image.raw", "image.ppm"):
        input_file.unlink(missing_ok=True)
        answer = run([program, tmp_path / name, model], INPUT_FILE=str(input_file))
        assert answer.returncode == 0, answer.stderr
        assert np.array_equal(np.fromfile(input_file, np.float32).reshape(SHAPE), PREPARED)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P6\n8 6\n255\n" + b"0" * 200, "with 3 channels of 9x6 pixels, got 3 of 8x6"),
        (b"P5\n9 6\n255\n" + b"0" * 200, "got 1 of 9x6"),
        (b"P6\n9 6\n65535\n" + b"0" * 400, "8 bits"),
        (b"P6\n9 6\n255\n" + b"0" * 100, "cut off"),
        (b"P6\n9 wide", "header is damaged"),
        (b"P3\n9 6\n255\n", "no binary PPM"),
        (b"", "no binary PPM"),
    ],
)
def test_the_cpp_example_refuses_other_images(content: bytes, expected: str, program: Path, tmp_path: Path) -> None:
    (tmp_path / "image.ppm").write_bytes(content)
    answer = run([program, tmp_path / "image.ppm", logits_file(tmp_path / "model", 0)])
    assert answer.returncode == 1 and expected in answer.stderr and not answer.stdout


def test_the_cpp_example_runs_with_the_real_onnx_runtime(compiler: str, tmp_path: Path) -> None:
    """With the headers that CPATH or ONNXRUNTIME_HOME lead to, and the library that lies in the Python package."""
    homes = [Path(each) for each in os.environ.get("CPATH", "").split(os.pathsep) if each]
    homes += [Path(os.environ.get("ONNXRUNTIME_HOME", "/usr")) / "include" / end for end in ("", "onnxruntime")]
    header = next((home for home in homes if (home / "onnxruntime_cxx_api.h").exists()), None)
    libraries = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so*"))
    if header is None or not libraries:
        pytest.skip("no headers of ONNX Runtime: set ONNXRUNTIME_HOME to an unpacked release to compile infer.cpp")
    folder = exported(tmp_path / "exported", batch=None)
    search = f"-Wl,-rpath,{libraries[0].parent}"
    made = run(
        [compiler, "-std=c++17", folder / "infer.cpp", "-I", header, libraries[0], search, "-o", tmp_path / "infer"]
    )
    assert made.returncode == 0, made.stderr
    Image.fromarray(PIXELS).save(tmp_path / "image.ppm")
    answers = [
        run([tmp_path / "infer", tmp_path / "image.ppm", folder / "model.onnx"]),
        run([sys.executable, folder / "infer.py", tmp_path / "image.ppm"]),
    ]
    assert answers[0].stdout == answers[1].stdout != ""
