"""Writing a traffic report to a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from actcodec.files import write_text
from actcodec_sim.accelerator import AcceleratorReport
from actcodec_sim.report.accuracy import Evaluation, Sweep
from actcodec_sim.report.cosim import CosimRow
from actcodec_sim.report.csv_table import traffic_csv
from actcodec_sim.report.page import html_page
from actcodec_sim.report.roofline import Roofline
from actcodec_sim.traffic import TrafficReport


def write_report(
    directory: Path,
    report: TrafficReport,
    cosim: Sequence[CosimRow] = (),
    *,
    evaluation: Evaluation | None = None,
    sweep: Sweep | None = None,
    roofline: Roofline | None = None,
    accelerator: AcceleratorReport | None = None,
) -> list[Path]:
    """Write ``traffic.csv``, ``traffic.json`` and ``index.html`` to ``directory``; their paths.

    The page hands out the other two as they are; its parts are those of ``html_page``. The JSON file also holds the
    co-simulations and what ``accelerator`` found. All are made before the first
    is written. Raises ActcodecError where the folder cannot be written.
    """
    content = report.to_json()
    if cosim:
        content["cosim"] = [{**asdict(row), "agrees": row.agrees} for row in cosim]
    if accelerator is not None:
        content["accelerator"] = accelerator.to_json()
    files = {
        "traffic.csv": traffic_csv(report),
        "traffic.json": json.dumps(content, indent=2, ensure_ascii=False) + "\n",
    }
    page = html_page(
        report,
        cosim,
        evaluation=evaluation,
        sweep=sweep,
        roofline=roofline,
        accelerator=accelerator,
        downloads=dict(files),
    )
    files["index.html"] = page
    for name, text in files.items():
        write_text(directory / name, text)
    return [directory / name for name in files]
