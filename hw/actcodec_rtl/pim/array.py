"""The array: cells and column counters, in one block that an analog macro with converters replaces."""

from __future__ import annotations

from amaranth.hdl import Module, unsigned
from amaranth.lib.wiring import In, Out

from actcodec.pim.params import PimParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block
from actcodec_rtl.pim.boundary import add_replaceable
from actcodec_rtl.pim.cells import CELLS_MODULE, PimCells
from actcodec_rtl.pim.counters import ColumnCounters
from actcodec_rtl.pim.layouts import counts_layout

ARRAY_MODULE = "actcodec_pim_array"


class PimArray(Block):
    """Counts of all columns for one bit of all inputs:

        counts[c] = Σ_r stored[r][c] AND inputs[r]

    Ports: ``write_en``, ``write_row``, ``write_data``, a row of cells is written, never in a cycle in which its
    inputs are counted; ``inputs``, a bit a row; ``en``; ``counts``, those of the last cycle in which ``en`` was 1.
    Latency: one cycle.
    """

    LATENCY = ColumnCounters.LATENCY

    def __init__(self, params: PimParams) -> None:
        self._params = params
        super().__init__(
            {
                "write_en": In(1),
                "write_row": In(unsigned(bits_for(params.rows - 1))),
                "write_data": In(unsigned(params.columns)),
                "inputs": In(unsigned(params.rows)),
                "en": In(1),
                "counts": Out(counts_layout(params)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cells = PimCells(self._params)
        add_replaceable(m, platform, "cells", CELLS_MODULE, cells)
        m.submodules.pim_counters = counters = ColumnCounters(self._params)
        m.d.comb += [
            cells.write_en.eq(self.write_en),
            cells.write_row.eq(self.write_row),
            cells.write_data.eq(self.write_data),
            cells.inputs.eq(self.inputs),
            counters.products.eq(cells.products),
            counters.en.eq(self.en),
            self.counts.eq(counters.counts),
        ]
        return m
