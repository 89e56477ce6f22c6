"""Plots with axes, as SVG text to put into a page; colours of text and lines are the page's own."""

from __future__ import annotations

import html
import io
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from actcodec_sim.report.accuracy import Sweep, SweepPoint
from actcodec_sim.report.roofline import Roofline

SERIES_COLOURS = (
    *("#2f7ed8", "#d9822b", "#2e9d63", "#c94f4f", "#8b6cc1"),
    *("#9a6b4f", "#d066a9", "#7d8790", "#a3a11f", "#1fa5b5"),
)
"""Colours of series in order; each is legible on a white and on a dark page."""
_MARKERS = "osD^v<>PXph"
_PANELS = ("post-training", "block-wise", "fine-tuned")
_SHOWN_BELOW_FLOAT = 16.0
"""Points of accuracy below that of the uncompressed network that the plot shows."""

# Matplotlib takes no CSS variables: these colours are drawn and replaced in the text.
_INK, _MUTED, _LINE, _ACCENT = "#010101", "#020202", "#030303", "#040404"
_VARIABLES = {_INK: "var(--ink)", _MUTED: "var(--muted)", _LINE: "var(--line)", _ACCENT: "var(--accent)"}
_STYLE: dict[Any, Any] = {
    # Text stays text, so that a reader can search and copy it; a fixed salt makes the same page every time.
    "svg.fonttype": "none",
    "svg.hashsalt": "actcodec",
    "font.family": ["sans-serif"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _MUTED,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def rate_accuracy(sweep: Sweep, bits: float, accuracy: float | None) -> str:
    """Accuracy over stream bits a value, a panel a way of training, a line a method.

    The reported tables are a star at ``bits`` and ``accuracy``, or a line at ``bits`` where it is not known.
    """
    panels = sorted({point.panel for point in sweep.points}, key=_panel_order)
    methods = sorted({_family(point) for point in sweep.points})
    bottom = shown_from(sweep)
    titles: dict[str, str] = {}
    with _style():
        rows = -(-len(methods) // 6)
        figure = Figure(figsize=(9.2, 3.5 + 0.2 * rows), layout="constrained")
        axes = figure.subplots(1, max(len(panels), 1), sharex=True, sharey=True, squeeze=False)[0]
        for axis, panel in zip(axes, panels, strict=False):
            lines: dict[str, list[SweepPoint]] = defaultdict(list)
            for point in sorted(sweep.points, key=lambda point: point.bpv_stream):
                if point.panel == panel:
                    lines[_family(point)].append(point)
            for method, points in lines.items():
                place = methods.index(method)
                look = {"color": _colour(place), "marker": _MARKERS[place % len(_MARKERS)]}
                axis.plot([p.bpv_stream for p in points], [100 * p.accuracy for p in points], **look, ms=0, lw=1.1)
                for p in points:
                    if 100 * p.accuracy >= bottom:
                        gid = f"point-{len(titles)}"
                        titles[gid] = f"{p.method}: {p.bpv_stream:.3f} bits, {p.accuracy:.2%}"
                        axis.plot([p.bpv_stream], [100 * p.accuracy], **look, ms=5, gid=gid, ls="none")
            axis.axhline(100 * sweep.accuracy_float, color=_MUTED, lw=0.9, ls="--")
            gid = f"this-{panel.replace(' ', '-')}"
            if accuracy is None:
                axis.axvline(bits, color=_ACCENT, lw=1.4, ls=":", gid=gid)
                titles[gid] = f"this report: {bits:.3f} bits, accuracy not measured"
            else:
                axis.plot([bits], [100 * accuracy], color=_ACCENT, marker="*", ms=13, mec=_INK, mew=0.6, gid=gid)
                titles[gid] = f"this report: {bits:.3f} bits, {accuracy:.2%}"
            axis.set_title(panel, loc="left")
            axis.set_xlabel("bits per value (stream)")
        axes[0].set_ylabel("test accuracy, %")
        axes[0].set_ylim(bottom, min(100 * sweep.accuracy_float + 1, 100.5))
        handles = [_handle(_colour(i), _MARKERS[i % len(_MARKERS)], name) for i, name in enumerate(methods)]
        handles.append(Line2D([], [], color=_MUTED, lw=0.9, ls="--", label="uncompressed"))
        if accuracy is None:
            handles.append(Line2D([], [], color=_ACCENT, lw=1.4, ls=":", label="this report"))
        else:
            handles.append(_handle(_ACCENT, "*", "this report", size=11))
        figure.legend(handles=handles, loc="outside lower center", ncols=6)
        return _svg(figure, "rate-accuracy", titles)


def shown_from(sweep: Sweep) -> float:
    """Lowest accuracy in the plot, in percent."""
    return max(100 * sweep.accuracy_float - _SHOWN_BELOW_FLOAT, 0.0)


def roofline_plot(roofline: Roofline) -> str:
    """MACs a cycle over MACs a byte, both logarithmic: a colour a codec, a marker for what holds a layer up."""
    bounds = sorted({point.bound for points in roofline.points.values() for point in points})
    titles: dict[str, str] = {}
    with _style():
        figure = Figure(figsize=(9.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        every = [point for points in roofline.points.values() for point in points]
        left = min(roofline.ridge, *(point.intensity for point in every)) / 2
        right = max(roofline.ridge, *(point.intensity for point in every)) * 2
        bottom = min(point.rate for point in every) / 3
        start = max(left, bottom / roofline.peak_bytes)
        axes.plot(
            [start, roofline.ridge, right],
            [start * roofline.peak_bytes, roofline.peak_macs, roofline.peak_macs],
            color=_INK,
            lw=1.4,
        )
        for place, (codec, points) in enumerate(roofline.points.items()):
            for point in points:
                gid = f"point-{len(titles)}"
                titles[gid] = (
                    f"{point.name}, {codec}: {point.intensity:.3g} MACs/byte, {point.rate:.4g} MACs/cycle, "
                    f"{point.bound} bound"
                )
                marker = _MARKERS[bounds.index(point.bound) % len(_MARKERS)]
                axes.plot([point.intensity], [point.rate], color=_colour(place), marker=marker, ms=5.5, gid=gid)
        _log_axes(axes, roofline)
        axes.set(xlim=(left, right), ylim=(bottom, 1.6 * roofline.peak_macs))
        handles = [_handle(_colour(i), "o", codec) for i, codec in enumerate(roofline.points)]
        handles += [_handle(_MUTED, _MARKERS[i % len(_MARKERS)], f"{bound} bound") for i, bound in enumerate(bounds)]
        figure.legend(handles=handles, loc="outside lower center", ncols=6)
        return _svg(figure, "roofline", titles)


def _log_axes(axes: Axes, roofline: Roofline) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("arithmetic intensity, MACs per byte moved")
    axes.set_ylabel("MACs per cycle")
    axes.annotate(
        f"{roofline.peak_macs:,.0f} MACs/cycle",
        (1, roofline.peak_macs),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
    )
    axes.annotate(
        f"{roofline.peak_bytes:,.3g} bytes/cycle",
        (roofline.ridge / 1.3, roofline.peak_macs / 1.3),
        xytext=(8, -10),
        textcoords="offset points",
    )


def _panel_order(panel: str) -> tuple[int, str]:
    return (_PANELS.index(panel) if panel in _PANELS else len(_PANELS), panel)


def _family(point: SweepPoint) -> str:
    """A recipe's name without the stages put over it: the panel tells those."""
    return point.method.split("+")[0]


def _colour(place: int) -> str:
    return SERIES_COLOURS[place % len(SERIES_COLOURS)]


def _handle(colour: str, marker: str, label: str, size: float = 5) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, ms=size, ls="none", label=label)


def _style() -> AbstractContextManager[None]:
    return matplotlib.rc_context(_STYLE)


def _svg(figure: Figure, name: str, titles: Mapping[str, str]) -> str:
    """The figure as an SVG element, without XML declaration and metadata, its ids prefixed with ``name``.

    Matplotlib numbers ids from 1 in every figure; two figures in one page would share them. ``titles`` are shown
    where the pointer rests, by the gid of what is drawn.
    """
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    content = text.getvalue()
    content = re.sub(r"\s*<metadata>.*?</metadata>", "", content[content.index("<svg") :], flags=re.DOTALL)
    content = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", content)
    for gid, title in titles.items():
        tag = f'<g id="{name}-{gid}">'
        content = content.replace(tag, f"{tag}<title>{html.escape(title)}</title>", 1)
    for colour, variable in _VARIABLES.items():
        content = content.replace(colour, variable)
    return content
