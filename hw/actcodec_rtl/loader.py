"""The loader: takes table images apart into entries, and refuses what is none."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.image import HEADER_COUNT_BITS, HEADER_FIRST_BITS, HEADER_MEMORY_BITS
from actcodec.tables.records import Record
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import load_layout


class TableLoader(Block):
    """Goes through the sections of an image (`actcodec.tables.image`) and says which entry every word belongs to.

    Ports: ``load``, stream of `load_layout`, always ready. In the cycle of a word of an entry ``write`` is 1 and
    ``memory``, ``bank``, ``address`` (counted from the beginning of the bank) and ``word`` (of the entry) say which.
    ``opens``: strobe, the first word of an image for ``bank``; ``closes``: strobe, the last word of a whole image;
    ``bad``: strobe, the image is malformed: an unknown memory, an entry beyond it or beyond its bank, ``last`` within
    a section. What is left of a malformed image, up to its ``last``, is dropped. ``beyond_half``: the entry lies in the
    upper half of its memory, counted from the beginning of the bank.
    """

    def __init__(self, params: CodecParams, records: dict[str, Record]) -> None:
        self._params, self._records = params, list(records.values())
        most_words = max(record.words(params.word_bits) for record in self._records)
        super().__init__(
            {
                "load": In(stream.Signature(load_layout(params))),
                "write": Out(1),
                "memory": Out(unsigned(HEADER_MEMORY_BITS)),
                "bank": Out(1),
                "address": Out(unsigned(HEADER_FIRST_BITS)),
                "word": Out(range(most_words + 1)),
                "beyond_half": Out(1),
                "opens": Out(1),
                "closes": Out(1),
                "bad": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        load = self.load.payload
        header = data.View(
            data.StructLayout({"memory": HEADER_MEMORY_BITS, "first": HEADER_FIRST_BITS, "count": HEADER_COUNT_BITS}),
            load.data[: HEADER_MEMORY_BITS + HEADER_FIRST_BITS + HEADER_COUNT_BITS],
        )
        memory, address = register(HEADER_MEMORY_BITS, "section_memory"), register(HEADER_FIRST_BITS, "next_address")
        bank = register(1, "image_bank")
        remaining = Signal(HEADER_COUNT_BITS)
        word = Signal.like(self.word)
        inside, dropping = Signal(), Signal()
        in_section, is_header, ends_entry, ends_section = Signal(), Signal(), Signal(), Signal()
        last_word, beyond = Signal.like(self.word), Signal()
        unknown, malformed = Signal(), Signal()
        m.d.comb += [
            self.load.ready.eq(1),
            in_section.eq(remaining != 0),
            is_header.eq(self.load.valid & ~dropping & ~in_section),
            ends_entry.eq(word == last_word),
            ends_section.eq(ends_entry & (remaining == 1)),
            unknown.eq(header.memory >= len(self._records)),
            malformed.eq(
                Mux(in_section, beyond | (load.last & ~ends_section), unknown | (load.last & (header.count != 0)))
            ),
            self.write.eq(self.load.valid & ~dropping & in_section & ~beyond),
            self.memory.eq(memory),
            self.bank.eq(Mux(inside, bank, load.bank)),
            self.address.eq(address),
            self.word.eq(word),
            self.opens.eq(is_header & ~inside),
            self.bad.eq(self.load.valid & ~dropping & malformed),
            self.closes.eq(self.load.valid & ~dropping & load.last & ~malformed),
        ]
        with m.Switch(memory):
            for number, record in enumerate(self._records):
                with m.Case(number):
                    outside, upper = self._places(record, address, bank)
                    m.d.comb += [
                        last_word.eq(record.words(self._params.word_bits) - 1),
                        beyond.eq(outside),
                        self.beyond_half.eq(upper),
                    ]
        with m.If(self.load.valid):
            m.d.sync += inside.eq(~load.last)
            with m.If(malformed | load.last):
                m.d.sync += [dropping.eq((dropping | malformed) & ~load.last), remaining.eq(0), word.eq(0)]
            with m.Elif(~dropping & in_section):
                m.d.sync += word.eq(Mux(ends_entry, 0, word + 1))
                with m.If(ends_entry):
                    m.d.sync += [address.eq(address + 1), remaining.eq(remaining - 1)]
            with m.Elif(~dropping):
                m.d.sync += [memory.eq(header.memory), address.eq(header.first), remaining.eq(header.count)]
        with m.If(is_header & ~inside):
            m.d.sync += bank.eq(load.bank)
        return m

    def _places(self, record: Record, address: Value, bank: Value) -> tuple[Value, Value]:
        """Whether the address is outside the memory or its bank, and whether it is in the memory's upper half."""
        if self._params.banks == 1:
            # There is no bank 1.
            return (address >= record.depth) | bank, Const(0, 1)
        bits = (record.depth - 1).bit_length()
        upper = address[bits - 1]
        return (address[bits:] != 0) | (upper & bank), upper
