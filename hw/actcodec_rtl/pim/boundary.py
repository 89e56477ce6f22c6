"""Blocks that a designer replaces: modules of their own in the export, with the ports that the block has."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockSignal, Fragment, Instance, Module, ResetSignal

from actcodec_rtl.component import Block
from actcodec_rtl.memory import VerilogExport
from actcodec_rtl.ports import ports_of


def add_replaceable(m: Module, platform: object, name: str, module: str, block: Block) -> None:
    """Add ``block`` as submodule ``name`` of ``m``; in the export an instance of the module ``module`` instead.

    That module is exported apart (`generate_pim`): inside of a larger design Amaranth names the ports of a submodule
    by what drives them, and merges those that are parts of one signal. Ports are used as ``block``'s either way.
    """
    if isinstance(platform, VerilogExport):
        # Amaranth warns of blocks that were never elaborated.
        Fragment.get(block, platform)  # type: ignore[no-untyped-call]  # the stubs leave its types out
        ports: dict[str, Any] = {f"{'i' if port.is_input else 'o'}_{port.name}": port.value for port in ports_of(block)}
        m.submodules[name] = Instance(module, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
    else:
        m.submodules[name] = block
