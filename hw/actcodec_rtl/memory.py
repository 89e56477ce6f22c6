"""The 1-write 1-read memory of the tables, the one cell that an ASIC flow replaces."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value, unsigned
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from actcodec.tables.records import Record, bits_for
from actcodec_rtl.component import Block

RAM_MODULE = "actcodec_ram"


class VerilogExport:
    """Elaboration platform of the Verilog export: memories become instances of ``actcodec_ram``."""


class TableMemory(Block):
    """Memory of one record: synchronous write, synchronous read that holds its output while ``read_en`` is 0.

    Entries wider than a word lie in banks of a word each, which are written one by one. A bank is an Amaranth memory
    in simulation and an instance of the hand-written module ``actcodec_ram`` (parameters WIDTH, DEPTH, ADDR) in the
    export, which infers block RAM and starts undefined.

    Ports: ``write_en``, a bit a bank, ``write_addr``, ``write_data``, a word; ``read_en``, ``read_addr``,
    ``read_data``, a whole entry. Read latency: one cycle. An entry must be written before it is read.
    """

    LATENCY = 1

    def __init__(self, record: Record, word_bits: int) -> None:
        self._record, self._word_bits = record, word_bits
        address = unsigned(bits_for(record.depth - 1))
        super().__init__(
            {
                "write_en": In(unsigned(record.words(word_bits))),
                "write_addr": In(address),
                "write_data": In(unsigned(word_bits)),
                "read_en": In(1),
                "read_addr": In(address),
                "read_data": Out(unsigned(record.bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        add = self._add_instance if isinstance(platform, VerilogExport) else self._add_memory
        for number in range(len(self.write_en)):
            first = number * self._word_bits
            add(m, number, self.read_data[first : first + self._word_bits])
        return m

    def _add_instance(self, m: Module, number: int, read_data: Value) -> None:
        data = Signal(len(read_data), name=f"data_{number}")
        m.submodules[f"bank_{number}"] = Instance(
            RAM_MODULE,
            p_WIDTH=len(read_data),
            p_DEPTH=self._record.depth,
            p_ADDR=len(self.read_addr),
            i_clk=ClockSignal(),
            i_write_en=self.write_en[number],
            i_write_addr=self.write_addr,
            i_write_data=self.write_data[: len(read_data)],
            i_read_en=self.read_en,
            i_read_addr=self.read_addr,
            o_read_data=data,
        )
        m.d.comb += read_data.eq(data)

    def _add_memory(self, m: Module, number: int, read_data: Value) -> None:
        memory: Memory[Any, Any] = Memory(shape=unsigned(len(read_data)), depth=self._record.depth, init=[])
        m.submodules[f"bank_{number}"] = memory
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.write_en[number]),
            write.addr.eq(self.write_addr),
            write.data.eq(self.write_data),
            read.en.eq(self.read_en),
            read.addr.eq(self.read_addr),
            read_data.eq(read.data),
        ]
