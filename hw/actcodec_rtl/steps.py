"""Steps of a walker, each with the record that it read: taken off the memory's output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Signal

from actcodec_rtl.component import register


@dataclass(frozen=True)
class TakenStep:
    """A step and its record in registers where ``valid``; ``ready`` is driven by who uses them."""

    step: Any
    record: Any
    valid: Signal
    ready: Signal


def take_step(m: Module, step: Any, record: Any) -> TakenStep:
    """Take steps from a stream, and the ``record`` beside it, before they decide or add anything.

    A memory's output comes late in a cycle. One step a cycle, one cycle later.
    """
    taken, taken_record = register(step.payload.shape(), "taken_step"), register(record.shape(), "taken_record")
    valid, ready = Signal(name="taken_valid"), Signal(name="taken_ready")
    m.d.comb += step.ready.eq(~valid | ready)
    with m.If(step.ready):
        m.d.sync += [valid.eq(step.valid), taken.eq(step.payload), taken_record.eq(record)]
    return TakenStep(taken, taken_record, valid, ready)
