"""An accelerator's results as the page shows them: bars of what bounds a codec's frame, and the roofline."""

from __future__ import annotations

from actcodec_sim.accelerator import AcceleratorReport, AcceleratorRun
from actcodec_sim.report.bars import Bar
from actcodec_sim.report.roofline import Roofline, RooflinePoint


def accelerator_roofline(report: AcceleratorReport, focus: str) -> Roofline:
    """Layers that multiply and move bytes, under the peaks of array and memory, in cycles of the array.

    Of more than three codecs: raw bytes (the first run), ``focus``, and whichever other takes the least time.
    """
    array = report.accelerator.array
    return Roofline(
        machine=f"{report.accelerator.name} with {report.device.name}",
        peak_macs=array.rows * array.columns,
        peak_bytes=report.device.peak_bytes_per_second / (report.accelerator.clock.mhz * 1e6),
        points={
            run.codec: tuple(
                RooflinePoint(unit.label, unit.macs, unit.bytes.total, unit.cycles, unit.bound)
                for unit in run.units
                if unit.macs and unit.bytes.total
            )
            for run in _drawn(report, focus)
        },
    )


def bound_bar(run: AcceleratorRun) -> Bar:
    """Time of a frame in milliseconds, in parts of 100 % by what bounds the units."""
    return Bar(run.nanoseconds / 1e6, tuple((name, 100 * share) for name, share in run.bounds().items() if share))


def _drawn(report: AcceleratorReport, focus: str) -> list[AcceleratorRun]:
    if len(report.runs) <= 3:
        return list(report.runs)
    named = {report.runs[0].codec, focus}
    others = [run for run in report.runs if run.codec not in named]
    named.add(min(others, key=lambda run: run.nanoseconds).codec)
    return [run for run in report.runs if run.codec in named]
