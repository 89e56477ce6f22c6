"""The decoder's biases: sums of a beat in, its accumulators out."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import decoder_records
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import channels_layout, record_layout, restored_layout


class DecoderBias(Block):
    """Completes the accumulators of a beat, acc_c = sum_c + bias'_c, with what the beat's record says of them.

    Ports: ``i``, stream of `channels_layout`, ready where ``o`` is; ``record``, the record of the beat that is on ``i``
    once everything has moved on, for the memory's output comes late in a cycle; ``o``, stream of `restored_layout`. One
    beat a cycle, in one stage.
    """

    LATENCY = 1

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "i": In(stream.Signature(channels_layout(params))),
                "record": In(record_layout(decoder_records(params)["beat"])),
                "o": Out(stream.Signature(restored_layout(params))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        complete, record = register(self.o.payload.shape(), "complete"), register(self.record.shape(), "beat_record")
        advance = Signal()
        m.d.comb += [
            advance.eq(self.o.ready),
            self.i.ready.eq(advance),
            self.o.payload.eq(complete),
        ]
        with m.If(advance):
            m.d.sync += [record.eq(self.record), self.o.valid.eq(self.i.valid), complete.last.eq(self.i.payload.last)]
            m.d.sync += [
                getattr(complete, name).eq(getattr(record, name))
                for name in ("shift", "zero", "low", "high", "last_lane")
            ]
            for lane in range(self._params.lanes):
                m.d.sync += complete.acc[lane].eq(self.i.payload.acc[lane] + record.bias[lane])
        return m
