"""The report as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

import actcodec
from actcodec_sim.report.cosim import CosimRow
from actcodec_sim.report.plots import bytes_by_codec, bytes_by_site
from actcodec_sim.traffic import TrafficReport
from actcodec_sim.traffic.result import BATCHES, REFERENCE_BITS


def html_page(report: TrafficReport, cosim: Sequence[CosimRow] = ()) -> str:
    """The page: summary, plots, sites, co-simulation where there is any, assumptions and provenance."""
    environment = Environment(
        loader=PackageLoader("actcodec_sim.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda value: f"{value:,.0f}".replace(",", "\u202f")
    environment.filters["fixed"] = lambda value, digits=2: f"{value:.{digits}f}"
    return environment.get_template("report.html.j2").render(
        report=report,
        cosim=cosim,
        batches=BATCHES,
        reference_bits=REFERENCE_BITS,
        codec_plot=bytes_by_codec(report),
        site_plot=bytes_by_site(report),
        version=actcodec.__version__,
    )
