"""The first stages of a MAC array: an operation, and the input that it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, Value

from actcodec_rtl.component import register


@dataclass(frozen=True)
class Operands:
    """An operation record and its input side by side in registers, where ``valid``.

    The stage before them holds the operation ``present``, which goes on where ``fire``, with the input it takes.
    """

    operation: Any
    value: Any
    valid: Signal
    present: Any
    fire: Signal


def take_operands(m: Module, operation: Any, i: Any, advance: Value, kept: int) -> Operands:
    """Take operations from a stream and, for those that are ``fresh``, their input from the stream ``i``.

    Two stages. An operation is taken off the memory's output before it decides anything, for that output comes late in
    a cycle; it goes on when the pipeline moves (``advance``) and its input is there. Then both are in registers with
    nothing but the multipliers behind them. ``kept`` inputs of a block are kept, by the operation's index, for those
    that use them again; 0 where none does.

    An operation whose matrix is zero, as the one of a block that stores nothing, may have an index of which no input
    has come yet. Its value is multiplied by zero and must be a number all the same: what is kept begins as 0.
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
    again: Any = 0
    if kept:
        inputs = Array(Signal(i.payload.shape(), name=f"kept_{n}") for n in range(kept))
        again = inputs[present.index]
        with m.If(fire & present.fresh):
            m.d.sync += inputs[present.index].eq(i.payload)
    with m.If(advance):
        m.d.sync += [valid.eq(fire), ready.eq(present), value.eq(Mux(present.fresh, i.payload, again))]
    return Operands(ready, value, valid, present, fire)
