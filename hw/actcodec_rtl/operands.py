"""The first stages of a MAC array: an operation, and the input that it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, Value

from actcodec_rtl.component import register


@dataclass(frozen=True)
class Operands:
    """An operation record and its input side by side in registers, where ``valid``."""

    operation: Any
    value: Any
    valid: Signal


def take_operands(m: Module, operation: Any, i: Any, advance: Value, kept: int) -> Operands:
    """Take operations from a stream and, for those that are ``fresh``, their input from the stream ``i``.

    Two stages. An operation is taken off the memory's output before it decides anything, for that output comes late in
    a cycle; it goes on when the pipeline moves (``advance``) and its input is there. Then both are in registers with
    nothing but the multipliers behind them. ``kept`` inputs of a block are kept, by the operation's index, for those
    that use them again; 0 where none does.
    """
    present, present_valid = register(operation.payload.shape(), "present"), Signal(name="present_valid")
    fire = Signal(name="fire")
    m.d.comb += [
        fire.eq(present_valid & advance & (~present.fresh | i.valid)),
        operation.ready.eq(~present_valid | fire),
        i.ready.eq(present_valid & advance & present.fresh),
    ]
    with m.If(operation.ready):
        m.d.sync += [present_valid.eq(operation.valid), present.eq(operation.payload)]

    ready, valid = register(operation.payload.shape(), "ready"), Signal(name="ready_valid")
    value = register(i.payload.shape(), "value")
    with m.If(advance):
        m.d.sync += [valid.eq(fire), ready.eq(present)]
    if not kept:
        with m.If(advance):
            m.d.sync += value.eq(i.payload)
        return Operands(ready, value, valid)
    inputs = Array(register(i.payload.shape(), f"kept_{n}") for n in range(kept))
    with m.If(advance):
        m.d.sync += value.eq(Mux(present.fresh, i.payload, inputs[present.index]))
    with m.If(fire & present.fresh):
        m.d.sync += inputs[present.index].eq(i.payload)
    return Operands(ready, value, valid)
