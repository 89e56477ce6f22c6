"""TKEEP: which bytes of a beat are in use."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block


def keep_up_to(last: Value, count: int) -> Value:
    """``count`` bits, ones up to bit number ``last``."""
    return Cat(Const(1, 1), *(last >= bit for bit in range(1, count)))


class KeepDecoder(Block):
    """What a TKEEP of ``count`` bits says: the number of its last byte, combinational.

    Ports: ``keep``; ``last``, number of its highest 1, where it is not broken; ``broken``, where it is no row of ones
    from bit 0 on.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        super().__init__({"keep": In(count), "last": Out(bits_for(count - 1)), "broken": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Of a row of ones, one bit has no neighbour above it.
        above = Cat(self.keep[1:], Const(0, 1))
        last: Value = Const(0, len(self.last))
        for byte in range(1, self._count):
            last = last | Mux(self.keep[byte] & ~above[byte], byte, 0)
        m.d.comb += [self.last.eq(last), self.broken.eq(~self.keep[0] | (~self.keep & above).any())]
        return m
