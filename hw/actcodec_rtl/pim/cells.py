"""The weight cells: the block that a designer replaces by a compute array of his own."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from actcodec.pim.params import PimParams
from actcodec.tables.records import bits_for
from actcodec_rtl.component import Block, register

CELLS_MODULE = "actcodec_pim_cells"


class PimCells(Block):
    """rows × columns cells of one bit, each with the AND of its bit and its row's input bit:

        products[r][c] = stored[r][c] AND inputs[r]

    Ports: ``write_en``, ``write_row``, ``write_data``, a row of cells is written; ``inputs``, a bit a row;
    ``products``, of every row a vector with a bit a column. A row is written with the clock; products follow cells
    and inputs within the cycle. Cells are undefined until written.

    A digital array (SRAM cells with an AND each) takes the place of this block; one that adds along its bit lines and
    converts the sum takes that of `PimArray`.
    """

    def __init__(self, params: PimParams) -> None:
        self._params = params
        super().__init__(
            {
                "write_en": In(1),
                "write_row": In(unsigned(bits_for(params.rows - 1))),
                "write_data": In(unsigned(params.columns)),
                "inputs": In(unsigned(params.rows)),
                "products": Out(data.ArrayLayout(unsigned(params.columns), params.rows)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        # The decoder drives a word line a row.
        word_lines = Signal(p.rows)
        m.d.comb += word_lines.eq(Mux(self.write_en, 1 << self.write_row, 0))
        for row in range(p.rows):
            stored = register(unsigned(p.columns), f"stored_{row}")
            with m.If(word_lines[row]):
                m.d.sync += stored.eq(self.write_data)
            m.d.comb += self.products[row].eq(Mux(self.inputs[row], stored, 0))
        return m
