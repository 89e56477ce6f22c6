"""The decoder's MAC array: groups of codes in, accumulators of a beat out."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CODE_VALUE_BITS, COEFFICIENT_BITS, CodecParams
from actcodec.tables.records import bits_for, decoder_records
from actcodec_rtl.banks import in_bank
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import channels_layout, record_layout, values_layout
from actcodec_rtl.multipliers import multipliers_signature
from actcodec_rtl.operands import take_operands


class DecoderArray(Block):
    """Sums of products, lanes × rows multipliers:

        dense       acc_lane = Σ_operations Σ_r matrix[r][lane]·value[r]                 r < rows
        diagonal    acc_lane = matrix[0][lane]·value[lane mod codes]      lanes of the operation's part

    Ports: ``operation``, stream of the decoder's operation records, beside it ``last`` of the frame (``closes``) and
    the ``bank`` that its pointer to a beat's record counts from; ``i``, stream of `values_layout`, of which an
    operation takes one where it is ``fresh``; ``o``, stream of `channels_layout`, one for every operation marked
    ``last``; ``beat_en`` and ``beat_addr`` read the beat's record, which is on the memory's output when the
    accumulators are on ``o`` after the next move; ``multipliers``, which are outside.

    One operation a cycle, in five stages: operation, operands, products, sums over the codes, accumulators. They move
    together, where ``o`` is ready.
    """

    LATENCY = 5

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        records = decoder_records(params)
        super().__init__(
            {
                "operation": In(stream.Signature(record_layout(records["operation"]))),
                "closes": In(1),
                "bank": In(1),
                "i": In(stream.Signature(values_layout(params))),
                "o": Out(stream.Signature(channels_layout(params))),
                "beat_en": Out(1),
                "beat_addr": Out(unsigned(bits_for(records["beat"].depth - 1))),
                "multipliers": Out(multipliers_signature(params, "decoder")),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        lanes, rows, codes = p.lanes, p.rows, p.codes_per_cycle
        product_bits = CODE_VALUE_BITS + COEFFICIENT_BITS
        control = data.StructLayout(
            {
                "first": 1,
                "last": 1,
                "closes": 1,
                "diagonal": 1,
                "part": bits_for(p.parts_per_beat - 1),
                "step": len(self.beat_addr),
            }
        )
        advance = Signal()

        m.d.comb += advance.eq(self.o.ready)

        # With one beat a block every group is used once.
        kept = p.groups_per_block if p.beats_per_block > 1 else 0
        operands = take_operands(m, self.operation, self.i, advance, kept)
        operation, value = operands.operation, operands.value
        present_closes, ready_closes = register(1, "present_closes"), register(1, "ready_closes")
        present_bank, ready_bank = register(1, "present_bank"), register(1, "ready_bank")
        with m.If(self.operation.ready):
            m.d.sync += [present_closes.eq(self.closes), present_bank.eq(self.bank)]
        with m.If(advance):
            m.d.sync += [ready_closes.eq(present_closes), ready_bank.eq(present_bank)]

        multiply, multiply_valid = register(control, "multiply"), Signal()
        with m.If(advance):
            m.d.sync += [
                multiply_valid.eq(operands.valid),
                multiply.closes.eq(ready_closes),
                multiply.step.eq(in_bank(p, operation.step, ready_bank)),
            ]
            m.d.sync += [
                getattr(multiply, name).eq(getattr(operation, name)) for name in ("first", "last", "diagonal", "part")
            ]
        m.d.comb += self.multipliers.en.eq(advance)
        for r in range(rows):
            for lane in range(lanes):
                factor = value[r] if r else Mux(operation.diagonal, value[lane % codes], value[0])
                m.d.comb += [
                    self.multipliers.matrix[r * lanes + lane].eq(operation.matrix[r * lanes + lane]),
                    self.multipliers.factors[r * lanes + lane].eq(factor),
                ]
        product = [[self.multipliers.products[r * lanes + lane] for r in range(rows)] for lane in range(lanes)]

        add, add_valid = register(control, "add"), Signal()
        sums = [register(signed(product_bits + bits_for(rows)), f"sum_{lane}") for lane in range(lanes)]
        with m.If(advance):
            m.d.sync += [add.eq(multiply), add_valid.eq(multiply_valid)]
            for lane, total in enumerate(sums):
                # The matrix is zero in the lanes of other parts.
                dense = sum(product[lane][1:], product[lane][0])
                m.d.sync += total.eq(Mux(multiply.diagonal, product[lane][0], dense))

        acc = [register(signed(p.acc_bits), f"acc_{lane}") for lane in range(lanes)]
        complete, closes = Signal(), register(1, "closes_now")
        with m.If(advance):
            m.d.sync += [complete.eq(add_valid & add.last), closes.eq(add.closes)]
            with m.If(add_valid):
                for lane, total in enumerate(sums):
                    m.d.sync += acc[lane].eq(Mux(add.first, 0, acc[lane]) + total)
        m.d.comb += [
            self.beat_en.eq(advance & multiply_valid & multiply.last),
            self.beat_addr.eq(multiply.step),
            self.o.valid.eq(complete),
            self.o.payload.last.eq(closes),
            *(self.o.payload.acc[lane].eq(acc[lane]) for lane in range(lanes)),
        ]
        return m
