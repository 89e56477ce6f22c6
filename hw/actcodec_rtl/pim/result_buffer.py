"""The result buffer: a vector's column sums, kept while the array computes the next one."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.pim.params import SEGMENT, PimParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block, register
from actcodec_rtl.pim.layouts import columns_layout, mode_layout, segments_layout


class ResultBuffer(Block):
    """Takes the sums of all columns at once and gives them segment by segment.

    Ports: ``load``, strobe: ``sums`` and ``mode`` are taken, only where ``ready``; ``o``, stream of ``trees`` segments
    each (`segments_layout`), ``beats`` of them. ``ready`` is 1 in the cycle in which the last one leaves, too.
    Latency: one cycle.
    """

    LATENCY = 1

    def __init__(self, params: PimParams) -> None:
        self._params = params
        super().__init__(
            {
                "load": In(1),
                "sums": In(columns_layout(params, params.columns)),
                "mode": In(mode_layout()),
                "ready": Out(1),
                "o": Out(stream.Signature(segments_layout(params))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        full = Signal()
        number = Signal(bits_for(p.beats - 1))
        sums = register(self.sums.shape(), "kept")
        mode = register(mode_layout(), "mode_register")
        leaves = full & self.o.ready
        is_last = number == p.beats - 1
        together = p.trees * SEGMENT
        m.d.comb += [
            self.ready.eq(~full | (leaves & is_last)),
            self.o.valid.eq(full),
            self.o.payload.mode.eq(mode),
            self.o.payload.last.eq(is_last),
        ]
        with m.Switch(number):
            for beat in range(p.beats):
                with m.Case(beat):
                    m.d.comb += [self.o.payload.columns[n].eq(sums[beat * together + n]) for n in range(together)]
        with m.If(leaves):
            m.d.sync += number.eq(number + 1)
            with m.If(is_last):
                m.d.sync += [number.eq(0), full.eq(0)]
        with m.If(self.load):
            m.d.sync += [full.eq(1), sums.eq(self.sums), mode.eq(self.mode)]
        return m
