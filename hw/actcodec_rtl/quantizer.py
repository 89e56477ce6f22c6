"""The encoder's quantizers: accumulators in, chunks of codes for the packer out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec.params import MAX_WIDTH, WIDTH_BITS, CodecParams
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import accumulators_layout, chunk_layout
from actcodec_rtl.placing import Joined, join, join_two
from actcodec_rtl.requantize import SCALED_CODE, CodeSaturator, CodeScaler


class Quantizer(Block):
    """Requantizes ``codes`` accumulators a cycle and joins them: code_k = clamp(round_shift(acc_k, s_k), 0, 2^b_k − 1).

    Ports: ``i``, stream of `accumulators_layout`, ready where ``o`` is; ``o``, stream of `chunk_layout`: codes of a
    record, or padding; ``bits``, payload bits that leave in this cycle. One record or padding a cycle, in four stages
    that move together: shift, rounding and saturation, both halves of the codes joined, the halves joined.
    """

    LATENCY = 4

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "i": In(stream.Signature(accumulators_layout(params))),
                "o": Out(stream.Signature(chunk_layout(params))),
                "bits": Out(range(params.codes_per_cycle * MAX_WIDTH + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, codes = self._params, self._params.codes_per_cycle
        advance = Signal()
        m.d.comb += [advance.eq(self.o.ready), self.i.ready.eq(advance)]
        flags = data.StructLayout({"align": 1, "whole": 1, "last": 1})

        given = self.i.payload
        widths = data.ArrayLayout(WIDTH_BITS, codes)
        scaled = [register(SCALED_CODE, f"scaled_{slot}") for slot in range(codes)]
        scaled_width = register(widths, "scaled_width")
        code = [register(MAX_WIDTH, f"code_{slot}") for slot in range(codes)]
        width = register(widths, "width")
        for slot in range(codes):
            m.submodules[f"scale_{slot}"] = scaler = CodeScaler(p.acc_bits)
            m.submodules[f"saturate_{slot}"] = saturator = CodeSaturator()
            m.d.comb += [
                scaler.acc.eq(given.acc[slot]),
                scaler.shift.eq(given.shift[slot]),
                saturator.scaled.eq(scaled[slot]),
                saturator.width.eq(scaled_width[slot]),
            ]
            with m.If(advance):
                m.d.sync += [scaled[slot].eq(scaler.scaled), code[slot].eq(saturator.code)]
        with m.If(advance):
            m.d.sync += [scaled_width.eq(given.width), width.eq(scaled_width)]

        half = (codes + 1) // 2
        parts = [(code[:half], [width[slot] for slot in range(half)])]
        if half < codes:
            parts.append((code[half:], [width[slot] for slot in range(half, codes)]))
        halves = [
            self._registered(m, advance, join(m, part, part_widths, name), name)
            for name, (part, part_widths) in zip(("low", "high"), parts, strict=False)
        ]
        joined = join_two(m, halves[0], halves[1], "chunk") if len(halves) == 2 else halves[0]

        present, control = self.i.valid, {name: getattr(given, name) for name in ("align", "whole", "last")}
        for stage in ("scaled", "code", "halves"):
            present, control = self._follow(m, advance, present, control, register(flags, f"{stage}_flags"), stage)
        chunk, whole = register(chunk_layout(p), "chunk"), register(1, "whole")
        with m.If(advance):
            m.d.sync += [
                self.o.valid.eq(present),
                chunk.bits.eq(joined.bits),
                chunk.count.eq(Mux(control["whole"], p.word_bits, joined.count)),
                chunk.align.eq(control["align"]),
                chunk.last.eq(control["last"]),
                whole.eq(control["whole"]),
            ]
        m.d.comb += [
            self.o.payload.eq(chunk),
            self.bits.eq(Mux(self.o.valid & self.o.ready & ~whole, chunk.count, 0)),
        ]
        return m

    @staticmethod
    def _registered(m: Module, advance: Signal, joined: Joined, name: str) -> Joined:
        """The joined codes a stage later."""
        bits, count = register(len(joined.bits), f"{name}_bits"), register(len(joined.count), f"{name}_count")
        with m.If(advance):
            m.d.sync += [bits.eq(joined.bits), count.eq(joined.count)]
        return Joined(bits, count, joined.slots)

    @staticmethod
    def _follow(
        m: Module, advance: Signal, present: Value, control: dict[str, Any], flags: Any, stage: str
    ) -> tuple[Value, dict[str, Any]]:
        """Valid and flags a stage later."""
        valid = Signal(name=f"{stage}_valid")
        with m.If(advance):
            m.d.sync += [valid.eq(present), *(getattr(flags, name).eq(value) for name, value in control.items())]
        return valid, {name: getattr(flags, name) for name in control}
