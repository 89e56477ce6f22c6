"""The guard of a direction's input: holds frames apart by their ``last``, and mends those of a wrong length."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec_rtl.component import Block


class FrameGuard(Block):
    """Passes on the inputs of a frame, and those of the next one only when it has ended.

    A frame whose ``last`` came *early* is given zeros until it ends, without taking anything from the stream. One whose
    ``last`` is *late*, not on the last input it needs, is followed by nothing until that ``last`` has been dropped.

    Ports: ``i`` and ``o``, streams of a struct with ``last``; from the consumer ``wants``: the frame cannot go on
    without another input; ``ends``, strobe: it needs no more than it has, that of this cycle included; ``surplus``,
    with ``ends``: the consumer has got more than that and drops it. ``early`` and ``late``, strobes.

    Combinational from ``i`` to ``o`` and back; an input of the next frame passes in the cycle after ``ends`` at the
    earliest. A frame without inputs must not strobe ``ends``.
    """

    def __init__(self, layout: data.StructLayout) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(layout)),
                "o": Out(stream.Signature(layout)),
                **{name: In(1) for name in ("wants", "ends", "surplus")},
                **{name: Out(1) for name in ("early", "late")},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given = self.i.payload
        # The frame's last input has passed; zeros are made; inputs are dropped.
        over, zeros, drops = Signal(), Signal(), Signal()
        taken_last, last_seen = Signal(), Signal()
        m.d.comb += [
            self.o.valid.eq(zeros | (self.i.valid & ~over & ~drops)),
            self.o.payload.eq(Mux(zeros, 0, given)),
            self.i.ready.eq(drops | (self.o.ready & ~over)),
            taken_last.eq(self.i.valid & self.i.ready & given.last),
            last_seen.eq(over | taken_last),
            self.early.eq(self.wants & over & ~zeros),
            self.late.eq(self.ends & ~zeros & (self.surplus | ~last_seen)),
        ]
        with m.If(drops):
            m.d.sync += drops.eq(~taken_last)
        with m.Elif(self.ends):
            m.d.sync += [over.eq(0), zeros.eq(0), drops.eq(~last_seen)]
        with m.Else():
            m.d.sync += [over.eq(last_seen), zeros.eq(zeros | self.early)]
        return m
