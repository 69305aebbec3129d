"""Writing bundles: whole or not at all, small, and of networks that run as with weights of their own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from chronas.cli.main import main
from chronas.errors import UsageError
from chronas.measurement import Plan, read_journal, read_manifest, write_bundle
from chronas.measurement.bundle.external_weights import ExternalWeights
from chronas.measurement.bundle.runner import run
from chronas.measurement.bundle.write import program
from chronas.networks import build, onnx_bytes
from chronas.spaces import SPACES, NetworkSize, make_space
from chronas.tables import CostTable
from tiny_bundle import NETWORKS, PLAN, SIZE, write_tiny

DENORMAL = float(np.finfo(np.float32).tiny)


@pytest.mark.parametrize("space", SPACES)
def test_all_that_a_network_computes_is_finite_and_not_denormal(space: str, tmp_path: Path) -> None:
    shared, size = ExternalWeights("weights.bin"), next(iter(make_space(space).sizes.values()))
    for number, architecture in enumerate(make_space(space).sample(3, seed=5)):
        model = onnx.load_from_string(shared.share(onnx_bytes(build(architecture, size).eval(), (3, 32, 32))))
        names = [node.output[0] for node in model.graph.node if node.output[0] != "logits"]
        model.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in names)
        (tmp_path / f"{number}.onnx").write_bytes(model.SerializeToString())
    shared.write(tmp_path)
    images = np.random.default_rng(0).standard_normal((1, 3, 32, 32), dtype=np.float32)
    for number in range(3):
        session = onnxruntime.InferenceSession(str(tmp_path / f"{number}.onnx"), providers=["CPUExecutionProvider"])
        for values in session.run(None, {"images": images}):
            assert np.isfinite(values).all()
            assert not ((values != 0) & (np.abs(values) < DENORMAL)).any()


def test_tensors_of_a_network_lie_apart_and_networks_share_them(tmp_path: Path) -> None:
    shared, size = ExternalWeights("weights.bin"), make_space("darts").sizes["cifar10"]
    own, places = [], []
    for architecture in make_space("darts").sample(4, seed=0):
        model = onnx_bytes(build(architecture, size).eval(), size.input_shape)
        small = shared.share(model)
        own.append(len(model))
        assert len(small) < 300_000
        tensors = [t for t in onnx.load_from_string(small).graph.initializer if t.external_data]
        entries = [{e.key: e.value for e in tensor.external_data} for tensor in tensors]
        places.append(sorted((int(e["offset"]), int(e["offset"]) + int(e["length"])) for e in entries))
    for ranges in places:
        assert all(before[1] <= after[0] for before, after in zip(ranges, ranges[1:], strict=False))
    pixels = shared.write(tmp_path).stat().st_size
    assert max(ranges[-1][1] for ranges in places) <= pixels < 2 * max(own)


def test_the_optimised_graph_is_that_of_the_network_itself(tmp_path: Path) -> None:
    architecture, size = (
        make_space("darts").sample(1, seed=1)[0],
        NetworkSize(input_shape=(3, 16, 16), outputs=7, width=8, depth=3),
    )
    model, shared = onnx_bytes(build(architecture, size).eval(), (3, 16, 16)), ExternalWeights("weights.bin")
    (tmp_path / "own.onnx").write_bytes(model)
    (tmp_path / "shared.onnx").write_bytes(shared.share(model))
    shared.write(tmp_path)
    kinds = []
    for name in ("own", "shared"):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / f"{name}.optimised.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
        optimised = onnx.load(options.optimized_model_filepath, load_external_data=False)
        kinds.append(sorted(node.op_type for node in optimised.graph.node))
    assert kinds[0] == kinds[1]


def test_a_bundle_has_all_networks_once_and_its_program(tmp_path: Path) -> None:
    manifest = write_bundle(tmp_path / "bundle", SIZE, [*NETWORKS, NETWORKS[0]], PLAN, threads=2, batch=4)
    assert read_manifest(tmp_path / "bundle" / "manifest.json") == manifest
    assert [network.architecture for network in manifest.networks] == [str(network) for network in NETWORKS]
    assert (manifest.threads, manifest.batch) == (2, 4)
    files = {str(path.relative_to(tmp_path / "bundle")) for path in (tmp_path / "bundle").rglob("*") if path.is_file()}
    networks = {network.file for network in [*manifest.networks, manifest.reference]}
    assert files == {"README.txt", "manifest.json", "networks/weights.bin", *networks, *program()}
    model = onnx.load(tmp_path / "bundle" / manifest.networks[0].file)
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [4, *SIZE.input_shape]


def test_a_folder_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(UsageError, match="nothing is overwritten"):
        write_tiny(tmp_path / "bundle")
    assert not list((tmp_path / "bundle").iterdir())


def test_nothing_is_left_of_a_bundle_that_could_not_be_written(tmp_path: Path) -> None:
    mixed = [NETWORKS[0], make_space("darts").sample(1, seed=0)[0]]
    for networks in ([], mixed):
        with pytest.raises(UsageError, match="of one space"):
            write_bundle(tmp_path / "bundle", SIZE, networks, PLAN)
    with pytest.raises(UsageError, match="stems"):
        write_bundle(tmp_path / "b", SIZE.model_copy(update={"stem": "imagenet"}), NETWORKS, PLAN)
    assert not list(tmp_path.iterdir())


SIZE_FLAGS = ["--space", "nasbench201", "--size.input-shape", "3", "8", "8", "--size.width", "4"]
SMALL = [*SIZE_FLAGS, "--size.depth", "1", "--networks", "6", "--plan.rounds", "2", "--plan.max-rounds", "2"]


def test_from_the_command_line_to_a_fitted_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "bundle", tmp_path / "costs.parquet"
    assert main(["measure", "bundle", "--out", str(folder), *SMALL, "--plan.block", "4"]) == 0
    assert "pip install numpy onnxruntime" in capsys.readouterr().out
    assert main(["measure", "bundle", "--out", str(folder), *SMALL]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert run.main([], folder) == 0
    cut = tmp_path / "cut.jsonl"
    lines = (folder / "results.jsonl").read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if line.startswith(b'{"network": 5,'))
    cut.write_bytes(b"".join(lines[:last]) + lines[last][:20])
    capsys.readouterr()
    assert main(["table", "import", "bundle", str(cut), "--out", str(tmp_path / "cut.parquet"), "--json"]) == 0
    captured = capsys.readouterr()
    assert "of 6 networks lack rounds yet and are left out" in captured.err
    assert main(["table", "import", "bundle", str(folder), "--out", str(out)]) == 0
    assert "measured elsewhere" in capsys.readouterr().out
    assert main(["table", "import", "bundle", str(folder), "--out", str(out)]) == 2
    table = CostTable.load(out)
    assert len(CostTable.load(tmp_path / "cut.parquet")) < len(table) == 6
    assert table.costs() == pytest.approx(
        [lat.value for lat in read_journal(out.with_suffix(".sqlite")).latencies().values()]
    )
    assert main(["table", "show", str(out)]) == 0


def test_a_table_of_a_bundle_fits_like_any_other(tmp_path: Path) -> None:
    networks = make_space("nasbench201").sample(20, seed=0)
    write_bundle(tmp_path / "bundle", SIZE, networks, Plan(rounds=2, max_rounds=2, repeats=2, warmup=1))
    assert run.main([], tmp_path / "bundle") == 0
    out = tmp_path / "costs.parquet"
    assert main(["table", "import", "bundle", str(tmp_path / "bundle"), "--out", str(out)]) == 0
    fit = [
        "fit",
        "--table",
        str(out),
        "--predictor",
        "macs",
        "--folds",
        "2",
        "--out",
        str(tmp_path / "macs.safetensors"),
    ]
    assert main(fit) == 0
    assert (tmp_path / "macs.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["--device", "simulated"], "a bundle is for --device onnxruntime-cpu"),
        (["--device", "eager-cpu"], "a bundle is for --device onnxruntime-cpu"),
        (["--size.stem", "imagenet"], "no imagenet stem"),
    ],
    ids=range(3),
)
def test_options_that_a_bundle_cannot_hold_are_refused(words: list[str], word: str, tmp_path: Path, capsys) -> None:
    assert main(["measure", "bundle", "--out", str(tmp_path / "bundle"), *SMALL, *words]) == 2
    assert word in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unknown_table_action_and_a_damaged_file_are_one_line(tmp_path: Path, capsys) -> None:
    assert main(["table", "imports", "x"]) == 2
    assert "did you mean import" in capsys.readouterr().err
    (tmp_path / "results.jsonl").write_text(json.dumps({"a": 1}) + "\n")
    assert main(["table", "import", "bundle", str(tmp_path), "--out", str(tmp_path / "costs.parquet")]) == 2
    assert "line 1 of" in capsys.readouterr().err
