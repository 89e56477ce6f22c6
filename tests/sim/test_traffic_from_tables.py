"""The traffic report counts the bytes that the tables predict, site by site."""

import pytest

from actcodec.errors import ActcodecError
from actcodec.params import load_params
from actcodec.tables import Tables, digest_of
from actcodec.tables.cycles import decode_cycles, encode_cycles
from actcodec.tables.synthetic import synthetic_tables
from actcodec_sim.dram import load_device, read_trace
from actcodec_sim.traffic import run_traffic, write_frame_traces


@pytest.fixture(scope="module")
def tables() -> Tables:
    return synthetic_tables(1, load_params("default"))


def test_counted_bytes_are_those_of_the_tables(tables):
    device = load_device("DDR4-2400")
    coded = run_traffic(tables, device).codec("actcodec")
    assert [site.stored.name for site in coded.sites] == [site.info.name for site in tables.sites]
    for counted, site in zip(coded.sites, tables.sites, strict=True):
        sizes = site.sizes(device.transaction_bytes)
        assert counted.write_bytes + counted.modify_bytes == sizes.transaction_bytes
        assert counted.read_bytes == -(-sizes.stream_bytes // 64) * 64 * site.info.readers
        assert counted.table_bytes == -(-site.table_bytes // 64) * 64
        assert counted.stored.values == site.info.values
        assert (counted.stored.encode_cycles, counted.stored.decode_cycles) == (
            encode_cycles(site),
            decode_cycles(site),
        )
    assert coded.bpv_stream() == pytest.approx(tables.bpv_stream)
    assert coded.bpv_net(16) == pytest.approx(tables.bpv_net(16))


def test_report_names_the_tables(tables):
    report = run_traffic(tables, "LPDDR4-3200")
    assert report.provenance["tables_digest"] == digest_of(tables)
    assert report.provenance["network"] == tables.provenance.network


@pytest.mark.parametrize("name", ["DDR4-2400", "LPDDR5-6400"])
def test_traces_hold_the_frame_for_other_simulators(tables, name, tmp_path):
    device = load_device(name)
    files = write_frame_traces(tmp_path, tables, device)
    assert [path.name for path in files] == [
        f"{codec}.{form}.trace" for codec in ("raw8", "actcodec") for form in ("dramsim3", "ramulator2")
    ]
    report = run_traffic(tables, device)
    for codec, dramsim3, ramulator2 in (("raw8", *files[:2]), ("actcodec", *files[2:])):
        cost = report.codec(codec).memory_limited.resident
        requests = read_trace(dramsim3, device)
        assert len(requests) == cost.requests
        assert requests.is_write.sum() * device.transaction_bytes == sum(
            s.write_bytes for s in report.codec(codec).sites
        )
        # Streams do not overlap: each starts at the end of the one before, as fast as the memory goes.
        starts = sorted(set(requests.earliest.tolist()))
        assert starts[0] == 0
        assert starts[-1] < cost.cycles
        assert len(starts) == sum(1 + site.stored.readers for site in report.codec(codec).sites)
        kinds = {False: "LD", True: "ST"}
        expected = [
            f"{kinds[write]} 0x{address:X}"
            for write, address in zip(requests.is_write.tolist(), requests.address.tolist(), strict=True)
        ]
        assert ramulator2.read_text().splitlines() == expected


def test_unknown_device_is_refused(tables):
    with pytest.raises(ActcodecError, match="no such dram configuration"):
        run_traffic(tables, "SRAM")
