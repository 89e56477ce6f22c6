"""The variable-width unpacker, the packer's dual: full bus words in, any number of bits out a cycle."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import ACTIVATION_BITS, CodecParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block
from actcodec_rtl.layouts import word_layout


class Unpacker(Block):
    """Keeps up to two words; shows the next bits and drops as many as are taken.

    As long as words arrive it holds at least one full word at the start of every cycle, so that any take of up
    to ``word_bits`` bits a cycle is served without a bubble.

    Ports: ``i``, stream of words (`word_layout`, ``last`` is not looked at), ready combinational from ``take``
    and ``count``; ``level``, bits held; ``window``, the next rows · 8 bits, valid below ``level``; ``take``,
    drop ``count`` ≤ ``level`` bits in this cycle.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(params))),
                "level": Out(range(2 * params.word_bits + 1)),
                "window": Out(unsigned(params.rows * ACTIVATION_BITS)),
                "take": In(1),
                "count": In(unsigned(bits_for(params.word_bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self._params.word_bits
        held = Signal(2 * word)
        fill = Signal(range(2 * word + 1))
        kept = Signal(2 * word)
        kept_fill = Signal(range(2 * word + 1))
        enter = Signal()
        m.d.comb += [
            self.level.eq(fill),
            self.window.eq(held[: self._params.rows * ACTIVATION_BITS]),
            kept.eq(Mux(self.take, held >> self.count, held)),
            kept_fill.eq(Mux(self.take, fill - self.count, fill)),
            self.i.ready.eq(kept_fill <= word),
            enter.eq(self.i.valid & self.i.ready),
        ]
        m.d.sync += [
            held.eq(kept | Mux(enter, self.i.payload.data << kept_fill[: bits_for(word)], 0)),
            fill.eq(kept_fill + Mux(enter, word, 0)),
        ]
        return m
