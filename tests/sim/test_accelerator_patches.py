"""Patches of pixels on an accelerator: whatever a window has a pixel of is read, and no more than that."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actcodec.errors import ActcodecError
from actcodec.params import CodecParams
from actcodec.tables import Tables
from actcodec.tables.synthetic import synthetic_site, synthetic_tables
from actcodec_sim.accelerator import RowLayout, run_network
from actcodec_sim.accelerator.patches import PatchLayout, by_the_pixel
from actcodec_sim.dram import load_device
from actcodec_sim.traffic import load_energy
from support.graphs import GraphBuilder, accelerator

PARAMS = CodecParams()
SIDE, PIXELS = 2, 12
ROWS = RowLayout.coded(synthetic_site(np.random.default_rng(3), PARAMS, "a", (6, 6, 64)))
LAYOUT = PatchLayout(ROWS, SIDE)


@st.composite
def windows(draw: st.DrawFn) -> range:
    first = draw(st.integers(0, PIXELS - 1))
    return range(first, draw(st.integers(first + 1, PIXELS)), draw(st.sampled_from([1, 1, 2, 4])))


def hit(pixels: range) -> range:
    """Every patch with a pixel of the range, one by one."""
    patches = sorted({pixel // SIDE for pixel in pixels})
    steps = set(np.diff(patches).tolist()) or {1}
    assert len(steps) == 1, "the strides here meet patches at equal distances"
    return range(patches[0], patches[-1] + 1, steps.pop())


@given(rows=windows(), columns=windows())
def test_a_window_reads_the_patches_it_has_a_pixel_of(rows: range, columns: range) -> None:
    expected = ROWS.read(hit(rows), hit(columns), 64)
    assert np.array_equal(LAYOUT.read(rows, columns, 64), expected)
    assert LAYOUT.count(rows, columns, 64) == len(expected)
    assert LAYOUT.decode_cycles(rows, columns) == ROWS.decode_cycles(hit(rows), hit(columns))
    assert LAYOUT.decoded(rows, columns) == len(hit(rows)) * len(hit(columns)) / 36


@given(cuts=st.sets(st.integers(1, PIXELS - 1)))
def test_stripes_write_every_transaction_once(cuts: set[int]) -> None:
    ends = [0, *sorted(cuts), PIXELS]
    stripes = [range(a, b) for a, b in pairwise(ends)]
    written = LAYOUT.write(stripes, 64)
    assert np.array_equal(np.sort(np.concatenate(written)), np.arange(-(-ROWS.region_bytes // 64)))
    assert LAYOUT.write_count(stripes, 64) == sum(map(len, written))
    for rows, numbers in zip(stripes, written, strict=True):
        # A row of patches leaves with its last row of pixels, its transactions with the row that ends in them.
        allowed = LAYOUT.read(range(rows.start // 2 * 2, rows.stop // 2 * 2), range(PIXELS), 64)
        assert set(numbers) <= set(allowed.tolist())


def test_a_stripe_that_begins_inside_a_patch_reads_it_anew() -> None:
    whole = range(PIXELS)
    first, second = range(0, 5), range(5, 12)
    assert LAYOUT.count(first, whole, 64) == ROWS.count(range(0, 3), range(6), 64)
    assert LAYOUT.count(second, whole, 64, held=range(4, 5)) == ROWS.count(range(2, 6), range(6), 64)
    # At the edge of a patch only the transaction that both share is still there.
    assert LAYOUT.count(range(4, 12), whole, 64, held=range(3, 4)) == ROWS.count(
        range(2, 6), range(6), 64, held=range(1, 2)
    )
    assert LAYOUT.encode_cycles(5) == ROWS.encode_cycles(3)
    assert LAYOUT.read(range(0), whole, 64).size == 0


def test_only_shapes_of_patches_are_taken_for_such() -> None:
    assert by_the_pixel(ROWS, (64, 6, 6)) is ROWS
    found = by_the_pixel(ROWS, (16, 12, 12))
    assert isinstance(found, PatchLayout) and found.shape == (16, 12, 12) and found.region_bytes == ROWS.region_bytes
    for shape in ((64, 12, 12), (16, 12, 6), (16, 13, 12), (16, 3, 3)):
        assert by_the_pixel(ROWS, shape) is None


def tables_of(shape: tuple[int, int, int]) -> Tables:
    rng = np.random.default_rng(5)
    sites = tuple(synthetic_site(rng, PARAMS, name, shape, keep=0.5) for name in "ab")
    return replace(synthetic_tables(1, PARAMS), sites=sites)


def test_a_network_runs_with_its_sites_in_patches() -> None:
    builder = GraphBuilder((16, 8, 8))
    for name, source, shortcut in (("a", "input", None), ("b", "a", None), ("c", "b", "a")):
        builder.conv(name, source, 16, **({} if shortcut is None else {"shortcut": shortcut}))
    chip, device, energy = accelerator(), load_device("DDR4-2400"), load_energy("45nm")
    tables = tables_of((4, 4, 64))
    report = run_network(builder.graph(), chip, device, energy=energy, tables=tables)
    moved = report.run("actcodec")
    streams = {site.info.name: -(-site.sizes(1).stream_bytes // 64) * 64 for site in tables.sites}
    # With room for everything each tensor is written once and read once by each of its readers.
    assert [unit.site_writes for unit in moved.units] == [("a",), ("b",), ()]
    assert [unit.site_reads for unit in moved.units] == [{}, {"a": 1.0}, {"b": 1.0, "a": 1.0}]
    assert [unit.bytes.activations_write for unit in moved.units] == [streams["a"], streams["b"], 0]
    assert [unit.bytes.activations_read for unit in moved.units] == [0, streams["a"], streams["a"] + streams["b"]]
    assert report.energy is not None and report.energy.codec("actcodec").codec_pj > 0
    with pytest.raises(ActcodecError, match=r"site 'a' is \(48, 4, 4\), the network's is \(16, 8, 8\)"):
        run_network(builder.graph(), chip, device, energy=energy, tables=tables_of((4, 4, 48)))
