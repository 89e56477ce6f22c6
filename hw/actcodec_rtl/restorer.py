"""The decoder's back: accumulators in, activations out."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec_rtl.component import Block
from actcodec_rtl.layouts import beat_layout, restored_layout
from actcodec_rtl.requantize import ActivationRequantizer


class Restorer(Block):
    """Requantizes the accumulators of a beat, x̂_c = clamp(round_shift(acc_c, t) + zero, lo, hi), combinational.

    Ports: ``i``, stream of `restored_layout`; ``o``, stream of `beat_layout`.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {"i": In(stream.Signature(restored_layout(params))), "o": Out(stream.Signature(beat_layout(params)))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given = self.i.payload
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready),
            self.o.payload.last.eq(given.last),
            self.o.payload.last_lane.eq(given.last_lane),
        ]
        for lane in range(self._params.lanes):
            requantizer = ActivationRequantizer(self._params.acc_bits)
            m.submodules[f"requantize_{lane}"] = requantizer
            m.d.comb += [
                requantizer.acc.eq(given.acc[lane]),
                requantizer.shift.eq(given.shift),
                requantizer.zero.eq(given.zero),
                requantizer.low.eq(given.low),
                requantizer.high.eq(given.high),
                self.o.payload.data[lane].eq(requantizer.value),
            ]
        return m
