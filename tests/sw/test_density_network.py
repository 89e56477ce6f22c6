"""The quantizer's formula, density counted exactly, shortcuts, and channels that are really gone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from actcodec.density.network import DensityCounter, DensityNetwork
from actcodec.density.pruning import cut_tie, prune_by_density, prune_to
from actcodec.density.quantizer import QuantizedConv2d, RangedQuantizer, fake_quantize, quantized_weight
from actcodec.errors import ActcodecError
from actcodec.networks import find_sites, network_macs, network_spec

torch.set_num_threads(1)


def built(name: str, bits: int = 16) -> DensityNetwork:
    torch.manual_seed(1)
    spec = network_spec(name)
    return DensityNetwork(spec.build(), spec.input_shape, bits)


def image(name: str, count: int = 4) -> Tensor:
    return torch.randn(count, *network_spec(name).input_shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_quantizer_is_the_published_formula(bits: int) -> None:
    x = torch.rand(400, generator=torch.Generator().manual_seed(bits), dtype=torch.float64) * 3.4 - 1.3
    low, high, levels = float(x.min()), float(x.max()), 2**bits - 1
    exact = torch.round((x - low) * levels / (high - low))
    expected = exact * (high - low) / levels + low
    torch.testing.assert_close(fake_quantize(x.float(), low, high, bits).double(), expected, rtol=0, atol=1e-6)
    assert len(set(exact.tolist())) == 2**bits if bits < 8 else 200


def test_zero_stays_zero_behind_a_relu_and_the_gradient_goes_straight_through() -> None:
    x = torch.rand(100).relu().requires_grad_()
    y = fake_quantize(x, 0.0, float(x.detach().max()), 3)
    y.backward(torch.arange(100.0))  # type: ignore[no-untyped-call]
    assert torch.equal(x.grad, torch.arange(100.0))  # type: ignore[arg-type]
    assert float(fake_quantize(torch.zeros(1), 0.0, 1.0, 3)) == 0
    assert torch.equal(fake_quantize(x, 1.0, 1.0, 3), x)


def test_evaluation_uses_the_running_range_whatever_the_batch() -> None:
    quantizer = RangedQuantizer(2)
    quantizer(torch.tensor([0.0, 3.0]))
    quantizer.eval()
    assert quantizer(torch.tensor([0.4, 0.6, 9.0])).tolist() == [0.0, 1.0, 3.0]
    quantizer.train()
    quantizer(torch.tensor([0.0, 13.0]))
    assert float(quantizer.high) == pytest.approx(4.0)
    quantizer(torch.tensor([5.0, 6.0]))
    assert float(quantizer.low) == 0


def test_a_quantized_layer_has_both_operands_at_its_width() -> None:
    torch.manual_seed(0)
    layer = QuantizedConv2d.of(nn.Conv2d(3, 5, 3, padding=1, bias=False), 2)
    assert len(quantized_weight(layer).unique()) == 4
    x = torch.rand(2, 3, 6, 6)
    seen = fake_quantize(x, 0.0, float(x.max()), 2)
    expected = nn.functional.conv2d(seen, quantized_weight(layer), padding=1)
    torch.testing.assert_close(layer(x), expected)


def test_density_is_the_share_of_nonzero_activations() -> None:
    counter = DensityCounter(2)
    assert counter.density == 1.0
    counter(torch.tensor([[[[0.0, 1.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, -3.0]]]]))
    counter(torch.tensor([[[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]]))
    assert counter.nonzero.tolist() == [6, 1]
    assert counter.density == 7 / 16
    counter.eval()
    counter(torch.ones(1, 2, 2, 2))
    assert counter.density == 7 / 16
    counter.reset()
    assert counter.density == 1.0


def test_counters_stand_behind_activation_and_sum() -> None:
    """Against the network itself: the blocks' outputs and the first activations inside them."""
    network, spec = built("mnist-resnet12"), network_spec("mnist-resnet12")
    torch.manual_seed(1)
    plain = spec.build()
    plain.load_state_dict({k: v for k, v in network.graph.state_dict().items() if k in plain.state_dict()})
    outputs: dict[str, Tensor] = {}
    for name, module in plain.named_modules():
        module.register_forward_hook(lambda _m, _a, out, name=name: outputs.__setitem__(name, out))
    x = image("mnist-resnet12", 8)
    network.train()
    network(x)
    plain.train()
    plain(x)
    densities = network.densities()
    assert list(densities) == [layer.name for layer in network.layers][:-1]
    for block in ("layer1.0", "layer3.1"):
        assert densities[f"{block}.conv2"] == pytest.approx(float((outputs[block] > 0).float().mean()), abs=2e-3)
        inside = (outputs[f"{block}.bn1"] > 0).float().mean()
        assert densities[f"{block}.conv1"] == pytest.approx(float(inside), abs=2e-3)


def test_a_shortcut_takes_the_width_of_the_layer_that_it_lands_on() -> None:
    network = built("cifar10-resnet18-w0.125")
    follows = {layer.name: layer.follows for layer in network.layers if layer.follows}
    assert follows == {f"layer{n}.0.downsample.0": f"layer{n}.0.conv2" for n in (2, 3, 4)}
    assert [layer.name for layer in network.layers if layer.fixed] == ["conv1", "fc"]
    assert set(follows).isdisjoint(network.densities())
    network.set_widths({name: 3 + number for number, name in enumerate(network.widths)})
    quantizers = {
        name: module.bits
        for name, module in network.graph.named_modules()
        if isinstance(module, RangedQuantizer) and "shortcut" in name
    }
    plain = [f"layer{n}.{b}.conv2" for n in (1, 2, 3, 4) for b in (0, 1) if (n, b) not in ((2, 0), (3, 0), (4, 0))]
    assert sorted(quantizers.values()) == sorted(network.widths[name] for name in plain)


def test_sites_are_those_of_the_codec_and_take_their_widest_reader() -> None:
    for name in ("cifar10-resnet18-w0.125", "cifar10-vgg19-fc1-w0.125", "cifar10-mobilenetv2-w0.25"):
        network, spec = built(name), network_spec(name)
        assert list(network.site_widths()) == [site.name for site in find_sites(spec.build(), spec.input_shape)]
    network = built("mnist-resnet12")
    widths = dict.fromkeys(network.widths, 4) | {"layer1.0.conv2": 6, "linear": 16}
    network.set_widths(widths)
    sites = network.site_widths()
    # conv1 is read by layer1.0.conv1 and, over the shortcut, by the sum behind layer1.0.conv2.
    assert (sites["conv1"], sites["layer1.0.conv1"], sites["layer1.0.conv2"]) == (6, 6, 4)
    assert sites["layer3.1.conv2"] == 16


def test_at_sixteen_bits_it_is_the_network() -> None:
    for name in ("mnist-resnet12", "cifar10-mobilenetv2-w0.25", "cifar10-vgg19-fc1-w0.125"):
        torch.manual_seed(1)
        plain = network_spec(name).build()
        network = DensityNetwork(plain, network_spec(name).input_shape, 16)
        x = image(name)
        network.train()
        plain.train()
        torch.manual_seed(0)
        got = network(x)
        torch.manual_seed(0)
        torch.testing.assert_close(got, plain(x), rtol=0.02, atol=0.02)
        assert set(network.network_state()) <= set(plain.state_dict())


def test_shapes_count_what_the_network_multiplies() -> None:
    for name in ("mnist-resnet12", "cifar10-resnet18-w0.125", "cifar10-mobilenetv2-w0.25"):
        spec = network_spec(name)
        assert sum(shape.macs for shape in built(name).shapes()) == network_macs(spec.build(), spec.input_shape)


def test_dead_channels_are_cut_and_the_function_stays() -> None:
    """Channels whose norm gives 0 are dropped from a plain layer and from a whole residual stream."""
    name = "cifar10-resnet18-w0.125"
    network = built(name)
    x = image(name)
    network.train()
    for _ in range(3):
        network(x)
    network.eval()
    for tie, layers in network.ties:
        norms = [m for path, _ in tie.modules if isinstance(m := network.graph.get_submodule(path), nn.BatchNorm2d)]
        count = norms[0].num_features
        dead = torch.arange(1, count, 3)
        for norm in norms:
            norm.weight.data[dead] = 0
            norm.bias.data[dead] = 0
        before = network(x)
        keep = torch.tensor([c for c in range(count) if c not in dead])
        parameters = sum(p.numel() for p in network.parameters())
        cut_tie(network, tie, layers, keep, None)
        assert sum(p.numel() for p in network.parameters()) < parameters
        torch.testing.assert_close(network(x), before, rtol=1e-3, atol=1e-4)
        assert norms[0].num_features == len(keep)
    shape = {s.name: s for s in network.shapes()}["layer2.0.conv1"]
    assert (shape.inputs, shape.outputs) == (network.channels()["conv1"], network.channels()["layer2.0.conv1"])
    assert network.layer("fc").weight.shape[1] == network.channels()["layer4.1.conv2"]


def test_the_densest_channels_are_kept_with_their_moments() -> None:
    network = built("mnist-resnet12")
    optimizer = torch.optim.AdamW(network.parameters())
    network.train()
    network(image("mnist-resnet12")).square().mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    counter = network.counter("layer1.0.conv1")
    assert counter is not None
    counter.nonzero = torch.tensor([8, 0, 9, 1] * 4)
    counter.positions = 18
    weight = network.layer("layer1.0.conv1").weight
    old, moment = weight.detach().clone(), optimizer.state[weight]["exp_avg"].clone()
    others = network.channels()
    for name, other in ((layer.name, network.counter(layer.name)) for layer in network.layers):
        if other is not None and name != "layer1.0.conv1":
            other.reset()
    assert prune_by_density(network, optimizer)
    # Density 0.25 of 16 channels: four are left, the densest ones, in their order.
    assert network.channels() == others | {"layer1.0.conv1": 4}
    assert torch.equal(weight, old[[2, 6, 10, 14]])
    assert torch.equal(optimizer.state[weight]["exp_avg"], moment[[2, 6, 10, 14]])
    assert network.layer("layer1.0.conv2").weight.shape[1] == 4
    network(image("mnist-resnet12")).mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def test_depthwise_convolutions_and_flattened_features_are_cut_too() -> None:
    network = built("cifar10-mobilenetv2-w0.25")
    network.train()
    network(image("cifar10-mobilenetv2-w0.25"))
    assert prune_by_density(network)
    network(image("cifar10-mobilenetv2-w0.25"))
    assert network.channels()["features.2.conv.1.0"] == network.channels()["features.2.conv.0.0"]
    twin = built("cifar10-mobilenetv2-w0.25")
    prune_to(twin, network.channels())
    assert twin.channels() == network.channels()
    twin.graph.load_state_dict(network.graph.state_dict())
    network.eval()
    twin.eval()
    assert torch.equal(twin(image("cifar10-mobilenetv2-w0.25")), network(image("cifar10-mobilenetv2-w0.25")))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x))  # type: ignore[no-any-return]


def test_a_layer_that_is_called_twice_is_refused() -> None:
    with pytest.raises(ActcodecError, match="calls a layer more than once"):
        DensityNetwork(Twice(), (1, 8, 8), 16)


def test_the_model_itself_is_left_alone() -> None:
    spec = network_spec("mnist-resnet12")
    model = spec.build()
    before = copy.deepcopy(model.state_dict())
    DensityNetwork(model, spec.input_shape, 8)(image("mnist-resnet12"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
