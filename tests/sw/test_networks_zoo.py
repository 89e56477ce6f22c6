"""Networks known by name whose weights are not shipped: names, shapes, sites, training."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from actcodec.data import Dataset, load_dataset
from actcodec.errors import ActcodecError
from actcodec.learn import train as training
from actcodec.learn.train import TrainingRecipe, train_network
from actcodec.networks import (
    NETWORKS,
    SitedNetwork,
    find_sites,
    fold_batchnorm,
    load_network,
    network_macs,
    network_spec,
)

torch.set_num_threads(1)
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

# State-dict names of torchvision's resnet18, mobilenet_v2, vgg16_bn, vgg19_bn: convolution, norm, convolution, norm, …
RESNET18 = [
    *("conv1", "bn1"),
    *(f"layer1.{block}.{layer}" for block in (0, 1) for layer in ("conv1", "bn1", "conv2", "bn2")),
    *(
        f"layer{stage}.{layer}"
        for stage in (2, 3, 4)
        for layer in (
            *("0.conv1", "0.bn1", "0.conv2", "0.bn2", "0.downsample.0", "0.downsample.1"),
            *("1.conv1", "1.bn1", "1.conv2", "1.bn2"),
        )
    ),
]
MOBILENETV2 = [
    *("features.0.0", "features.0.1"),
    *("features.1.conv.0.0", "features.1.conv.0.1", "features.1.conv.1", "features.1.conv.2"),
    *(f"features.{block}.conv.{layer}" for block in range(2, 18) for layer in ("0.0", "0.1", "1.0", "1.1", "2", "3")),
    *("features.18.0", "features.18.1"),
]
VGG16 = [f"features.{i + k}" for i in (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40) for k in (0, 1)]
VGG19 = [f"features.{i + k}" for i in (0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49) for k in (0, 1)]


def names(pairs: list[str], heads: tuple[str, ...], conv_bias: bool) -> list[str]:
    conv = ("weight", "bias") if conv_bias else ("weight",)
    fields = [f"{name}.{field}" for i, name in enumerate(pairs) for field in (NORM if i % 2 else conv)]
    return fields + [f"{head}.{field}" for head in heads for field in ("weight", "bias")]


@pytest.mark.parametrize(
    ("name", "expected", "count"),
    [
        ("cifar10-resnet18", names(RESNET18, ("fc",), False), 122),
        ("cifar10-mobilenetv2", names(MOBILENETV2, ("classifier.1",), False), 314),
        ("cifar10-vgg16", names(VGG16, ("classifier.0", "classifier.3", "classifier.6"), True), 97),
        ("cifar10-vgg19", names(VGG19, ("classifier.0", "classifier.3", "classifier.6"), True), 118),
    ],
)
def test_state_dict_names_and_order_are_torchvisions(name: str, expected: list[str], count: int) -> None:
    with torch.device("meta"):
        state = network_spec(name).build().state_dict()
    assert list(state) == expected
    assert len(state) == count


def test_shapes_away_from_stem_and_head_are_torchvisions() -> None:
    with torch.device("meta"):
        resnet = network_spec("cifar10-resnet18").build().state_dict()
        mobile = network_spec("cifar10-mobilenetv2").build().state_dict()
        vgg = network_spec("cifar10-vgg16").build().state_dict()
    assert resnet["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert resnet["layer4.1.conv2.weight"].shape == (512, 512, 3, 3)
    assert mobile["features.2.conv.1.0.weight"].shape == (96, 1, 3, 3)
    assert mobile["features.14.conv.0.0.weight"].shape == (576, 96, 1, 1)
    assert mobile["features.18.0.weight"].shape == (1280, 320, 1, 1)
    assert vgg["features.40.weight"].shape == (512, 512, 3, 3)


def test_the_width_suffix_scales_the_channels_in_steps_of_eight() -> None:
    with torch.device("meta"):
        assert network_spec("cifar10-vgg16-w0.5").build().state_dict()["features.40.weight"].shape[0] == 256
        assert network_spec("cifar10-resnet18-w0.25").build().state_dict()["conv1.weight"].shape[0] == 16
        mobile = network_spec("cifar10-mobilenetv2-w0.35").build().state_dict()
    # As in the reference implementation: 0.35·32 → 16, 0.35·24 → 8, the last layer is never below 1280.
    assert mobile["features.0.0.weight"].shape[0] == 16
    assert mobile["features.2.conv.2.weight"].shape[0] == 8
    assert mobile["features.18.0.weight"].shape[0] == 1280


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("cifar10-vgg16-wide", "the width 'ide' is no number"),
        ("cifar10-vgg16-w0", "the width 0 is outside"),
        ("cifar10-vgg16-w9", "the width 9 is outside"),
        ("cifar10-vgg11", "is unknown; known: .*cifar10-vgg16"),
        ("cifar10-resnet20-w0.5", "is unknown"),
    ],
)
def test_bad_names_are_refused(name: str, problem: str) -> None:
    with pytest.raises(ActcodecError, match=problem):
        network_spec(name)


def test_missing_weights_name_the_two_ways_to_get_them() -> None:
    with pytest.raises(ActcodecError, match=r"--checkpoint FILE.*actcodec train --model cifar10-vgg16-w0\.5 --out"):
        load_network("cifar10-vgg16-w0.5")


@pytest.mark.parametrize(
    ("name", "sites", "activations"),
    [
        # 17 convolutions and 3 projection shortcuts, which hold the sum.
        ("cifar10-resnet18", 20, {"relu", "none"}),
        ("cifar10-mobilenetv2", 52, {"relu6", "none"}),
        ("cifar10-vgg16", 13, {"relu"}),
        ("cifar10-vgg19", 16, {"relu"}),
    ],
)
def test_sites_survive_folding_and_carry_the_function(name: str, sites: int, activations: set[str]) -> None:
    model = network_spec(f"{name}-w0.25").build().eval()
    folded = fold_batchnorm(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    found = find_sites(folded, (3, 32, 32))
    assert found == find_sites(model, (3, 32, 32))
    assert len(found) == sites
    assert {site.activation for site in found} == activations
    x = torch.randn(2, 3, 32, 32)
    seen: dict[int, tuple[int, ...]] = {}

    def look(index: int, tensor: torch.Tensor) -> torch.Tensor:
        seen[index] = tuple(tensor.shape[1:])
        return tensor

    torch.testing.assert_close(SitedNetwork(folded, found)(x, look), model(x), atol=1e-4, rtol=1e-3)
    assert seen == {s.index: (s.channels, s.height, s.width) for s in found}


def test_vgg_stores_the_pooled_tensors() -> None:
    found = find_sites(network_spec("cifar10-vgg16-w0.25").build(), (3, 32, 32))
    assert [site.height for site in found] == [32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2, 1]
    assert all(site.readers == 1 for site in found)


def test_resnet18_shortcuts_and_bottlenecks_are_read_as_they_should() -> None:
    found = {s.name: s for s in find_sites(network_spec("cifar10-resnet18-w0.25").build(), (3, 32, 32))}
    # The projection is computed last: it holds the sum. What it is added to is stored without an activation.
    assert found["layer2.0.downsample.0"].activation == "relu"
    assert (found["layer2.0.conv2"].activation, found["layer2.0.conv2"].readers) == ("none", 1)
    assert found["layer1.1.conv2"].readers == 2
    mobile = {s.name: s for s in find_sites(network_spec("cifar10-mobilenetv2-w0.25").build(), (3, 32, 32))}
    assert (mobile["features.3.conv.2"].activation, mobile["features.3.conv.2"].readers) == ("none", 1)
    assert mobile["features.4.conv.2"].readers == 2
    # A depthwise convolution multiplies its own channel only.
    depthwise = mobile["features.3.conv.1.0"]
    assert depthwise.macs == depthwise.values * 9


@pytest.mark.parametrize("name", NETWORKS)
def test_the_document_has_every_network_with_its_figures(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()
    row = re.search(rf"^\| `{name}` \| (\d+) \| ([\d.]+) M \|", text, re.MULTILINE)
    assert row is not None
    spec = network_spec(name)
    model = spec.build()
    assert len(find_sites(model, spec.input_shape)) == int(row[1])
    assert round(network_macs(model, spec.input_shape) / 1e6, 1) == float(row[2])


@pytest.mark.parametrize("name", ["cifar10-vgg16-w0.125", "cifar10-mobilenetv2-w0.125"])
def test_an_epoch_of_training_writes_weights_that_load(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = load_dataset("mnist", "test").head(16)
    images = digits.images[:, :, :, [0, 0, 0]].repeat(2, axis=1)[:, 12:44].repeat(2, axis=2)[:, :, 12:44]
    tiny = Dataset("cifar10", images, digits.labels, 10)
    monkeypatch.setattr(training, "load_dataset", lambda *_: tiny)
    outs = [tmp_path / "first.safetensors", tmp_path / "second.safetensors"]
    for out in outs:
        train_network(name, out, recipe=TrainingRecipe(epochs=1, batch=8), images=16, progress=False)
    # Dropout is drawn from the seed as well.
    assert outs[0].read_bytes() == outs[1].read_bytes()
    network = load_network(name, checkpoint=outs[0])
    assert network.model(network.inputs(images)).shape == (16, 10)
