"""The energy model against the figures that its publication gives (arXiv 2101.04354)."""

from __future__ import annotations

import pytest
import torch

from actcodec.density.energy import (
    LayerShape,
    baseline_energy,
    mac_reduction,
    network_energy,
    pim_width,
)
from actcodec.density.network import DensityNetwork
from actcodec.errors import ActcodecError
from actcodec.networks import network_spec
from actcodec.pim.energy import per_mac


def layer(side: int, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> LayerShape:
    out = (side // stride) ** 2
    return LayerShape("conv", side**2, out, inputs, outputs, kernel**2, inputs)


def shapes_of(name: str) -> tuple[LayerShape, ...]:
    """Of a network of full width; its weights are not looked at."""
    spec = network_spec(name)
    with torch.device("meta"):
        model = spec.build()
    return DensityNetwork(model.to_empty(device="cpu"), spec.input_shape, 16).shapes()


@pytest.fixture(scope="module")
def vgg19() -> tuple[LayerShape, ...]:
    return shapes_of("cifar10-vgg19-fc1")


@pytest.fixture(scope="module")
def resnet18() -> tuple[LayerShape, ...]:
    return shapes_of("cifar100-resnet18")


def test_formulas_of_one_layer() -> None:
    shape = layer(16, 8, 24, stride=2)
    assert shape.macs == 8 * 8 * 8 * 9 * 24
    assert shape.accesses == 16 * 16 * 8 + 9 * 8 * 24
    assert shape.analytic(5) == pytest.approx(1e-6 * (shape.accesses * 2.5 * 5 + shape.macs * (3.1 * 5 / 32 + 0.1)))
    assert shape.pim(3) == pytest.approx(1e-9 * shape.macs * 16.968)
    assert shape.pim(3, "rtl") > shape.pim(3, "rtl-array") > shape.pim(3)
    depthwise = LayerShape("depthwise", 64, 64, 1, 32, 9, 32)
    assert (depthwise.macs, depthwise.accesses) == (64 * 9 * 32, 64 * 32 + 9 * 32)


def test_pim_widths_are_rounded_up() -> None:
    assert [pim_width(bits) for bits in (1, 2, 3, 4, 5, 8, 9, 16)] == [2, 2, 4, 4, 8, 8, 16, 16]
    for bits in (0, 17):
        with pytest.raises(ActcodecError, match=f"{bits} bits fit no operand"):
            pim_width(bits)


def test_vgg19_at_sixteen_bits_is_as_published(vgg19: tuple[LayerShape, ...]) -> None:
    """398.136 M MACs, 110.154 µJ."""
    assert sum(shape.macs for shape in vgg19) == 398_136_320
    assert baseline_energy(vgg19).pim_total == pytest.approx(110.154, abs=0.001)
    # The 16-bit energy of a MAC is the only one that a published total checks, and its source says so.
    assert "2, 4 and 8 bits recalled" in per_mac("published")["source"]


def test_what_the_published_energy_of_resnet18_counts(resnet18: tuple[LayerShape, ...]) -> None:
    """The network has 555 M MACs, 153.7 µJ; published are 159.501 µJ, 3.8 % more.

    A 1×1 convolution in *every* shortcut, the five identities as well, accounts for all but 0.01 %; with a last layer
    of 200 outputs (as for TinyImageNet), not 100, the figure is met in all its digits.
    """
    macs = sum(shape.macs for shape in resnet18)
    assert macs == 555_468_800
    assert baseline_energy(resnet18).pim_total == pytest.approx(153.685, abs=0.001)
    assert 159.501 / baseline_energy(resnet18).pim_total == pytest.approx(1.0378, abs=1e-4)
    identities = [layer(32, 64, 64, 1)] * 2 + [layer(side, c, c, 1) for side, c in ((16, 128), (8, 256), (4, 512))]
    counted = (*resnet18, *identities)
    assert baseline_energy(counted).pim_total == pytest.approx(159.487, abs=0.001)
    wider = (*resnet18[:-1], LayerShape("fc", 1, 1, 512, 200, 1, 512), *identities)
    assert baseline_energy(wider).pim_total == pytest.approx(159.501, abs=0.001)


def test_published_reductions_agree_with_their_totals() -> None:
    for before, after, reduction in ((110.154, 21.506, 0.80476), (159.501, 33.186, 0.79194)):
        assert (before - after) / before == pytest.approx(reduction, abs=1e-5)


def test_totals_are_sums_and_savings_are_against_sixteen_bits(vgg19: tuple[LayerShape, ...]) -> None:
    widths = [16, *[4] * (len(vgg19) - 2), 16]
    energy = network_energy(vgg19, widths)
    assert energy.layers == tuple(shape.name for shape in vgg19)
    assert energy.analytic_total == pytest.approx(sum(s.analytic(b) for s, b in zip(vgg19, widths, strict=True)))
    assert energy.pim[1] == pytest.approx(vgg19[1].macs * 16.968e-9)
    ends = vgg19[0].macs + vgg19[-1].macs
    expected = 16 * 398_136_320 / (16 * ends + 4 * (398_136_320 - ends))
    assert mac_reduction(vgg19, vgg19, widths) == pytest.approx(expected)
    assert mac_reduction(vgg19, vgg19, [16] * len(vgg19)) == 1
    with pytest.raises(ValueError, match="shorter"):
        network_energy(vgg19, widths[1:])
