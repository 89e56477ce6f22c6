"""The shift-add tree: columns that hold the bits of one weight, put together."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Signal, Value, signed, unsigned
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.pim.codes import segment_bits
from actcodec.pim.params import SEGMENT, WIDTHS, PimParams
from actcodec_rtl.component import Block, register
from actcodec_rtl.pim.layouts import results_layout, segments_layout


def is_top(column: int, weight_bits: int) -> bool:
    """Whether a column of a segment holds the uppermost bit of its weight."""
    return column % weight_bits == weight_bits - 1


class ShiftAddTree(Block):
    """Outputs of the segments that come in, for weights of w bits:

        output_o = Σ_s ±2^s · columns[o·w + s]           s < w; −, for the top slice of signed weights

    Ports: ``i``, stream of segments (`segments_layout`); ``o``, stream of results (`results_layout`); ``holds``, a
    segment was taken that has not left.

    Pairs of columns are added in front of a register, pairs of pairs, of fours and of eights behind it, in front of the
    output's register; the outputs are those of the level where a weight is whole. The sign is of the first level only.
    Latency: two cycles.
    """

    LATENCY = 2

    def __init__(self, params: PimParams) -> None:
        self._params = params
        super().__init__(
            {
                "i": In(stream.Signature(segments_layout(params))),
                "o": Out(stream.Signature(results_layout(params))),
                "holds": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        added, complete, moves = Signal(), Signal(), Signal()
        last = register(1, "last_register")
        width = register(unsigned(len(self.i.payload.mode.weight_bits)), "width_register")
        results = register(results_layout(p), "results")
        m.d.comb += [
            moves.eq(~complete | self.o.ready),
            self.i.ready.eq(~added | moves),
            self.o.valid.eq(complete),
            self.o.payload.eq(results),
            self.holds.eq(added | complete),
        ]
        takes = self.i.valid & self.i.ready
        with m.If(self.i.ready):
            m.d.sync += added.eq(self.i.valid)
        with m.If(takes):
            m.d.sync += [last.eq(self.i.payload.last), width.eq(self.i.payload.mode.weight_bits)]
        with m.If(moves):
            m.d.sync += complete.eq(added)
        # Registers are clocked only for what they are to keep.
        with m.If(moves & added):
            m.d.sync += results.last.eq(last)
        for tree in range(p.trees):
            columns = [self.i.payload.columns[tree * SEGMENT + n] for n in range(SEGMENT)]
            pairs = self._pairs(m, tree, columns, takes)
            outputs = self._outputs(m, tree, pairs, width)
            with m.If(moves & added):
                m.d.sync += Value.cast(results.segments[tree]).eq(outputs)
        return m

    def _pairs(self, m: Module, tree: int, columns: list[Any], takes: Value) -> list[Value]:
        """The first level, registered: of every two columns the lower one plus or minus twice the upper one."""
        mode = self.i.payload.mode
        pairs: list[Value] = []
        for number in range(SEGMENT // 2):
            low, high = columns[2 * number], columns[2 * number + 1]
            negative = Signal(name=f"negative_{tree}_{number}")
            tops = Array(is_top(2 * number + 1, bits) for bits in WIDTHS)
            m.d.comb += negative.eq(mode.weight_signed & tops[mode.weight_bits])
            # −2·high = ~(2·high) + 1; a bit below both operands makes the carry of the addition.
            flipped = Cat(negative, negative, Cat(bit ^ negative for bit in high)).as_signed()
            total = Signal(signed(self._params.result_bits(2) + 1), name=f"total_{tree}_{number}")
            pair = register(signed(self._params.result_bits(2)), f"pair_{tree}_{number}")
            m.d.comb += total.eq(Cat(Const(1, 1), low).as_signed() + flipped)
            with m.If(takes):
                m.d.sync += pair.eq(total[1:])
            pairs.append(pair)
        return pairs

    def _outputs(self, m: Module, tree: int, pairs: list[Value], width: Value) -> Value:
        """The other levels, and of all of them the outputs that the weights' bits say."""
        level = pairs
        levels = [Cat(level)]
        for bits in WIDTHS[1:]:
            sums: list[Value] = []
            for number in range(0, len(level), 2):
                total = Signal(signed(self._params.result_bits(bits)), name=f"by{bits}_{tree}_{number // 2}")
                m.d.comb += total.eq(level[number] + (level[number + 1] << (bits // 2)))
                sums.append(total)
            level = sums
            levels.append(Cat(level))
        outputs = Signal(segment_bits(self._params), name=f"outputs_{tree}")
        m.d.comb += outputs.eq(Array(levels)[width])
        return outputs
