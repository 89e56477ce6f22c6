"""Bytes, cycles and energy of frames small enough to count by hand."""

import dataclasses
import json

import pytest

from actcodec.errors import ActcodecError
from actcodec_sim.dram import DramDevice, load_device
from actcodec_sim.traffic import Pacing, SiteTraffic, TrafficReport, simulate_traffic


@pytest.fixture(scope="module")
def ddr4() -> DramDevice:
    return load_device("DDR4-2400")


def site(name: str = "a", **changes) -> SiteTraffic:
    """Two readers; 300 stream bytes are 4.6875 transactions of 64."""
    figures = {
        "channels": 16,
        "height": 6,
        "width": 8,
        "readers": 2,
        "payload_bits": 2001,
        "stream_bytes": 300,
        "table_bytes": 100,
        "raw_bytes": 768,
    }
    return SiteTraffic(name, **{**figures, **changes})


@pytest.fixture(scope="module")
def report(ddr4) -> TrafficReport:
    return simulate_traffic([site("a"), site("b", stream_bytes=256, readers=1, table_bytes=0)], ddr4)


def test_bytes_of_a_stream_that_ends_inside_a_transaction(report):
    a = report.codec("actcodec").sites[0]
    assert (a.write_bytes, a.read_bytes, a.modify_bytes) == (5 * 64, 2 * 5 * 64, 64)
    assert (a.payload_bytes, a.padding_bytes) == (3 * 2001 / 8, 3 * (300 - 2001 / 8))
    assert a.rounding_bytes == 3 * 20
    assert a.table_bytes == 128
    assert a.moved_bytes == 15 * 64 + 64
    assert a.moved_bytes == a.payload_bytes + a.padding_bytes + a.rounding_bytes + a.modify_bytes
    assert a.requests == 16


def test_bytes_of_a_stream_of_whole_transactions(report):
    b = report.codec("actcodec").sites[1]
    assert (b.write_bytes, b.read_bytes, b.modify_bytes) == (256, 256, 0)
    assert (b.rounding_bytes, b.table_bytes) == (0, 0)


def test_raw_moves_every_value_once_an_access(report):
    raw = report.codec("raw8")
    assert raw.moved_bytes(1) == raw.moved_bytes(16) == 768 * 3 + 768 * 2
    assert raw.bpv_stream() == raw.bpv_net(1) == 8
    assert [raw.ratio(bits, 1) for bits in (8, 16, 32)] == [1, 2, 4]


def test_totals_and_ratios(report):
    coded = report.codec("actcodec")
    assert coded.bpv_stream() == 8 * 556 / 1536
    assert coded.bpv_net(1) == 8 * 656 / 1536
    assert coded.bpv_net(16) == 8 * (556 + 100 / 16) / 1536
    assert coded.moved_bytes(1) == 1024 + 512 + 128
    assert coded.moved_bytes(16) == 1024 + 512 + 128 / 16
    assert coded.ratio(8, 1) == (768 * 5) / 1664
    assert coded.ratio(32, 16) == (768 * 5 * 4) / 1544


def test_cycles_and_hits_of_the_sites_add_up_to_the_frame(report):
    for codec in report.codecs:
        frame = codec.memory_limited.resident
        assert sum(s.cycles for s in codec.sites) == frame.cycles
        assert sum(s.row_hits for s in codec.sites) == frame.row_hits
        assert sum(s.requests for s in codec.sites) == frame.requests
        assert frame.requests * 64 == sum(s.moved_bytes for s in codec.sites)


def test_cycles_of_a_frame_of_one_transaction_an_access(ddr4):
    tiny = site(readers=1, payload_bits=512, stream_bytes=64, table_bytes=0)
    coded = simulate_traffic([tiny], ddr4).codec("actcodec")
    # Two queues, ACT, WR and its data; the read then waits for the write's tWTR_L and finds the row open.
    assert coded.memory_limited.resident.cycles == 2 + 17 + 12 + 4 + 9 + 17 + 4
    assert coded.memory_limited.resident.row_hits == 1
    assert coded.memory_limited.reloaded == coded.memory_limited.resident


def test_read_modify_write_reads_before_the_last_write(ddr4):
    coded = simulate_traffic([site(stream_bytes=260, table_bytes=0)], ddr4).codec("actcodec")
    whole = simulate_traffic([site(stream_bytes=320, table_bytes=0)], ddr4).codec("actcodec")
    assert coded.memory_limited.resident.cycles > whole.memory_limited.resident.cycles


def test_tables_cost_cycles_and_energy_by_batch(report):
    costs = report.codec("actcodec").memory_limited
    assert costs.cycles(1) == costs.reloaded.cycles > costs.resident.cycles
    extra = costs.reloaded.cycles - costs.resident.cycles
    assert costs.cycles(16) == costs.resident.cycles + extra / 16
    assert costs.energy_pj(1) > costs.energy_pj(16) > costs.resident.energy.total


def test_pacing_by_the_codec_stretches_the_frame(ddr4):
    slow = site(readers=1, encode_cycles=10_000, decode_cycles=20_000)
    coded = simulate_traffic([slow], ddr4, pacing=Pacing(clock_mhz=1000)).codec("actcodec")
    # The last write waits for the last byte; the last read is offered 4/5 into its stream.
    expected = 10_000 / 0.83 + 20_000 / 0.83 * 4 / 5
    assert expected < coded.paced.resident.cycles < expected + 150
    assert coded.memory_limited.resident.cycles < 400


def test_pacing_by_the_accelerator_holds_for_both_codecs(ddr4):
    paced = simulate_traffic([site(readers=1)], ddr4, pacing=Pacing(1000, values_per_cycle=0.1))
    for codec in paced.codecs:
        assert codec.paced.resident.cycles > 2 * 7680 / 0.83 * 0.75


def test_memory_cycles_of_a_pace():
    assert Pacing(500).memory_cycles(100, 83, 0.83) == 200
    assert Pacing(500, values_per_cycle=1).memory_cycles(100, 83, 0.83) == 241
    assert Pacing().memory_cycles(100, 0, 0.83) == 0


def test_report_is_json_with_every_counted_byte(report):
    content = json.loads(json.dumps(report.to_json()))
    coded = content["codecs"][1]
    assert content["device"]["name"] == "DDR4-2400"
    assert content["device"]["timing"]["source"]
    assert coded["batch_1"]["moved_bytes"] == 1664
    assert coded["batch_1"]["ratio"]["8_bit"] == pytest.approx(3840 / 1664)
    assert coded["write_bytes"] == sum(s["write_bytes"] for s in coded["sites"])
    assert coded["sites"][0]["shape"] == [16, 6, 8]
    assert coded["sites"][0]["stored_table_bytes"] == 100


def test_empty_stream_moves_nothing(ddr4):
    coded = simulate_traffic([site(payload_bits=0, stream_bytes=0), site("b")], ddr4).codec("actcodec")
    assert coded.sites[0].moved_bytes == coded.sites[0].requests == coded.sites[0].cycles == 0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"readers": 0}, "site a: readers: 0 is below 1"),
        ({"table_bytes": -1}, "site a: table_bytes: -1 is negative"),
        ({"payload_bits": 2401}, "stream_bytes: 300 cannot hold the 2401 payload bits"),
        ({"raw_bytes": 767}, "raw_bytes: 767 cannot hold 768"),
    ],
)
def test_impossible_site_is_refused(changes, problem):
    with pytest.raises(ActcodecError, match=problem):
        site(**changes)


def test_impossible_frames_are_refused(ddr4):
    with pytest.raises(ActcodecError, match="there is none"):
        simulate_traffic([], ddr4)
    with pytest.raises(ActcodecError, match="'a' occurs twice"):
        simulate_traffic([site(), site()], ddr4)
    small = ddr4.model_copy(update={"organization": ddr4.organization.model_copy(update={"rows": 1})})
    large = site("large", channels=512, height=256, width=256, raw_bytes=512 << 16)
    with pytest.raises(ActcodecError, match="site large: the frame exceeds"):
        simulate_traffic([large], small)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_pace_is_refused(rate):
    for field in ("clock_mhz", "values_per_cycle"):
        with pytest.raises(ActcodecError, match=field):
            dataclasses.replace(Pacing(), **{field: rate})
