"""The variable-width bit packer: chunks of 0…word_bits bits in, full bus words out."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec_rtl.component import Block
from actcodec_rtl.layouts import chunk_layout, word_layout


class Packer(Block):
    """Appends chunks to a word, least significant bit first, and hands full words out.

    One chunk and one word a cycle. A chunk is turned by the bits that are held: what reaches above the word wraps
    around and is the beginning of the next one. ``align`` fills a begun word up with zeros. The chunk marked ``last``
    must complete a word, which is then marked ``last``.

    Ports: ``i``, stream of chunks (`chunk_layout`), ready where ``o`` is; ``o``, stream of words (`word_layout`),
    combinational from ``i``: a word leaves in the cycle of the chunk that completes it.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {"i": In(stream.Signature(chunk_layout(params))), "o": Out(stream.Signature(word_layout(params)))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self._params.word_bits
        chunk = self.i.payload
        held = Signal(word)
        fill = Signal(range(word))
        turned = Signal(word)
        above = Signal(word)
        total = Signal(range(2 * word))
        complete = Signal()
        enter = Signal()
        m.d.comb += [
            turned.eq(_turned(m, chunk.bits, fill, word)),
            # Places of the bits that are not held yet.
            above.eq(Const((1 << word) - 1, word) << fill),
            total.eq(fill + chunk.count),
            complete.eq(Mux(chunk.align, fill != 0, total[len(fill)])),
            self.o.valid.eq(self.i.valid & complete),
            self.o.payload.data.eq(held | (turned & above)),
            self.o.payload.last.eq(chunk.last),
            self.i.ready.eq(self.o.ready),
            enter.eq(self.i.valid & self.i.ready),
        ]
        with m.If(enter):
            m.d.sync += [
                held.eq(Mux(complete, turned & ~above, self.o.payload.data)),
                fill.eq(Mux(chunk.align, 0, total[: len(fill)])),
            ]
        return m


def _turned(m: Module, bits: Signal, places: Signal, word: int) -> Signal:
    """``bits`` rotated towards the most significant end of a word by ``places``."""
    value = Signal(word, name="turned_0")
    m.d.comb += value.eq(bits)
    for level in range(len(places)):
        turned = Signal(word, name=f"turned_{level + 1}")
        m.d.comb += turned.eq(Mux(places[level], value.rotate_left(1 << level), value))
        value = turned
    return value
