"""The exported top module of the shell: its clock and reset under the names that AXI gives them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect

from actcodec.params import CodecParams
from actcodec_rtl.axi.shell import AxiShell
from actcodec_rtl.component import Block


class AxiCodec(Block):
    """`AxiShell` with ports ``aclk`` and ``aresetn``, active low, looked at on the rising edge of ``aclk``."""

    def __init__(self, params: CodecParams, digest: int = 0) -> None:
        self._shell = AxiShell(params, digest)
        members: dict[str, Any] = dict(self._shell.signature.members)
        super().__init__({"aclk": In(1), "aresetn": In(1), **members})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.shell = shell = self._shell
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        for name, member in shell.signature.members.items():
            outer, inner = getattr(self, name), getattr(shell, name)
            if member.is_signature:
                connect(m, wiring.flipped(outer), inner)
            else:
                m.d.comb += outer.eq(inner)
        return m
