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
    """What the TKEEP of ``count`` lanes says: the number of the last one, combinational.

    Ports: ``keep``, ``size`` bits a lane; ``last``, number of its highest lane, where it is not broken; ``broken``,
    where it is no row of ones from bit 0 on that ends with a lane.
    """

    def __init__(self, count: int, size: int = 1) -> None:
        self._count, self._size = count, size
        super().__init__({"keep": In(count * size), "last": Out(bits_for(count - 1)), "broken": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = [self.keep[lane * self._size : (lane + 1) * self._size] for lane in range(self._count)]
        kept = Cat(lane[0] for lane in lanes)
        # Of a row of ones, one bit has no neighbour above it.
        above = Cat(kept[1:], Const(0, 1))
        last: Value = Const(0, len(self.last))
        for lane in range(1, self._count):
            last = last | Mux(kept[lane] & ~above[lane], lane, 0)
        broken = ~kept[0] | (~kept & above).any()
        if self._size > 1:
            broken |= Cat(lane.any() & ~lane.all() for lane in lanes).any()
        m.d.comb += [self.last.eq(last), self.broken.eq(broken)]
        return m
