"""Cycles of the array, overlap of array, memory and codec, and what bounds a layer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from actcodec.graph import Layer, LayerGraph
from actcodec.params import CodecParams
from actcodec.tables.cycles import decode_cycles, encode_cycles
from actcodec.tables.synthetic import synthetic_site
from actcodec_sim.accelerator import RowLayout, ShareLayout, simulate_accelerator
from actcodec_sim.accelerator.compute import tile_cycles
from actcodec_sim.accelerator.config import Array
from actcodec_sim.accelerator.steps import Step, Transfer
from actcodec_sim.accelerator.timing import run_steps
from actcodec_sim.dram import DramDevice, load_device
from actcodec_sim.traffic.site import StoredSite
from support.graphs import GraphBuilder, accelerator


@pytest.fixture(scope="module")
def ddr4() -> DramDevice:
    return load_device("DDR4-2400")


def layer(channels: int, outputs: int, kernel: int = 3, groups: int = 1) -> Layer:
    builder = GraphBuilder((channels, 12, 10))
    builder.conv("a", "input", outputs, kernel, groups=groups)
    return builder.layers[0]


def array(dataflow: str, rows: int = 16, columns: int = 8, **more) -> Array:
    return Array(source="test", rows=rows, columns=columns, dataflow=dataflow, **more)


@pytest.mark.parametrize(
    ("dataflow", "more", "expected"),
    [
        # 9 · 20 taps in 12 loads of 16 rows, 30 outputs in 4 of 8 columns, each 60 positions and 38 cycles to fill.
        ("weight-stationary", {}, 12 * 4 * (60 + 38)),
        ("weight-stationary", {"accumulators": 25}, 12 * 4 * (60 + 3 * 38)),
        # 60 positions on 16 rows, 30 outputs on 8 columns, sums of 180 products.
        ("output-stationary", {}, 4 * 4 * (180 + 38)),
        ("channel-parallel", {}, 9 * 2 * 4 * 60),
        # 5 sets of 3 rows; 6 rows of the output on 8 columns at once; 3 taps for each of 10 columns.
        ("row-stationary", {}, 20 * 30 // 5 * 3 * 10),
    ],
)
def test_cycles_of_a_tile(dataflow, more, expected):
    assert tile_cycles(array(dataflow, **more), layer(20, 30), 6, 10, 30) == expected


@pytest.mark.parametrize(
    ("dataflow", "more", "expected"),
    [
        # Along the diagonal only one group of 9 taps fits 16 rows, but 8 single channels a channel-parallel array.
        ("weight-stationary", {}, 20 * (60 + 38)),
        ("weight-stationary", {"rows": 64}, 3 * (60 + 134)),
        ("weight-stationary", {"depthwise": "per-column"}, 3 * (60 + 38)),
        ("output-stationary", {}, 20 * 4 * (9 + 38)),
        ("channel-parallel", {}, 3 * 9 * 60),
        ("row-stationary", {}, 20 // 5 * 3 * 10),
    ],
)
def test_cycles_of_a_depthwise_tile(dataflow, more, expected):
    assert tile_cycles(array(dataflow, **more), layer(20, 20, groups=20), 6, 10, 20) == expected


@pytest.mark.parametrize("dataflow", ["weight-stationary", "output-stationary", "channel-parallel", "row-stationary"])
@pytest.mark.parametrize(("groups", "kernel"), [(1, 1), (1, 3), (1, 5), (20, 3)])
def test_no_array_is_faster_than_its_multipliers(dataflow, groups, kernel):
    work = layer(20, 20, kernel, groups)
    for rows in (1, 5, 12):
        cycles = tile_cycles(array(dataflow, 12, 14), work, rows, 10, 20)
        assert cycles * 12 * 14 >= work.macs * rows // 12


def transfer(count: int, first: int = 0) -> Transfer:
    return Transfer("weights", (first + np.arange(count)) * 64, np.zeros(count, np.bool_))


def test_a_slot_lasts_as_long_as_the_slowest(ddr4):
    steps = [Step(compute=1000, decode=400, encode=300), Step(compute=200, decode=600, encode=900)]
    time, _ = run_steps(steps, accelerator(), ddr4, 32, shared_codec=False)
    # Load 1; load 2 | compute 1; compute 2 | encode 1; encode 2.
    assert time.total == 400 + 1000 + max(200, 300) + 900
    assert time.slots == 4
    assert time.bounding == {"compute": 1000, "memory": 0, "decoder": 400, "encoder": 300 + 900}
    assert time.bound == "encoder"
    assert time.busy == {"compute": 1200, "memory": 0, "decoder": 1000, "encoder": 1200}


def test_without_double_buffering_nothing_overlaps_but_codec_and_memory(ddr4):
    steps = [Step(compute=1000, decode=400, encode=300), Step(compute=200, decode=600, encode=900)]
    time, _ = run_steps(steps, accelerator(double_buffering=False), ddr4, 32, shared_codec=False)
    assert time.total == 1000 + 400 + 300 + 200 + 600 + 900


def test_encoder_and_decoder_of_one_array_take_turns(ddr4):
    steps = [Step(decode=400, encode=300) for _ in range(3)]
    apart, turns = (run_steps(steps, accelerator(), ddr4, 32, shared_codec=shared)[0] for shared in (False, True))
    assert apart.total == 400 + 400 + 400 + 300 + 300
    assert turns.total == 400 + 400 + 700 + 300 + 300


def test_memory_time_is_the_controllers(ddr4):
    steps = [Step(compute=1, reads=[transfer(1000)]), Step(compute=1, reads=[transfer(1000, 1000)])]
    time, result = run_steps(steps, accelerator(), ddr4, 32, shared_codec=False)
    assert time.bound == "memory"
    assert time.busy["memory"] == pytest.approx(result.cycles * ddr4.timing.tCK)
    # Between bursts without a gap and bursts of one bank group.
    assert ddr4.burst_cycles < result.cycles / 2000 < ddr4.timing.tCCD_L
    assert time.total == pytest.approx(time.busy["memory"], abs=2)


def chain() -> LayerGraph:
    builder = GraphBuilder((16, 16, 16))
    builder.conv("a", "input", 16)
    builder.conv("b", "a", 16)
    return builder.graph()


def test_a_slow_codec_bounds_its_layers(ddr4):
    def bounds(encode: int, decode: int) -> list[str]:
        stored = StoredSite("a", (16, 16, 16), 1, 8 * 2048, 2048, 0, encode, decode)
        report = simulate_accelerator(chain(), accelerator(), ddr4, {"slow": {"a": ShareLayout(stored)}})
        return [unit.bound for unit in report.run("slow").units]

    assert bounds(0, 0) == ["compute", "compute"]
    assert bounds(10**6, 0) == ["encoder", "compute"]
    assert bounds(0, 10**6) == ["compute", "decoder"]


def test_codec_cycles_of_stripes_are_those_of_the_formula():
    site = synthetic_site(np.random.default_rng(1), CodecParams(), "a", (8, 8, 20), order="block-major")
    layout = RowLayout.coded(site)
    assert layout.encode_cycles(8) == encode_cycles(site)
    assert layout.encode_cycles(3) == encode_cycles(site, 3)
    assert layout.decode_cycles(range(8), range(8)) == decode_cycles(site)
    half = layout.decode_cycles(range(2, 6), range(8))
    assert decode_cycles(site) / 2 < half < decode_cycles(site) / 2 + 20 * len(site.planes)
    assert layout.decode_cycles(range(0, 8, 2), range(0, 8, 2)) < decode_cycles(site)


def test_report_holds_together(ddr4):
    site = synthetic_site(np.random.default_rng(1), CodecParams(), "a", (16, 16, 16))
    report = simulate_accelerator(chain(), accelerator(), ddr4, {"coded": {"a": RowLayout.coded(site)}})
    content = json.loads(json.dumps(report.to_json()))
    assert content["schema"] == "actcodec-accelerator"
    assert [codec["codec"] for codec in content["codecs"]] == ["raw8", "coded"]
    for run, shown in zip(report.runs, content["codecs"], strict=True):
        assert shown["macs"] == chain().macs
        assert shown["bytes"]["total"] == sum(unit["bytes"]["total"] for unit in shown["units"])
        assert shown["cycles"] == sum(unit["cycles"] for unit in shown["units"])
        assert sum(shown["bounds"].values()) == pytest.approx(1)
        assert run.energy_pj > run.idle_energy_pj > 0
        for unit in run.units:
            assert unit.requests * 64 == unit.bytes.total
            assert unit.intensity == pytest.approx(unit.macs / unit.bytes.total)
            assert 0 < unit.utilization <= unit.array_utilization <= 1
            assert unit.time.total >= max(unit.time.busy.values())
    assert report.ridge == pytest.approx(16e9 / ddr4.peak_bytes_per_second)
