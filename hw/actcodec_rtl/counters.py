"""Counters of a direction: what a designer reads to know bytes, cycles and stalls."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from actcodec_rtl.component import Block

COUNTER_BITS = 32
COUNTERS = ("beats", "words", "payload_bits", "input_stalls", "output_stalls")
PAYLOAD_COUNTER_BITS = 64


def counters_layout() -> data.StructLayout:
    """Counters since reset, wrapping: activations' beats, stream words, payload bits and stalls.

    An input stall is a cycle in which the block waits for its input, an output stall one in which its output
    waits to be taken.
    """
    return data.StructLayout(
        {name: PAYLOAD_COUNTER_BITS if name == "payload_bits" else COUNTER_BITS for name in COUNTERS}
    )


class Counters(Block):
    """Adds the amounts on its inputs every cycle; they are in ``values`` two cycles later.

    Ports: one input a counter, ``values``; ``clear``, begin from 0 with the amounts of this cycle.
    """

    LATENCY = 2

    def __init__(self, largest_payload: int) -> None:
        super().__init__(
            {
                **{name: In(1) for name in COUNTERS if name != "payload_bits"},
                "payload_bits": In(range(largest_payload + 1)),
                "clear": In(1),
                "values": Out(counters_layout()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cleared = Signal()
        m.d.sync += cleared.eq(self.clear)
        for name in COUNTERS:
            amount: Value = getattr(self, name)
            total: Signal = getattr(self.values, name)
            # An event is told late in its cycle.
            told = Signal(len(amount), name=f"{name}_told")
            m.d.sync += [told.eq(amount), total.eq(Mux(cleared, 0, total) + told)]
        return m
