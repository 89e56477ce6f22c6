"""Pixels of a patch coded as one position: a turn of the tensor in front of the codec, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from actcodec.activations import FoldedTables, stored_activations, stored_patches
from actcodec.errors import ActcodecError
from actcodec.evaluate import evaluate
from actcodec.export import export_tables, integer_tables
from actcodec.learn import LearnRecipe, save_plan
from actcodec.learn.quantize8 import ActivationRange
from actcodec.networks import SitedNetwork, find_sites, fold_batchnorm, network_spec, sited_network
from actcodec.networks.patches import patches_between, patches_that_fit, stored_sites, to_patches, to_pixels
from actcodec.networks.registry import network_with
from actcodec.networks.stages import StagedNetwork
from support.learning import network, quick_plan, split

torch.set_num_threads(1)


@settings(deadline=None)
@given(
    side=st.integers(1, 4),
    images=st.integers(1, 2),
    channels=st.integers(1, 5),
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    last=st.booleans(),
)
def test_patches_are_those_of_torch_and_turn_back(
    side: int, images: int, channels: int, height: int, width: int, last: bool
) -> None:
    x = torch.arange(images * channels * height * width * side**2, dtype=torch.float32)
    x = x.reshape(images, channels, height * side, width * side)
    if last:
        x = x.to(memory_format=torch.channels_last)
    patches = to_patches(x, side)
    assert torch.equal(patches, functional.pixel_unshuffle(x, side))
    assert torch.equal(to_pixels(patches, side), x)


def test_gradients_pass_through_patches() -> None:
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: to_pixels(to_patches(t, 2) ** 2, 2), (x,))
    # The compiled loops of float32 move the same numbers, also where the memory is in their order already.
    y, weight = x.detach().float().to(memory_format=torch.channels_last).requires_grad_(), torch.randn(2, 12, 2, 3)
    for turned in (x, y):
        (to_patches(turned, 2) * weight).sum().backward()
    assert x.grad is not None and y.grad is not None and torch.equal(x.grad.float(), y.grad)
    x.grad = y.grad = None
    for turned in (x, y):
        (to_pixels(to_patches(turned, 2) * weight, 2) ** 2).sum().backward()
    assert torch.allclose(x.grad.float(), y.grad, rtol=1e-5)


def test_only_sites_that_they_divide_have_patches() -> None:
    sites = sited_network(network()).sites
    patches = patches_that_fit(sites, 2, 256)
    assert {sites[index].height for index in patches} == {28, 14}
    assert {site.height for site in sites if site.index not in patches} == {7}
    assert patches_that_fit(sites, 1, 256) == {}
    most = max(site.channels for site in sites if site.index in patches)
    assert patches_that_fit(sites, 2, 4 * most - 1) == {n: 2 for n in patches if sites[n].channels < most}
    stored = stored_sites(sites, patches)
    assert [site.values for site in stored] == [site.values for site in sites]
    assert stored[0].channels == 4 * sites[0].channels and stored[0].height == 14
    shapes = {site.name: (site.channels, site.height, site.width) for site in stored}
    assert patches_between(sites, shapes) == patches
    odd = next(site for site in sites if site.height == 7)
    with pytest.raises(ActcodecError, match=f"site {odd.name}: of 7×7 pixels has no 2×2 patches"):
        stored_sites(sites, {odd.index: 2})


def test_shapes_that_are_no_patches_are_left_to_be_refused() -> None:
    sites = sited_network(network()).sites
    first = sites[0]
    for shape in (
        (first.channels * 3, first.height // 2, first.width // 2),
        (first.channels * 2, first.height // 2, 1),
    ):
        assert patches_between(sites, {first.name: shape}) == {}


def test_a_network_gives_every_site_its_patches() -> None:
    torch.manual_seed(0)
    model = fold_batchnorm(network_spec("cifar10-resnet20").build().eval())
    sites = find_sites(model, (3, 32, 32))
    patches = {**patches_that_fit(sites, 2, 256), 3: 4, 5: 1}
    plain, patched = SitedNetwork(model, sites), SitedNetwork(model, sites, patches=patches)
    x = torch.randn(2, 3, 32, 32)
    seen: dict[int, tuple[int, ...]] = {}

    def coarser(index: int, tensor: Tensor) -> Tensor:
        """The same for every value, wherever it lies."""
        seen[index] = tuple(tensor.shape[1:])
        return torch.round(tensor * 8) / 8

    with torch.no_grad():
        expected = plain(x, coarser)
        assert torch.equal(patched(x, coarser), expected)
        assert seen == {site.index: (site.channels, site.height, site.width) for site in patched.sites}
        assert seen[3] == (256, 8, 8) and seen[5] == (16, 32, 32) and seen[0] == (64, 16, 16)
        assert torch.equal(StagedNetwork(patched).run(x, coarser), expected)
        assert torch.equal(patched(x), plain(x))


@pytest.mark.parametrize(
    "changes", [{"permute": True}, {"folded": True}, {"allocation": "transform-coding", "coder": "huffman"}]
)
def test_what_does_not_go_with_patches_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="patch = 2 does not go with"):
        LearnRecipe(patch=2, **changes)  # type: ignore[arg-type]


def test_a_plan_in_patches_is_what_the_golden_model_codes(tmp_path: Path) -> None:
    """The trainer's bytes are those of the tables and of the streams, and learning sees what the integers do."""
    plan = quick_plan(2.0, patch=2, epochs=1, weights=True, block_epochs=1, transform="pca")
    save_plan(plan, tmp_path / "plan")
    tables = export_tables(plan, tmp_path / "tables", max_mac_share=1.0)
    plain = sited_network(network()).sites
    patches = stored_patches(plain, tables)
    assert patches == patches_that_fit(plain, 2, 256)
    with pytest.raises(ActcodecError, match="folded tables: go with sites that are stored by the pixel"):
        stored_patches(plain, tables, FoldedTables(tables, ()))
    assert any(table.info.transform == "project" for number, table in enumerate(tables.sites) if number in patches)
    assert tables.values == sum(site.values for site in plain)
    assert plan.weights is not None
    tuned = network_with(network(), plan.weights)
    images = split().selection.images[:32]
    stored = stored_activations(tuned, tables, images)
    for table, site in zip(tables.sites, plan.sites, strict=True):
        assert stored[table.info.name].shape == (32, table.info.height, table.info.width, table.info.channels)
        assert table.sizes(64) == site.sizes(64)
    result = evaluate(tuned, split().selection.head(200), "golden", tables=tables, progress=False)
    rounded = evaluate(tuned, split().selection.head(200), "int8", tables=tables, progress=False)
    assert rounded.accuracy > 0.97 and result.accuracy > 0.9


def test_stored_values_are_those_of_the_pixels() -> None:
    """Where nothing is lost the encoder gets the bytes of the pixels, in another order."""
    tables = integer_tables(quick_plan(8.0, patch=2, allocation="raw"), max_mac_share=1.0)
    images = split().selection.images[:2]
    ranges = [ActivationRange(t.info.scale, t.info.zero, t.info.low, t.info.high) for t in tables.sites]
    pixels: dict[int, Tensor] = {}

    def rounded(index: int, tensor: Tensor) -> Tensor:
        pixels[index] = ranges[index].quantize(tensor)
        return ranges[index].dequantize(pixels[index])

    plain = sited_network(network())
    with torch.no_grad():
        plain(network().inputs(images), rounded)
    patches = patches_that_fit(plain.sites, 2, 256)
    for site, stored in zip(plain.sites, stored_activations(network(), tables, images).values(), strict=True):
        turned = to_patches(pixels[site.index], patches.get(site.index, 1)).permute(0, 2, 3, 1)
        assert np.array_equal(turned.numpy().astype(np.uint8), stored)
