"""The dispatcher: turns the number of a site into commands for both walkers of a direction."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import Record, bits_for
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import record_layout
from actcodec_rtl.walker import command_layout


class Dispatcher(Block):
    """Reads a site's record and commands a frame of it: to the MAC array's walker and to that of the codes.

    A site that stores nothing is commanded to the MAC array only. Ports: ``start``, stream of site numbers; read port
    of the memory of sites; ``work`` and ``codes``, streams of `command_layout`. The next start is taken while the
    walkers go through the frame before. Commands are valid ``LATENCY`` cycles after the start is taken.
    """

    LATENCY = 2

    def __init__(self, params: CodecParams, site: Record) -> None:
        command = stream.Signature(command_layout(params))
        super().__init__(
            {
                "start": In(stream.Signature(unsigned(bits_for(params.max_sites - 1)))),
                "site_en": Out(1),
                "site_addr": Out(unsigned(bits_for(site.depth - 1))),
                "site_data": In(record_layout(site)),
                "work": Out(command),
                "codes": Out(command),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Taken off the memory's output, which comes late in a cycle.
        site, read = register(self.site_data.shape(), "site"), Signal()
        work_waits, codes_wait = Signal(), Signal()
        idle = Signal()
        m.d.comb += [
            idle.eq(~read & ~work_waits & ~codes_wait),
            self.start.ready.eq(idle),
            self.site_en.eq(self.start.valid & idle),
            self.site_addr.eq(self.start.payload),
            self.work.valid.eq(work_waits),
            self.codes.valid.eq(codes_wait),
        ]
        for command, plane in ((self.work, site.plane), (self.codes, site.code_plane)):
            m.d.comb += [
                command.payload.plane.eq(plane),
                command.payload.last_x.eq(site.last_x),
                command.payload.last_y.eq(site.last_y),
            ]
        m.d.sync += read.eq(self.site_en)
        with m.If(read):
            m.d.sync += [site.eq(self.site_data), work_waits.eq(1), codes_wait.eq(self.site_data.coded)]
        with m.Else():
            with m.If(self.work.ready):
                m.d.sync += work_waits.eq(0)
            with m.If(self.codes.ready):
                m.d.sync += codes_wait.eq(0)
        return m
