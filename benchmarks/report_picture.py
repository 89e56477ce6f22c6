"""The picture of a report's page: docs/report.png.

    make picture

makes the report of the kept ResNet-20 tables among the codecs of their store, on an accelerator, with the measured
accuracy and the points of docs/results.md, opens it in a headless Chromium and takes its top, down to the layers on the
accelerator. Values of 16 and 32 bits are left out: they would set every bar's scale.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from actcodec.cli.accelerator import run_on_accelerator
from actcodec.codecs import load_codecs
from actcodec.files import read_json, write_bytes
from actcodec.tables import digest_of, load_tables
from actcodec_sim.report import Evaluation, frame_report, load_sweep, write_report
from support.browser import chromium, find_chromium

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TABLES = RESULTS / "tables" / "resnet20-p1q-2.5"
STORE = RESULTS / "codec_stores" / "resnet20.json"
LEFT_OUT = ("raw16", "raw32")
ACCELERATOR, DEVICE, ENERGY = "edge-npu-16x16", "LPDDR4-3200", "45nm"
PICTURE = ROOT / "docs" / "report.png"
WIDTH, MARGIN = 1280, 6


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
    store = load_codecs(STORE)
    kept = tuple(codec for codec in store.codecs if codec.name not in LEFT_OUT)
    store = store.model_copy(update={"codecs": kept})
    write_report(
        folder,
        frame_report(tables, store, DEVICE, ENERGY),
        evaluation=Evaluation(measured["accuracy_golden"], measured["images"], measured["accuracy_float"]),
        sweep=load_sweep([RESULTS / "projection" / f"{network}.json"], network),
        accelerator=run_on_accelerator(
            ACCELERATOR, DEVICE, tables, store, None, None, energy=ENERGY, plan_by="codec", reload_tables=False
        ),
    )


def _photograph(program: str, page_file: Path) -> bytes:
    with chromium(program) as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        page.goto(page_file.as_uri())
        box = page.locator("section[aria-labelledby=accelerator] h3").bounding_box()
        assert box is not None
        height = box["y"] - MARGIN
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
