"""The FPGAs that a design can be placed on, and what of a synthesised design fills them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actcodec.errors import ActcodecError

SMALLEST_ECP5 = "ecp5"
"""Stands for the smallest ECP5 that holds a design."""
# A fuller device than this is a trial of the router, not of the design.
_FILL = 0.8


@dataclass(frozen=True)
class Device:
    """An FPGA: nextpnr's family and options, and how many it has of ``lut``, ``ff``, ``dsp`` and ``ram``.

    ECP5: LUT4 and flip-flops, MULT18X18D, DP16KD (18 kbit). iCE40: logic cells (a LUT4 and a flip-flop each),
    SB_MAC16, SB_RAM40_4K (4 kbit).
    """

    name: str
    family: str
    options: tuple[str, ...]
    capacity: Mapping[str, int]

    def lacks(self, cells: Mapping[str, int]) -> str | None:
        """What a design of ``cells`` needs more of than there is, in words; None where it may fit."""
        short = [f"{cells[kind]} {kind} of {limit}" for kind, limit in self.capacity.items() if cells[kind] > limit]
        return ", ".join(short) or None


def _ecp5(size: str, package: str, lut: int, dsp: int, ram: int, fastest: bool) -> Device:
    """An LFE5U in the slowest speed grade, 6, or with ``-8`` behind its name in the fastest one."""
    options = (f"--{size}", "--package", package, "--speed", "8" if fastest else "6")
    name = f"lfe5u-{size.removesuffix('k')}f{'-8' if fastest else ''}"
    return Device(name, "ecp5", options, {"lut": lut, "ff": lut, "dsp": dsp, "ram": ram})


def _ice40(name: str, package: str, cells: int, dsp: int, ram: int) -> Device:
    return Device(
        name, "ice40", (f"--{name}", "--package", package), {"lut": cells, "ff": cells, "dsp": dsp, "ram": ram}
    )


DEVICES = {
    device.name: device
    for device in (
        *(
            _ecp5(*size, fastest)
            for fastest in (False, True)
            for size in (
                ("25k", "CABGA381", 24288, 28, 56),
                ("45k", "CABGA554", 43848, 72, 108),
                ("85k", "CABGA756", 83640, 156, 208),
            )
        ),
        _ice40("hx8k", "ct256", 7680, 0, 32),
        _ice40("up5k", "sg48", 5280, 8, 30),
    )
}
"""Devices by name, the ECP5s of a speed grade from small to large."""


def family_of(name: str) -> str:
    """The family of a device named on the command line; ActcodecError for one that is not known."""
    if name == SMALLEST_ECP5:
        return "ecp5"
    if name not in DEVICES:
        raise ActcodecError("--fpga", f"{name!r} is not one of {', '.join([SMALLEST_ECP5, *DEVICES])}")
    return DEVICES[name].family


def choose(name: str, cells: Mapping[str, int]) -> Device:
    """The device that ``name`` means for a design of ``cells``: the smallest ECP5 it fills to 80 %, or the largest.

    Of the slowest speed grade.
    """
    if name != SMALLEST_ECP5:
        return DEVICES[name]
    sizes = [device for device in DEVICES.values() if device.family == "ecp5" and not device.name.endswith("-8")]
    roomy = [size for size in sizes if all(cells[kind] <= _FILL * limit for kind, limit in size.capacity.items())]
    return (roomy or sizes[-1:])[0]


_CELLS = {
    # A carry cell is two LUTs; a 16 × 4 distributed RAM is four and the two that write it.
    "ecp5": {
        "LUT4": {"lut": 1},
        "CCU2C": {"lut": 2},
        "TRELLIS_DPR16X4": {"lut": 6},
        "TRELLIS_FF": {"ff": 1},
        "MULT18X18D": {"dsp": 1},
        "DP16KD": {"ram": 1},
        "PDPW16KD": {"ram": 1},
    },
    "ice40": {"SB_LUT4": {"lut": 1}, "SB_MAC16": {"dsp": 1}, "SB_RAM40_4K": {"ram": 1}},
}


def count_cells(family: str, by_type: Mapping[str, int]) -> dict[str, int]:
    """``lut``, ``ff``, ``dsp`` and ``ram`` of a synthesised design from its cells by type, before packing."""
    counts = dict.fromkeys(("lut", "ff", "dsp", "ram"), 0)
    for kind, number in by_type.items():
        weights = {"ff": 1} if family == "ice40" and kind.startswith("SB_DFF") else _CELLS[family].get(kind, {})
        for resource, weight in weights.items():
            counts[resource] += weight * number
    return counts
