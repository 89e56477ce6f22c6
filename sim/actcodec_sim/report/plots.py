"""Plots of a traffic report, as SVG text to put into a page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actcodec_sim.traffic import CodecTraffic, SiteResult, TrafficReport

Part = tuple[str, str, Callable[[SiteResult], float]]
PARTS: tuple[Part, ...] = (
    ("payload", "#0b6e99", lambda site: site.payload_bytes),
    ("padding", "#e8a33d", lambda site: site.padding_bytes),
    ("transaction rounding", "#c0504d", lambda site: site.rounding_bytes + site.modify_bytes),
    ("tables, batch 1", "#7a5ea8", lambda site: site.table_bytes),
)
"""Name, colour and bytes of each part of a bar; together they are all bytes moved at batch 1."""
_RAW_COLOUR = "#c9d1d9"
_TEXT = "#24292f"
_STYLE: dict[Any, Any] = {
    # Text stays text, so that a reader can search and copy it; a fixed salt makes the same page every time.
    "svg.fonttype": "none",
    "svg.hashsalt": "actcodec",
    "font.family": ["sans-serif"],
    "font.size": 10.0,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": "#8c959f",
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def bytes_by_site(report: TrafficReport) -> str:
    """Stacked bars of the coded bytes of every site, raw 8-bit behind them."""
    raw, coded = report.codec("raw8"), report.codec("actcodec")
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.0, 1.5 + 0.34 * len(raw.sites)), layout="constrained")
        axes = figure.add_subplot()
        names = [site.stored.name for site in raw.sites]
        unit, divisor = _unit(max(site.moved_bytes for site in raw.sites))
        axes.barh(
            range(len(names)),
            [site.moved_bytes / divisor for site in raw.sites],
            height=0.82,
            color=_RAW_COLOUR,
            label="raw 8-bit, total",
        )
        _stack(axes, coded.sites, divisor, height=0.5)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.margins(y=0.01)
        axes.set_xlabel(f"bytes moved a frame, one write and every read ({unit})")
        axes.set_ylabel("site")
        axes.set_title("Memory traffic by site", loc="left", fontweight="bold", pad=30)
        axes.grid(axis="x", color="#e5e9ee")
        axes.set_axisbelow(True)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, frameon=False, fontsize=9)
        return _svg(figure, "bytes-by-site")


def bytes_by_codec(report: TrafficReport) -> str:
    """One bar a codec: reads, writes, read-modify-writes and tables of a frame at batch 1."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.0, 1.3 + 0.5 * len(report.codecs)), layout="constrained")
        axes = figure.add_subplot()
        names = [codec.codec for codec in report.codecs]
        unit, divisor = _unit(max(codec.moved_bytes(1) for codec in report.codecs))
        left = [0.0] * len(names)
        for label, colour, bytes_of in _DIRECTIONS:
            size = [bytes_of(codec) / divisor for codec in report.codecs]
            axes.barh(names, size, left=left, height=0.6, color=colour, label=label)
            left = [a + b for a, b in zip(left, size, strict=True)]
        for place, total in enumerate(left):
            axes.annotate(f"{total:,.1f} {unit}", (total, place), (5, 0), textcoords="offset points", va="center")
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlabel(f"bytes moved a frame, batch 1 ({unit})")
        axes.set_ylabel("codec")
        axes.set_title("Memory traffic of a frame", loc="left", fontweight="bold", pad=30)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, frameon=False, fontsize=9)
        return _svg(figure, "bytes-by-codec")


_DIRECTIONS: tuple[tuple[str, str, Callable[[CodecTraffic], float]], ...] = (
    ("reads", "#0b6e99", lambda codec: sum(site.read_bytes for site in codec.sites)),
    ("writes", "#3c9d6b", lambda codec: sum(site.write_bytes for site in codec.sites)),
    ("read-modify-writes", "#c0504d", lambda codec: sum(site.modify_bytes for site in codec.sites)),
    ("tables", "#7a5ea8", lambda codec: codec.table_bytes),
)


def _stack(axes: Axes, sites: Sequence[SiteResult], divisor: float, height: float) -> None:
    left = [0.0] * len(sites)
    for label, colour, bytes_of in PARTS:
        size = [bytes_of(site) / divisor for site in sites]
        axes.barh(range(len(sites)), size, left=left, height=height, color=colour, label=label)
        left = [a + b for a, b in zip(left, size, strict=True)]


def _unit(largest: float) -> tuple[str, float]:
    """The largest binary unit in which ``largest`` bytes are at least 4."""
    for unit, divisor in (("MiB", float(1 << 20)), ("KiB", float(1 << 10))):
        if largest >= 4 * divisor:
            return unit, divisor
    return "bytes", 1.0


def _svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element, without XML declaration and date, its ids prefixed with ``name``.

    Matplotlib numbers ids from 1 in every figure; two figures in one page would share them.
    """
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    content = text.getvalue()
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", content[content.index("<svg") :])
