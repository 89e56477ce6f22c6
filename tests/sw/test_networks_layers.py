"""Layer graphs of traced networks agree with their sites and multiplications."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from actcodec.errors import ActcodecError
from actcodec.graph import Axis, LayerGraph
from actcodec.networks import find_sites, network_macs, network_spec
from actcodec.networks.layers import layer_graph
from actcodec.networks.mobilenetv2 import MobileNetV2

NAMES = (
    "mnist-resnet12",
    "cifar10-resnet20",
    "cifar10-resnet56",
    "cifar10-resnet18-w0.25",
    "cifar10-mobilenetv2-w0.5",
    "cifar10-vgg16-w0.25",
    "cifar10-vgg19-w0.125",
)


def of(model: nn.Module, *shape: int) -> LayerGraph:
    return layer_graph("net", model, (shape[0], shape[1], shape[2]))


@pytest.mark.parametrize("name", NAMES)
def test_graph_has_the_sites_and_multiplications_of_the_network(name):
    spec = network_spec(name)
    model = spec.build()
    found, sites = layer_graph(name, model, spec.input_shape), find_sites(model, spec.input_shape)
    assert found.macs == network_macs(model, spec.input_shape)
    weights = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    assert found.weight_bytes == weights
    assert [tensor.site for tensor in found.tensors if tensor.site] == [site.name for site in sites]
    by_name = {layer.name: layer for layer in found.layers}
    for site in sites:
        tensor = found.by_name[site.name]
        assert (tensor.channels, tensor.height, tensor.width) == (site.channels, site.height, site.width)
        assert len(found.readers[site.name]) == site.readers
        assert by_name[site.name].macs == site.macs


def imagenet_mobilenetv2() -> nn.Module:
    """The strides of the source: stem, third and fourteenth block halve the resolution."""
    model = MobileNetV2(1.0, 1000)
    model.features[0][0].stride = (2, 2)
    for block in (2, 14):
        model.features[block].conv[1][0].stride = (2, 2)
    return model


def test_published_multiplications_of_mobilenetv2():
    found = of(imagenet_mobilenetv2(), 3, 224, 224)
    # 300 M multiply-adds in the source's table 4; 3.4 M parameters with biases and BatchNorms.
    assert (found.macs, found.weight_bytes) == (300_774_272, 3_469_760)
    assert sum(layer.kind == "depthwise" for layer in found.layers) == 17
    adds = [layer.name for layer in found.layers if any(read.role == "shortcut" for read in layer.reads)]
    assert len(adds) == 10


def test_shortcut_of_a_residual_block_takes_every_other_position():
    spec = network_spec("cifar10-resnet20")
    found = layer_graph("resnet20", spec.build(), spec.input_shape)
    layer = next(layer for layer in found.layers if layer.name == "layer2.0.conv2")
    operand, shortcut = layer.reads
    assert (operand.tensor, operand.rows) == ("layer2.0.conv1", Axis(kernel=3, pad=1))
    assert (shortcut.tensor, shortcut.role, shortcut.rows) == ("layer1.2.conv2", "shortcut", Axis(stride=2))
    assert layer.fused == ("batchnorm2d", "add", "relu")


def test_pooling_is_part_of_the_window_where_it_is_fused():
    found = of(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1)), 3, 8, 8)
    first = found.layers[0]
    assert (first.height, found.by_name["0"].height) == (8, 4)
    assert first.reads[0].rows == Axis(kernel=4, stride=2, pad=1)
    assert first.fused == ("relu", "maxpool2d")


class Odd(nn.Module):
    """Operations between groups: poolings of a tensor that has other readers, concatenation, mean, padding."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, padding=1)
        self.average = nn.AvgPool2d(2)
        self.largest = nn.MaxPool2d(2)
        self.b = nn.Conv2d(8, 8, 1)
        self.c = nn.Conv2d(16, 8, 3)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        both = torch.cat([self.b(self.average(a)), self.largest(a)], 1)
        last = self.c(nn.functional.pad(both, (1, 1, 1, 1)))
        return self.head(last.mean([2, 3]))


def test_operations_between_groups_are_layers_without_a_site():
    found = of(Odd(), 3, 8, 8)
    kinds = {layer.name: layer.kind for layer in found.layers}
    assert list(kinds.values()) == ["conv", "pool", "conv", "pool", "other", "conv", "pool", "linear"]
    assert [tensor.name for tensor in found.tensors if tensor.site] == ["a", "b", "c"]
    by_name = {layer.name: layer for layer in found.layers}
    assert by_name["c"].reads[0].rows == Axis(kernel=3, pad=1)
    assert {read.tensor for read in by_name["cat"].reads} == {"b", "largest"}
    assert found.macs == network_macs(Odd(), (3, 8, 8))


def test_linear_layer_on_a_map_reads_all_of_it():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
    found = of(model, 3, 6, 6)
    linear = found.layers[-1]
    assert linear.reads[0].rows == linear.reads[0].columns == Axis(kernel=6, stride=6)
    assert (linear.inputs, linear.macs) == (288, 1440)


def test_layer_that_is_called_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(self.a(x))

    with pytest.raises(ActcodecError, match="module a: is called several times"):
        of(Twice(), 3, 6, 6)
