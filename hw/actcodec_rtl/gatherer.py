"""The decoder's operands: codes shifted left and gathered into groups for the MAC array."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from actcodec.params import CODE_VALUE_BITS, CodecParams
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import cut_layout, values_layout
from actcodec_rtl.skid import SkidBuffer


class Gatherer(Block):
    """Shifts the codes of a record left by e_k, to multiplicands, and gathers the records of a group.

    Ports: ``i``, stream of `cut_layout`; ``o``, stream of `values_layout`, a group of multiplicands, as many records as
    it takes until one that ``ends`` it; slots without a code hold anything.

    One record a cycle. Two fit in front of the group's registers, so that whoever cuts codes does not wait within a
    cycle for the MAC array, which is far. A record waits for its group while the one before is not taken.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {"i": In(stream.Signature(cut_layout(params))), "o": Out(stream.Signature(values_layout(params)))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, codes = self._params, self._params.codes_per_cycle
        m.submodules.cut = cut = SkidBuffer(cut_layout(p))
        connect(m, wiring.flipped(self.i), cut.i)
        given = cut.o.payload
        slots = [register(CODE_VALUE_BITS, f"value_{slot}") for slot in range(p.slots)]
        full, begun = Signal(), Signal()
        parts = -(-p.slots // codes)
        part = Signal(range(max(2, parts)))
        m.d.comb += [
            cut.o.ready.eq(begun | ~full | self.o.ready),
            self.o.valid.eq(full),
            *(self.o.payload[slot].eq(value) for slot, value in enumerate(slots)),
        ]
        with m.If(cut.o.valid & cut.o.ready):
            m.d.sync += [full.eq(given.ends), begun.eq(~given.ends)]
            if parts > 1:
                m.d.sync += part.eq(Mux(given.ends, 0, part + 1))
            for slot, value in enumerate(slots):
                here = part == slot // codes if parts > 1 else Const(1, 1)
                with m.If(here):
                    m.d.sync += value.eq(given.code[slot % codes] << given.left_shift[slot % codes])
        with m.Elif(self.o.ready):
            m.d.sync += full.eq(0)
        return m
