"""The column counters: what an analog array has its converters for."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from actcodec.pim.params import PimParams
from actcodec_rtl.component import Block, register
from actcodec_rtl.pim.layouts import counts_layout


class ColumnCounters(Block):
    """How many products of every column are 1:

        counts[c] = Σ_r products[r][c]

    Ports: ``products``, of every row a vector with a bit a column; ``en``; ``counts`` (`counts_layout`), those of the
    last cycle in which ``en`` was 1. Latency: one cycle.

    All columns are counted by full adders on whole vectors: three vectors of one weight become one of it and one of
    the next, rows − popcount(rows) of them, in a tree as deep as they allow.
    """

    LATENCY = 1

    def __init__(self, params: PimParams) -> None:
        self._params = params
        super().__init__(
            {
                "en": In(1),
                "products": In(data.ArrayLayout(unsigned(params.columns), params.rows)),
                "counts": Out(counts_layout(params)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        # Vectors that wait to be added, of every weight 2^k.
        waiting = [[self.products[row] for row in range(p.rows)], *([] for _ in range(p.count_bits))]
        planes = register(self.counts.shape(), "planes")
        for weight in range(p.count_bits):
            vectors = waiting[weight]
            number = 0
            while len(vectors) > 1:
                # Taken from the front and put back behind: everything is added once before a sum is added again.
                a, b, *c = (vectors.pop(0) for _ in range(min(3, len(vectors))))
                total, carry = (Signal(p.columns, name=f"{name}_{weight}_{number}") for name in ("total", "carry"))
                if c:
                    m.d.comb += [total.eq(a ^ b ^ c[0]), carry.eq((a & b) | (c[0] & (a ^ b)))]
                else:
                    m.d.comb += [total.eq(a ^ b), carry.eq(a & b)]
                vectors.append(total)
                waiting[weight + 1].append(carry)
                number += 1
            with m.If(self.en):
                m.d.sync += planes[weight].eq(vectors[0] if vectors else 0)
        m.d.comb += self.counts.eq(planes)
        return m
