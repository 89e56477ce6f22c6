"""The codec inside the shell: a component in simulation, an instance of the exported module in the export."""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Instance, Module, ResetInserter, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect

from actcodec.params import CodecParams
from actcodec_rtl.codec import Codec, codec_members
from actcodec_rtl.component import Block
from actcodec_rtl.memory import VerilogExport
from actcodec_rtl.ports import ports_of

CORE_MODULE = "actcodec_codec"


class Core(Block):
    """`Codec` with a ``soft_reset`` beside the domain's own; the other ports are the codec's."""

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__({"soft_reset": In(1)} | codec_members(params))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if isinstance(platform, VerilogExport):
            ports = {
                f"{'i' if port.is_input else 'o'}_{port.name}": port.value
                for port in ports_of(self)
                if port.name != "soft_reset"
            }
            m.submodules.codec = Instance(
                CORE_MODULE, i_clk=ClockSignal(), i_rst=ResetSignal() | self.soft_reset, **ports
            )
            return m
        codec = Codec(self._params)
        m.submodules.codec = ResetInserter(self.soft_reset)(codec)
        for name in self._params.directions:
            connect(m, getattr(codec, name), wiring.flipped(getattr(self, name)))
        return m
