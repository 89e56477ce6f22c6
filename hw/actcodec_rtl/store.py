"""The tables of one direction: its memories, filled from the table stream."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from actcodec.params import CodecParams
from actcodec.tables.records import Record, bits_for
from actcodec_rtl.banks import in_bank
from actcodec_rtl.component import Block, register
from actcodec_rtl.known_sites import KnownSites
from actcodec_rtl.layouts import load_layout, record_layout
from actcodec_rtl.loader import TableLoader
from actcodec_rtl.memory import TableMemory


class TableStore(Block):
    """Memories of ``records``, written by the sections of the table stream (`TableLoader`).

    Ports: ``load``, stream of `load_layout`, always ready; ``bad``, strobe, an image was malformed; for every record
    NAME a read port ``NAME_en``, ``NAME_addr`` (counted from the beginning of the memory, see `banks`), ``NAME_data``
    with one cycle of latency that holds its output while ``NAME_en`` is 0; ``asked_site`` and ``asked_bank``
    with ``known``, whether this site is loaded (`KnownSites`; the memory of sites is the record called ``site``).

    A word is read ``WRITE_LATENCY`` cycles after it is taken, and then a site whose image it ends is known: the write
    port is behind a register, for which memory a word belongs to is known late.
    """

    WRITE_LATENCY = 2

    def __init__(self, params: CodecParams, records: dict[str, Record]) -> None:
        self._params, self._records = params, records
        members: dict[str, wiring.Member] = {
            "load": In(stream.Signature(load_layout(params))),
            "bad": Out(1),
            "asked_site": In(unsigned(bits_for(params.max_sites - 1))),
            "asked_bank": In(1),
            "known": Out(1),
        }
        for name, record in records.items():
            members[f"{name}_en"] = In(1)
            members[f"{name}_addr"] = In(unsigned(bits_for(record.depth - 1)))
            members[f"{name}_data"] = Out(record_layout(record))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.loader = loader = TableLoader(self._params, self._records)
        m.submodules.known_sites = known = KnownSites(self._params)
        connect(m, wiring.flipped(self.load), loader.load)
        m.d.comb += self.bad.eq(loader.bad)
        address, bank = register(loader.address.shape(), "write_address"), register(1, "write_bank")
        word = register(self._params.word_bits, "write_data")
        m.d.sync += [address.eq(loader.address), bank.eq(loader.bank), word.eq(self.load.payload.data)]
        for number, (name, record) in enumerate(self._records.items()):
            words = record.words(self._params.word_bits)
            ram = TableMemory(record, self._params.word_bits)
            m.submodules[name] = ram
            write = Signal(words, name=f"{name}_write")
            selected = loader.write & (loader.memory == number)
            m.d.sync += [write[n].eq(selected & (loader.word == n)) for n in range(words)]
            m.d.comb += [
                ram.write_en.eq(write),
                ram.write_addr.eq(in_bank(self._params, address[: len(ram.write_addr)], bank)),
                ram.write_data.eq(word),
                ram.read_en.eq(getattr(self, f"{name}_en")),
                ram.read_addr.eq(getattr(self, f"{name}_addr")),
                Value.cast(getattr(self, f"{name}_data")).eq(ram.read_data),
            ]
            if name == "site":
                m.d.comb += known.adds.eq(write.any())
        opens, closes, reaches = (Signal(name=name) for name in ("opens", "closes", "reaches"))
        m.d.sync += [
            opens.eq(loader.opens),
            closes.eq(loader.closes),
            reaches.eq(loader.write & loader.beyond_half),
        ]
        m.d.comb += [
            known.opens.eq(opens),
            known.closes.eq(closes),
            known.bank.eq(bank),
            known.reaches.eq(reaches),
            known.number.eq(address),
            known.asked_site.eq(self.asked_site),
            known.asked_bank.eq(self.asked_bank),
            self.known.eq(known.known),
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
