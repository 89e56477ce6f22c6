"""The compiled codec layer against plain torch operations: values and every gradient."""

import numpy as np
import pytest
import torch

from actcodec.learn.draft import StreamSettings, draft_info, stored_widths
from actcodec.learn.plan import PlanArrays, SitePlan
from actcodec.learn.quantize8 import ActivationRange
from actcodec.learn.tuning.layer import CodecLayer, reference
from actcodec.networks import SiteSpec
from actcodec.params import CodecParams, Transform

torch.set_num_threads(1)
SETTINGS = StreamSettings(CodecParams())


def site_plan(channels: int, transform: Transform, zero: int, seed: int) -> SitePlan:
    rng = np.random.default_rng(seed)
    widths = rng.integers(0, 6, channels).astype(np.uint8)
    if transform == "bypass":
        widths[:] = 8
    site = SiteSpec("site", 0, channels, 5, 7, "none" if zero else "relu", 1, 0)
    info = draft_info(site, ActivationRange(0.037, zero), transform, widths, SETTINGS)
    stored = stored_widths(transform, widths)
    K, b = len(stored), 16
    P, R = np.zeros((K, b)), np.zeros((channels, b))
    for block in info.blocks:
        (c0, c1), (k0, k1) = block.channels, block.coefficients
        if transform == "project":
            P[k0:k1, : c1 - c0] = rng.normal(0, 0.05, (k1 - k0, c1 - c0))
            R[c0:c1, : k1 - k0] = rng.normal(0, 6, (c1 - c0, k1 - k0))
        else:
            places = np.arange(c1 - c0)
            P[k0 + places, places] = 1 if transform == "bypass" else rng.uniform(0.02, 0.3, c1 - c0)
            R[c0 + places, places] = 1 if transform == "bypass" else rng.uniform(3, 30, c1 - c0)
    bias = np.full(K, float(zero)) if transform == "bypass" else rng.normal(8, 6, K)
    bias_out = np.full(channels, -float(zero)) if transform == "bypass" else rng.normal(40, 30, channels)
    order = np.arange(channels, dtype=np.uint16)
    return SitePlan(info, PlanArrays(P, R, bias, bias_out, stored, np.zeros(K, np.uint16), order))


def activation(channels: int, zero: int, seed: int, height: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Beyond the range on both sides, so that every clamp is met.
    x = torch.randn(3, channels, height, 7, generator=generator) * 4 + (0 if zero else 2)
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("zero", [0, 97])
@pytest.mark.parametrize("transform", ["project", "identity", "bypass"])
@pytest.mark.parametrize(("channels", "height"), [(3, 5), (16, 5), (24, 5), (64, 5), (3, 8), (24, 4)])
def test_the_loops_compute_the_reference(channels: int, height: int, transform: Transform, zero: int) -> None:
    # An even number of positions lets the loops over single channels take several as one row.
    plan = site_plan(channels, transform, zero, seed=channels)
    layer = CodecLayer(plan).requires_grad_(True)
    x = activation(channels, zero, 1, height).requires_grad_()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    # In double precision, so that the loops' sums are compared with exact ones.
    exact_x = x.detach().double().requires_grad_()
    exact_layer = CodecLayer(plan).requires_grad_(True).double()

    out = layer(x)
    (out * upstream).sum().backward()
    exact = exact_layer(exact_x)
    (exact * upstream.double()).sum().backward()

    # A value that single precision puts on the other side of a rounding boundary differs by a step.
    same = (out.double() - exact).abs() < 1e-4
    assert same.double().mean() > 0.995
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert x.grad is not None and exact_x.grad is not None
    assert (x.grad.double() - exact_x.grad)[same].abs().median() < 1e-5
    for name, parameter in layer.named_parameters():
        expected = dict(exact_layer.named_parameters())[name].grad
        assert parameter.grad is not None and expected is not None
        scale = expected.abs().max().clamp_min(1e-3)
        assert ((parameter.grad.double() - expected).abs() / scale).max() < 0.02, name


def test_single_precision_reference_and_loops_give_equal_values() -> None:
    plan = site_plan(32, "project", 0, seed=5)
    layer, x = CodecLayer(plan), activation(32, 0, seed=3)
    with torch.no_grad():
        expected = reference(x, *layer.weights(), layer.geometry)
        assert ((layer(x) - expected).abs() > 1e-4).float().mean() < 2e-3


def test_entries_outside_the_transform_stay_zero() -> None:
    for transform in ("project", "identity"):
        plan = site_plan(24, transform, 0, seed=7)
        layer = CodecLayer(plan)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.3)
        learned = layer.to_plan().arrays
        if transform == "identity":
            assert not learned.P[plan.arrays.P == 0].any()
        for block in plan.info.blocks:
            assert not learned.P[slice(*block.coefficients), block.channels[1] - block.channels[0] :].any()
        dropped = plan.arrays.width == 0
        assert dropped.any() == (transform == "identity")
        np.testing.assert_allclose(learned.P[dropped], plan.arrays.P[dropped], rtol=1e-6)
        assert np.abs(learned.P - plan.arrays.P).max() > 0


def test_under_autocast_codes_stay_exact() -> None:
    plan = site_plan(16, "project", 0, seed=9)
    layer, x = CodecLayer(plan), activation(16, 0, seed=4)
    with torch.no_grad():
        plain = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(layer(x), plain)
