"""A design as gates and flip-flops, cell by cell, for those who simulate it at that level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actcodec.files import read_json
from actcodec_rtl.synth.elaborate import ELABORATED, Design
from actcodec_rtl.synth.gates import FLIP_FLOP
from actcodec_rtl.synth.yosys import run_yosys

ENABLED_FLIP_FLOP = "$_DFFE_PP_"


def gate_netlist(design: Design, name: str) -> Mapping[str, Any]:
    """The flattened top of ``design`` as Yosys' JSON: `GATES`, plain flip-flops and ones with an enable.

    Every module is mapped by itself, as in the count by block, so that a cell's name begins with the path of the block
    that it is of (`path_of`). Synchronous resets are gates in front of a flip-flop. ``name`` is the stem of scratch
    files. Raises ActcodecError with Yosys' error.
    """
    result = f"{name}.gates.json"
    run_yosys(
        [
            f"read_rtlil {ELABORATED}",
            f"hierarchy -check -top {design.top}",
            f"synth -top {design.top} -run coarse:fine",
            "opt -full",
            "memory_map",
            "techmap",
            "opt -fast",
            f"dfflegalize -cell {FLIP_FLOP} 01 -cell {ENABLED_FLIP_FLOP} 01",
            "opt_expr",
            "opt_merge",
            "opt_clean",
            "abc -g cmos",
            "opt_clean",
            "flatten -noscopeinfo",
            "opt_clean",
            f"write_json {result}",
        ],
        design.directory,
    )
    module: Mapping[str, Any] = read_json(design.directory / result)["modules"][design.top]
    return module


def path_of(cell: str) -> str:
    """A flattened cell's name as a path: Yosys' marks of names inside of it are left out."""
    return cell.removeprefix("$flatten").replace("\\", "")
