"""Block-wise reconstruction and BatchNorm re-estimation."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from actcodec.learn import Plan, plan_sha256
from actcodec.learn.batches import input_batches
from actcodec.learn.tuning.batchnorm import reestimate
from actcodec.learn.tuning.blockwise import reconstruct
from actcodec.learn.tuning.compressed import CompressedNetwork, selection_divergence
from actcodec.networks import SitedNetwork, find_sites, fold_batchnorm, sited_network
from support.learning import QUICK, network, quick_plan, split


def divergence(compressed: CompressedNetwork) -> float:
    images = split().selection.images[:96]
    return selection_divergence(compressed, sited_network(network()), network(), images, False)


def coarse() -> Plan:
    return quick_plan(1.5)


def test_reconstruction_brings_the_network_nearer() -> None:
    plan = coarse()
    student, teacher = sited_network(network()), sited_network(network())
    compressed = CompressedNetwork.of_plan(student, plan.sites)
    before = divergence(compressed)
    weights = {name: value.clone() for name, value in student.state_dict().items()}
    recipe = QUICK.model_copy(update={"block_epochs": 6, "block_rate": 2e-3})
    reconstruct(compressed, teacher, network(), split().pool.images[:256], recipe, 0, False)
    assert divergence(compressed) < 0.9 * before
    assert all(torch.equal(value, weights[name]) for name, value in student.state_dict().items())


def test_it_is_deterministic_and_never_worse_than_nothing() -> None:
    recipe = {"block_epochs": 2, "block_rate": 2e-3}
    assert plan_sha256(quick_plan(1.5, **recipe)) == plan_sha256(quick_plan(1.5, **recipe))
    # A rate that destroys: what came in is kept.
    broken = quick_plan(3.0, block_epochs=2, block_rate=30.0)
    assert [s.arrays.P.tolist() for s in broken.sites] == [s.arrays.P.tolist() for s in quick_plan(3.0).sites]


class _Halving(nn.Module):
    """A codec that loses scale and shifts: what BatchNorm can put right."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x + 0.1


def test_reestimation_is_that_of_a_batchnorm_in_training_mode() -> None:
    torch.manual_seed(0)
    original = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.BatchNorm2d(6), nn.ReLU()
    )
    original.append(nn.Flatten()).append(nn.Linear(6 * 36, 4))
    x = torch.randn(32, 3, 8, 8)
    for module in original.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    with torch.no_grad():
        original.train()(x)
        original.eval()
        # The reference: BatchNorm's own running statistics, taken anew behind the lossy layers. Its estimate of the
        # variance is unbiased, which the folded form's is not: the difference is in the tolerance.
        lossy = copy.deepcopy(original)
        lossy[2] = nn.Sequential(nn.ReLU(), _Halving())
        lossy.train()(x)
        expected = lossy.eval()(x)
        folded = fold_batchnorm(original)
        sites = find_sites(folded, (3, 8, 8))
        assert [site.name for site in sites] == ["0", "3"]
        compressed = CompressedNetwork(SitedNetwork(folded, sites), [_Halving(), nn.Identity()])
        assert not torch.allclose(compressed(x), expected, atol=0.05)
        reestimate(compressed, [x])
        torch.testing.assert_close(compressed(x), expected, atol=5e-3, rtol=5e-3)


def test_reestimation_helps_a_coarse_plan() -> None:
    plan = coarse()
    compressed = CompressedNetwork.of_plan(sited_network(network()), plan.sites)
    before = divergence(compressed)
    reestimate(compressed, input_batches(network(), split().pool.images[:256], 64, "", False))
    assert divergence(compressed) < before
    tuned = quick_plan(1.5, batchnorm=True)
    assert tuned.weights is not None
