"""Calibration: moments against two passes in float64, Fisher information against gradients taken all at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from actcodec.learn.calibrate import _Collector, by_variance, calibrate, fisher_direction
from actcodec.learn.quantize8 import ActivationRange, choose_ranges
from actcodec.networks import SiteSpec, sited_network
from support.learning import network, training
from support.statistics import rectified_site

UNIT = ActivationRange(scale=1.0, zero=0)


@pytest.mark.parametrize("pre_activation", [False, True])
def test_moments_are_those_of_two_passes_however_far_from_zero(pre_activation: bool) -> None:
    spread, mean = (0.05, -4000.0) if pre_activation else (2.0, 200.0)
    generator = torch.Generator().manual_seed(0)
    activation = spread * torch.randn(40, 16, 24, 24, generator=generator) + mean
    # Two channels that are nearly one.
    activation[:, 1] = activation[:, 0] + spread / 4 * torch.randn(40, 24, 24, generator=generator)
    collector = _Collector(SiteSpec("site", 0, 16, 24, 24, "none", 1, 0), UNIT, 16, pre_activation, size=32)
    for part in activation.split(10):
        collector.add_activation(part, 8, generator)
        collector.add_gradient(part)
    found = collector.finish()
    assert found.sample.shape == (32, 16)
    x = activation if pre_activation else activation.round().clamp(0, 255)
    rows = x.permute(0, 2, 3, 1).reshape(-1, 16).double().numpy()
    centre = rows.mean(0)
    covariance = (rows - centre).T @ (rows - centre) / len(rows)
    np.testing.assert_allclose(found.mean, centre, rtol=1e-12)
    np.testing.assert_allclose(found.covariance[0], covariance, atol=1e-6 * float(covariance.max()))


def test_gradients_taken_as_they_pass_are_those_taken_at_once() -> None:
    sited, batches = sited_network(network()), [network().inputs(training().images[i : i + 8]) for i in (0, 8)]
    ranges = choose_ranges(sited, batches, 0)
    found = calibrate(sited, ranges, batches, images=16, block=16, seed=3, positions=64)
    totals = [np.zeros((site.channels, site.channels)) for site in sited.sites]
    count = np.zeros(len(totals))
    generator = torch.Generator().manual_seed(3)
    for x in batches:
        stored: dict[int, Tensor] = {}

        def keep(index: int, tensor: Tensor, stored: dict[int, Tensor] = stored) -> Tensor:
            stored[index] = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
            return stored[index]

        logits = sited(x, keep)
        for site in sited.sites:
            # The samples are drawn from the same generator.
            torch.randint(8 * site.height * site.width, (32,), generator=generator)
        for _ in range(2):
            direction = fisher_direction(logits.detach(), generator)
            tensors = [stored[site.index] for site in sited.sites]
            for site, gradient in zip(
                sited.sites, torch.autograd.grad(logits, tensors, direction, retain_graph=True), strict=True
            ):
                rows = gradient.permute(0, 2, 3, 1).reshape(-1, site.channels).double().numpy()
                totals[site.index] += rows.T @ rows * ranges[site.index].scale ** 2
                count[site.index] += len(rows)
    for site, statistics in zip(sited.sites, found, strict=True):
        for part, fisher in zip(statistics.blocks, statistics.fisher, strict=True):
            expected = totals[site.index][part, part] / count[site.index]
            np.testing.assert_allclose(fisher, expected, rtol=1e-4, atol=1e-6 * float(expected.max()))


def test_by_variance_an_error_costs_its_share_of_the_variance_of_its_site() -> None:
    stats = rectified_site()
    weighed = by_variance(stats)
    variance = np.mean(np.concatenate([np.diag(S) for S in stats.covariance]))
    error = np.random.default_rng(0).normal(size=stats.site.channels)
    cost = sum(error[part] @ G @ error[part] for part, G in zip(weighed.blocks, weighed.fisher, strict=True))
    assert cost == pytest.approx(float(error @ error) / variance)
    assert all(np.array_equal(a, b) for a, b in zip(weighed.covariance, stats.covariance, strict=True))
