"""The variable-width unpacker, the packer's dual: full bus words in, any number of bits out a cycle."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import MAX_WIDTH, CodecParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import word_layout


class Unpacker(Block):
    """Holds a word and the place in it, looks into the word that follows, and drops as many bits as are taken.

    Ports: ``i``, stream of words (`word_layout`, ``last`` is not looked at), whose valid must not depend on its ready;
    ``level``, bits that can be taken; ``window``, the next codes · 8 of them; ``take``, drop ``count`` ≤ ``level`` bits
    in this cycle, or with ``align`` those that are left of a begun word; the next word is then begun at ``begin_at``.
    ``ends``, with ``take``: what follows belongs to another frame; ``surplus``: a word behind the frame has been taken
    and is dropped.

    As long as words are there it holds a word at the start of every cycle, so that any take of up to ``word_bits``
    bits a cycle is served without a gap.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        word = params.word_bits
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(params))),
                "level": Out(range(2 * word + 1)),
                "window": Out(unsigned(params.codes_per_cycle * MAX_WIDTH)),
                "take": In(1),
                "align": In(1),
                "count": In(unsigned(bits_for(word))),
                "begin_at": In(range(word)),
                "ends": In(1),
                "surplus": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self._params.word_bits
        held = register(word, "held")
        full = Signal()
        place = Signal(range(word))
        reach = Signal(range(2 * word))
        used_up = Signal()
        both = Cat(held, self.i.payload.data[: len(self.window) - 1]) if len(self.window) > 1 else held
        m.d.comb += [
            self.window.eq(both >> place),
            self.level.eq(Mux(full, Mux(self.i.valid, 2 * word, word) - place, 0)),
            reach.eq(place + self.count),
            used_up.eq(full & self.take & Mux(self.align, place != 0, reach[len(place)])),
            self.i.ready.eq(~full | used_up),
            self.surplus.eq(Mux(self.i.ready, self.i.valid, full)),
        ]
        with m.If(self.i.ready):
            m.d.sync += held.eq(self.i.payload.data)
        with m.If(self.i.ready | self.ends):
            m.d.sync += full.eq(self.i.valid & ~self.ends)
        with m.If(self.take):
            m.d.sync += place.eq(Mux(self.align, self.begin_at, reach[: len(place)]))
        return m
