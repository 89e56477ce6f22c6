"""Quantized ONNX files: the network that is read computes what ONNX's reference evaluator computes, to a step."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from actcodec.cli import app
from actcodec.codecs import load_codecs
from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.learn.batches import input_batches
from actcodec.learn.calibrate import calibrate
from actcodec.learn.quantize8 import choose_ranges
from actcodec.networks import load_network, sited_network
from actcodec.networks.layers import layer_graph
from actcodec.tables import load_tables
from support.onnx_networks import Style, evaluator, quantized_file

torch.set_num_threads(1)
ORIGINAL = load_network("mnist-resnet12")
TRAIN, TEST = load_dataset("mnist", "train"), load_dataset("mnist", "test").head(8)
INPUT = ",mean=0.1307,std=0.3081"


def file(tmp_path: Path, style: Style) -> tuple[Path, dict[str, tuple[float, int]]]:
    path = tmp_path / "mnist.onnx"
    return path, quantized_file(path, ORIGINAL, TRAIN.images[:64], style)


@pytest.mark.parametrize("style", ["qdq", "qoperator", "quant"])
def test_it_computes_what_the_file_says(tmp_path: Path, style: Style) -> None:
    path, steps = file(tmp_path, style)
    network = load_network(f"onnx:{path}{INPUT}", dataset="mnist")
    sited = sited_network(network)
    # What the reference evaluator stores at the sites: the values behind the ReLUs' quantizers.
    names = [name for name in steps if name.startswith("relu")]
    assert len(names) == len(sited.sites) == len(sited_network(ORIGINAL).sites)
    x = network.inputs(TEST.images)
    *stored, logits = evaluator(onnx.load(str(path))).run([*names, "logits"], {"image": x.contiguous().numpy()})
    seen: dict[int, np.ndarray] = {}

    place = {site.index: number for number, site in enumerate(sited.sites)}

    def look(index: int, tensor: torch.Tensor) -> torch.Tensor:
        seen[index] = tensor.numpy()
        # Readers get what the file stores: a layer's rounding is its own, and none of the layers before it.
        return torch.from_numpy(stored[place[index]])

    found = sited(x, look).numpy()
    for site, name, expected in zip(sited.sites, names, stored, strict=True):
        scale, zero = steps[name]
        # The file's own range; −128 is byte 0.
        assert (site.range.scale, site.range.zero, site.activation) == (scale, zero + 128, "relu")
        difference = np.abs(np.round(seen[site.index] / scale) - np.round(expected / scale))
        # A sum that lies between two steps may be rounded the other way: the order of sums differs between processors.
        assert difference.max() <= 1 and np.mean(difference > 0) < 0.001
    for answer in (found, sited(x).numpy()):
        assert np.abs(answer - logits).max() <= 1.01 * steps["logits"][0]
        assert (answer.argmax(1) == logits.argmax(1)).all()


def test_learning_takes_the_ranges_of_the_file(tmp_path: Path) -> None:
    path, _ = file(tmp_path, "qdq")
    network = load_network(f"onnx:{path}{INPUT}", dataset="mnist")
    assert network.checkpoint_sha256 != ORIGINAL.checkpoint_sha256
    sited = sited_network(network)
    batches = list(input_batches(network, TRAIN.images[:16], 16, "", False))
    ranges = choose_ranges(sited, batches, 0)
    assert ranges == tuple(site.range for site in sited.sites)
    # Gradients go through the quantizers.
    for statistics in calibrate(sited, ranges, batches, images=16, block=16, seed=0, positions=64):
        assert max(np.trace(block) for block in statistics.fisher) > 0


def test_layers_are_those_of_the_original(tmp_path: Path) -> None:
    path, _ = file(tmp_path, "qdq")
    network = load_network(f"onnx:{path}{INPUT}", dataset="mnist")
    found, expected = (layer_graph("n", n.model, n.input_shape) for n in (network, ORIGINAL))
    assert [(x.kind, x.macs, x.outputs, x.height) for x in found.layers] == [
        (x.kind, x.macs, x.outputs, x.height) for x in expected.layers
    ]


def test_from_the_file_to_the_golden_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(tmp_path, "qdq")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.toml").write_text(
        'method = "test"\ntransform = "pca"\ncalibration_images = 64\nselection_images = 32\npositions = 512\n'
    )

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    wanted = ("--model", f"onnx:mnist.onnx{INPUT}", "--dataset", "mnist")
    run("learn", *wanted, "--recipe", "quick.toml", "--target-bits", 4, "--out", "plan")
    run("export", "--plan", "plan", "--out", "tables")
    tables = load_tables(tmp_path / "tables")
    assert tables.provenance.network == f"onnx:mnist.onnx{INPUT}"
    ranges = [site.range for site in sited_network(load_network(*wanted[1:2], dataset="mnist")).sites]
    assert [(s.info.scale, s.info.zero) for s in tables.sites] == [(r.scale, r.zero) for r in ranges]
    run("measure", "--tables", "tables", "--images", 2, "--codecs", "raw8,zvc,actcodec", "--out", "codecs.json")
    assert load_codecs(tmp_path / "codecs.json").dataset == "mnist"
    assert '"agreement": 1.0' in run("eval", "--golden", "--tables", "tables", "--images", 20, "--json")


def small(
    tmp_path: Path, nodes: list, tensors: dict, shape: tuple = (1, 1, 28, 28), dtype: int = TensorProto.FLOAT
) -> str:
    inputs = [helper.make_tensor_value_info("x", dtype, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, held)
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), str(path))
    return f"onnx:{path}"


def test_constructs_of_exporters(tmp_path: Path) -> None:
    """Bytes as input, uneven padding, depthwise, Clip, a residual sum, a softmax, shapes computed in the graph."""
    rng = np.random.default_rng(0)
    tensors = {
        "s": np.float32(0.02), "z": np.uint8(128), "w1": rng.normal(size=(8, 1, 3, 3)).astype(np.float32),
        "w2": rng.normal(size=(8, 1, 3, 3)).astype(np.float32), "lo": np.float32(0), "hi": np.float32(6),
        "w3": rng.normal(size=(8, 8, 1, 1)).astype(np.float32), "g": np.abs(rng.normal(size=8)).astype(np.float32),
        "b": rng.normal(size=8).astype(np.float32), "w4": rng.normal(size=(8 * 49, 10)).astype(np.float32) / 20,
        "b4": rng.normal(size=10).astype(np.float32), "zero": np.array([0], np.int64), "m": np.array([-1], np.int64),
        "at": np.int64(0),
    }  # fmt: skip
    n = helper.make_node
    nodes = [
        n("DequantizeLinear", ["x", "s", "z"], ["xr"]),
        n("Conv", ["xr", "w1"], ["a"], strides=[2, 2], auto_pad="SAME_UPPER"),
        n("BatchNormalization", ["a", "g", "b", "b", "g"], ["an"]),
        n("Clip", ["an", "lo", "hi"], ["ac"]),
        n("Conv", ["ac", "w2"], ["d"], group=8, pads=[1, 1, 1, 1]),
        n("Conv", ["d", "w3"], ["e"]),
        n("Add", ["ac", "e"], ["sum"]),
        n("MaxPool", ["sum"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        n("Shape", ["p"], ["shape"]),
        n("Gather", ["shape", "at"], ["images"]),
        n("Unsqueeze", ["images", "zero"], ["one"]),
        n("Concat", ["one", "m"], ["wanted"], axis=0),
        n("Reshape", ["p", "wanted"], ["f"]),
        n("MatMul", ["f", "w4"], ["h"]),
        n("Add", ["h", "b4"], ["l"]),
        n("Softmax", ["l"], ["y"], axis=1),
    ]
    name = small(tmp_path, nodes, tensors, dtype=TensorProto.UINT8)
    network = load_network(name, dataset="mnist")
    images = TEST.images[:1]
    assert network.mean == (pytest.approx(128 / 255),)
    expected = evaluator(onnx.load(name[5:])).run(["l"], {"x": images.transpose(0, 3, 1, 2)})[0]
    np.testing.assert_allclose(network.model(network.inputs(images)).numpy(), expected, rtol=1e-4, atol=1e-4)
    # A batch is not one image.
    assert network.model(network.inputs(TEST.images)).shape == (8, 10)
    sites = sited_network(network).sites
    assert [(site.activation, site.height, site.range) for site in sites] == [
        ("relu6", 14, None),
        ("none", 14, None),
        ("none", 7, None),
    ]


@pytest.mark.parametrize(
    ("node", "tensors", "problem"),
    [
        (helper.make_node("Erf", ["x"], ["y"]), {}, r"Erf 'y': is not supported"),
        (helper.make_node("Relu", ["gone"], ["y"]), {}, "reads 'gone', which nothing before it makes"),
        (helper.make_node("Conv", ["x", "w"], ["y"]), {"w": np.ones((2, 1, 3), np.float32)}, "2-D convolutions"),
        (helper.make_node("Conv", ["x", "w"], ["y"]), {"w": np.ones((2, 3, 3, 3), np.float32)}, "operation y"),
        (helper.make_node("Flatten", ["x"], ["y"]), {}, "784 outputs for 10 classes"),
        (
            helper.make_node("DequantizeLinear", ["x", "s"], ["y"]),
            {"s": np.float32(1)},
            "input 0 is no quantized activation",
        ),
        (
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], axis=1),
            {"s": np.ones(2, np.float32), "z": np.zeros(2, np.uint8)},
            "activations need one scale",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, node: onnx.NodeProto, tensors: dict, problem: str) -> None:
    name = small(tmp_path, [node], tensors)
    with pytest.raises(ActcodecError, match=problem):
        load_network(name, dataset="mnist")


def test_files_and_options_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = file(tmp_path, "qdq")
    (tmp_path / "text.onnx").write_text("no protobuf")
    for name, dataset, problem in [
        (f"onnx:{path}", "mnist", r"does not say how images are normalised; name it: .*mean="),
        (f"onnx:{path},mean=1/2,std=1", "mnist", "needs 1 means"),
        (f"onnx:{path},mean=a,std=1", "mnist", "mean = 'a' is no list of numbers"),
        (f"onnx:{path},means=1", "mnist", "has no option 'means'; known: mean, std, drop"),
        (f"onnx:{path}{INPUT}", "cifar10", r"takes images C×H×W \(1, 28, 28\); those of cifar10"),
        (f"onnx:{path}{INPUT},drop=1", "mnist", "has 9 outputs for 10 classes"),
        (f"onnx:{tmp_path}/text.onnx", "mnist", "is no ONNX file"),
        (f"onnx:{tmp_path}/gone.onnx", "mnist", "gone.onnx"),
    ]:
        with pytest.raises(ActcodecError, match=problem):
            load_network(name, dataset=dataset)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ActcodecError, match=r"needs the package onnx \(pip install 'actcodec\[loaders\]'\)"):
        load_network(f"onnx:{path}{INPUT}", dataset="mnist")
