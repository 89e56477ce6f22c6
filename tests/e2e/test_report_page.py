"""The report's page in a headless Chromium: what a reader clicks, types, downloads, prints and sees on a phone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from actcodec.codecs import Activity
from actcodec_sim.accelerator import (
    AcceleratorReport,
    ShareLayout,
    SiteWork,
    accelerator_energy,
    simulate_accelerator,
)
from actcodec_sim.dram import load_device
from actcodec_sim.report import CosimRow, Evaluation, Sweep, SweepPoint, write_report
from actcodec_sim.traffic import SiteTraffic, StoredSite, energy_report, load_energy, simulate_traffic
from support.browser import chromium, find_chromium
from support.graphs import GraphBuilder, accelerator

SECTIONS = (
    *("codecs", "energy", "accuracy", "layers", "accelerator", "roofline", "dram", "table", "cosim", "figures"),
    "provenance",
)
CODECS = ("raw8", "actcodec", "copy")
UNITS = ("stem", "layer2", "layer10")
SITES = ("stem <1>", "layer1.0.conv1", "layer10.0.conv1", "gone")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium, or set CHROMIUM to the browser's program")
    with chromium(program) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three codecs and four sites, and of three layers on an accelerator, every section filled."""
    sites = [
        SiteTraffic(SITES[0], 16, 32, 32, 2, 40000, 5100, 90, 16384),
        SiteTraffic(SITES[1], 16, 40, 40, 1, 100000, 12600, 90, 25600),
        SiteTraffic(SITES[2], 64, 8, 8, 1, 9000, 1200, 500, 4096),
        SiteTraffic(SITES[3], 16, 8, 8, 1, 0, 0, 0, 1024),
    ]
    report = simulate_traffic(sites, load_device("DDR4-2400"), provenance={"network": "net & co", "method": "p1q"})
    copy = dataclasses.replace(report.codec("actcodec"), codec="copy")
    report = dataclasses.replace(report, codecs=(*report.codecs, copy))
    report = dataclasses.replace(report, energy=energy_report(report.codecs, load_energy("45nm"), 1_000_000))
    points = tuple(
        SweepPoint(
            method=method,
            target_bits=bits,
            seed=0,
            panel=panel,
            bpv_stream=bits,
            accuracy=accuracy,
            test_images=100,
        )
        for method, panel, bits, accuracy in (
            ("p1q", "post-training", 3.0, 0.85),
            ("p1q", "post-training", 4.0, 0.9),
            ("lsq+tuned", "fine-tuned", 3.0, 0.88),
        )
    )
    out = tmp_path_factory.mktemp("report")
    write_report(
        out,
        report,
        [CosimRow(SITES[0], "verilator", "encoder", 100, 100, True)],
        evaluation=Evaluation(0.88, 100, 0.91),
        sweep=Sweep("net & co", 0.91, points),
        accelerator=_on_accelerator(),
    )
    return out


def _on_accelerator() -> AcceleratorReport:
    """Three layers and two codecs, one of them of stored sites whose decoder is slow."""
    builder = GraphBuilder((16, 16, 16))
    before = "input"
    for name, channels in zip(UNITS, (16, 32, 8), strict=True):
        before = builder.conv(name, before, channels)
    graph = builder.graph()
    coded = {
        name: ShareLayout(StoredSite(name, (channels, 16, 16), 1, 8000, 1000, 0, 10, 100_000))
        for name, channels in (("stem", 16), ("layer2", 32))
    }
    report = simulate_accelerator(graph, accelerator(), load_device("DDR4-2400"), {"actcodec": coded})
    work = SiteWork(Activity(macs=1000), Activity(macs=1000))
    energy = accelerator_energy(report, {"actcodec": dict.fromkeys(coded, work)}, load_energy("45nm"))
    return dataclasses.replace(report, energy=energy)


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    """The page, opened from its file; every test fails on a console error, a page error or a request."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    problems: list[str] = []
    opened.on(
        "console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None
    )
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda request: problems.append(request.url) if "index.html" not in request.url else None)
    opened.goto((folder / "index.html").as_uri())
    yield opened
    context.close()
    assert [problem for problem in problems if not problem.startswith("blob:")] == []


def _column(page: Page, number: int) -> list[str]:
    return page.locator(f"#layer-table tbody tr:visible > :nth-child({number})").all_inner_texts()


def _moved(page: Page) -> list[float]:
    return [float(text.replace("\u202f", "")) for text in _column(page, 11)]


def test_a_heading_sorts_by_value_and_turns_round(page: Page) -> None:
    table = page.locator("#layer-table")
    moved = table.get_by_role("button", name="moved")
    before = _moved(page)
    assert before != sorted(before)
    moved.click()
    assert _moved(page) == sorted(before)
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    moved.click()
    assert _moved(page) == sorted(before, reverse=True)
    # Names with numbers in them are sorted as a reader counts; the keyboard does what a click does.
    table.get_by_role("button", name="layer", exact=True).focus()
    page.keyboard.press("Enter")
    names = _column(page, 1)
    assert names.index("layer1.0.conv1") < names.index("layer10.0.conv1")
    assert page.locator("th[aria-sort]").count() == 1


def test_the_filter_drops_rows(page: Page) -> None:
    assert len(_column(page, 1)) == len(SITES) * len(CODECS)
    page.locator("#filter").fill("conv1 ACT")
    assert _column(page, 1) == ["layer1.0.conv1", "layer10.0.conv1"]
    assert set(_column(page, 2)) == {"actcodec"}
    assert page.locator("#filter-status").inner_text() == f"2 of {len(SITES) * len(CODECS)} rows"
    page.locator("#filter").fill("")
    assert len(_column(page, 1)) == len(SITES) * len(CODECS)


def test_layers_on_the_accelerator_sort_and_filter_by_themselves(page: Page) -> None:
    table = page.locator("#unit-table")

    def column(number: int) -> list[str]:
        return table.locator(f"tbody tr:visible > :nth-child({number})").all_inner_texts()

    assert column(1) == [*UNITS, *UNITS] and set(column(2)) == {"raw8", "actcodec"}
    assert column(3) == ["compute"] * 4 + ["decoder"] * 2
    cycles = [float(text.replace("\u202f", "")) for text in column(4)]
    table.get_by_role("button", name="time").click()
    assert [float(text.replace("\u202f", "")) for text in column(4)] == sorted(cycles)
    table.get_by_role("button", name="layer").click()
    assert column(1) == [name for name in ("layer2", "layer10", "stem") for _ in range(2)]
    page.locator("#unit-filter").fill("decoder")
    assert sorted(column(1)) == ["layer10", "layer2"]
    assert page.locator("#unit-filter-status").inner_text() == "2 of 6 rows"
    assert len(_column(page, 1)) == len(SITES) * len(CODECS), "the other table is as it was"
    assert page.locator("#roofline").inner_text() == "Roofline of test with DDR4-2400"


def test_energy_says_what_is_left_of_the_saving(page: Page, folder: Path) -> None:
    content = json.loads((folder / "traffic.json").read_text())
    row = page.locator("section[aria-labelledby=energy] tbody tr").nth(1)
    net = content["energy"]["codecs"][1]["batch_16"]["net_pj"] / 1e6
    assert row.locator("td").nth(8).inner_text() == f"{net:.2f}".replace("-", "−")
    assert "0.3 pJ/MAC, 45 nm" in page.locator("section[aria-labelledby=provenance]").inner_text()
    assert content["accelerator"]["codecs"][1]["units"][1]["bound"] == "decoder"
    tiled = page.locator("section[aria-labelledby=accelerator] table.codecs tbody tr").nth(1).locator("td")
    balance = content["accelerator"]["energy"]["codecs"][1]
    assert tiled.last.inner_text() == f"{balance['net_pj'] / 1e6:.2f}".replace("-", "−")


def test_another_layer_or_codec_changes_the_timeline(page: Page) -> None:
    timeline = page.locator("#timeline")
    first = timeline.inner_html()
    # 5100 bytes are 80 transactions; the last one is partial and is read before it is written.
    assert "all 82 commands" in timeline.inner_text()
    assert timeline.locator("rect.wr").count() == 80
    assert timeline.locator("rect.rd").count() == 81
    page.get_by_label("layer", exact=True).select_option("layer1.0.conv1")
    assert timeline.inner_html() != first
    coded = timeline.inner_text()
    page.get_by_label("codec", exact=True).select_option("raw8")
    assert timeline.inner_text() != coded
    assert "the first 256 of" in timeline.inner_text()
    assert timeline.locator("rect.act").count() > 0
    page.get_by_label("codec", exact=True).select_option("actcodec")
    page.get_by_label("layer", exact=True).select_option("gone")
    assert "nothing is stored" in timeline.inner_text()
    assert timeline.locator("svg").count() == 0


@pytest.mark.parametrize("kind", ["CSV", "JSON"])
def test_a_download_is_the_file_beside_the_page(page: Page, folder: Path, tmp_path: Path, kind: str) -> None:
    with page.expect_download() as started:
        page.get_by_role("button", name=f"Download {kind}").click()
    name = f"traffic.{kind.lower()}"
    assert started.value.suggested_filename == name
    started.value.save_as(tmp_path / name)
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_the_bars_show_the_chosen_figure(page: Page) -> None:
    layers = page.locator("section.bars")
    # 80 transactions of 64 bytes written, 160 read, one read before a partial write, and tables of two.
    assert layers.locator(".bytes .number:visible").nth(1).inner_text() == f"{(80 + 160 + 1 + 2) * 64 / 1024:.1f}"
    page.get_by_role("radio", name="bits per value").check()
    assert layers.locator(".bytes .number:visible").count() == 0
    assert layers.locator(".bits .number:visible").all_inner_texts()[:2] == ["8.00", "2.49"]


def test_print_shows_every_section_and_no_control(page: Page) -> None:
    page.emulate_media(media="print")
    for section in SECTIONS:
        assert page.locator(f"section[aria-labelledby={section}]").is_visible(), section
    assert page.locator("#timeline svg").count() == 2
    assert page.locator(".controls:visible, nav:visible").count() == 0
    assert page.locator(".bars caption").inner_text() == "bytes moved, KiB", "what the hidden choice was"
    for table in page.locator(".scroll").all():
        assert table.evaluate("e => e.scrollHeight <= e.clientHeight + 1"), "no row is cut off"


def test_no_width_scrolls_sideways(page: Page) -> None:
    for width in (320, 390, 768, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_stands_out_from_its_background(page: Page) -> None:
    """Contrast of text on a card is at least 4.5 (WCAG AA), light and dark."""
    backgrounds = set()
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        for selector in ("h2", ".note", "section a", "td.key"):
            text, background = page.locator(selector).first.evaluate(
                "e => [getComputedStyle(e).color, getComputedStyle(e.closest('section')).backgroundColor]"
            )
            backgrounds.add(background)
            assert _contrast(text, background) >= 4.5, (selector, scheme)
    assert len(backgrounds) == 2


def _contrast(*colours: str) -> float:
    bright, dark = sorted(map(_luminance, colours), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
