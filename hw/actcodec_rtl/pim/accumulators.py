"""The shift accumulators: what a column counted for the bits of the inputs, added up."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, signed
from amaranth.lib.wiring import In, Out

from actcodec.pim.params import PimParams
from actcodec_rtl.component import Block, register
from actcodec_rtl.pim.layouts import columns_layout, counts_layout


class ShiftAccumulators(Block):
    """Sums of every column over the bit slices of a vector, most significant first:

        sums[c] = 2 · (0 of the first slice, else sums[c] of the slice before) ± counts[c]

    Ports: ``counts`` (`counts_layout`) of a slice, and whether it is the ``first`` one of a vector and ``subtract``ed,
    which only a first one may be; ``en``, the sums are kept for the next slice; ``sums``, within the cycle.

    One adder a column: twice a sum has an empty lowest bit for the carry that makes ~count a −count.
    """

    def __init__(self, params: PimParams) -> None:
        self._params = params
        super().__init__(
            {
                "counts": In(counts_layout(params)),
                "first": In(1),
                "subtract": In(1),
                "en": In(1),
                "sums": Out(columns_layout(params, params.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        for column in range(p.columns):
            kept = register(signed(p.column_bits), f"kept_{column}")
            count = Cat(self.counts[k][column] ^ self.subtract for k in range(p.count_bits))
            twice = Cat(self.subtract, Mux(self.first, 0, kept[: p.column_bits - 1])).as_signed()
            m.d.comb += self.sums[column].eq(twice + Cat(count, self.subtract).as_signed())
            with m.If(self.en):
                m.d.sync += kept.eq(self.sums[column])
        return m
