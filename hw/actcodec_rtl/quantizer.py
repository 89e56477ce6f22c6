"""The encoder's quantizers: accumulators in, chunks of codes for the packer out."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec.params import MAX_WIDTH, WIDTH_BITS, CodecParams
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import accumulators_layout, chunk_layout
from actcodec_rtl.placing import join
from actcodec_rtl.requantize import CodeRequantizer


class Quantizer(Block):
    """Requantizes ``codes`` accumulators a cycle and joins them: code_k = clamp(round_shift(acc_k, s_k), 0, 2^b_k − 1).

    Ports: ``i``, stream of `accumulators_layout`; ``o``, stream of `chunk_layout`: codes of a record, or padding;
    ``bits``, payload bits that leave in this cycle. One record or padding a cycle, in two stages that move together:
    requantization, joining.
    """

    LATENCY = 2

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "i": In(stream.Signature(accumulators_layout(params))),
                "o": Out(stream.Signature(chunk_layout(params))),
                "bits": Out(range(params.codes_per_cycle * MAX_WIDTH + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, codes = self._params, self._params.codes_per_cycle
        given = self.i.payload
        advance = Signal()
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), self.i.ready.eq(advance)]

        control = register(data.StructLayout({"align": 1, "whole": 1, "last": 1}), "control")
        code_valid = Signal()
        code = [register(MAX_WIDTH, f"code_{slot}") for slot in range(codes)]
        width = register(data.ArrayLayout(WIDTH_BITS, codes), "width")
        for slot in range(codes):
            requantizer = CodeRequantizer(p.acc_bits)
            m.submodules[f"requantize_{slot}"] = requantizer
            m.d.comb += [
                requantizer.acc.eq(given.acc[slot]),
                requantizer.shift.eq(given.shift[slot]),
                requantizer.width.eq(given.width[slot]),
            ]
            with m.If(advance):
                m.d.sync += code[slot].eq(requantizer.code)
        with m.If(advance):
            m.d.sync += [code_valid.eq(self.i.valid), width.eq(given.width)]
            m.d.sync += [getattr(control, name).eq(getattr(given, name)) for name in ("align", "whole", "last")]

        chunk, whole = register(chunk_layout(p), "chunk"), register(1, "whole")
        joined = join(m, code, [width[slot] for slot in range(codes)])
        with m.If(advance):
            m.d.sync += [
                self.o.valid.eq(code_valid),
                chunk.bits.eq(joined.bits),
                chunk.count.eq(Mux(control.whole, p.word_bits, joined.count)),
                chunk.align.eq(control.align),
                chunk.last.eq(control.last),
                whole.eq(control.whole),
            ]
        m.d.comb += [
            self.o.payload.eq(chunk),
            self.bits.eq(Mux(self.o.valid & self.o.ready & ~whole, chunk.count, 0)),
        ]
        return m
