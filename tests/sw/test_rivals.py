"""The rivals of variable length: exact streams, exact counts, and quantizers that do what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from actcodec.baselines import CODERS
from actcodec.data import load_dataset
from actcodec.errors import ActcodecError
from actcodec.export import integer_tables
from actcodec.learn.quantize8 import ActivationRange
from actcodec.networks import SiteSpec, sited_network
from actcodec.rivals.cat import CatLayer, CatNetwork, cat_layers
from actcodec.rivals.huffman_site import HuffmanSite, count_symbols, entropy_bits
from actcodec.rivals.lossless import LosslessOnCodes
from actcodec.rivals.measure import measure
from actcodec.rivals.transform_coding import PcaQuantizer, fit
from support.learning import network, quick_plan, split

RELU = SiteSpec("s", 0, 4, 6, 6, "relu", 1, 0)
LINEAR = SiteSpec("s", 0, 4, 6, 6, "none", 1, 0)


def test_lossless_coders_see_the_codes_that_are_stored() -> None:
    tables = integer_tables(quick_plan(3.0, allocation="fixed-width", transform="identity"), max_mac_share=1)
    table = tables.sites[0]
    info = table.info
    coder = LosslessOnCodes(table, "zvc")
    a = torch.rand(2, info.channels, info.height, info.width) * 255 * info.scale
    x = ActivationRange(info.scale, info.zero, info.low, info.high).quantize(a)
    stored = x.permute(0, 2, 3, 1).numpy().astype(np.uint8)
    coder(a)
    # The codes again, from the bits of the stream itself.
    bits = 0
    for stream in coder._codec.encode(stored):
        codes = []
        for y in range(info.height):
            row = np.unpackbits(stream, bitorder="little")[y * table.planes[0].pitch_bits :]
            row = row[: info.width * info.channels * 3].reshape(-1, 3)
            codes.append((row << np.arange(3)).sum(1).reshape(info.width, info.channels))
        image = np.stack(codes).transpose(2, 0, 1).astype(np.uint8)
        bits += CODERS["zvc"].encode(np.ascontiguousarray(image), width=3).bits
    assert coder.bits == bits
    projected = integer_tables(quick_plan(6.0, allocation="uniform"), max_mac_share=1).sites[0]
    with pytest.raises(ActcodecError, match="zvc needs an unprojected site of one width"):
        LosslessOnCodes(projected, "zvc")


def test_raw_bytes_in_a_lossless_coder_lose_nothing() -> None:
    tables = integer_tables(quick_plan(8.0, allocation="raw"))
    sited = sited_network(network())
    test = load_dataset("mnist", "test").head(40)
    with torch.no_grad():
        expected = sited(network().inputs(test.images))
    bits = {}
    for name in CODERS:
        coders = [LosslessOnCodes(site, name) for site in tables.sites]
        result = measure(network(), expected, sited, coders, test, progress=False)
        bits[name] = sum(result.bits)
        assert result.divergence < 1e-3
    values = tables.values * 40
    assert 1 < bits["ebpc"] / values < bits["zvc"] / values < 9


def test_a_cat_layer_clips_and_counts_levels() -> None:
    layer = CatLayer(
        RELU,
        0.0,
        3.0,
        bits=2,
    ).eval()
    a = torch.tensor([-1.0, 0.4, 0.6, 1.4, 2.6, 9.0]).reshape(1, 1, 1, 6)
    assert layer(a).flatten().tolist() == pytest.approx([0, 0, 1, 1, 3, 3])
    assert layer.symbols(a).tolist() == [[0, 0, 1, 1, 3, 3]]
    torch.testing.assert_close(layer.restore(layer.symbols(a), a), layer(a))
    # The upper clip learns from what it cuts; the lower one of a rectified site is fixed.
    layer(a).sum().backward()
    assert layer.dhigh.grad is not None and layer.dhigh.grad > 0
    assert not layer.dlow.requires_grad and CatLayer(LINEAR, -1.0, 1.0, bits=2).dlow.requires_grad


def test_soft_entropy_is_near_the_entropy_of_the_symbols() -> None:
    layer = CatLayer(RELU, 0.0, 15.0, bits=4)
    generator = torch.Generator().manual_seed(0)
    symbols = (torch.rand(8, 4, 6, 6, generator=generator) ** 3 * 15).round()
    layer(symbols)
    counts = np.bincount(symbols.int().flatten().numpy(), minlength=16)
    assert float(layer.entropy.detach()) == pytest.approx(entropy_bits(counts) / symbols.numel(), abs=0.05)


def test_the_price_of_entropy_is_due_above_the_target() -> None:
    sited = sited_network(network())
    layers = cat_layers(network(), sited, split().pool.images[:32], 4, progress=False)
    x = network().inputs(split().pool.images[:8])
    _, free = CatNetwork(sited, layers, 8.0, 0.3).train().with_penalty(x, 0.0)
    _, due = CatNetwork(sited, layers, 0.5, 0.3).train().with_penalty(x, 0.0)
    assert float(free.detach()) == 0 and float(due.detach()) > 0.1
    due.backward()
    assert any(layer.dhigh.grad is not None and float(layer.dhigh.grad) != 0 for layer in layers)


def test_transform_coding_meets_its_target_with_real_streams() -> None:
    sited = sited_network(network())
    images = split().pool.images[:48]
    quantizers, counts = fit(network(), sited, [1.0] * len(sited.sites), images, 2.0, progress=False)
    coders = [HuffmanSite(q, count) for q, count in zip(quantizers, counts, strict=True)]
    test = load_dataset("mnist", "test").head(48)
    with torch.no_grad():
        expected = sited(network().inputs(test.images))
    result = measure(network(), expected, sited, coders, test, progress=False)
    values = 48 * sum(site.values for site in sited.sites)
    assert sum(result.bits) / values == pytest.approx(2.0, abs=0.15)
    assert sum(coder.table_bits for coder in coders) == len(coders) * 1024 * 5
    # Of what was counted, the code is the best prefix code: within a bit of the entropy, never below it.
    again = [HuffmanSite(q, count) for q, count in zip(quantizers, counts, strict=True)]
    recount = count_symbols(network(), sited, quantizers, images, progress=False)
    assert all(np.array_equal(a, b) for a, b in zip(counts, recount, strict=True))
    with torch.no_grad():
        sited(network().inputs(images), lambda site, tensor: again[site](tensor))
    for coder, count in zip(again, counts, strict=True):
        assert entropy_bits(count) <= coder.bits <= entropy_bits(count) + count.sum()


def test_pca_symbols_come_back() -> None:
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(4, 4, generator=generator)).Q
    quantizer = PcaQuantizer(LINEAR, basis, torch.ones(4), 0.03)
    a = torch.randn(3, 4, 6, 6, generator=generator)
    back = quantizer.restore(quantizer.symbols(a), a)
    # Half a step in each of four coefficients.
    assert float((back - a).abs().max()) <= 0.03 + 1e-5
