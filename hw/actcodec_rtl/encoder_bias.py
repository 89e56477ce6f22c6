"""The encoder's biases: sums of a step in, accumulators record by record out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import encoder_records
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import accumulators_layout, record_layout, sums_layout
from actcodec_rtl.steps import take_step
from actcodec_rtl.walker import step_layout


class EncoderBias(Block):
    """Completes ``codes`` accumulators a cycle, acc_k = sum_k + bias_k, with what their record says of them.

    A result of more slots is worked off record by record from a register behind the sums; padding passes between
    results.

    Where no array is before it (`CodecParams.takes_accumulators`) it also tells who gives the sums: ``last_lane``, the
    record's field of the sums that are taken next, and ``ends``, strobe: the frame's last record or padding passes.

    Ports: ``i``, stream of `sums_layout`; ``step``, stream of `walker.step_layout` with ``record``, the code record on
    the memory's output; ``o``, stream of `accumulators_layout`. One record or padding a cycle, in two stages of which
    sums pass the second only: record, accumulators. The second moves where ``o`` is ready.
    """

    LATENCY = 1

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        record = record_layout(encoder_records(params)["code"])
        members = {
            "i": In(stream.Signature(sums_layout(params))),
            "step": In(stream.Signature(step_layout())),
            "record": In(record),
            "o": Out(stream.Signature(accumulators_layout(params))),
        }
        if params.takes_accumulators:
            members |= {"ends": Out(1), "last_lane": Out(record["last_lane"].shape)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, codes = self._params, self._params.codes_per_cycle
        taken = take_step(m, self.step, self.record)
        step, record = taken.step, taken.record
        advance, fire, midway = Signal(), Signal(), Signal()
        # The record is the first of its result: known as it enters, for results and walker wait for what follows.
        first = Signal()
        with m.If(self.step.ready):
            behind = Mux(taken.valid & ~step.pad, ~record.ends, midway)
            m.d.sync += first.eq(self.step.valid & ~self.step.payload.pad & ~behind)
        values: list[Any] = [self.i.payload[slot] for slot in range(codes)]
        if p.encoder_slots > codes:
            values = self._held(m, fire & ~step.pad, midway, record.ends)
        m.d.comb += [
            advance.eq(self.o.ready),
            taken.ready.eq(advance & (~first | self.i.valid)),
            fire.eq(taken.valid & taken.ready),
            self.i.ready.eq(advance & first),
        ]
        if p.takes_accumulators:
            m.d.comb += [self.ends.eq(fire & step.last), self.last_lane.eq(record.last_lane)]
        complete = register(self.o.payload.shape(), "complete")
        m.d.comb += self.o.payload.eq(complete)
        with m.If(advance):
            m.d.sync += [
                self.o.valid.eq(fire),
                complete.shift.eq(record.shift),
                complete.align.eq(step.pad & ~step.whole),
                complete.whole.eq(step.pad & step.whole),
                complete.last.eq(step.last),
            ]
            for slot in range(codes):
                m.d.sync += [
                    complete.acc[slot].eq(values[slot] + record.bias[slot]),
                    complete.width[slot].eq(Mux(step.pad, 0, record.width[slot])),
                ]
        return m

    def _held(self, m: Module, fire: Value, midway: Signal, ends: Value) -> list[Any]:
        """Keep the slots that the first record of a step leaves over; return those of the present record."""
        p, codes = self._params, self._params.codes_per_cycle
        held = [register(signed(p.acc_bits), f"held_{slot}") for slot in range(p.encoder_slots - codes)]
        values = []
        for slot in range(codes):
            first = self.i.payload[slot]
            value = Signal(signed(p.acc_bits), name=f"value_{slot}")
            m.d.comb += value.eq(Mux(midway, held[slot], first) if slot < len(held) else first)
            values.append(value)
        with m.If(fire):
            m.d.sync += midway.eq(~ends)
            for slot, kept in enumerate(held):
                after = held[slot + codes] if slot + codes < len(held) else 0
                m.d.sync += kept.eq(Mux(midway, after, self.i.payload[slot + codes]))
        return values
