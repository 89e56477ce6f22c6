"""Reading reports back and setting two of them side by side."""

import copy
import json
import math
from typing import Any

import pytest

from actcodec.errors import ActcodecError
from actcodec_sim.dram import load_device
from actcodec_sim.traffic import Pacing, ReportFile, SiteTraffic, compare_reports, load_report, simulate_traffic
from actcodec_sim.traffic.compare import Change

SITES = [
    SiteTraffic("a", 16, 6, 8, 2, 2001, 300, 100, 768),
    SiteTraffic("b", 16, 6, 8, 1, 2048, 256, 0, 768),
]


@pytest.fixture(scope="module")
def content() -> dict:
    return simulate_traffic(SITES, load_device("DDR4-2400"), provenance={"network": "net"}).to_json()


@pytest.fixture
def edited(content) -> dict:
    return copy.deepcopy(content)


def parsed(content: dict) -> ReportFile:
    return ReportFile.model_validate(content)


def test_a_report_is_read_back(content, tmp_path):
    path = tmp_path / "traffic.json"
    path.write_text(json.dumps(content))
    report = load_report(path)
    original = simulate_traffic(SITES, load_device("DDR4-2400"))
    assert [codec.codec for codec in report.codecs] == ["raw8", "actcodec"]
    for read, made in zip(report.codecs, original.codecs, strict=True):
        assert read.bpv_stream == made.bpv_stream()
        assert {n: (b.moved_bytes, b.bpv_net) for n, b in read.batches.items()} == {
            n: (made.moved_bytes(n), made.bpv_net(n)) for n in (1, 16)
        }
        for frame, costs in ((read.memory_limited, made.memory_limited), (read.paced, made.paced)):
            assert frame.resident.row_hit_rate == costs.resident.row_hit_rate
            assert {n: (b.cycles, b.energy_pj) for n, b in frame.batches.items()} == {
                n: (costs.cycles(n), costs.energy_pj(n)) for n in (1, 16)
            }
        assert [(s.name, s.moved_bytes, s.cycles) for s in read.sites] == [
            (s.stored.name, s.moved_bytes, s.cycles) for s in made.sites
        ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(schema="actcodec-tables"), "is not a traffic report"),
        (lambda c: c.update(version=99), "version = 99"),
        (lambda c: c.update(codecs=[]), "codecs"),
        (lambda c: c["codecs"].append(c["codecs"][0]), "'raw8' occurs twice"),
        (lambda c: c["codecs"][0]["sites"].append(c["codecs"][0]["sites"][0]), "'a' occurs twice"),
        (lambda c: c["codecs"][1].pop("bpv_stream"), "codecs.1.bpv_stream"),
        (lambda c: c["codecs"][1]["sites"][0].update(cycles="7"), "codecs.1.sites.0.cycles = '7'"),
        (lambda c: c["codecs"][1]["sites"][0].update(moved_bytes=-1), "moved_bytes = -1"),
        (lambda c: c["codecs"][1]["sites"][0].update(row_hits=10**9), "row_hits = 1000000000 is above requests"),
        (lambda c: c["codecs"][1]["memory_limited"]["batch_1"].update(energy_pj=math.nan), "energy_pj"),
        (lambda c: c["codecs"][1].update(paced=3), "codecs.1.paced"),
        (lambda c: c["device"].pop("name"), "device.name"),
        (lambda c: c.update(energy={"constants": {}}), "energy.codecs"),
        (lambda c: c.update(with_energy(c, codec_pj=-1)), "energy.codecs.0.batches.16.codec_pj = -1"),
    ],
)
def test_a_wrong_file_is_one_line(edited, tmp_path, change, words):
    change(edited)
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(edited))
    with pytest.raises(ActcodecError) as raised:
        load_report(path)
    assert str(raised.value).startswith(str(path)) and words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", "not JSON"])
def test_what_is_no_report_is_refused(tmp_path, text):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(ActcodecError, match=r"wrong\.json: is not"):
        load_report(path)


ENERGY: dict[str, Any] = {
    "constants": {"name": "45nm", "mac": {"value": 0.3, "source": "a"}},
    "codecs": [{"codec": "actcodec", "batch_16": {"codec_pj": 2e6, "net_pj": 8e6}}],
}


def with_energy(content: dict, **changes: float) -> dict:
    """The report with an energy balance of one codec."""
    energy = copy.deepcopy(ENERGY)
    energy["codecs"][0]["batch_16"].update(changes)
    return {**content, "energy": energy}


def test_energy_is_compared_where_both_reports_have_it(content, edited):
    before = parsed(with_energy(content))
    after = with_energy(content, codec_pj=2.5e6, net_pj=7e6)
    result = compare_reports(before, parsed(after))
    assert result.warnings == ()
    raw, coded = ({change.figure: change for change in codec.totals} for codec in result.codecs)
    assert not any("net" in figure or "codec energy" in figure for figure in raw)
    assert (coded["codec energy, batch 16"].after, coded["net energy saved, batch 16"].percent) == (2.5, -12.5)
    assert result.regressions(10) == [
        "actcodec: codec energy, batch 16: 2 → 2.5 µJ, +25.00 % is above 10 %",
        "actcodec: net energy saved, batch 16: 8 → 7 µJ, -12.50 % is below −10 %",
    ]
    assert compare_reports(parsed(after), before).regressions(0) == []
    after["energy"]["constants"]["mac"] = {"value": 0.2, "source": "b"}
    assert list(compare_reports(before, parsed(after)).warnings) == ["energy: mac.value: 0.3 → 0.2"]
    without = compare_reports(before, parsed(content))
    assert list(without.warnings) == ["energy: only in the first report"] and without.regressions(0) == []


def test_a_net_that_falls_below_zero_is_worse_and_one_that_rises_is_not(content):
    def lines(*net: float) -> list[str]:
        before, after = (parsed(with_energy(content, net_pj=value)) for value in net)
        return compare_reports(before, after).regressions(5)

    assert len(lines(1e6, -1e6)) == len(lines(-1e6, -2e6)) == len(lines(0, -1e6)) == 1
    assert lines(-2e6, -1e6) == lines(-1e6, 1e6) == lines(0, 1e6) == []


def test_the_same_report_has_no_change(content):
    result = compare_reports(parsed(content), parsed(content))
    assert result.warnings == () and result.regressions(0) == []
    for codec in result.codecs:
        assert not any(change.difference for change in codec.totals)
        assert not any(site.changed for site in codec.sites)
        assert (codec.added, codec.removed) == ((), ())


def test_a_changed_site_is_found_with_every_figure(content):
    larger = [SiteTraffic("a", 16, 6, 8, 2, 2001, 400, 100, 768), SITES[1]]
    after = simulate_traffic(larger, load_device("DDR4-2400"), provenance={"network": "net"})
    result = compare_reports(parsed(content), parsed(after.to_json()))
    assert result.warnings == ()
    raw, coded = result.codecs
    assert not any(site.changed for site in raw.sites)
    assert [site.name for site in coded.sites if site.changed] == ["a"]
    figures = {change.figure: change for change in coded.sites[0].changes}
    # One write, two reads and the read before a partial write: 5 transactions each before, 7 after.
    assert (figures["moved bytes"].before, figures["moved bytes"].after) == (16 * 64, 22 * 64)
    assert figures["bits per value"].percent == pytest.approx(100 * 100 / 300)
    totals = {change.figure: change for change in coded.totals}
    assert totals["moved bytes, batch 16"].difference == 6 * 64
    lines = result.regressions(5)
    assert lines and all(line.startswith("actcodec: ") for line in lines)
    assert any("moved bytes, batch 1: 1664 → 2048 bytes, +23.08 % is above 5 %" in line for line in lines)
    assert not any("row hits" in line for line in lines), "fewer hits of fewer requests cost nothing by themselves"
    assert result.regressions(1000) == []


def test_an_improvement_is_no_regression(content, edited):
    edited["codecs"][1]["batch_16"]["moved_bytes"] *= 1.5
    assert compare_reports(parsed(edited), parsed(content)).regressions(0) == []
    assert len(compare_reports(parsed(content), parsed(edited)).regressions(0)) == 1


def test_a_figure_that_was_zero_has_no_percentage():
    change = Change("table bytes", "bytes", 0, 128)
    assert change.percent == math.inf and change.to_json()["percent"] is None
    assert Change("table bytes", "bytes", 0, 0).percent == 0
    assert json.loads(json.dumps(change.to_json()))["difference"] == 128


def test_sites_and_codecs_that_come_and_go_are_named(content, edited):
    edited["codecs"][1]["sites"][1]["name"] = "c"
    edited["codecs"][0]["codec"] = "raw16"
    result = compare_reports(parsed(content), parsed(edited))
    assert [codec.codec for codec in result.codecs] == ["actcodec"]
    assert (result.codecs[0].added, result.codecs[0].removed) == (("c",), ("b",))
    assert result.missing == ("raw8",)
    assert list(result.warnings) == [
        "codec raw8: only in the first report",
        "codec raw16: only in the second report",
        "codec actcodec: 1 sites added, 1 removed; the frames hold different layers",
    ]
    assert result.regressions(5) == ["raw8: is missing in the second report"]
    assert result.to_json()["codecs"][0]["sites_added"] == ["c"]


def test_other_settings_are_warned_of(content, edited):
    other = simulate_traffic(
        SITES, load_device("LPDDR4-3200"), pacing=Pacing(clock_mhz=500.0), provenance={"network": "other"}
    )
    assert list(compare_reports(parsed(content), parsed(other.to_json())).warnings) == [
        "device: DDR4-2400 → LPDDR4-3200",
        "pacing: clock_mhz: 1000.0 → 500.0",
        "network: net → other",
    ]
    edited["device"]["timing"]["CL"] = 16
    edited["device"]["timing"]["source"] = "another data sheet"
    assert list(compare_reports(parsed(content), parsed(edited)).warnings) == ["device DDR4-2400: timing.CL: 17 → 16"]
