"""The traffic report counts the bytes that the tables predict, site by site."""

import pytest

from actcodec.errors import ActcodecError
from actcodec.params import load_params
from actcodec.tables import Tables, digest_of
from actcodec.tables.cycles import decode_cycles, encode_cycles
from actcodec.tables.synthetic import synthetic_tables
from actcodec_sim.dram import load_device
from actcodec_sim.traffic import run_traffic


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


def test_unknown_device_is_refused(tables):
    with pytest.raises(ActcodecError, match="no such dram configuration"):
        run_traffic(tables, "SRAM")
