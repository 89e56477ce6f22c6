"""The picture of a report's page: docs/report.png.

    make picture

makes the report of the kept ResNet-20 tables, with the measured accuracy and the points of docs/results.md, opens it
in a headless Chromium and takes its top, down to the bars of the layers.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from actcodec.files import read_json, write_bytes
from actcodec.tables import digest_of, load_tables
from actcodec_sim.report import Evaluation, load_sweep, write_report
from actcodec_sim.traffic import run_traffic
from support.browser import chromium, find_chromium

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TABLES = RESULTS / "tables" / "resnet20-p1q-2.5"
PICTURE = ROOT / "docs" / "report.png"
WIDTH, MARGIN = 1280, 12


def main() -> None:
    """Write the picture; without a browser, say so and end with status 1."""
    program = find_chromium()
    if program is None:
        sys.exit("error: no Chromium: apt-get install chromium, or set CHROMIUM to the browser's program")
    with tempfile.TemporaryDirectory() as folder:
        _write_report(Path(folder))
        picture = _photograph(program, Path(folder) / "index.html")
    write_bytes(PICTURE, _small(picture))
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")


def _write_report(folder: Path) -> None:
    tables = load_tables(TABLES)
    measured = next(r for r in read_json(RESULTS / "headline.json")["tables"] if r["digest"] == digest_of(tables))
    network = tables.provenance.network
    write_report(
        folder,
        run_traffic(tables, "DDR4-2400"),
        evaluation=Evaluation(measured["accuracy_golden"], measured["images"], measured["accuracy_float"]),
        sweep=load_sweep([RESULTS / "projection" / f"{network}.json"], network),
    )


def _photograph(program: str, page_file: Path) -> bytes:
    with chromium(program) as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        page.goto(page_file.as_uri())
        box = page.locator("section[aria-labelledby=layers]").bounding_box()
        assert box is not None
        height = box["y"] + box["height"] + MARGIN
        return page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})


def _small(picture: bytes) -> bytes:
    """The same picture in a palette that covers its rare colours, too: a third of the size."""
    content = io.BytesIO()
    few = (
        Image.open(io.BytesIO(picture))
        .convert("RGB")
        .quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    few.save(content, "PNG", optimize=True)
    return content.getvalue()


if __name__ == "__main__":
    main()
