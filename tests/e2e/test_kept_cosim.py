"""The co-simulations that docs show: of the kept tables, equal, and with the bytes of the traffic model."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from actcodec.tables import digest_of, load_tables
from actcodec.tables.cycles import decode_cycles, encode_cycles
from actcodec_sim.traffic import site_traffic

ROOT = Path(__file__).parents[2]
KEPT = sorted((ROOT / "benchmarks" / "results" / "cosim").glob("*.json"))
FOLDERS = ("tables/resnet20-p1q-2.5", "tables/resnet20-p3-patch-2", "codec_tables/mobilenetv2-waterfill-4")
TABLES = {digest_of(t): t for t in (load_tables(ROOT / "benchmarks" / "results" / folder) for folder in FOLDERS)}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_bytes_at_the_ports_are_those_of_the_traffic_report(path: Path) -> None:
    result = json.loads(path.read_text())
    tables = TABLES[result["tables_digest"]]
    assert shlex.split(result["command"])[-1] == path.stem and result["agrees"]
    tabled = {site.info.name: site for site in tables.sites}
    assert len(result["sites"]) >= 4
    for row in result["sites"]:
        site = tabled[row["name"]]
        stored = site_traffic(site, tables.transaction_bytes)
        assert row["stream_bytes"] == stored.stream_bytes
        for direction, cycles in (("encoder", encode_cycles(site)), ("decoder", decode_cycles(site))):
            run = row[direction]
            assert run["port_words"] * tables.params.word_bytes == stored.stream_bytes
            assert run["payload_bits"] == stored.payload_bits
            assert run["digest"] == run["digest_golden"]
            assert run["cycles"] == cycles
