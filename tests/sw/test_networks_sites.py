import pytest
import torch
from torch import Tensor, nn

from actcodec.errors import ActcodecError
from actcodec.networks import SitedNetwork, find_sites, fold_batchnorm, network_macs
from actcodec.networks.resnet_cifar import ResNet

torch.set_num_threads(1)


def resnet20() -> nn.Module:
    return ResNet(3, (3, 3, 3), (16, 32, 64), classes=10).eval()


def small_resnet() -> nn.Module:
    torch.manual_seed(0)
    model = ResNet(1, (1, 1), (4, 8), classes=3).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    return model


class Inverted(nn.Module):
    """A linear bottleneck as in MobileNetV2, its sum read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6())
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.act = nn.ReLU6()
        self.project = nn.Conv2d(4, 4, 1)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.project(self.act(self.depthwise(x)))
        return self.last(x + 1.0)


def test_resnet20_has_19_sites_and_the_known_macs() -> None:
    model = resnet20()
    sites = find_sites(model, (3, 32, 32))
    assert len(sites) == 19
    assert [site.index for site in sites] == list(range(19))
    assert network_macs(model, (3, 32, 32)) == 40_551_040
    assert sum(site.macs for site in sites) + 640 == 40_551_040
    assert {site.activation for site in sites} == {"relu"}
    assert sum(site.values for site in sites) == 188_416
    # Block outputs feed a convolution and a shortcut; the last one feeds the linear layer alone.
    assert [site.readers for site in sites] == [2, 1] * 9 + [1]
    assert sites[2].name == "layer1.0.conv2"
    assert (sites[7].channels, sites[7].height, sites[7].width) == (32, 16, 16)


def test_mnist_resnet12_has_11_sites() -> None:
    assert len(find_sites(ResNet(1, (1, 2, 2), (16, 32, 64), classes=10).eval(), (1, 28, 28))) == 11


def test_linear_bottlenecks_and_relu6() -> None:
    sites = find_sites(Inverted().eval(), (1, 6, 6))
    # The last convolution makes the logits, which are no site.
    assert [(s.name, s.activation, s.readers) for s in sites] == [
        ("stem.0", "relu6", 2),
        ("depthwise", "relu6", 1),
        ("project", "none", 1),
    ]
    assert sites[1].macs == 4 * 9 * 36


def test_folding_keeps_the_function_and_the_sites() -> None:
    model = small_resnet()
    folded = fold_batchnorm(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    x = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(folded(x), model(x))
    assert find_sites(folded, (1, 8, 8)) == find_sites(model, (1, 8, 8))


def test_w8_weights_are_127_steps_a_side() -> None:
    folded = fold_batchnorm(small_resnet(), "w8")
    weight = folded.get_submodule("layer1.0.conv1").weight.reshape(4, -1)
    steps = weight / (weight.abs().amax(1, keepdim=True) / 127)
    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
    with pytest.raises(ActcodecError, match="'w4' is unknown"):
        fold_batchnorm(small_resnet(), "w4")


def test_every_reader_sees_the_value_of_the_site_function() -> None:
    model = small_resnet()
    sites = find_sites(model, (1, 8, 8))
    sited = SitedNetwork(model, sites)
    x = torch.randn(3, 1, 8, 8)
    seen: dict[int, tuple[int, ...]] = {}

    def look(index: int, tensor: Tensor) -> Tensor:
        seen[index] = tuple(tensor.shape[1:])
        return tensor

    torch.testing.assert_close(sited(x, look), model(x))
    torch.testing.assert_close(sited(x), model(x))
    assert seen == {s.index: (s.channels, s.height, s.width) for s in sites}
    # Zeroing the last site leaves the linear layer's bias: the pooling saw the replaced tensor.
    last = len(sites) - 1
    out = sited(x, lambda index, tensor: torch.zeros_like(tensor) if index == last else tensor)
    torch.testing.assert_close(out, model.linear.bias.expand(3, -1))
    # Zeroing a block output must silence its convolution and its shortcut.
    block = next(s.index for s in sites if s.name == "layer1.0.conv2")
    one = sited(x[:1], lambda index, tensor: tensor * 0 if index == block else tensor)
    two = sited(x[1:2], lambda index, tensor: tensor * 0 if index == block else tensor)
    torch.testing.assert_close(one, two)
