"""The variable-width bit packer: chunks of 0…word_bits bits in, full bus words out."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import chunk_layout, word_layout


class Packer(Block):
    """Appends chunks to a word, least significant bit first, and hands full words out.

    One chunk and one word a cycle. A chunk is turned by the bits that are held: what reaches above the word wraps
    around and is the beginning of the next one. ``align`` fills a begun word up with zeros. The chunk marked ``last``
    must complete a word, which is then marked ``last``.

    Two stages that move together: the chunk is given its place and turned; it is appended. The place, which every
    chunk moves on for the one behind it, does not wait for the second.

    Ports: ``i``, stream of chunks (`chunk_layout`), ready where ``o`` is; ``o``, stream of words (`word_layout`): a
    word is offered in the cycle after the chunk that completes it has entered.
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
        chunk, advance = self.i.payload, Signal()
        m.d.comb += [advance.eq(self.o.ready), self.i.ready.eq(advance)]

        # Bits of the begun word once all chunks that have entered are appended.
        fill = Signal(range(word))
        total = Signal(range(2 * word))
        completes = Signal()
        turned, place, last = register(word, "turned"), register(range(word), "place"), register(1, "last")
        entered = Signal()
        complete = register(1, "complete")
        m.d.comb += [
            total.eq(fill + chunk.count),
            completes.eq(Mux(chunk.align, fill != 0, total[len(fill)])),
        ]
        with m.If(advance):
            m.d.sync += [
                entered.eq(self.i.valid),
                turned.eq(_turned(m, chunk.bits, fill, word)),
                place.eq(fill),
                complete.eq(completes),
                last.eq(chunk.last),
            ]
        with m.If(advance & self.i.valid):
            m.d.sync += fill.eq(Mux(chunk.align, 0, total[: len(fill)]))

        held = register(word, "held")
        above = Signal(word)
        begun = Signal(word)
        m.d.comb += [
            # Places of the bits that are not held yet.
            above.eq(Const((1 << word) - 1, word) << place),
            # What was held when the chunk's place was 0 has left.
            begun.eq(held & ~above),
            self.o.valid.eq(entered & complete),
            self.o.payload.data.eq(begun | (turned & above)),
            self.o.payload.last.eq(last),
        ]
        with m.If(advance & entered):
            m.d.sync += held.eq(Mux(complete, turned, self.o.payload.data))
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
