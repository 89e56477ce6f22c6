"""The decoder's back: accumulators in, activations out."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import ACTIVATION_BITS, CodecParams
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import beat_layout, restored_layout
from actcodec_rtl.requantize import OFFSET, SCALED_ACTIVATION, ActivationSaturator, ActivationScaler


class Restorer(Block):
    """Requantizes the accumulators of a beat, x̂_c = clamp(round_shift(acc_c, t) + zero, lo, hi).

    Ports: ``i``, stream of `restored_layout`, ready where ``o`` is; ``o``, stream of `beat_layout`. One beat a cycle,
    in one stage, the shift; rounding and saturation come behind it.
    """

    LATENCY = 1

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {"i": In(stream.Signature(restored_layout(params))), "o": Out(stream.Signature(beat_layout(params)))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given, advance = self.i.payload, Signal()
        m.d.comb += [advance.eq(self.o.ready), self.i.ready.eq(advance)]
        zero, low, high = (register(ACTIVATION_BITS, name) for name in ("zero", "low", "high"))
        under, most = register(OFFSET, "under"), register(OFFSET, "most")
        valid, last = Signal(), register(1, "last")
        last_lane = register(len(given.last_lane), "last_lane")
        with m.If(advance):
            m.d.sync += [
                valid.eq(self.i.valid),
                last.eq(given.last),
                last_lane.eq(given.last_lane),
                zero.eq(given.zero),
                low.eq(given.low),
                high.eq(given.high),
                under.eq(given.low - given.zero - 1),
                most.eq(given.high - given.zero),
            ]
        m.d.comb += [self.o.valid.eq(valid), self.o.payload.last.eq(last), self.o.payload.last_lane.eq(last_lane)]
        for lane in range(self._params.lanes):
            m.submodules[f"scale_{lane}"] = scaler = ActivationScaler(self._params.acc_bits)
            m.submodules[f"saturate_{lane}"] = saturator = ActivationSaturator()
            scaled = register(SCALED_ACTIVATION, f"scaled_{lane}")
            with m.If(advance):
                m.d.sync += scaled.eq(scaler.scaled)
            m.d.comb += [
                scaler.acc.eq(given.acc[lane]),
                scaler.shift.eq(given.shift),
                saturator.scaled.eq(scaled),
                saturator.zero.eq(zero),
                saturator.low.eq(low),
                saturator.high.eq(high),
                saturator.under.eq(under),
                saturator.most.eq(most),
                self.o.payload.data[lane].eq(saturator.value),
            ]
        return m
