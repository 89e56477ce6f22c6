"""Any number of codecs side by side, their energy, and the balance of what they save and spend."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from actcodec.codecs import Activity, CodecSizes, CodecStore, SiteShape
from actcodec.configs import configs_folder
from actcodec.errors import ActcodecError
from actcodec.params import load_params
from actcodec.tables import digest_of
from actcodec.tables.synthetic import synthetic_tables
from actcodec_sim.dram import load_device
from actcodec_sim.report import codecs_csv, frame_report, traffic_csv
from actcodec_sim.report.bars import layer_charts, used_parts
from actcodec_sim.traffic import (
    StoredSite,
    energy_report,
    load_energy,
    run_codecs,
    run_traffic,
    simulate_codecs,
    stored_codecs,
)
from support.codecs import fixed_size

SHAPES = (
    SiteShape(name="a", channels=16, height=6, width=8, readers=2, macs=1000),
    SiteShape(name="b", channels=8, height=4, width=4, readers=1, macs=500),
)


WORK = Activity(macs=100, memory_bytes=40, register_bits=1000)
STORE = CodecStore(
    network="net",
    dataset="mnist",
    images=3,
    correct=3,
    network_macs=1500,
    checkpoint_sha256="0" * 64,
    sites=SHAPES,
    codecs=(
        CodecSizes(name="raw8", method="raw", sites=tuple(fixed_size(8 * s.values) for s in SHAPES), correct=3),
        CodecSizes(
            name="half",
            method="by hand",
            sites=tuple(fixed_size(4 * s.values + 1, 80, 8, encode=WORK, decode=WORK) for s in SHAPES),
            correct=2,
        ),
    ),
)


@pytest.fixture(scope="module")
def report():
    return run_codecs(STORE, "DDR4-2400")


def test_every_byte_of_a_codec_has_a_part(report):
    a, b = report.codec("half").sites
    # 3073 bits and a header of 8 bytes are 393: 7 transactions, the last partial.
    assert a.stored.stream_bytes == 393
    assert (a.write_bytes, a.read_bytes, a.modify_bytes) == (448, 896, 64)
    assert (a.header_bytes, a.payload_bytes, a.padding_bytes) == (24, 3 * 3073 / 8, 3 * 7 / 8)
    for site in (a, b):
        parts = site.payload_bytes + site.padding_bytes + site.header_bytes + site.rounding_bytes + site.modify_bytes
        assert parts == site.moved_bytes
    assert report.codec("half").table_bytes == 2 * 128
    assert report.provenance["method of half"] == "by hand"


def test_stored_sites_are_those_of_the_store():
    stored = stored_codecs(STORE)
    assert list(stored) == ["raw8", "half"]
    assert [site.stream_bytes for site in stored["raw8"]] == [768, 128]
    assert stored["half"][0].encode == WORK and stored["raw8"][0].encode.macs == 0


def test_the_balance_is_what_one_counts_by_hand(report):
    energy = report.energy
    model = energy.model
    one = 100 * model.mac.value + 40 * model.memory.value + 1000 * model.register_.value
    half = energy.codec("half")
    assert half.encode.total == pytest.approx(2 * one)
    assert half.decode.total == pytest.approx(3 * one)
    assert half.loading == pytest.approx(160 * model.memory.value)
    assert half.codec_pj(16) == pytest.approx(5 * one + 10 * model.memory.value)
    for batch in (1, 16):
        raw, coded = (report.codec(name).memory_limited.energy_pj(batch) for name in ("raw8", "half"))
        assert half.net_pj(batch) == pytest.approx(raw - coded - half.codec_pj(batch))
    assert energy.codec("raw8").net_pj(1) == 0
    assert energy.network_pj == pytest.approx(1500 * model.mac.value)


def test_json_names_every_constant_with_its_source(report):
    content = json.loads(json.dumps(report.to_json()))["energy"]
    assert content["reference"] == "raw8"
    for name in ("mac", "memory", "register"):
        constant = content["constants"][name]
        assert constant["source"] and constant["node"] and constant["unit"].startswith("pJ/")
    assert content["codecs"][1]["batch_16"]["net_pj"] == report.energy.codec("half").net_pj(16)


def test_tables_of_codecs_and_of_sites(report):
    rows = list(csv.DictReader(codecs_csv(report, STORE).splitlines()))
    assert [row["codec"] for row in rows] == ["raw8", "half"]
    assert int(rows[1]["write_bytes"]) == 448 + 128
    assert rows[1]["correct"] == "2" and rows[1]["images"] == "3"
    assert float(rows[1]["net_pj_1"]) == report.energy.codec("half").net_pj(1)
    assert len(list(csv.DictReader(traffic_csv(report).splitlines()))) == 4
    plain = replace(report, energy=None)
    assert "net_pj_1" not in codecs_csv(plain).splitlines()[0] and "energy" not in plain.to_json()


def test_presets_are_valid_and_differ_where_they_say():
    presets = {path.stem: load_energy(path.stem) for path in (configs_folder() / "energy").glob("*.toml")}
    assert set(presets) == {"45nm", "45nm-analytic"}
    assert all(name == model.name for name, model in presets.items())
    assert presets["45nm"].mac.value == 0.3 and presets["45nm"].memory.value == 1.25
    assert presets["45nm-analytic"].mac.value == pytest.approx(3.1 * 8 / 32 + 0.1)
    assert presets["45nm-analytic"].memory.value == 2.5 * 8
    dear = run_codecs(STORE, load_device("DDR4-2400"), energy=presets["45nm-analytic"]).energy.codec("half")
    assert dear.encode.total > run_codecs(STORE, "DDR4-2400").energy.codec("half").encode.total


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('unit = "pJ/MAC"', 'unit = "nJ/MAC"'), "mac.unit = 'nJ/MAC'"),
        (("value = 0.3", "value = -0.3"), "mac.value = -0.3"),
        (("value = 0.3", 'value = "0.3"'), "mac.value = '0.3'"),
        (('node = "40 nm"', 'node = ""'), "register.node = ''"),
        (("[memory]", "[sram]"), "memory"),
        (("[mac]", "[mac"), "is not TOML"),
    ],
)
def test_bad_constants_are_named(change, problem, tmp_path: Path):
    path = tmp_path / "bad.toml"
    path.write_text((configs_folder() / "energy" / "45nm.toml").read_text().replace(*change))
    with pytest.raises(ActcodecError, match=rf"bad\.toml: .*{problem}"):
        load_energy(path)
    with pytest.raises(ActcodecError, match="no such energy configuration; known: 45nm"):
        load_energy("7nm")


def site(name: str, **changes) -> StoredSite:
    figures = {
        "shape": (16, 6, 8),
        "readers": 1,
        "payload_bits": 800,
        "stream_bytes": 100,
        "table_bytes": 0,
        "encode_cycles": 0,
        "decode_cycles": 0,
    }
    return StoredSite(name, **{**figures, **changes})


def test_bars_have_a_part_for_headers_where_there_are_some(report):
    assert ("header", "stream headers") in used_parts(report)
    chart = layer_charts(report)[0]
    a = report.codec("half").sites[0]
    bar = chart.rows[0][1]
    assert bar is not None and dict(bar.parts)["header"] == pytest.approx(bar.length * 24 / (a.moved_bytes + 128))
    raw = replace(report, codecs=report.codecs[:1])
    assert [key for key, _ in used_parts(raw)] == ["payload"]


def test_a_page_of_codecs_and_tables_is_about_both():
    tables = synthetic_tables(1, load_params("default"))
    with pytest.raises(ActcodecError, match="network = 'net', the tables' is 'synthetic'"):
        frame_report(tables, STORE, "DDR4-2400")
    store = STORE.model_copy(update={"network": "synthetic"})
    with pytest.raises(ActcodecError, match="codec: 'actcodec' is unknown; known: raw8, half"):
        frame_report(tables, store, "DDR4-2400")
    ours = store.codecs[1].model_copy(update={"name": "actcodec"})
    store = store.model_copy(update={"codecs": (store.codecs[0], ours), "tables_digest": digest_of(tables)})
    both = frame_report(tables, store, "DDR4-2400")
    assert both.energy is not None and both.provenance["images"] == "3" and both.provenance["method"] == "synthetic"
    alone = frame_report(None, STORE, "DDR4-2400", "45nm-analytic")
    assert alone.energy is not None and alone.energy.model.name == "45nm-analytic"
    assert frame_report(tables, None, "DDR4-2400").energy is None
    with pytest.raises(ActcodecError, match="needs --tables or --codecs"):
        frame_report(None, None, "DDR4-2400")


def test_codecs_have_to_be_of_the_same_sites(report):
    device = load_device("DDR4-2400")
    three = simulate_codecs({name: [site("a"), site("b")] for name in "xyz"}, device)
    assert [codec.codec for codec in three.codecs] == ["x", "y", "z"] and three.energy is None
    with pytest.raises(ActcodecError, match="codecs: there is none"):
        simulate_codecs({}, device)
    with pytest.raises(ActcodecError, match="sites: there is none"):
        simulate_codecs({"x": []}, device)
    with pytest.raises(ActcodecError, match="'a' occurs twice"):
        simulate_codecs({"x": [site("a"), site("a")]}, device)
    for other in ([site("a")], [site("a"), site("c")], [site("a"), site("b", readers=2)]):
        with pytest.raises(ActcodecError, match="codec y: its sites are not those of x"):
            simulate_codecs({"x": [site("a"), site("b")], "y": other}, device)
    with pytest.raises(ActcodecError, match="raw8, what energy is saved against, is missing"):
        energy_report(three.codecs, load_energy("45nm"), 1)
    with pytest.raises(ActcodecError, match="'quarter' is unknown; known: raw8, half"):
        report.energy.codec("quarter")


def test_a_report_of_tables_has_no_energy_of_codecs():
    assert run_traffic(synthetic_tables(1, load_params("default")), "DDR4-2400").energy is None
