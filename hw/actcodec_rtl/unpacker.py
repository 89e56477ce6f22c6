"""The variable-width unpacker, the packer's dual: full bus words in, any number of bits out a cycle."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import MAX_WIDTH, CodecParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import word_layout
from actcodec_rtl.placing import shifted_down


class Unpacker(Block):
    """Holds a word, looks into the word that follows, and drops as many bits as were asked for.

    Bits are asked for a cycle or more before they are taken: what is asked for begins where the request before ends, so
    that a request's place is known when it is made and nothing has to be added up while it is served.

    Ports: ``i``, stream of words (`word_layout`, ``last`` is not looked at), whose valid must not depend on its ready;
    ``ask`` for the next ``count`` ≤ ``word_bits`` bits, or with ``align`` for those that are left of a begun word, from
    the next cycle on; the next word is then begun at ``begin_at``. Only where the request before, if any, is taken in
    this cycle or was before. Of the request: ``there``, it can be taken (``align`` always can, anything else needs a
    word to begin in); ``window``, the codes · 8 bits from its beginning; ``take`` it, where ``there``. ``ends``, with
    ``take``: what follows belongs to another frame; ``surplus``: a word behind the frame has been taken and is dropped.

    As long as words are there it holds a word at the start of every cycle, so that any request of up to ``word_bits``
    bits a cycle is served without a gap.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        word = params.word_bits
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(params))),
                "ask": In(1),
                "align": In(1),
                "count": In(unsigned(bits_for(word))),
                "begin_at": In(range(word)),
                "there": Out(1),
                "window": Out(unsigned(params.codes_per_cycle * MAX_WIDTH)),
                "take": In(1),
                "ends": In(1),
                "surplus": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self._params.word_bits
        held = register(word, "held")
        full = Signal()
        # The present request's place in the word that is held then, how far it reaches from the word's beginning, and
        # whether that is within the word: whether it can be served decides much in the same cycle.
        place = Signal(range(word))
        reach = Signal(range(2 * word))
        fits = Signal(init=1)
        aligns = Signal()
        next_begin = register(range(word), "next_begin")
        behind = Signal(range(word))
        used_up = Signal()
        both = Cat(held, self.i.payload.data[: len(self.window) - 1]) if len(self.window) > 1 else held
        m.d.comb += [
            behind.eq(Mux(aligns, next_begin, reach[: len(place)])),
            self.window.eq(shifted_down(m, both, place, len(self.window), "window")),
            self.there.eq(aligns | (full & (self.i.valid | fits))),
            used_up.eq(full & self.take & Mux(aligns, place != 0, reach[len(place)])),
            self.i.ready.eq(~full | used_up),
            self.surplus.eq(Mux(self.i.ready, self.i.valid, full)),
        ]
        with m.If(self.i.ready):
            m.d.sync += held.eq(self.i.payload.data)
        with m.If(self.i.ready | self.ends):
            m.d.sync += full.eq(self.i.valid & ~self.ends)
        with m.If(self.ask):
            m.d.sync += [
                place.eq(behind),
                reach.eq(behind + self.count),
                fits.eq(behind + self.count <= word),
                aligns.eq(self.align),
                next_begin.eq(self.begin_at),
            ]
        return m
