"""The variable-width bit packer: chunks of 0…word_bits bits in, full bus words out."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block
from actcodec_rtl.layouts import chunk_layout, word_layout


class Packer(Block):
    """Appends chunks to a register of two words, least significant bit first, and hands full words out.

    One chunk and one word a cycle: a chunk is accepted whenever the register, less the word that leaves in the
    same cycle, still holds at most one word, and no last word is waiting to leave. The chunk marked ``last`` must
    complete a word, which is then marked ``last``.

    Ports: ``i``, stream of chunks (`chunk_layout`); ``o``, stream of words (`word_layout`), combinational ready.
    Latency: a word is valid in the cycle after the chunk that completes it.
    """

    LATENCY = 1

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {"i": In(stream.Signature(chunk_layout(params))), "o": Out(stream.Signature(word_layout(params)))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self._params.word_bits
        held = Signal(2 * word)
        fill = Signal(range(2 * word + 1))
        last = Signal()
        leave = Signal()
        enter = Signal()
        kept = Signal(2 * word)
        kept_fill = Signal(range(2 * word + 1))
        end_fill = Signal(range(2 * word + 1))
        m.d.comb += [
            self.o.valid.eq(fill >= word),
            self.o.payload.data.eq(held[:word]),
            self.o.payload.last.eq(last & (fill == word)),
            leave.eq(self.o.valid & self.o.ready),
            kept.eq(Mux(leave, held >> word, held)),
            kept_fill.eq(Mux(leave, fill - word, fill)),
            # The frame's last word leaves before a bit of the next frame enters: one flag is enough for it.
            self.i.ready.eq((kept_fill <= word) & (~last | (leave & self.o.payload.last))),
            enter.eq(self.i.valid & self.i.ready),
            end_fill.eq(kept_fill + Mux(enter, self.i.payload.count, 0)),
        ]
        m.d.sync += [
            held.eq(kept | Mux(enter, self.i.payload.bits << kept_fill[: bits_for(word)], 0)),
            fill.eq(end_fill),
        ]
        with m.If(enter & self.i.payload.last):
            # Nothing to mark must not stop the packer for ever.
            m.d.sync += last.eq(end_fill != 0)
        with m.Elif(leave & self.o.payload.last):
            m.d.sync += last.eq(0)
        return m
