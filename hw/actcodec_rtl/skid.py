"""A two-entry stream buffer that cuts every combinational path between its two sides."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec_rtl.component import Block, register


class SkidBuffer(Block):
    """Passes a stream on with registered valid, payload and ready: one transfer a cycle, one cycle of latency.

    Parameters
    ----------
    shape
        Shape of the payload.

    """

    LATENCY = 1

    def __init__(self, shape: ShapeLike) -> None:
        self._shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        front = register(self._shape, "front")
        back = register(self._shape, "back")
        front_full = Signal()
        back_full = Signal()
        leave = Signal()
        enter = Signal()
        m.d.comb += [
            self.o.payload.eq(front),
            self.o.valid.eq(front_full),
            self.i.ready.eq(~back_full),
            leave.eq(~front_full | self.o.ready),
            enter.eq(self.i.valid & ~back_full),
        ]
        with m.If(leave):
            m.d.sync += [
                front.eq(Mux(back_full, back, self.i.payload)),
                front_full.eq(back_full | enter),
                back_full.eq(0),
            ]
        with m.Elif(enter):
            m.d.sync += [back.eq(self.i.payload), back_full.eq(1)]
        return m
