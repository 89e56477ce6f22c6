"""Everything that is asked of a design, as one result that can be written as JSON."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actcodec_rtl.synth.blocks import blocks
from actcodec_rtl.synth.devices import choose, family_of
from actcodec_rtl.synth.elaborate import Design, elaborate
from actcodec_rtl.synth.fpga import DoesNotFitError, Netlist, map_design, package_of, place, summary
from actcodec_rtl.synth.gates import synthesise
from actcodec_rtl.synth.memories import memories
from actcodec_rtl.synth.sources import Sources
from actcodec_rtl.synth.yosys import require


@dataclass(frozen=True)
class Request:
    """What to measure: gates, their split by block, designs without a block, and FPGAs by name.

    ``frequency`` is nextpnr's target in MHz, ``seeds`` how many placements to make (seeds 1, 2, …), ``clock`` the
    clock port, which only the iCE40 frame needs to know.
    """

    sources: Sources
    gates: bool = True
    split: bool = True
    without: tuple[str, ...] = ()
    fpgas: tuple[str, ...] = ()
    frequency: float = 100.0
    seeds: int = 1
    clock: str = "clk"


@dataclass
class Measurement:
    """``result`` is the JSON; ``reports`` are nextpnr's own, by the file's name."""

    result: dict[str, Any]
    reports: dict[str, Any] = field(default_factory=dict)


class _Stopwatch:
    """Wall seconds of the steps, told to ``progress`` as they end."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 1)
        self._progress(f"{name}: {self.seconds[name]} s")


def measure(request: Request, directory: Path, progress: Callable[[str], None]) -> Measurement:
    """Measure what ``request`` asks for, scratch files in ``directory``; a line to ``progress`` after every step.

    Raises ActcodecError for missing tools, unknown devices and blocks, and whatever the tools refuse. A device that is
    too small is a result, not an error.
    """
    families = {family_of(name) for name in request.fpgas}
    packages = ["pyosys", *sorted(package_of(family) for family in families)]
    for package in packages:
        require(package)
    watch = _Stopwatch(progress)
    with watch.step("elaborate"):
        design = elaborate(request.sources, directory)
    left_out = {name: design.matching(name) for name in request.without}
    measurement = Measurement(
        {
            "top": design.top,
            "files": [file.name for file in request.sources.files],
            "sources_sha256": request.sources.digest(),
            "tools": {package: importlib.metadata.version(package) for package in packages},
        }
    )
    result = measurement.result
    if request.gates:
        result["gates"] = _gates(design, watch)
        if left_out:
            result["without"] = [_without(design, name, modules, result, watch) for name, modules in left_out.items()]
        if request.split:
            with watch.step("gates by block"):
                counts, words = synthesise(design, "split", flat=False)
            result["blocks"] = [block.as_json() for block in blocks(words, counts, design.top)]
    netlists: dict[tuple[str, bool], Netlist] = {}
    result["fpga"] = [_fpga(design, name, request, netlists, measurement, watch) for name in request.fpgas]
    result["seconds"] = watch.seconds
    return measurement


def _gates(design: Design, watch: _Stopwatch) -> dict[str, Any]:
    """The flattened design: gates, the memories, and cells that are neither."""
    with watch.step("gates"):
        counts, words = synthesise(design, "flat", flat=True)
    found = memories(words, design.top)
    top = counts[design.top]
    return {
        **top.gates.as_json(),
        "memory_bits": sum(memory.bits for memory in found),
        "memories": [memory.as_json() for memory in found],
        "left_out": dict(top.left_out),
    }


def _without(design: Design, name: str, modules: set[str], result: dict[str, Any], watch: _Stopwatch) -> dict[str, Any]:
    """The flattened design with every instance of ``modules`` emptied, and what that takes off."""
    with watch.step(f"gates without {name}"):
        counts, _ = synthesise(design, "without", flat=True, without=sorted(modules))
    gates = counts[design.top].gates
    return {"block": name, **gates.as_json(), "ge_less": result["gates"]["ge"] - gates.ge}


def _fpga(
    design: Design,
    name: str,
    request: Request,
    netlists: dict[tuple[str, bool], Netlist],
    measurement: Measurement,
    watch: _Stopwatch,
) -> dict[str, Any]:
    """The figures of one device; its reports go to ``measurement``, mapped designs stay in ``netlists``."""
    family, dsp = family_of(name), name != "hx8k"
    if (family, dsp) not in netlists:
        with watch.step(f"map to {family}{'' if dsp else ' without multipliers'}"):
            netlists[family, dsp] = map_design(design, family, dsp=dsp, clock=request.clock)
    netlist = netlists[family, dsp]
    device = choose(name, netlist.cells)
    placements = []
    try:
        for seed in range(1, request.seeds + 1):
            with watch.step(f"place on {device.name}, seed {seed}"):
                placements.append(place(netlist, device, frequency=request.frequency, seed=seed))
            measurement.reports[f"{device.name}-seed{seed}.json"] = placements[-1].report
    except DoesNotFitError as error:
        return {"device": device.name, "fits": False, "why": str(error), "cells": netlist.cells}
    return {**summary(device, placements), "target_mhz": request.frequency}
