"""Gate equivalents of a design by Yosys' CMOS transistor count.

    GE = transistors / 4 + 6 · flip-flops + 3 · latches

Transistors are those of the combinational cells, 4 being a two-input NAND; a flip-flop counts like a plain D flip-flop
of a standard-cell library, a latch as half of one. Enables and resets, asynchronous ones too, are gates in front of a
plain flip-flop, so that a design gains nothing by the kind of flip-flop it uses. Memories are not mapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from actcodec.files import read_json
from actcodec_rtl.synth.elaborate import ELABORATED, Design, pattern
from actcodec_rtl.synth.yosys import run_yosys

TRANSISTORS_PER_GE = 4
GE_PER_FLIP_FLOP = 6
GE_PER_LATCH = 3
FLIP_FLOP = "$_DFF_P_"
LATCH = "$_DLATCH_P_"
# In the transistors that Yosys prints a plain flip-flop is in with these; other cells than gates count nothing.
_FLIP_FLOP_TRANSISTORS = 16
MEMORY = "$mem_v2"
# What `abc -g cmos` writes, and what may be left beside it; Yosys counts each of them.
GATES = frozenset(
    {"$_BUF_", "$_NOT_", "$_AND_", "$_NAND_", "$_OR_", "$_NOR_", "$_XOR_", "$_XNOR_"}
    | {"$_MUX_", "$_NMUX_", "$_AOI3_", "$_OAI3_", "$_AOI4_", "$_OAI4_"}
)


@dataclass(frozen=True)
class Gates:
    """Transistors of combinational cells, flip-flops and latches of a piece of logic."""

    transistors: int = 0
    flip_flops: int = 0
    latches: int = 0

    @property
    def ge(self) -> float:
        """Gate equivalents, memories apart."""
        sequential = GE_PER_FLIP_FLOP * self.flip_flops + GE_PER_LATCH * self.latches
        return self.transistors / TRANSISTORS_PER_GE + sequential

    def __add__(self, other: Gates) -> Gates:
        return Gates(
            self.transistors + other.transistors, self.flip_flops + other.flip_flops, self.latches + other.latches
        )

    def as_json(self) -> dict[str, Any]:
        """The counts and the gate equivalents that they make."""
        counts = {"transistors": self.transistors, "flip_flops": self.flip_flops, "latches": self.latches}
        return {"ge": self.ge, **counts}


@dataclass(frozen=True)
class Count:
    """What one module holds: its own gates, without its submodules, and the cells that are not gates, by type."""

    gates: Gates
    left_out: Mapping[str, int] = field(default_factory=dict)


def parse_stat(stat: Mapping[str, Any]) -> dict[str, Count]:
    """Every module's own count from the JSON of ``stat -json -tech cmos``.

    Yosys' transistors of a module include its submodules and flip-flops; both are taken off.
    """
    modules = {name.removeprefix("\\"): content for name, content in stat["modules"].items()}
    transistors = {
        name: int(str(content["estimated_num_transistors"]).rstrip("+")) for name, content in modules.items()
    }
    counts = {}
    for name, content in modules.items():
        cells: dict[str, int] = content["num_cells_by_type"]
        flip_flops = cells.get(FLIP_FLOP, 0)
        below = sum(number * transistors[kind] for kind, number in cells.items() if kind in modules)
        own = transistors[name] - below - _FLIP_FLOP_TRANSISTORS * flip_flops
        counted = {FLIP_FLOP, LATCH, MEMORY} | GATES | modules.keys()
        left_out = {kind: number for kind, number in cells.items() if kind not in counted}
        counts[name] = Count(Gates(own, flip_flops, cells.get(LATCH, 0)), left_out)
    return counts


def synthesise(
    design: Design, name: str, *, flat: bool, without: Iterable[str] = ()
) -> tuple[dict[str, Count], Mapping[str, Any]]:
    """Map ``design`` to gates and return every module's own count, and the netlist before mapping as Yosys' JSON.

    ``flat`` dissolves the hierarchy first; ``without`` names modules to empty, their ports staying in use. ``name`` is
    the stem of scratch files. Raises ActcodecError for what has no plain flip-flop (set and reset in one), or Yosys'
    error.
    """
    words, stat = f"{name}.words.json", f"{name}.stat.json"
    resets = resources.files("actcodec_rtl.synth") / "synchronous_reset.v"
    run_yosys(
        [
            f"read_rtlil {ELABORATED}",
            *(f"blackbox {pattern(module)}" for module in without),
            f"hierarchy -check -top {design.top}",
            f'techmap -map "{resets}"',
            *(["flatten -noscopeinfo"] if flat else []),
            f"synth -top {design.top} -run coarse:fine",
            "opt -fast -full",
            "opt -full",
            f"write_json {words}",
            "techmap",
            "opt -fast",
            f"dfflegalize -cell {FLIP_FLOP} 01 -cell {LATCH} 01",
            # Not the whole of `opt`: opt_dff would make enables and resets part of the flip-flops again.
            "opt_expr",
            "opt_merge",
            "opt_clean",
            "abc -g cmos",
            "opt_clean",
            f"tee -q -o {stat} stat -json -tech cmos",
        ],
        design.directory,
    )
    return parse_stat(read_json(design.directory / stat)), read_json(design.directory / words)["modules"]
