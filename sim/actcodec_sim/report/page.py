"""The report as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import actcodec
from actcodec_sim.accelerator import AcceleratorReport
from actcodec_sim.report.accelerator import accelerator_roofline, bound_bar
from actcodec_sim.report.accuracy import Evaluation, Sweep
from actcodec_sim.report.bars import DIRECTIONS, codec_bars, layer_charts, layer_names, used_parts
from actcodec_sim.report.cosim import CosimRow
from actcodec_sim.report.plots import rate_accuracy, roofline_plot, shown_from
from actcodec_sim.report.roofline import Roofline
from actcodec_sim.report.timeline import timeline_data, window_commands
from actcodec_sim.traffic import CodecTraffic, TrafficReport
from actcodec_sim.traffic.result import BATCHES, REFERENCE_BITS

_PACKAGE = "actcodec_sim.report"


def html_page(
    report: TrafficReport,
    cosim: Sequence[CosimRow] = (),
    *,
    evaluation: Evaluation | None = None,
    sweep: Sweep | None = None,
    roofline: Roofline | None = None,
    accelerator: AcceleratorReport | None = None,
    downloads: dict[str, str] | None = None,
) -> str:
    """The page: summary, plots, timeline, layers, co-simulation where there is any, assumptions and provenance.

    ``evaluation`` and ``sweep`` say how accurate the network is, ``accelerator`` what it does on one, with its roofline
    where no other ``roofline`` is given; what is not given is left out. ``downloads`` are files that the page hands
    out, text by name.
    """
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda value: f"{value:,.0f}".replace(",", "\u202f")
    environment.filters["fixed"] = _fixed
    environment.filters["verbatim"] = _verbatim
    codec = _focus(report)
    accuracy = _accuracy(report, evaluation, sweep)
    if roofline is None and accelerator is not None:
        roofline = accelerator_roofline(accelerator, codec.codec)
    unit, bars = codec_bars(report)
    context: dict[str, Any] = {
        "report": report,
        "cosim": cosim,
        "focus": codec,
        "baseline": _baseline(report),
        "accuracy": accuracy,
        "sweep": sweep,
        "sweep_plot": None if sweep is None else Markup(_rate_accuracy(sweep, codec, accuracy)),
        "sweep_below": 0 if sweep is None else sum(100 * p.accuracy < shown_from(sweep) for p in sweep.points),
        "sweep_bottom": 0.0 if sweep is None else shown_from(sweep),
        "accelerator": accelerator,
        "bound_bar": bound_bar,
        "roofline": roofline,
        "roofline_plot": None if roofline is None else Markup(roofline_plot(roofline)),
        "batches": BATCHES,
        "reference_bits": REFERENCE_BITS,
        "parts": used_parts(report),
        "directions": DIRECTIONS,
        "codec_unit": unit,
        "codec_bars": bars,
        "layers": layer_names(report),
        "charts": layer_charts(report),
        "timeline": timeline_data(report),
        "window_commands": window_commands(report),
        "downloads": downloads or {},
        "style": _asset("report.css"),
        "script": _asset("report.js"),
        "version": actcodec.__version__,
    }
    return environment.get_template("report.html.j2").render(context)


def _focus(report: TrafficReport) -> CodecTraffic:
    """The codec that the summary is about: this project's, or the last one where that is not in the report."""
    return next((codec for codec in report.codecs if codec.codec == "actcodec"), report.codecs[-1])


def _baseline(report: TrafficReport) -> CodecTraffic:
    """What the summary compares with: uncompressed values, or the first codec."""
    return next((codec for codec in report.codecs if codec.codec == "raw8"), report.codecs[0])


def _accuracy(report: TrafficReport, evaluation: Evaluation | None, sweep: Sweep | None) -> Evaluation | None:
    """The evaluation, with the float accuracy of the sweep; or the sweep's point of the same provenance."""
    if evaluation is not None:
        known = evaluation.accuracy_float
        if known is None and sweep is not None:
            known = sweep.accuracy_float
        return Evaluation(evaluation.accuracy, evaluation.images, known)
    point = None if sweep is None else sweep.find(report.provenance)
    return (
        None if point is None or sweep is None else Evaluation(point.accuracy, point.test_images, sweep.accuracy_float)
    )


def _rate_accuracy(sweep: Sweep, codec: CodecTraffic, accuracy: Evaluation | None) -> str:
    return rate_accuracy(sweep, codec.bpv_stream(), None if accuracy is None else accuracy.accuracy)


def _fixed(value: float, digits: int = 2) -> str:
    """A number of ``digits`` decimals, thin spaces between thousands and a true minus."""
    text = f"{value:,.{digits}f}".replace(",", "\u202f")
    return text.replace("-", "−")


def _verbatim(text: str) -> Markup:
    """Text of an element such that its textContent is ``text`` again, quotes left as they are."""
    return Markup(text.replace("&", "&amp;").replace("<", "&lt;"))


def _asset(name: str) -> Markup:
    """A file beside the template, as it is: it may hold what a template would take for an expression."""
    return Markup(resources.files(_PACKAGE).joinpath("templates", name).read_text("utf-8"))
