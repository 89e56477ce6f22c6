"""The report's files: what they hold, that the page stands alone, and that they are the same every time."""

import csv
import dataclasses
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from actcodec.errors import ActcodecError
from actcodec_sim.dram import load_device
from actcodec_sim.report import CosimRow, html_page, write_report
from actcodec_sim.report.bars import layer_charts
from actcodec_sim.report.timeline import MOST_COMMANDS, window_commands
from actcodec_sim.traffic import SiteTraffic, TrafficReport, simulate_traffic


@pytest.fixture(scope="module")
def report() -> TrafficReport:
    sites = [
        SiteTraffic("stem <1>", 16, 8, 8, 2, 3000, 400, 90, 1024),
        SiteTraffic("gone", 16, 8, 8, 1, 0, 0, 0, 1024),
    ]
    return simulate_traffic(sites, load_device("DDR4-2400"), provenance={"network": "net & co"})


COSIM = [
    CosimRow("stem <1>", "verilator", "encoder", 100, 100, True),
    CosimRow("gone", "icarus", "decoder", 90, 91, False),
]


class _Page(HTMLParser):
    """Ids, external references and unclosed tags of a page."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "path", "use"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href") and not value.startswith("#"):
                self.references.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_files_agree_with_the_report(report, tmp_path):
    paths = write_report(tmp_path / "out", report, COSIM)
    assert [path.name for path in paths] == ["traffic.csv", "traffic.json", "index.html"]
    rows = list(csv.DictReader(paths[0].read_text().splitlines()))
    assert [(row["codec"], row["name"]) for row in rows] == [
        (codec, name) for codec in ("raw8", "actcodec") for name in ("stem <1>", "gone")
    ]
    assert rows[2]["shape"] == "16x8x8"
    assert int(rows[2]["moved_bytes"]) == report.codec("actcodec").sites[0].moved_bytes
    content = json.loads(paths[1].read_text())
    assert {**report.to_json(), "cosim": content["cosim"]} == content
    assert [row["agrees"] for row in content["cosim"]] == [True, False]


def test_page_stands_alone_and_is_well_formed(report):
    text = html_page(report, COSIM)
    page = _Page(text)
    assert page.references == []
    assert not re.search(r"url\((?!#)|@import|<script[^>]*src", text)
    assert len(page.ids) == len(set(page.ids))
    assert page.open == []
    for reference in re.findall(r'(?:href="|url\()#([^")]+)', text):
        assert reference in page.ids


def test_page_escapes_names_and_shows_disagreement(report):
    text = html_page(report, COSIM)
    assert "stem &lt;1&gt;" in text
    assert "net &amp; co" in text
    assert "<1>" not in text and '"stem \\u003c1\\u003e"' in text, "in elements, and in the timeline's data"
    assert text.count('<tr class="bad">') == 1
    assert "Co-simulation" not in html_page(report)


def test_page_hands_out_the_files_as_they_are(report, tmp_path):
    csv_file, json_file, page_file = write_report(tmp_path, report, COSIM)
    texts = re.findall(r"<template[^>]*>(.*?)</template>", page_file.read_text(), re.DOTALL)
    assert [html.unescape(text) for text in texts] == [csv_file.read_text(), json_file.read_text()]
    assert "<template" not in html_page(report)


def test_every_codec_and_layer_is_on_the_page(report):
    """Codecs need not store the same layers; a report need not hold this project's codec or the uncompressed one."""
    one = report.codec("actcodec")
    other = dataclasses.replace(one, codec="zvc", sites=one.sites[:1])
    text = html_page(dataclasses.replace(report, codecs=(dataclasses.replace(one, codec="rle"), other)))
    assert _Page(text).open == []
    assert text.count('<span class="number">–</span>') == 3, "the layer that zvc lacks, in three charts"
    assert "Bits per value, zvc" in text and "against rle" in text
    data = json.loads(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)[0])
    assert {codec: set(sites) for codec, sites in data["windows"].items()} == {
        "rle": {"stem <1>", "gone"},
        "zvc": {"stem <1>"},
    }


def test_windows_are_shorter_where_there_are_many(report):
    one = report.codec("actcodec")
    assert window_commands(report) == MOST_COMMANDS
    many = dataclasses.replace(one, sites=one.sites * 30)
    limit = window_commands(dataclasses.replace(report, codecs=(many,) * 10))
    assert 16 <= limit < MOST_COMMANDS and limit * 2 * 60 * 10 <= 60_000


def test_bars_share_a_scale(report):
    chart = layer_charts(report)[0]
    lengths = [bar.length for row in chart.rows for bar in row if bar is not None]
    assert max(lengths) == pytest.approx(100) and min(lengths) == 0
    raw, coded = report.codecs
    stem = chart.rows[0][1]
    assert stem is not None
    expected = 100 * (coded.sites[0].moved_bytes + coded.sites[0].table_bytes) / raw.sites[0].moved_bytes
    assert stem.length == pytest.approx(expected)
    assert dict(stem.parts)["tables"] == pytest.approx(100 * coded.sites[0].table_bytes / raw.sites[0].moved_bytes)


def test_page_says_where_the_memory_model_is_unvalidated():
    sites = [SiteTraffic("a", 16, 8, 8, 1, 3000, 400, 90, 1024)]
    page = html_page(simulate_traffic(sites, load_device("LPDDR5-6400")), [])
    assert "<td>unvalidated: no reference simulation" in page


def test_page_is_reproducible(report):
    assert html_page(report, COSIM) == html_page(report, COSIM)


def test_nothing_is_written_where_the_folder_cannot_be(report, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("kept")
    with pytest.raises(ActcodecError, match="cannot be written"):
        write_report(Path(blocked) / "out", report)
    assert blocked.read_text() == "kept"
