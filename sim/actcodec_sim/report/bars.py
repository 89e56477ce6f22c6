"""Bars by layer and codec: lengths in percent of a scale that all codecs share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from actcodec_sim.traffic import CodecTraffic, SiteResult, TrafficReport

PARTS: tuple[tuple[str, str, Callable[[SiteResult], float]], ...] = (
    ("payload", "payload", lambda site: site.payload_bytes),
    ("padding", "padding", lambda site: site.padding_bytes),
    ("header", "stream headers", lambda site: site.header_bytes),
    ("rounding", "transaction rounding", lambda site: site.rounding_bytes + site.modify_bytes),
    ("tables", "tables, one load", lambda site: site.table_bytes),
)
"""Key, label and bytes of each part of a bar; together they are all bytes moved at batch 1."""
DIRECTIONS: tuple[tuple[str, str, Callable[[CodecTraffic], float]], ...] = (
    ("reads", "reads", lambda codec: sum(site.read_bytes for site in codec.sites)),
    ("writes", "writes", lambda codec: sum(site.write_bytes for site in codec.sites)),
    ("rounding", "read-modify-writes", lambda codec: sum(site.modify_bytes for site in codec.sites)),
    ("tables", "tables, one load", lambda codec: codec.table_bytes),
)
"""Key, label and bytes of each part of a codec's bar."""


@dataclass(frozen=True)
class Bar:
    """A bar of one or more parts, each a key (its colour) and its length in percent; ``value`` in the scale's unit."""

    value: float
    parts: tuple[tuple[str, float], ...]

    @property
    def length(self) -> float:
        """Percent of the scale."""
        return sum(length for _, length in self.parts)


@dataclass(frozen=True)
class BarChart:
    """One figure of every layer: ``rows[i][j]`` is layer i of codec j; None where that codec lacks the layer."""

    key: str
    label: str
    unit: str
    digits: int
    rows: tuple[tuple[Bar | None, ...], ...]


def layer_charts(report: TrafficReport) -> tuple[BarChart, ...]:
    """Bytes moved (batch 1), bits per value and memory cycles of every layer and codec."""
    total = max(site.moved_bytes + site.table_bytes for codec in report.codecs for site in codec.sites)
    unit, divisor = byte_unit(total)
    return (
        _chart(report, "bytes", f"bytes moved, {unit}", unit, 1, divisor, PARTS),
        _chart(report, "bits", "bits per value", "bits", 2, 1.0, (("value", "", _bits_per_value),)),
        _chart(report, "cycles", "memory cycles", "cycles", 0, 1.0, (("value", "", lambda site: site.cycles),)),
    )


def used_parts(report: TrafficReport) -> tuple[tuple[str, str], ...]:
    """Key and label of the parts that some bar has."""
    sites = [site for codec in report.codecs for site in codec.sites]
    return tuple((key, label) for key, label, part in PARTS if any(part(site) for site in sites))


def layer_names(report: TrafficReport) -> dict[str, tuple[int, int, int]]:
    """Layers in the order of the codecs, with their shapes."""
    return {site.stored.name: site.stored.shape for codec in report.codecs for site in codec.sites}


def codec_bars(report: TrafficReport) -> tuple[str, tuple[Bar, ...]]:
    """Unit, and a bar a codec: reads, writes, read-modify-writes and tables of a frame at batch 1."""
    total = max(codec.moved_bytes(1) for codec in report.codecs)
    unit, divisor = byte_unit(total)
    scale = 100 / total if total else 0.0
    return unit, tuple(
        Bar(
            codec.moved_bytes(1) / divisor,
            tuple((key, scale * amount(codec)) for key, _, amount in DIRECTIONS if amount(codec)),
        )
        for codec in report.codecs
    )


def byte_unit(largest: float) -> tuple[str, float]:
    """The largest binary unit in which ``largest`` bytes are at least 4."""
    for unit, divisor in (("MiB", float(1 << 20)), ("KiB", float(1 << 10))):
        if largest >= 4 * divisor:
            return unit, divisor
    return "bytes", 1.0


def _bits_per_value(site: SiteResult) -> float:
    return 8 * site.stored.stream_bytes / site.stored.values


def _chart(
    report: TrafficReport,
    key: str,
    label: str,
    unit: str,
    digits: int,
    divisor: float,
    parts: tuple[tuple[str, str, Callable[[SiteResult], float]], ...],
) -> BarChart:
    def amount(site: SiteResult) -> float:
        return sum(part(site) for _, _, part in parts)

    largest = max(amount(site) for codec in report.codecs for site in codec.sites)
    scale = 100 / largest if largest else 0.0
    by_codec = [{site.stored.name: site for site in codec.sites} for codec in report.codecs]

    def bar(site: SiteResult | None) -> Bar | None:
        if site is None:
            return None
        lengths = tuple((name, scale * part(site)) for name, _, part in parts if part(site))
        return Bar(amount(site) / divisor, lengths)

    rows = tuple(tuple(bar(sites.get(name)) for sites in by_codec) for name in layer_names(report))
    return BarChart(key, label, unit, digits, rows)
