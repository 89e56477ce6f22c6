"""The tables of one direction: its memories and the loader that fills them from the table stream."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.image import HEADER_COUNT_BITS, HEADER_FIRST_BITS, HEADER_MEMORY_BITS
from actcodec.tables.records import Record, bits_for
from actcodec_rtl.component import Block
from actcodec_rtl.layouts import record_layout
from actcodec_rtl.memory import TableMemory


class TableStore(Block):
    """Memories of ``records``, written by the sections of the table stream (`actcodec.tables.image`).

    Ports: ``load``, stream of bus words, always ready; for every record NAME a read port ``NAME_en``,
    ``NAME_addr``, ``NAME_data`` with one cycle of latency that holds its output while ``NAME_en`` is 0.
    A section for a memory number that does not exist is passed over.
    """

    def __init__(self, params: CodecParams, records: dict[str, Record]) -> None:
        self._params, self._records = params, records
        members: dict[str, wiring.Member] = {"load": In(stream.Signature(unsigned(params.word_bits)))}
        for name, record in records.items():
            members[f"{name}_en"] = In(1)
            members[f"{name}_addr"] = In(unsigned(bits_for(record.depth - 1)))
            members[f"{name}_data"] = Out(record_layout(record))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word_bits = self._params.word_bits
        most_words = max(record.words(word_bits) for record in self._records.values())
        header = data.View(
            data.StructLayout({"memory": HEADER_MEMORY_BITS, "first": HEADER_FIRST_BITS, "count": HEADER_COUNT_BITS}),
            self.load.payload[: HEADER_MEMORY_BITS + HEADER_FIRST_BITS + HEADER_COUNT_BITS],
        )
        memory = Signal(HEADER_MEMORY_BITS)
        address = Signal(HEADER_FIRST_BITS)
        remaining = Signal(HEADER_COUNT_BITS)
        word = Signal(range(most_words + 1))
        last_word = Signal(range(most_words + 1))
        # Words of the entry so far, newest on top; the entry is complete with the word on the port.
        shift = Signal(most_words * word_bits)
        gathered = Signal(most_words * word_bits)
        in_section = Signal()
        complete = Signal()
        m.d.comb += [
            self.load.ready.eq(1),
            in_section.eq(remaining != 0),
            gathered.eq(Cat(shift[word_bits:], self.load.payload)),
            complete.eq(in_section & self.load.valid & (word == last_word)),
        ]
        with m.If(self.load.valid):
            with m.If(in_section):
                m.d.sync += shift.eq(gathered)
                with m.If(word == last_word):
                    m.d.sync += [word.eq(0), address.eq(address + 1), remaining.eq(remaining - 1)]
                with m.Else():
                    m.d.sync += word.eq(word + 1)
            with m.Else():
                m.d.sync += [memory.eq(header.memory), address.eq(header.first), remaining.eq(header.count)]
        for number, (name, record) in enumerate(self._records.items()):
            words = record.words(word_bits)
            ram = TableMemory(record)
            m.submodules[name] = ram
            with m.If(memory == number):
                m.d.comb += last_word.eq(words - 1)
            m.d.comb += [
                ram.write_en.eq(complete & (memory == number)),
                ram.write_addr.eq(address),
                ram.write_data.eq(gathered[(most_words - words) * word_bits :]),
                ram.read_en.eq(getattr(self, f"{name}_en")),
                ram.read_addr.eq(getattr(self, f"{name}_addr")),
                Value.cast(getattr(self, f"{name}_data")).eq(ram.read_data),
            ]
        return m
