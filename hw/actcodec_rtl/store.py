"""The tables of one direction: its memories and the loader that fills them from the table stream."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.image import HEADER_COUNT_BITS, HEADER_FIRST_BITS, HEADER_MEMORY_BITS
from actcodec.tables.records import Record, bits_for
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import record_layout
from actcodec_rtl.memory import TableMemory


class TableStore(Block):
    """Memories of ``records``, written by the sections of the table stream (`actcodec.tables.image`).

    Ports: ``load``, stream of bus words, always ready; for every record NAME a read port ``NAME_en``,
    ``NAME_addr``, ``NAME_data`` with one cycle of latency that holds its output while ``NAME_en`` is 0.
    A section for a memory number that does not exist is passed over. A word that is taken in a cycle is read from the
    second cycle after it on: the write port is behind a register, for which memory a word belongs to is known late.
    """

    WRITE_LATENCY = 2

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
        load = self.load.payload
        header = data.View(
            data.StructLayout({"memory": HEADER_MEMORY_BITS, "first": HEADER_FIRST_BITS, "count": HEADER_COUNT_BITS}),
            load[: HEADER_MEMORY_BITS + HEADER_FIRST_BITS + HEADER_COUNT_BITS],
        )
        memory = register(HEADER_MEMORY_BITS, "memory")
        address = register(HEADER_FIRST_BITS, "address")
        remaining = Signal(HEADER_COUNT_BITS)
        word = Signal(range(most_words + 1))
        last_word = Signal(range(most_words + 1))
        in_section = Signal()
        m.d.comb += [
            self.load.ready.eq(1),
            in_section.eq(remaining != 0),
        ]
        with m.If(self.load.valid):
            with m.If(in_section):
                with m.If(word == last_word):
                    m.d.sync += [word.eq(0), address.eq(address + 1), remaining.eq(remaining - 1)]
                with m.Else():
                    m.d.sync += word.eq(word + 1)
            with m.Else():
                m.d.sync += [memory.eq(header.memory), address.eq(header.first), remaining.eq(header.count)]
        write_data, write_address = register(word_bits, "write_data"), register(HEADER_FIRST_BITS, "write_address")
        m.d.sync += [write_data.eq(load), write_address.eq(address)]
        for number, (name, record) in enumerate(self._records.items()):
            words = record.words(word_bits)
            ram = TableMemory(record, word_bits)
            m.submodules[name] = ram
            selected = self.load.valid & in_section & (memory == number)
            with m.If(memory == number):
                m.d.comb += last_word.eq(words - 1)
            write = Signal(words, name=f"{name}_write")
            m.d.sync += [write[n].eq(selected & (word == n)) for n in range(words)]
            m.d.comb += [
                ram.write_en.eq(write),
                ram.write_addr.eq(write_address),
                ram.write_data.eq(write_data),
                ram.read_en.eq(getattr(self, f"{name}_en")),
                ram.read_addr.eq(getattr(self, f"{name}_addr")),
                Value.cast(getattr(self, f"{name}_data")).eq(ram.read_data),
            ]
        return m

    def connect_reads(self, m: Module, **ports: tuple[Value, Value, Any]) -> None:
        """Connect the read port of every memory: enable, address, and where the entry goes."""
        for name, (enable, address, entry) in ports.items():
            m.d.comb += [
                getattr(self, f"{name}_en").eq(enable),
                getattr(self, f"{name}_addr").eq(address),
                entry.eq(getattr(self, f"{name}_data")),
            ]
