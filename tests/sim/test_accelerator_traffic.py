"""Bytes of layers that are small enough to count by hand, and what must hold for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec.errors import ActcodecError
from actcodec.graph import LayerGraph
from actcodec.params import CodecParams
from actcodec.tables.synthetic import synthetic_site
from actcodec_sim.accelerator import Accelerator, AcceleratorRun, RowLayout, ShareLayout, simulate_accelerator
from actcodec_sim.accelerator.cut import Cuts
from actcodec_sim.accelerator.plan import plan
from actcodec_sim.accelerator.search import Search
from actcodec_sim.accelerator.steps import Addresses, unit_steps
from actcodec_sim.accelerator.unit import units_of
from actcodec_sim.dram import DramDevice, load_device
from actcodec_sim.traffic import simulate_traffic, site_traffic
from actcodec_sim.traffic.site import StoredSite
from support.graphs import GraphBuilder, accelerator

T = 64


@pytest.fixture(scope="module")
def ddr4() -> DramDevice:
    return load_device("DDR4-2400")


def run(graph: LayerGraph, chip: Accelerator, device: DramDevice, **codec) -> AcceleratorRun:
    report = simulate_accelerator(graph, chip, device, {"coded": codec} if codec else {})
    return report.runs[-1]


def one_conv(channels: int = 16, kernel: int = 3, **more) -> LayerGraph:
    """16 × 16 × 8: a row of the input is 128 bytes, two transactions, and 16 channels of the output have the same."""
    builder = GraphBuilder((16, 16, 8))
    builder.conv("a", "input", channels, kernel, **more)
    return builder.graph()


# --- by hand


def test_with_room_for_everything_each_tensor_moves_once(ddr4):
    unit = run(one_conv(), accelerator(), ddr4).units[0]
    assert unit.bytes.others_read == unit.bytes.others_write == 16 * 128
    assert unit.bytes.weights == 16 * 16 * 9
    assert (unit.reread_bytes, unit.bytes.modify, unit.bytes.activations) == (0, 0, 0)


def test_halo_rows_are_read_again_by_every_stripe_that_needs_them(ddr4):
    # Two windows of 4 rows of 128 bytes: stripes of 2 rows, of which the inner ones read 4 rows and the outer ones 3.
    chip = accelerator(inputs=2 * 4 * 128, keep_halo=False)
    unit = run(one_conv(), chip, ddr4).units[0]
    assert (unit.tiling.rows, unit.tiling.columns) == (2, 8)
    assert unit.bytes.others_read == (3 + 6 * 4 + 3) * 128
    assert unit.reread_bytes == 14 * 128


def test_halo_rows_that_stay_are_read_once(ddr4):
    # A ring of 3 rows and the next one.
    unit = run(one_conv(), accelerator(inputs=4 * 128), ddr4).units[0]
    assert unit.tiling.rows == 1
    assert unit.bytes.others_read == 16 * 128


def test_narrow_tiles_read_columns_again(ddr4):
    # Not even 3 rows fit twice: half rows with a halo of one column, 5 positions of 16 bytes: 2 transactions.
    chip = accelerator(inputs=2 * 3 * 5 * 16, keep_halo=False)
    unit = run(one_conv(), chip, ddr4).units[0]
    assert (unit.tiling.rows, unit.tiling.columns) == (1, 4)
    assert unit.bytes.others_read == (2 * 2 + 14 * 3) * 2 * 2 * T
    assert unit.bytes.others_write == 16 * 128


def test_weights_that_do_not_fit_are_read_for_every_stripe(ddr4):
    chip = accelerator(inputs=4 * 128, weights=1000, loop_order="rows-outer")
    unit = run(one_conv(), chip, ddr4).units[0]
    assert unit.bytes.others_read == 16 * 128
    assert unit.bytes.weights == 16 * 2304


def test_inputs_are_read_again_for_every_part_of_the_channels(ddr4):
    # 8 of 16 channels have 1152 bytes of weights; two such parts do not fit, nor do the inputs.
    chip = accelerator(inputs=4 * 128, weights=2303, loop_order="channels-outer")
    unit = run(one_conv(), chip, ddr4).units[0]
    assert (unit.tiling.order, unit.tiling.channels) == ("channels-outer", 4)
    assert unit.bytes.others_read == 4 * 16 * 128
    assert unit.bytes.weights == 2304
    assert unit.staging_bytes == 16 * 128


def test_inputs_that_fit_are_read_once_for_all_parts_of_the_channels(ddr4):
    chip = accelerator(weights=2303, loop_order="channels-outer")
    unit = run(one_conv(), chip, ddr4).units[0]
    assert unit.tiling.hold_inputs and unit.tiling.channels < 16
    assert (unit.bytes.others_read, unit.bytes.weights) == (16 * 128, 2304)


def test_channels_that_the_array_does_not_finish_together_are_staged(ddr4):
    # 4 columns: 16 channels wait, of one row twice; 4 channels of it do not.
    wide, narrow = (run(one_conv(c), accelerator(inputs=4 * 128), ddr4).units[0] for c in (16, 4))
    assert (wide.tiling.rows, wide.staging_bytes) == (1, 2 * 128)
    assert (narrow.tiling.rows, narrow.staging_bytes) == (1, 0)


def test_staging_is_checked_against_its_memory(ddr4):
    unit = run(one_conv(), accelerator(outputs=256), ddr4).units[0]
    assert unit.staging_bytes == 256
    with pytest.raises(
        ActcodecError, match="memory outputs: bytes = 255, but layer a needs 256 in its smallest tiling"
    ):
        run(one_conv(), accelerator(outputs=255), ddr4)


def test_strided_reader_of_single_positions_skips_rows_and_transactions(ddr4):
    # 1×1, stride 2, of raw bytes: rows 0, 2, 4, 6; columns 0, 2, 4, 6 of 64 bytes each.
    builder = GraphBuilder((64, 8, 8))
    builder.conv("a", "input", 64, kernel=1, stride=2)
    unit = run(builder.graph(), accelerator(), ddr4).units[0]
    assert unit.bytes.others_read == 4 * 4 * 64


def strided_shortcut() -> LayerGraph:
    """The shortcut of c takes every other position of a, 16 × 8 × 8."""
    builder = GraphBuilder((16, 8, 8))
    builder.conv("a", "input", 16)
    builder.conv("b", "a", 16, stride=2)
    builder.conv("c", "b", 16, shortcut="a")
    builder.conv("d", "c", 16)
    return builder.graph()


def test_strided_shortcut_reads_every_other_row_of_a_stream(ddr4):
    site = synthetic_site(np.random.default_rng(1), CodecParams(), "a", (8, 8, 16))
    layout = RowLayout.coded(site)
    pitch = site.planes[0].pitch_bits // 8
    word = site.params.word_bits // 8
    # From the word of column 0 to the word of column 6, in transactions that rows may share.
    row = -(-7 * site.planes[0].position_bits // (8 * word)) * word
    expected = {t for y in (0, 2, 4, 6) for t in range(y * pitch // T, -(-(y * pitch + row) // T))}
    assert layout.read(range(0, 8, 2), range(0, 8, 2), T).tolist() == sorted(expected)
    c = run(strided_shortcut(), accelerator(), ddr4, a=layout).units[2]
    assert c.bytes.activations_read == 16 * 16 + len(expected) * T


def residual() -> LayerGraph:
    """c adds a to what it makes of b; all tensors have 1024 bytes."""
    builder = GraphBuilder((16, 8, 8))
    builder.conv("a", "input", 16)
    builder.conv("b", "a", 16)
    builder.conv("c", "b", 16, shortcut="a")
    return builder.graph()


def test_shortcut_is_read_twice_unless_it_stays(ddr4):
    away = run(residual(), accelerator(), ddr4)
    assert (away.bytes.activations_write, away.bytes.activations_read) == (2 * 1024, 3 * 1024)
    resident = run(residual(), accelerator(residency="shortcuts"), ddr4)
    assert (resident.bytes.activations_write, resident.bytes.activations_read) == (1024, 1024)
    assert [unit.resident for unit in resident.units] == [("a",), ("a",), ("a",)]
    anything = run(residual(), accelerator(residency="any"), ddr4)
    assert anything.bytes.activations == 0


def test_shortcut_that_does_not_fit_goes_through_memory(ddr4):
    # c has a, 1024 bytes, and the staging of a row, 2 × 128, in the memory of outputs.
    for size, reads in ((1024 + 256, 1024), (1024 + 255, 3 * 1024)):
        found = run(residual(), accelerator(outputs=size, residency="shortcuts"), ddr4)
        assert found.bytes.activations_read == reads


def test_decoded_once_is_written_and_read_once(ddr4):
    found = run(residual(), accelerator(decode="once"), ddr4)
    assert (found.bytes.activations_write, found.bytes.activations_read) == (2 * 1024, 2 * 1024)
    assert [unit.resident for unit in found.units] == [(), ("a",), ("a",)]


def test_codec_decodes_kept_tensors_once(ddr4):
    site = synthetic_site(np.random.default_rng(2), CodecParams(), "a", (8, 8, 16))
    each, once = (
        run(residual(), accelerator(decode=how), ddr4, a=RowLayout.coded(site)) for how in ("per-reader", "once")
    )
    assert sum(unit.time.busy["decoder"] > 0 for unit in each.units) == 2
    assert sum(unit.time.busy["decoder"] > 0 for unit in once.units) == 1


def inverted(stride: int = 1, shortcut: bool = True) -> LayerGraph:
    """Expansion from 16 to 32 channels, depthwise, projection with a shortcut from the block's input."""
    builder = GraphBuilder((16, 8, 8))
    builder.conv("in", "input", 16)
    builder.conv("expand", "in", 32, kernel=1)
    builder.conv("depthwise", "expand", 32, groups=32, stride=stride)
    builder.conv("project", "depthwise", 16, kernel=1, shortcut="in" if shortcut else None)
    builder.conv("out", "project", 16)
    return builder.graph()


def test_fused_inverted_residual_moves_its_ends_only(ddr4):
    apart, fused = (run(inverted(), accelerator(fuse_inverted_residuals=on), ddr4) for on in (False, True))
    assert apart.bytes.activations_write == 1024 + 2048 + 2048 + 1024
    assert apart.bytes.activations_read == 2 * 1024 + 2048 + 2048 + 1024
    block = fused.units[1]
    assert block.layers == ("expand", "depthwise", "project")
    # The shortcut's rows are among those that the expansion reads.
    assert (block.bytes.activations_read, block.bytes.activations_write) == (1024, 1024)
    assert block.macs == sum(layer.macs for layer in inverted().layers[1:4])


def test_fused_chain_needs_the_halo_of_what_is_inside(ddr4):
    # A stripe of one row: 3 rows of 32 × 8 expanded values, one of the depthwise's, two rows of 16 × 8 staged.
    needed = 3 * 256 + 256 + 2 * 128
    fits = run(inverted(), accelerator(outputs=needed, fuse_inverted_residuals=True), ddr4).units[1]
    assert fits.memory_bytes["outputs"] == needed
    assert len(fits.layers) == 3
    tight = run(inverted(), accelerator(outputs=needed - 1, fuse_inverted_residuals=True), ddr4)
    assert len(tight.units) > 3


def test_fused_chain_computes_every_row_once(ddr4):
    whole, rows = (
        run(inverted(2, False), accelerator(inputs=size, fuse_inverted_residuals=True), ddr4).units[1]
        for size in (1 << 30, 5 * 128)
    )
    assert rows.tiles > whole.tiles == 1 or whole.tiles > 1
    assert rows.compute_cycles == whole.compute_cycles
    assert rows.bytes.activations_read == 1024


def test_stripes_of_a_stream_share_their_transactions_once(ddr4):
    # A row of the stream is not a whole number of transactions; stripes of one row still move each once.
    site = synthetic_site(np.random.default_rng(3), CodecParams(), "a", (8, 8, 16))
    sizes = site.sizes(T)
    found = run(residual(), accelerator(inputs=1024), ddr4, a=RowLayout.coded(site))
    a, b, c = found.units
    whole = -(-sizes.stream_bytes // T) * T
    assert a.bytes.activations_write == whole
    assert a.bytes.modify == (T if sizes.stream_bytes % T else 0)
    assert b.bytes.activations_read == whole
    assert c.bytes.activations_read == 1024 + whole


def test_stripes_of_a_code_of_variable_length_are_rounded_up(ddr4):
    stored = StoredSite("a", (16, 8, 8), 2, 8 * 500, 500, 0, 80, 160)
    layout = ShareLayout(stored)
    assert layout.count(range(8), range(8), T) == 8
    assert [len(part) for part in layout.write([range(0, 4), range(4, 8)], T)] == [4, 4]
    assert [len(part) for part in layout.write([range(y, y + 1) for y in range(8)], T)] == [1] * 8
    assert layout.count(range(0, 8, 2), range(0, 8, 2), T) == len(layout.read(range(0, 7), range(0, 7), T))
    assert (layout.encode_cycles(4), layout.decode_cycles(range(4), range(8))) == (40, 80)
    unit = run(residual(), accelerator(), ddr4, a=layout).units[0]
    assert unit.bytes.activations_write == 512


def test_tables_are_loaded_where_they_are_needed(ddr4):
    site = synthetic_site(np.random.default_rng(2), CodecParams(), "a", (8, 8, 16))
    layout = RowLayout.coded(site)
    codec = {"coded": {"a": layout}}
    report = simulate_accelerator(residual(), accelerator(), ddr4, codec, load_tables=True)
    up = [-(-size // T) * T for size in (layout.encoder_table_bytes, layout.decoder_table_bytes)]
    assert [unit.bytes.tables for unit in report.run("coded").units] == [up[0], up[1], up[1]]
    shared = int((site.arrays.width > 0).sum()) + (site.coefficients + 1) // 2
    assert layout.encoder_table_bytes + layout.decoder_table_bytes == site.table_bytes + shared
    assert simulate_accelerator(residual(), accelerator(), ddr4, codec).run("coded").bytes.tables == 0


def test_total_of_the_sites_is_that_of_the_plain_traffic_model(ddr4):
    rng = np.random.default_rng(5)
    sites = [synthetic_site(rng, CodecParams(), name, (8, 8, 16)) for name in ("a", "b")]
    readers = {"a": 2, "b": 1}
    traffic = [replace(site_traffic(site, T), readers=readers[site.info.name]) for site in sites]
    plain = simulate_traffic(traffic, ddr4)
    report = simulate_accelerator(
        residual(), accelerator(), ddr4, {"actcodec": {site.info.name: RowLayout.coded(site) for site in sites}}
    )
    for name in ("raw8", "actcodec"):
        moved = sum(site.moved_bytes for site in plain.codec(name).sites)
        assert report.run(name).bytes.activations == moved


def test_partial_transaction_of_an_output_is_counted_with_its_tensor(ddr4):
    builder = GraphBuilder((16, 8, 8))
    builder.conv("a", "input", 3)
    builder.conv("b", "a", 1, kernel=1, stride=2)
    a, b = run(builder.graph(), accelerator(), ddr4).units
    assert (a.bytes.activations_write, a.bytes.modify, a.bytes.others_read) == (3 * 64, 0, 1024)
    # 16 bytes of no site: a transaction is read and written.
    assert (b.bytes.others_write, b.bytes.others_read, b.bytes.modify) == (64, 64, 0)


def test_site_that_stores_nothing_moves_nothing(ddr4):
    site = synthetic_site(np.random.default_rng(1), CodecParams(), "a", (8, 8, 16), max_width=0)
    found = run(residual(), accelerator(), ddr4, a=RowLayout.coded(site))
    assert found.units[0].bytes.activations == 0
    assert found.units[1].bytes.activations_read == 0


# --- for all


@st.composite
def graphs(draw) -> LayerGraph:
    builder = GraphBuilder((draw(st.integers(1, 20)), draw(st.integers(3, 12)), draw(st.integers(3, 12))))
    name = "input"
    for number in range(draw(st.integers(1, 3))):
        given_channels = builder.tensors[name].channels
        depthwise = draw(st.booleans()) and given_channels > 1
        same = [n for n, t in builder.tensors.items() if n != "input" and n != name]
        channels = given_channels if depthwise else draw(st.integers(1, 40))
        kernel, stride = draw(st.sampled_from([(1, 1), (1, 2), (3, 1), (3, 2), (2, 2), (5, 1)]))
        pad = kernel // 2
        small = min(builder.tensors[name].height, builder.tensors[name].width)
        if small + 2 * pad < kernel:
            kernel, pad, stride = 1, 0, 1
        source = name
        name = builder.conv(
            f"l{number}", source, channels, kernel, stride, groups=channels if depthwise else 1, pad=pad
        )
        made = builder.tensors[name]
        for other in same:
            t = builder.tensors[other]
            if (t.height, t.width) == (made.height, made.width) and draw(st.booleans()):
                layer = builder.layers.pop()
                builder.conv(
                    name, source, channels, kernel, stride, shortcut=other, groups=channels if depthwise else 1, pad=pad
                )
                assert layer.name == name
                break
    return builder.graph()


SIZES = st.sampled_from([300, 1000, 3000, 10_000, 100_000, 1 << 30])
SCHEDULES = st.fixed_dictionaries(
    {
        "keep_halo": st.booleans(),
        "double_buffering": st.booleans(),
        "loop_order": st.sampled_from(["best", "rows-outer", "channels-outer"]),
        "residency": st.sampled_from(["none", "shortcuts", "any"]),
        "decode": st.sampled_from(["once", "per-reader"]),
        "fuse_inverted_residuals": st.booleans(),
    }
)
DEVICE = load_device("DDR4-2400")


def planned(graph: LayerGraph, chip: Accelerator):
    layouts = {tensor.name: RowLayout.raw(tensor) for tensor in graph.tensors}
    search = Search(chip, DEVICE, layouts, Cuts(chip.schedule.keep_halo))
    return layouts, plan(graph, chip, search, units_of(graph, fuse=chip.schedule.fuse_inverted_residuals))


@settings(max_examples=60, deadline=None)
@given(graphs(), SIZES, SIZES, SIZES, SCHEDULES)
def test_everything_is_written_once_and_read_at_least_once(graph, inputs, weights, outputs, schedule):
    chip = accelerator(inputs, weights, outputs, **schedule)
    try:
        layouts, choices = planned(graph, chip)
    except ActcodecError:
        return
    places = Addresses(graph, layouts, DEVICE)
    assert [layer for choice in choices for layer in choice.tiled.unit.layers] == list(graph.layers)
    for choice in choices:
        tiled = choice.tiled
        unit = tiled.unit
        assert all(need <= m.bytes for need, m in zip(tiled.memory_bytes(), chip.memory, strict=True))
        steps = unit_steps(tiled, layouts, places, T, load_tables=False)
        moved = sum(len(t.address) for step in steps for t in (*step.reads, *step.writes)) * T
        assert moved == choice.cost.bytes
        reads = np.concatenate([np.zeros(0, np.int64), *(t.address for s in steps for t in s.reads)])
        writes = np.concatenate([np.zeros(0, np.int64), *(t.address[t.is_write] for s in steps for t in s.writes)])
        base = places.tensors[unit.output.name]
        region = [] if tiled.residence.output else list(range(base, base + unit.output.values, T))
        assert writes.tolist() == region
        for tensor in tiled.streamed():
            rows, columns = unit.window(tensor, range(unit.output.height), range(unit.output.width))
            wanted = places.tensors[tensor.name] + layouts[tensor.name].read(rows, columns, T) * T
            assert np.isin(wanted, reads).all()
        # Tiles cover rows, columns and channels without overlap.
        for parts, size in (
            (tiled.cut.stripes, unit.output.height),
            (tiled.cut.column_parts, unit.output.width),
            (tiled.channel_parts, unit.output.channels),
        ):
            assert [index for part in parts for index in part] == list(range(size))


@settings(max_examples=40, deadline=None)
@given(graphs(), SIZES, SIZES, SIZES, SCHEDULES, st.sampled_from(["inputs", "weights", "outputs"]))
def test_more_memory_never_moves_more_bytes(graph, inputs, weights, outputs, schedule, larger):
    sizes = {"inputs": inputs, "weights": weights, "outputs": outputs}
    try:
        _, before = planned(graph, accelerator(**sizes, **schedule))
    except ActcodecError:
        return
    _, after = planned(graph, accelerator(**{**sizes, larger: 4 * sizes[larger]}, **schedule))
    assert sum(choice.cost.bytes for choice in after) <= sum(choice.cost.bytes for choice in before)


@settings(max_examples=40, deadline=None)
@given(graphs(), st.booleans())
def test_without_limits_each_tensor_moves_once_a_reader(graph, keep_halo):
    _, choices = planned(graph, accelerator(keep_halo=keep_halo))
    for choice in choices:
        unit = choice.tiled.unit
        whole = range(unit.output.height), range(unit.output.width)
        layouts = {tensor.name: RowLayout.raw(tensor) for tensor in unit.inputs}
        assert choice.cost.read == T * sum(layouts[t.name].count(*unit.window(t, *whole), T) for t in unit.inputs)
        assert choice.cost.write == -(-unit.output.values // T) * T
        assert choice.cost.weights == -(-unit.weight_bytes // T) * T
