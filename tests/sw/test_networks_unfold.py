"""Trained folded weights come back from a checkpoint of the original network bit for bit."""

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import nn

from actcodec.errors import ActcodecError
from actcodec.learn.tuning.weights import checkpoint_of
from actcodec.networks import Network, fold_batchnorm, network_spec, sited_network
from actcodec.networks.fold import unfolded_state
from actcodec.networks.permutation import permutable_classes
from actcodec.networks.registry import network_with

torch.set_num_threads(1)


def network(name: str) -> Network:
    torch.manual_seed(0)
    spec = network_spec(name)
    model = spec.build().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return Network(name, model, spec.dataset, spec.mean, spec.std, spec.input_shape, "0" * 64)


@pytest.mark.parametrize("name", ["cifar10-resnet20", "cifar10-mobilenetv2-w0.25", "cifar10-vgg16-w0.125"])
def test_trained_weights_survive_the_checkpoint(name: str) -> None:
    original = network(name)
    plain = sited_network(original)
    classes = permutable_classes(fold_batchnorm(original.model), plain.sites)
    rng = np.random.default_rng(1)
    orders = {}
    for members in classes:
        orders |= dict.fromkeys(members, rng.permutation(plain.sites[members[0]].channels))
    trained = sited_network(original, orders=orders)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.mul_(1 + 0.1 * torch.randn(parameter.shape))
    content = checkpoint_of(original, trained, orders)
    again = network_with(original, content)
    assert again.checkpoint_sha256 != original.checkpoint_sha256
    for (path, expected), (_, found) in zip(
        trained.network.state_dict().items(),
        sited_network(again, orders=orders).network.state_dict().items(),
        strict=True,
    ):
        assert torch.equal(expected, found), path
    assert set(load(content)) == {k for k in original.model.state_dict() if not k.endswith("num_batches_tracked")}


def test_a_batchnorm_without_parameters_cannot_carry_a_bias() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Linear(4, 2)).eval()
    with pytest.raises(ActcodecError, match="BatchNorm 1: has no weight and bias"):
        unfolded_state(model, fold_batchnorm(model))
