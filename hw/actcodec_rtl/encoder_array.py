"""The encoder's MAC array: beats of activations in, accumulators of a step out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec.params import ACTIVATION_BITS, COEFFICIENT_BITS, CodecParams
from actcodec.tables.records import bits_for, encoder_records
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import record_layout, sums_layout
from actcodec_rtl.multipliers import multipliers_signature
from actcodec_rtl.operands import take_operands


class EncoderArray(Block):
    """Sums of products, lanes × rows multipliers:

        dense       sum_r = Σ_operations Σ_lane matrix[r][lane]·beat[lane]         r < rows
        diagonal    sum_q = matrix[0][lane]·beat[lane], lane = part·codes + q      q < codes

    Ports: ``operation``, stream of the encoder's operation records; ``i``, stream of beats, of which an operation
    takes one where it is ``fresh``; ``last_lane``, the last lane with a channel of the beat that it takes; ``closes``,
    beside the operation: the frame's last one, and ``ends``, strobe: that is done; ``o``, stream of `sums_layout`, one
    for every operation marked ``last``; ``multipliers``, which are outside.

    One operation a cycle, in six stages: operation, operands, products, sums over some lanes each, over all lanes,
    accumulators. They stand still while a result is not taken.
    """

    LATENCY = 6

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        operation = record_layout(encoder_records(params)["operation"])
        super().__init__(
            {
                "operation": In(stream.Signature(operation)),
                "closes": In(1),
                "ends": Out(1),
                "i": In(stream.Signature(data.ArrayLayout(unsigned(ACTIVATION_BITS), params.lanes))),
                "last_lane": Out(bits_for(params.lanes - 1)),
                "o": Out(stream.Signature(sums_layout(params))),
                "multipliers": Out(multipliers_signature(params, "encoder")),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        lanes, rows, codes = p.lanes, p.rows, p.codes_per_cycle
        product_bits = ACTIVATION_BITS + COEFFICIENT_BITS
        control = data.StructLayout({"first": 1, "last": 1, "diagonal": 1, "part": bits_for(p.parts_per_beat - 1)})
        advance = Signal()

        m.d.comb += advance.eq(~self.o.valid | self.o.ready)

        # With one step a block and whole beats every beat is used once.
        kept = p.beats_per_block if p.groups_per_block > 1 or p.parts_per_beat > 1 else 0
        operands = take_operands(m, self.operation, self.i, advance, kept)
        operation, beat = operands.operation, operands.value
        present_closes = register(1, "present_closes")
        with m.If(self.operation.ready):
            m.d.sync += present_closes.eq(self.closes)
        m.d.comb += [self.ends.eq(operands.fire & present_closes), self.last_lane.eq(operands.present.last_lane)]

        multiply, multiply_valid = register(control, "multiply"), Signal()
        with m.If(advance):
            m.d.sync += multiply_valid.eq(operands.valid)
            m.d.sync += [getattr(multiply, name).eq(getattr(operation, name)) for name, _ in control]
        m.d.comb += self.multipliers.en.eq(advance)
        for number in range(lanes * rows):
            m.d.comb += [
                self.multipliers.matrix[number].eq(operation.matrix[number]),
                self.multipliers.factors[number].eq(beat[number % lanes]),
            ]
        product = [[self.multipliers.products[r * lanes + lane] for lane in range(lanes)] for r in range(rows)]

        # A diagonal operation has one product a slot: it passes as the first of the partial sums, the others being 0.
        partial, partial_valid = register(control, "partial"), Signal()
        together = 1 << -(-bits_for(lanes - 1) // 2)
        parts: list[list[Any]] = []
        for slot in range(p.slots):
            groups = [product[slot][n : n + together] for n in range(0, lanes, together)] if slot < rows else [[]]
            parts.append(
                [
                    register(signed(product_bits + bits_for(len(group))), f"partial_{slot}_{number}")
                    for number, group in enumerate(groups)
                ]
            )
            own = Array(product[0][part * codes + slot] for part in range(p.parts_per_beat)) if slot < codes else None
            for number, (total, group) in enumerate(zip(parts[slot], groups, strict=True)):
                alone: Any = own[multiply.part] if own is not None and number == 0 else 0
                dense = sum(group[1:], group[0]) if group else alone
                with m.If(advance):
                    m.d.sync += total.eq(dense if own is None else Mux(multiply.diagonal, alone, dense))

        add, add_valid = register(control, "add"), Signal()
        sums = [register(signed(product_bits + bits_for(lanes)), f"sum_{slot}") for slot in range(p.slots)]
        with m.If(advance):
            m.d.sync += [
                partial.eq(multiply),
                partial_valid.eq(multiply_valid),
                add.eq(partial),
                add_valid.eq(partial_valid),
            ]
            m.d.sync += [total.eq(sum(part[1:], part[0])) for total, part in zip(sums, parts, strict=True)]

        acc = [register(signed(p.acc_bits), f"acc_{slot}") for slot in range(p.slots)]
        complete = Signal()
        with m.If(advance):
            m.d.sync += complete.eq(add_valid & add.last)
            with m.If(add_valid):
                for slot, total in enumerate(sums):
                    m.d.sync += acc[slot].eq(Mux(add.first, 0, acc[slot]) + total if slot < rows else total)
        m.d.comb += [self.o.valid.eq(complete), *(self.o.payload[slot].eq(acc[slot]) for slot in range(p.slots))]
        return m
