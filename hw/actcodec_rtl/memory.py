"""The 1-write 1-read memory of the tables, the one cell that an ASIC flow replaces."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ShapeLike, Signal, unsigned
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from actcodec.tables.records import Record, bits_for
from actcodec_rtl.component import Block

RAM_MODULE = "actcodec_ram"


class VerilogExport:
    """Elaboration platform of the Verilog export: memories become instances of ``actcodec_ram``."""


class TableMemory(Block):
    """Memory of one record: synchronous write, synchronous read that holds its output while ``read_en`` is 0.

    In simulation an Amaranth memory; in the export an instance of the hand-written module ``actcodec_ram``
    (parameters WIDTH, DEPTH, ADDR), which infers block RAM and starts undefined.
    Read latency: one cycle. An entry must be written before it is read.
    """

    LATENCY = 1

    def __init__(self, record: Record) -> None:
        self._record = record
        address = unsigned(bits_for(record.depth - 1))
        word: ShapeLike = unsigned(record.bits)
        super().__init__(
            {
                "write_en": In(1),
                "write_addr": In(address),
                "write_data": In(word),
                "read_en": In(1),
                "read_addr": In(address),
                "read_data": Out(word),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if isinstance(platform, VerilogExport):
            data = Signal.like(self.read_data)
            m.submodules.ram = Instance(
                RAM_MODULE,
                p_WIDTH=self._record.bits,
                p_DEPTH=self._record.depth,
                p_ADDR=len(self.read_addr),
                i_clk=ClockSignal(),
                i_write_en=self.write_en,
                i_write_addr=self.write_addr,
                i_write_data=self.write_data,
                i_read_en=self.read_en,
                i_read_addr=self.read_addr,
                o_read_data=data,
            )
            m.d.comb += self.read_data.eq(data)
            return m
        memory: Memory[Any, Any] = Memory(shape=unsigned(self._record.bits), depth=self._record.depth, init=[])
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.write_en),
            write.addr.eq(self.write_addr),
            write.data.eq(self.write_data),
            read.en.eq(self.read_en),
            read.addr.eq(self.read_addr),
            self.read_data.eq(read.data),
        ]
        return m
