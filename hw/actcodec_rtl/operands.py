"""The first stage of a MAC array: an operation, and the input that it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, Value

from actcodec_rtl.component import register


@dataclass(frozen=True)
class Operands:
    """An operation record and its input, both to be used in the cycle of ``fire``."""

    operation: Any
    value: Any
    fire: Signal
    waits: Signal
    """An operation is there, whether it fires or not."""


def take_operands(m: Module, operation: Any, i: Any, advance: Value, kept: int) -> Operands:
    """Take operations from a stream and, for those that are ``fresh``, their input from the stream ``i``.

    An operation is taken off the memory's output before it decides anything, for that output comes late in a cycle; it
    fires when the pipeline moves (``advance``) and its input is there. ``kept`` inputs of a block are kept, by the
    operation's index, for those that use them again; 0 where none does.
    """
    present, valid = register(operation.payload.shape(), "present"), Signal(name="present_valid")
    fire = Signal(name="fire")
    m.d.comb += [
        fire.eq(valid & advance & (~present.fresh | i.valid)),
        operation.ready.eq(~valid | fire),
        i.ready.eq(valid & advance & present.fresh),
    ]
    with m.If(operation.ready):
        m.d.sync += [valid.eq(operation.valid), present.eq(operation.payload)]
    if not kept:
        return Operands(present, i.payload, fire, valid)
    inputs = Array(register(i.payload.shape(), f"kept_{n}") for n in range(kept))
    value = Signal(i.payload.shape(), name="value")
    m.d.comb += value.eq(Mux(present.fresh, i.payload, inputs[present.index]))
    with m.If(fire & present.fresh):
        m.d.sync += inputs[present.index].eq(i.payload)
    return Operands(present, value, fire, valid)
