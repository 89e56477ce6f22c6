"""TensorFlow Lite files: what is read computes the file's integers, up to the rounding of values between two steps."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch.nn import functional

from actcodec.data import data_root, load_dataset
from actcodec.errors import ActcodecError
from actcodec.networks import load_network, sited_network
from support.data import needs
from support.tflite_networks import NONE, RELU6, SAME, VALID, TFLiteFile, mobilenetv2_file

torch.set_num_threads(1)
RNG = np.random.default_rng(3)
WINDOW = {"Padding": VALID, "StrideW": 2, "StrideH": 2, "FilterWidth": 2, "FilterHeight": 2}


def integers(shape: tuple[int, ...], spread: int) -> np.ndarray:
    return RNG.integers(-spread, spread + 1, shape).astype(np.int8)


class Small:
    """conv 3×3 /2 ReLU6 → depthwise + sum → maximum → flattening → linear → softmax; int8, a scale a channel."""

    def __init__(self) -> None:
        self.conv, self.deep, self.head = (
            integers((8, 3, 3, 1), 127),
            integers((1, 3, 3, 8), 127),
            integers((10, 392), 127),
        )
        self.conv_scale, self.deep_scale = RNG.uniform(0.002, 0.006, 8), RNG.uniform(0.002, 0.006, 8)
        self.bias = RNG.integers(-3000, 3000, 8).astype(np.int32)

    def save(self, path: Path) -> None:
        f = TFLiteFile()
        x = f.tensor("image", (1, 28, 28, 1), "int8", 1 / 128, 0)
        w1 = f.tensor("w1", self.conv.shape, "int8", self.conv_scale, axis=0, data=self.conv)
        b1 = f.tensor("b1", (8,), "int32", self.conv_scale / 128, data=self.bias)
        a = f.tensor("stem", (1, 14, 14, 8), "int8", 6 / 255, -128)
        options: dict[str, int] = {"Padding": SAME, "DilationWFactor": 1, "DilationHFactor": 1}
        f.operator(
            "CONV_2D", [x, w1, b1], a, "Conv2DOptions", StrideW=2, StrideH=2, FusedActivationFunction=RELU6, **options
        )
        w2 = f.tensor("w2", self.deep.shape, "int8", self.deep_scale, axis=3, data=self.deep)
        d = f.tensor("deep", (1, 14, 14, 8), "int8", 0.05, 3)
        f.operator(
            "DEPTHWISE_CONV_2D", [a, w2, -1], d, "DepthwiseConv2DOptions",
            StrideW=1, StrideH=1, DepthMultiplier=1, FusedActivationFunction=NONE, **options,
        )  # fmt: skip
        s = f.tensor("sum", (1, 14, 14, 8), "int8", 0.06, -10)
        f.operator("ADD", [a, d], s, "AddOptions", FusedActivationFunction=NONE)
        p = f.tensor("pool", (1, 7, 7, 8), "int8", 0.06, -10)
        f.operator("MAX_POOL_2D", [s], p, "Pool2DOptions", FusedActivationFunction=NONE, **WINDOW)
        flat = f.tensor("flat", (1, 392), "int8", 0.06, -10)
        f.operator("RESHAPE", [p], flat)
        w3 = f.tensor("w3", self.head.shape, "int8", 0.003, data=self.head)
        logits = f.tensor("logits", (1, 10), "int8", 0.4, 5)
        f.operator("FULLY_CONNECTED", [flat, w3, -1], logits, "FullyConnectedOptions", FusedActivationFunction=NONE)
        f.save(path, x, f.operator("SOFTMAX", [logits], f.tensor("probability", (1, 10), "int8", 1 / 256, -128)))

    def compute(self, image: np.ndarray) -> list[np.ndarray]:
        """Integers of stem, sum after pooling, logits, from the sums of integer products (exact in float64)."""

        def whole(values: Any) -> torch.Tensor:
            return torch.from_numpy(np.asarray(values, np.float64))

        def rounded(real: torch.Tensor, scale: float, zero: int) -> torch.Tensor:
            return torch.clamp(torch.round(real / scale) + zero, -128, 127)

        x = whole(image.astype(int) - 128).permute(2, 0, 1)[None]
        # TensorFlow's "same" of an even side at stride 2: the odd row and column behind.
        sums = functional.conv2d(functional.pad(x, (0, 1, 0, 1)), whole(self.conv.transpose(0, 3, 1, 2)), stride=2)
        real = (sums + whole(self.bias)[:, None, None]) * whole(self.conv_scale / 128)[:, None, None]
        a = rounded(real.clamp(0, 6), 6 / 255, -128)
        sums = functional.conv2d(a + 128, whole(self.deep.transpose(3, 0, 1, 2)), padding=1, groups=8)
        d = rounded(sums * whole(self.deep_scale * 6 / 255)[:, None, None], 0.05, 3)
        s = rounded((a + 128) * 6 / 255 + (d - 3) * 0.05, 0.06, -10)
        p = functional.max_pool2d(s, 2)
        # Features are in the file's order, channels last.
        flat = p.permute(0, 2, 3, 1).reshape(1, -1)
        return [v[0].numpy() for v in (a, p, rounded((flat + 10) @ whole(self.head.T) * 0.06 * 0.003, 0.4, 5))]


def test_it_computes_the_integers_of_the_file(tmp_path: Path) -> None:
    small = Small()
    small.save(tmp_path / "small.tflite")
    network = load_network(f"tflite:{tmp_path}/small.tflite", dataset="mnist")
    # The bytes of an image are the input's integers, moved by 128.
    assert (network.mean, network.std) == ((pytest.approx(128 / 255),), (pytest.approx(128 / 255),))
    sited = sited_network(network)
    stem, deep = sited.sites
    assert (stem.name, stem.activation, stem.readers, deep.activation) == ("stem", "relu6", 1, "none")
    assert (stem.range.zero, stem.range.high, deep.range.zero, (deep.height, deep.width)) == (0, 255, 118, (7, 7))
    images = load_dataset("mnist", "test").images[:4]
    seen: list[np.ndarray] = []
    logits = sited(network.inputs(images), lambda _, tensor: (seen.append(tensor.numpy()), tensor)[1]).numpy()
    for number, image in enumerate(images):
        found = (seen[0][number] / (6 / 255) - 128, seen[1][number] / 0.06 - 10, logits[number] / 0.4 + 5)
        for ours, expected in zip(found, small.compute(image), strict=True):
            difference = np.abs(np.round(ours) - expected)
            assert difference.max() <= 1 and difference.mean() < 0.002


@needs("imagenet_sample", "pretrained/imagenet_mobilenet_v2_u8.safetensors")
def test_mobilenetv2_as_google_quantized_it(tmp_path: Path) -> None:
    """The whole file of a real network, rebuilt from its tensors: its ranges, its preprocessing, its classes."""
    checkpoint = data_root() / "pretrained" / "imagenet_mobilenet_v2_u8.safetensors"
    path = tmp_path / "mobilenetv2.tflite"
    mobilenetv2_file(path, checkpoint)
    with pytest.raises(ActcodecError, match=r"1001 outputs for 1000 classes; drop=1 leaves out the first, background"):
        load_network(f"tflite:{path}", dataset="imagenet-sample")
    network, original = (
        load_network(f"tflite:{path},drop=1", dataset="imagenet-sample"),
        load_network("imagenet-mobilenetv2"),
    )
    assert network.mean == pytest.approx(original.mean) and network.std == pytest.approx(original.std)
    sites, expected = sited_network(network).sites, sited_network(original).sites
    shapes = [[(s.channels, s.height, s.activation, s.readers, s.macs) for s in found] for found in (sites, expected)]
    assert shapes[0] == shapes[1]
    state = load_file(checkpoint)
    for site, named in zip(sites, expected, strict=True):
        prefix = named.name.removesuffix(".conv.2") + ".add"
        steps = prefix if f"{prefix}.out_scale" in state else named.name
        assert site.range.scale == pytest.approx(float(state[f"{steps}.out_scale"]))
        assert site.range.zero == int(state[f"{steps}.out_zero"])
    images = load_dataset("imagenet-sample", "test").images[:3]
    found, float_logits = (n.model(n.inputs(images)) for n in (network, original))
    assert (found.argmax(1) == float_logits.argmax(1)).all()
    assert float((found - float_logits).abs().max()) < 0.05 * float(float_logits.abs().max())


def test_what_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "odd.tflite"

    def refused(problem: str) -> None:
        with pytest.raises(ActcodecError, match=problem):
            load_network(f"tflite:{path}", dataset="mnist")

    path.write_bytes(b"no flatbuffer")
    refused("is no TensorFlow Lite file")
    f = TFLiteFile()
    x = f.tensor("image", (1, 28, 28, 1), "int8", 1 / 128, 0)
    f.save(path, x, f.operator("ABS", [x], f.tensor("y", (1, 28, 28, 1), "int8", 1 / 128, 0)))
    refused("ABS 'y': is not supported")
    f = TFLiteFile()
    x = f.tensor("image", (1, 28, 28, 1), "int8", 1 / 128, 0)
    f.save(path, x, f.operator("ADD", [x, x], f.tensor("y", (1, 28, 28, 1), "int8", [0.1, 0.2]), "AddOptions"))
    refused("'y' has no single scale")
    monkeypatch.setitem(sys.modules, "tflite", None)
    refused(r"needs the package tflite \(pip install 'actcodec\[loaders\]'\)")
