"""Measured codecs and tables on an accelerator: how they lie in memory, and the energy of what is coded."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from actcodec.codecs import Activity, CodecSizes, CodecStore, SiteShape
from actcodec.codecs.work import Work
from actcodec.errors import ActcodecError
from actcodec.graph import LayerGraph
from actcodec.params import CodecParams
from actcodec.tables import Tables, digest_of
from actcodec.tables.synthetic import synthetic_site, synthetic_tables
from actcodec_sim.accelerator import Accelerator, AcceleratorReport, RowLayout, run_network, simulate_accelerator
from actcodec_sim.dram import load_device
from actcodec_sim.report import accelerator_roofline
from actcodec_sim.traffic import StoredSite, load_energy, run_codecs
from support.codecs import fixed_size
from support.graphs import GraphBuilder, accelerator

DDR4 = load_device("DDR4-2400")
ENERGY = load_energy("45nm")
SHAPE = (16, 8, 8)
WORK = Activity(macs=100, memory_bytes=40, register_bits=1000)


@pytest.fixture(scope="module")
def graph() -> LayerGraph:
    """c adds a to what it makes of b: a has two readers, b one; both have 1024 values."""
    builder = GraphBuilder(SHAPE)
    builder.conv("a", "input", 16)
    builder.conv("b", "a", 16)
    builder.conv("c", "b", 16, shortcut="a")
    return builder.graph()


@pytest.fixture(scope="module")
def tables() -> Tables:
    rng = np.random.default_rng(5)
    sites = tuple(synthetic_site(rng, CodecParams(), name, (8, 8, 16)) for name in "ab")
    return replace(synthetic_tables(1, CodecParams()), sites=sites)


@pytest.fixture(scope="module")
def store(graph: LayerGraph, tables: Tables) -> CodecStore:
    """Raw bytes, 4-bit values with tables, and a code of varying length."""
    codecs = {
        "raw8": fixed_size(8 * 1024),
        "plain4": fixed_size(4 * 1024, table_bytes=80, encode=WORK, decode=WORK),
        "zip": fixed_size(4001, header=4, encode=WORK, decode=WORK),
    }
    return CodecStore(
        network=tables.provenance.network,
        dataset="none",
        images=1,
        correct=1,
        network_macs=graph.macs,
        checkpoint_sha256="0" * 64,
        sites=tuple(
            SiteShape(name=name, channels=16, height=8, width=8, readers=readers, macs=1)
            for name, readers in (("a", 2), ("b", 1))
        ),
        codecs=tuple(CodecSizes(name=name, method="", sites=(found,) * 2) for name, found in codecs.items()),
    )


def run(graph: LayerGraph, chip: Accelerator | None = None, **more) -> AcceleratorReport:
    return run_network(graph, accelerator() if chip is None else chip, DDR4, energy=ENERGY, **more)


def test_values_of_equal_width_have_rows_and_others_a_share(graph, store):
    report = run(graph, store=store)
    assert [run.codec for run in report.runs] == ["raw8", "plain4", "zip"]
    # Two writes and three reads: 512 bytes, and 505 of the other, which are 8 transactions of 64 as well.
    assert [run.bytes.activations for run in report.runs] == [5 * 1024, 5 * 512, 5 * 512]
    assert report.provenance["network"] == store.network
    assert (report.provenance["rows_of_fixed_pitch"], report.provenance["cut_by_share"]) == ("raw8, plain4", "zip")
    plain = RowLayout.packed(StoredSite("a", (6, 8, 9), 1, 0, 216, 80, 0, 0), 4)
    # 9 positions of 6 values of 4 bits are 27 bytes; every second position of every fourth row.
    assert (plain.region_bytes, plain.encoder_table_bytes, plain.decoder_table_bytes) == (8 * 27, 80, 80)
    assert plain.read(range(0, 8, 4), range(0, 9, 2), 16).tolist() == [0, 1, 6, 7, 8]
    assert plain.decoded(range(0, 8, 4), range(0, 9, 2)) == 2 * 5 / 72
    assert plain.encode_cycles(8) == plain.decode_cycles(range(8), range(9)) == 0


@pytest.mark.parametrize(
    ("found", "bits"),
    [
        (fixed_size(8 * 1024), 8),
        (fixed_size(16 * 1024), 16),
        (fixed_size(4 * 1024 - 1), None),
        (fixed_size(4 * 1024, header=4), None),
        (fixed_size(4 * 1024).model_copy(update={"payload_bits_range": (4000, 5000)}), None),
        (fixed_size(4 * 1024).model_copy(update={"stream_bytes": 520}), None),
    ],
)
def test_equal_width_is_seen_in_the_sizes(found, bits):
    assert found.equal_width(1024) == bits


def test_with_room_for_everything_the_codec_works_as_in_the_plain_model(graph, store):
    plain = run_codecs(store, DDR4).energy
    report = run(graph, store=store)
    assert plain is not None and report.energy is not None
    for codec in ("raw8", "plain4", "zip"):
        tiled, whole = report.energy.codec(codec), plain.codec(codec)
        assert tiled.encode == whole.encode and tiled.decode.total == pytest.approx(whole.decode.total)
        assert tiled.loading == 0
    assert report.energy.network_pj == plain.network_pj
    c = report.run("zip").units[2]
    assert (c.site_reads, c.site_writes) == ({"b": 1.0, "a": 1.0}, ())


def test_the_balance_is_what_one_counts_by_hand(graph, store):
    report = run(graph, store=store, load_tables=True)
    assert report.energy is not None
    raw, plain = report.energy.codec("raw8"), report.energy.codec("plain4")
    one = ENERGY.parts(WORK).total
    # 80 bytes of tables are two transactions; a is written once and read twice, b once.
    assert plain.loading == pytest.approx(5 * 128 * ENERGY.memory.value)
    assert plain.codec_pj == pytest.approx((2 + 3) * one + plain.loading)
    assert plain.net_pj == pytest.approx(raw.memory_pj - plain.memory_pj - plain.codec_pj)
    assert (raw.net_pj, raw.codec_pj) == (0, 0)
    units = report.run("plain4").units
    weights = sum(unit.energy_pj * unit.bytes.weights / unit.bytes.total for unit in units)
    assert plain.weights_pj == pytest.approx(weights) and 0 < weights < plain.memory_pj
    content = json.loads(json.dumps(report.to_json()))["energy"]
    assert content["codecs"][1]["net_pj"] == plain.net_pj and content["constants"]["mac"]["source"]
    with pytest.raises(ActcodecError, match="'gone' is unknown; known: raw8, plain4, zip"):
        report.energy.codec("gone")


def test_what_tiles_read_again_is_decoded_again(graph, store):
    # The whole tensor does not fit, but two windows of 5 × 5 positions: each quarter of the output reads one.
    report = run(graph, accelerator(inputs=1023, keep_halo=False), store=store)
    a, b, c = report.run("zip").units
    assert (b.tiling.rows, b.tiling.columns) == (4, 4)
    assert (a.site_reads, b.site_reads) == ({}, {"a": 4 * 25 / 64})
    assert report.energy is not None
    reads = sum(times for unit in (b, c) for times in unit.site_reads.values())
    assert report.energy.codec("zip").decode.total == pytest.approx(reads * ENERGY.parts(WORK).total)


def test_what_stays_on_the_chip_is_neither_coded_nor_decoded(graph, store):
    report = run(graph, accelerator(residency="any"), store=store)
    assert report.energy is not None and report.energy.codec("zip").codec_pj == 0
    assert all(not unit.site_reads and not unit.site_writes for unit in report.run("zip").units)


def test_tables_are_the_streams_of_their_own_and_their_work_is_that_of_the_arrays(graph, tables, store):
    report = run(graph, tables=tables, store=store)
    assert [run.codec for run in report.runs] == ["raw8", "plain4", "zip", "actcodec"]
    layouts = {site.info.name: RowLayout.coded(site) for site in tables.sites}
    alone = simulate_accelerator(graph, accelerator(), DDR4, {"actcodec": layouts})
    assert report.run("actcodec") == alone.run("actcodec")
    assert report.energy is not None and alone.energy is None and "energy" not in alone.to_json()
    macs = [64 * site.encode_multiplications for site in tables.sites]
    balance = report.energy.codec("actcodec")
    assert balance.encode.macs == pytest.approx(sum(macs) * ENERGY.mac.value)
    encode, decode = Work.of_table(tables.sites[0]).activities(100)
    assert (encode.macs, encode.register_bits) == (macs[0], 8 * 1024 + 100)
    assert decode.macs == decode.memory_bytes == 64 * tables.sites[0].decode_multiplications
    assert report.provenance["tables_digest"] == digest_of(tables)


def test_codecs_of_other_tables_or_another_network_are_refused(graph, tables, store):
    other = store.model_copy(update={"tables_digest": "0" * 64})
    with pytest.raises(ActcodecError, match="not those that the codecs were measured with"):
        run(graph, tables=tables, store=other)
    other = store.model_copy(update={"network": "other"})
    with pytest.raises(ActcodecError, match="network = 'other', the tables' is"):
        run(graph, tables=tables, store=other)


def test_the_roofline_holds_the_layers_of_three_codecs_at_most(graph, tables, store):
    report = run(graph, tables=tables, store=store)
    roofline = accelerator_roofline(report, "actcodec")
    fastest = min(("plain4", "zip"), key=lambda name: report.run(name).nanoseconds)
    assert list(roofline.points) == [run.codec for run in report.runs if run.codec in ("raw8", fastest, "actcodec")]
    assert roofline.peak_macs == 16 and roofline.ridge == pytest.approx(report.ridge)
    for codec, points in roofline.points.items():
        for point, unit in zip(points, report.run(codec).units, strict=True):
            assert (point.name, point.macs, point.cycles, point.bound) == (
                unit.name,
                unit.macs,
                unit.cycles,
                unit.bound,
            )
            assert point.rate <= min(roofline.peak_macs, point.intensity * roofline.peak_bytes)
    assert list(accelerator_roofline(run(graph, store=store), "zip").points) == ["raw8", "plain4", "zip"]
