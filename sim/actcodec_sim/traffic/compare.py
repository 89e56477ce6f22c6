"""Two traffic reports side by side: what a change of the design did to every codec and site."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actcodec_sim.traffic.report_file import CodecFigures, EnergyFigures, ReportFile, SiteFigures


@dataclass(frozen=True)
class Change:
    """One figure ``before`` and ``after``; ``cost``: more of it is worse, ``gain``: less of it is."""

    figure: str
    unit: str
    before: float
    after: float
    cost: bool = True
    gain: bool = False

    @property
    def difference(self) -> float:
        """After − before, in ``unit``."""
        return self.after - self.before

    @property
    def percent(self) -> float:
        """Difference in percent of the size of before; infinite where before is 0 and after is not."""
        if self.before:
            return 100 * self.difference / abs(self.before)
        return math.copysign(math.inf, self.after) if self.after else 0.0

    def worse_by(self, percent: float) -> bool:
        """Whether it got worse by more than ``percent``."""
        return (self.cost and self.percent > percent) or (self.gain and self.percent < -percent)

    def to_json(self) -> dict[str, Any]:
        """Every figure; ``percent`` is null where it is infinite."""
        return {
            "figure": self.figure,
            "unit": self.unit,
            "before": self.before,
            "after": self.after,
            "difference": self.difference,
            "percent": self.percent if math.isfinite(self.percent) else None,
        }


@dataclass(frozen=True)
class SiteChange:
    """The figures of one site that both reports hold."""

    name: str
    changes: tuple[Change, ...]

    @property
    def changed(self) -> bool:
        """Any figure differs."""
        return any(change.difference for change in self.changes)


@dataclass(frozen=True)
class CodecChange:
    """One codec that both reports hold: figures of the frame, its common sites, and those of one report only."""

    codec: str
    totals: tuple[Change, ...]
    sites: tuple[SiteChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Every figure under its name."""
        return {
            "codec": self.codec,
            "totals": [change.to_json() for change in self.totals],
            "sites": [
                {"name": site.name, "changes": [change.to_json() for change in site.changes]} for site in self.sites
            ],
            "sites_added": list(self.added),
            "sites_removed": list(self.removed),
        }


@dataclass(frozen=True)
class Comparison:
    """Codecs that both reports hold, and ``warnings`` on what makes the figures incomparable, one a line."""

    codecs: tuple[CodecChange, ...]
    missing: tuple[str, ...]
    """Codecs that only the first report holds."""
    warnings: tuple[str, ...]

    def regressions(self, percent: float) -> list[str]:
        """A line for each figure of a frame that got worse by more than ``percent``, and each codec that is gone."""
        lines = [f"{codec}: is missing in the second report" for codec in self.missing]
        for codec in self.codecs:
            for change in codec.totals:
                if change.worse_by(percent):
                    lines.append(
                        f"{codec.codec}: {change.figure}: {change.before:.6g} → {change.after:.6g} {change.unit}, "
                        f"{change.percent:+.2f} % is {'below −' if change.gain else 'above '}{percent:g} %"
                    )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Every figure under its name."""
        return {"warnings": list(self.warnings), "codecs": [codec.to_json() for codec in self.codecs]}


def compare_reports(before: ReportFile, after: ReportFile) -> Comparison:
    """What changed from ``before`` to ``after``, in the order of ``after``."""
    old = {codec.codec: codec for codec in before.codecs}
    new = {codec.codec: codec for codec in after.codecs}
    codecs = tuple(
        _codec_change(old[name], codec, _energy_changes(name, before.energy, after.energy))
        for name, codec in new.items()
        if name in old
    )
    missing = tuple(name for name in old if name not in new)
    warnings = [
        *_setting_warnings(before, after),
        *(f"codec {name}: only in the first report" for name in missing),
        *(f"codec {name}: only in the second report" for name in new if name not in old),
        *(
            f"codec {codec.codec}: {len(codec.added)} sites added, {len(codec.removed)} removed; "
            "the frames hold different layers"
            for codec in codecs
            if codec.added or codec.removed
        ),
    ]
    return Comparison(codecs, missing, tuple(warnings))


_SITE_FIGURES: tuple[tuple[str, str, bool, Callable[[SiteFigures], float]], ...] = (
    ("moved bytes", "bytes", True, lambda site: site.moved_bytes),
    ("table bytes", "bytes", True, lambda site: site.table_bytes),
    ("bits per value", "bits", True, lambda site: site.bits_per_value),
    ("memory cycles", "cycles", True, lambda site: site.cycles),
    ("row hits", "%", False, lambda site: 100 * site.row_hit_rate),
)


def _codec_change(before: CodecFigures, after: CodecFigures, energy: Iterable[Change]) -> CodecChange:
    old = {site.name: site for site in before.sites}
    new = {site.name: site for site in after.sites}
    return CodecChange(
        codec=after.codec,
        totals=(*_totals(before, after), *energy),
        sites=tuple(
            SiteChange(
                name,
                tuple(Change(figure, unit, of(old[name]), of(site), cost) for figure, unit, cost, of in _SITE_FIGURES),
            )
            for name, site in new.items()
            if name in old
        ),
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
    )


def _totals(before: CodecFigures, after: CodecFigures) -> Iterator[Change]:
    """The frame's figures: bits per value, bytes, and cycles, energy and row hits at full speed and paced."""
    yield Change("bits per value, stream", "bits", before.bpv_stream, after.bpv_stream)
    batches = [batch for batch in before.batches if batch in after.batches]
    for batch in batches:
        old, new = before.batches[batch], after.batches[batch]
        yield Change(f"bits per value with tables, batch {batch}", "bits", old.bpv_net, new.bpv_net)
        yield Change(f"moved bytes, batch {batch}", "bytes", old.moved_bytes, new.moved_bytes)
    frames = (
        ("", before.memory_limited, after.memory_limited),
        ("paced ", before.paced, after.paced),
    )
    for kind, old_frame, new_frame in frames:
        for batch in batches:
            if batch in old_frame.batches and batch in new_frame.batches:
                old_cost, new_cost = old_frame.batches[batch], new_frame.batches[batch]
                yield Change(f"{kind}cycles, batch {batch}", "cycles", old_cost.cycles, new_cost.cycles)
                yield Change(
                    f"{kind}DRAM energy, batch {batch}", "µJ", old_cost.energy_pj / 1e6, new_cost.energy_pj / 1e6
                )
        rate, new_rate = (100 * frame.resident.row_hit_rate for frame in (old_frame, new_frame))
        yield Change(f"{kind}row hits", "%", rate, new_rate, cost=False)


def _energy_changes(codec: str, before: EnergyFigures | None, after: EnergyFigures | None) -> Iterator[Change]:
    """Energy of the codec and what is left of the saving, where both reports have them."""
    if before is None or after is None:
        return
    old, new = before.batches(codec), after.batches(codec)
    for batch in (batch for batch in old if batch in new):
        spent = old[batch].codec_pj / 1e6, new[batch].codec_pj / 1e6
        yield Change(f"codec energy, batch {batch}", "µJ", *spent)
        left = old[batch].net_pj / 1e6, new[batch].net_pj / 1e6
        yield Change(f"net energy saved, batch {batch}", "µJ", *left, cost=False, gain=True)


def _setting_warnings(before: ReportFile, after: ReportFile) -> Iterator[str]:
    """What the reports were made for, where it differs."""
    if before.device["name"] != after.device["name"]:
        yield f"device: {before.device['name']} → {after.device['name']}"
    else:
        for field, old, new in _differences(before.device, after.device):
            yield f"device {after.device['name']}: {field}: {old} → {new}"
    for field, old, new in _differences(before.pacing, after.pacing):
        yield f"pacing: {field}: {old} → {new}"
    if before.energy is None or after.energy is None:
        if before.energy is not after.energy:
            yield f"energy: only in the {'first' if after.energy is None else 'second'} report"
    else:
        for field, old, new in _differences(before.energy.constants, after.energy.constants):
            yield f"energy: {field}: {old} → {new}"
    for field in ("network", "dataset"):
        if before.provenance.get(field) != after.provenance.get(field):
            yield f"{field}: {before.provenance.get(field)} → {after.provenance.get(field)}"


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Fields of nested mappings that differ, but for their sources."""
    for field in dict.fromkeys([*before, *after]):
        old, new = before.get(field), after.get(field)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{prefix}{field}.")
        elif old != new and field not in ("source", "validation"):
            yield f"{prefix}{field}", old, new
