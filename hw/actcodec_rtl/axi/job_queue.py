"""The queue in which the jobs of a direction wait."""

from __future__ import annotations

from amaranth.hdl import Array, Module, ShapeLike, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec_rtl.component import Block, register


class JobQueue(Block):
    """A first-in first-out queue of ``depth`` payloads, a power of two, in registers.

    Ports: ``i`` and ``o``, streams of ``shape``; ``level``, payloads that it holds. One payload a cycle in and out, one
    cycle of latency; valid and ready come from registers.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        if depth < 1 or depth & (depth - 1):
            raise ValueError(f"depth = {depth} is not a power of two")
        self._shape, self._depth = shape, depth
        super().__init__(
            {"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "level": Out(range(depth + 1))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entries = Array(register(self._shape, f"entry_{n}") for n in range(self._depth))
        first, free = Signal(range(self._depth)), Signal(range(self._depth))
        enters, leaves = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(self.level != self._depth),
            self.o.valid.eq(self.level != 0),
            self.o.payload.eq(entries[first]),
            enters.eq(self.i.valid & self.i.ready),
            leaves.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += self.level.eq(self.level + enters - leaves)
        with m.If(enters):
            m.d.sync += [entries[free].eq(self.i.payload), free.eq(free + 1)]
        with m.If(leaves):
            m.d.sync += first.eq(first + 1)
        return m
