"""Resources and clock of a design on an FPGA: Yosys maps, nextpnr (PyPI: yowasp-nextpnr-…) places and routes.

ECP5 designs are placed out of context, without pins: their resources are exactly the design's, the clock runs through
the fabric, and only paths between flip-flops count. iCE40 designs stand in a frame (`harness`); its logic cells are
taken off. The clock is what nextpnr reaches with a target of ``frequency`` MHz: a larger target can give a larger one.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actcodec.errors import ActcodecError
from actcodec.files import read_json, write_text
from actcodec_rtl.synth.devices import Device, count_cells
from actcodec_rtl.synth.elaborate import ELABORATED, Design
from actcodec_rtl.synth.harness import HARNESS, harness
from actcodec_rtl.synth.yosys import error_of, require, run_yosys

# What nextpnr's report calls the four kinds.
_UTILISATION = {
    "ecp5": {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "dsp": "MULT18X18D", "ram": "DP16KD"},
    "ice40": {"cells": "ICESTORM_LC", "dsp": "ICESTORM_DSP", "ram": "ICESTORM_RAM"},
}
_NO_ROOM = re.compile(r"no B[Ee][Ll]s? remaining|[Uu]nable to (find|place)|too (large|big)|[Ff]ailed to place")
_RUN = "import sys, yowasp_nextpnr_{0} as nextpnr; sys.exit(nextpnr.run_nextpnr_{0}(sys.argv[1:]))"


@dataclass(frozen=True)
class Netlist:
    """A design mapped to a family: Yosys' JSON for nextpnr, cells before packing, and logic cells of the frame."""

    family: str
    path: Path
    cells: Mapping[str, int]
    frame: int = 0


@dataclass(frozen=True)
class Placement:
    """Resources after packing and the clock in MHz, None without a path between flip-flops; nextpnr's own report."""

    resources: Mapping[str, int]
    megahertz: float | None
    report: Mapping[str, Any]


class DoesNotFitError(Exception):
    """A device has no room for a design; the text says of what."""


def package_of(family: str) -> str:
    """The Python package with nextpnr for ``family``."""
    return f"yowasp_nextpnr_{family}"


def map_design(design: Design, family: str, *, dsp: bool, clock: str) -> Netlist:
    """Map ``design`` to ``family``'s cells, an iCE40's multipliers used if ``dsp``.

    Raises ActcodecError with Yosys' error line, and for ports that the iCE40 frame cannot drive.
    """
    stem = f"{family}{'-dsp' if dsp else ''}"
    netlist, stat = f"{stem}.json", f"{stem}.stat.json"
    script = [
        f"read_rtlil {ELABORATED}",
        # Whoever asks for RAM in LUTs gets block RAM where a LUT is none.
        *(["setattr -unset ram_style m:*"] if family == "ice40" else []),
        f"synth_{family} -top {design.top}{' -dsp' if dsp and family == 'ice40' else ''}",
        f"tee -q -o {stat} stat -json",
    ]
    frame = 0
    if family == "ice40":
        text, frame = harness(design.top, design.modules[design.top]["ports"], clock)
        write_text(design.directory / f"{HARNESS}.v", text)
        script += [f"read_verilog {HARNESS}.v", f"hierarchy -top {HARNESS}", "flatten -noscopeinfo", "opt_clean -purge"]
    # Yosys' own cell libraries leave their paths on this machine in the netlist, and nextpnr would report them.
    run_yosys([*script, "setattr -unset src", f"write_json {netlist}"], design.directory)
    by_type = read_json(design.directory / stat)["design"]["num_cells_by_type"]
    return Netlist(family, design.directory / netlist, count_cells(family, by_type), frame)


def place(netlist: Netlist, device: Device, *, frequency: float, seed: int) -> Placement:
    """Place and route ``netlist`` on ``device`` with a target of ``frequency`` MHz.

    Raises DoesNotFitError where the device has no room, ActcodecError with nextpnr's error line for everything else.
    """
    short = device.lacks(netlist.cells)
    if short:
        raise DoesNotFitError(f"needs {short}")
    require(package_of(device.family))
    directory, report = netlist.path.parent, "report.json"
    result = subprocess.run(
        [
            *(sys.executable, "-c", _RUN.format(device.family), *device.options),
            *("--json", netlist.path.name, "--report", report, "--seed", str(seed), "--freq", str(frequency)),
            *("--quiet", "--timing-allow-fail", "--threads", "1"),
            *(["--out-of-context"] if device.family == "ecp5" else ["--pcf-allow-unconstrained"]),
        ],
        # Names are relative: nextpnr is WebAssembly and sees another /tmp than we do.
        cwd=directory,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        problem = error_of(result.stdout + result.stderr, directory) or f"ended with status {result.returncode}"
        if _NO_ROOM.search(problem):
            raise DoesNotFitError(problem)
        raise ActcodecError(f"nextpnr-{device.family}", problem)
    return parse_report(read_json(directory / report), netlist)


def parse_report(report: Mapping[str, Any], netlist: Netlist) -> Placement:
    """Resources and clock from nextpnr's JSON report: the slowest clock where there are several."""
    used = {
        kind: report["utilization"].get(name, {"used": 0})["used"]
        for kind, name in _UTILISATION[netlist.family].items()
    }
    if netlist.family == "ice40":
        used["cells"] -= netlist.frame
        used |= {"lut": netlist.cells["lut"], "ff": netlist.cells["ff"]}
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    return Placement(used, round(min(clocks), 2) if clocks else None, report)


def summary(device: Device, placements: Sequence[Placement]) -> dict[str, Any]:
    """The figures of a device over its seeds: resources, the median clock in MHz, and every seed's."""
    clocks = [placement.megahertz for placement in placements if placement.megahertz is not None]
    return {
        "device": device.name,
        "fits": True,
        "resources": placements[0].resources,
        "capacity": device.capacity,
        "mhz": round(statistics.median(clocks), 2) if clocks else None,
        "mhz_by_seed": clocks,
    }
