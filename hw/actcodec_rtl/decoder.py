"""The decoder: words of the compressed stream in, activations out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from actcodec.params import (
    CODE_VALUE_BITS,
    COEFFICIENT_BITS,
    MAX_WIDTH,
    CodecParams,
)
from actcodec.tables.records import bits_for, decoder_records
from actcodec_rtl.component import Block
from actcodec_rtl.counters import Counters, counters_layout
from actcodec_rtl.layouts import beat_layout, operation_layout, record_layout, word_layout
from actcodec_rtl.prefix import offsets
from actcodec_rtl.requantize import ActivationRequantizer
from actcodec_rtl.sequencer import Sequencer
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.store import TableStore
from actcodec_rtl.unpacker import Unpacker


class Decoder(Block):
    """Decodes one frame of a site for every start command.

    For every step of `actcodec.tables.program.decoder_steps`, ``lanes`` channels in parallel:

        acc_c = bias'_c + Σ_k R[c,k]·(code_k << e_k)        x̂_c = clamp(round_shift(acc_c, t) + zero, lo, hi)

    with lanes × rows multipliers.

    Ports (all streams are valid/ready, payload stable while valid is not answered)
    -----
    load
        Table stream, bus words (`actcodec.tables.image`), always ready.
    start
        Number of the site to decode one frame of. Its tables must be loaded.
    i
        Words of the stream (`word_layout`), row padding included; ``last`` is not looked at. Words of the next
        frame may follow at once: up to four are taken ahead.
    o
        Activations (`beat_layout`) in the order in which the encoder takes them; ``last`` on the frame's last
        beat; lanes beyond a block's last channel hold a value without meaning.
    counters
        `counters_layout`.

    Cycles: `actcodec.tables.cycles.decode_cycles`; all outputs come from registers.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "load": In(stream.Signature(unsigned(params.word_bits))),
                "start": In(stream.Signature(unsigned(bits_for(params.max_sites - 1)))),
                "i": In(stream.Signature(word_layout(params))),
                "o": Out(stream.Signature(beat_layout(params))),
                "counters": Out(counters_layout()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        lanes, rows = p.lanes, p.rows
        records = decoder_records(p)
        m.submodules.store = store = TableStore(p, records)
        m.submodules.sequencer = sequencer = Sequencer(p, records, p.steps_per_block)
        m.submodules.unpacker = unpacker = Unpacker(p)
        m.submodules.skid_in = skid_in = SkidBuffer(word_layout(p))
        m.submodules.skid_out = skid_out = SkidBuffer(beat_layout(p))
        m.submodules.event_counters = count = Counters(rows * MAX_WIDTH)
        connect(m, wiring.flipped(self.load), store.load)
        connect(m, wiring.flipped(self.start), sequencer.start)
        connect(m, wiring.flipped(self.i), skid_in.i)
        connect(m, skid_in.o, unpacker.i)
        connect(m, skid_out.o, wiring.flipped(self.o))
        sequencer.read_tables(m, store)

        advance = Signal()
        stages = _Stages(p)

        # Stage 0, fetch: an operation leaves the sequencer together with the bits that it works on. The memory
        # of the codes holds the entry of the next fresh operation on its output.
        operation = sequencer.operation
        code_number = Signal.like(store.code_addr)
        count_bits = Signal(bits_for(p.word_bits))
        codes_bits = offsets(m, [store.code_data.width[r] for r in range(rows)], "next_place")[rows]
        takes_codes = Signal()
        takes = Signal()
        fire = Signal()
        next_code = Signal.like(store.code_addr)
        m.d.comb += [
            takes_codes.eq(operation.payload.fresh & ~operation.payload.pad),
            takes.eq(operation.payload.fresh | operation.payload.pad),
            count_bits.eq(Mux(operation.payload.pad, operation.payload.pad_bits, codes_bits)),
            operation.ready.eq(advance & (~takes | (unpacker.level >= count_bits))),
            fire.eq(operation.valid & operation.ready),
            unpacker.take.eq(fire & takes),
            unpacker.count.eq(count_bits),
            next_code.eq(
                Mux(
                    sequencer.plane_start | store.code_data.position_end,
                    sequencer.plane_data.first_code,
                    code_number + 1,
                )
            ),
            store.code_en.eq(sequencer.plane_start | (fire & takes_codes)),
            store.code_addr.eq(next_code),
        ]
        with m.If(store.code_en):
            m.d.sync += code_number.eq(next_code)
        with m.If(advance):
            m.d.sync += [
                stages.fetch.eq(operation.payload),
                stages.fetch_valid.eq(fire & ~operation.payload.pad),
                stages.fetch_bias.eq(sequencer.step_data.bias),
                stages.fetch_site.eq(sequencer.site_data),
                stages.window.eq(unpacker.window),
                stages.window_code.eq(store.code_data),
            ]

        # Stage 1, extract the codes and shift them; what is fresh is kept for the steps that follow.
        kept = Array(
            Signal(data.ArrayLayout(unsigned(CODE_VALUE_BITS), rows), name=f"kept_{n}")
            for n in range(p.steps_per_block)
        )
        extracted = Signal(data.ArrayLayout(unsigned(CODE_VALUE_BITS), rows))
        place = offsets(m, [stages.window_code.width[r] for r in range(rows)], "place")
        for r in range(rows):
            mask = (1 << stages.window_code.width[r])[: MAX_WIDTH + 1] - 1
            bits = (stages.window >> place[r])[:MAX_WIDTH] & mask
            m.d.comb += extracted[r].eq(bits << stages.window_code.left_shift[r])
        with m.If(advance):
            with m.If(stages.fetch_valid & stages.fetch.fresh):
                m.d.sync += kept[stages.fetch.index].eq(extracted)
            m.d.sync += [
                stages.extract.eq(stages.fetch),
                stages.extract_valid.eq(stages.fetch_valid),
                stages.extract_bias.eq(stages.fetch_bias),
                stages.extract_site.eq(stages.fetch_site),
                stages.value.eq(Mux(stages.fetch.fresh, extracted, kept[stages.fetch.index])),
                stages.matrix.eq(store.coefficient_data.matrix),
            ]

        # Stage 2, multiply.
        with m.If(advance):
            for lane in range(lanes):
                for r in range(rows):
                    m.d.sync += stages.product[lane][r].eq(stages.matrix[r * lanes + lane] * stages.value[r])
            m.d.sync += [
                stages.multiply.eq(stages.extract),
                stages.multiply_valid.eq(stages.extract_valid),
                stages.multiply_bias.eq(stages.extract_bias),
                stages.multiply_site.eq(stages.extract_site),
            ]

        # Stage 3, sum over the codes of the operation.
        with m.If(advance):
            for lane in range(lanes):
                m.d.sync += stages.sum[lane].eq(sum(stages.product[lane][1:], stages.product[lane][0]))
            m.d.sync += [
                stages.add.eq(stages.multiply),
                stages.add_valid.eq(stages.multiply_valid),
                stages.add_bias.eq(stages.multiply_bias),
                stages.add_site.eq(stages.multiply_site),
            ]

        # Stage 4, accumulate over the operations of a step.
        with m.If(advance):
            with m.If(stages.add_valid):
                for lane in range(lanes):
                    base = Mux(stages.add.first, stages.add_bias[lane], stages.acc[lane])
                    m.d.sync += stages.acc[lane].eq(base + stages.sum[lane])
            m.d.sync += [
                stages.done_valid.eq(stages.add_valid & stages.add.last),
                stages.done_last.eq(stages.add.closes),
                stages.done_site.eq(stages.add_site),
            ]

        # Stage 5, requantize.
        for lane in range(lanes):
            requantizer = ActivationRequantizer(p.acc_bits)
            m.submodules[f"requantize_{lane}"] = requantizer
            m.d.comb += [
                requantizer.acc.eq(stages.acc[lane]),
                requantizer.shift.eq(stages.done_site.shift),
                requantizer.zero.eq(stages.done_site.zero),
                requantizer.low.eq(stages.done_site.low),
                requantizer.high.eq(stages.done_site.high),
            ]
            with m.If(advance):
                m.d.sync += stages.out.data[lane].eq(requantizer.value)
        with m.If(advance):
            m.d.sync += [stages.out.last.eq(stages.done_last), stages.out_valid.eq(stages.done_valid)]

        m.d.comb += [
            skid_out.i.valid.eq(stages.out_valid),
            skid_out.i.payload.eq(stages.out),
            advance.eq(~stages.out_valid | skid_out.i.ready),
        ]

        m.d.comb += [
            count.beats.eq(self.o.valid & self.o.ready),
            count.words.eq(self.i.valid & self.i.ready),
            count.payload_bits.eq(Mux(fire & takes_codes, codes_bits, 0)),
            count.input_stalls.eq(operation.valid & advance & takes & (unpacker.level < count_bits)),
            count.output_stalls.eq(self.o.valid & ~self.o.ready),
            self.counters.eq(count.values),
        ]
        return m


class _Stages:
    """Pipeline registers of the decoder; those typed Any are structs, which Signal returns as views."""

    fetch: Any
    fetch_bias: Any
    fetch_site: Any
    window_code: Any
    extract: Any
    extract_bias: Any
    extract_site: Any
    value: Any
    matrix: Any
    multiply: Any
    multiply_bias: Any
    multiply_site: Any
    add: Any
    add_bias: Any
    add_site: Any
    done_site: Any
    out: Any

    def __init__(self, p: CodecParams) -> None:
        records = decoder_records(p)
        operation = operation_layout(p, p.steps_per_block)
        site = record_layout(records["site"])
        bias = data.ArrayLayout(signed(p.acc_bits), p.lanes)
        product_bits = CODE_VALUE_BITS + COEFFICIENT_BITS
        self.fetch = Signal(operation)
        self.fetch_valid = Signal()
        self.fetch_bias = Signal(bias)
        self.fetch_site = Signal(site)
        self.window = Signal(p.rows * MAX_WIDTH)
        self.window_code = Signal(record_layout(records["code"]))
        self.extract = Signal(operation)
        self.extract_valid = Signal()
        self.extract_bias = Signal(bias)
        self.extract_site = Signal(site)
        self.value = Signal(data.ArrayLayout(unsigned(CODE_VALUE_BITS), p.rows))
        self.matrix = Signal(data.ArrayLayout(signed(COEFFICIENT_BITS), p.rows * p.lanes))
        self.multiply = Signal(operation)
        self.multiply_valid = Signal()
        self.multiply_bias = Signal(bias)
        self.multiply_site = Signal(site)
        self.product = [
            [Signal(signed(product_bits), name=f"product_{lane}_{r}") for r in range(p.rows)] for lane in range(p.lanes)
        ]
        self.add = Signal(operation)
        self.add_valid = Signal()
        self.add_bias = Signal(bias)
        self.add_site = Signal(site)
        self.sum = [Signal(signed(product_bits + bits_for(p.rows)), name=f"sum_{lane}") for lane in range(p.lanes)]
        self.done_valid = Signal()
        self.done_last = Signal()
        self.done_site = Signal(site)
        self.acc = [Signal(signed(p.acc_bits), name=f"acc_{lane}") for lane in range(p.lanes)]
        self.out = Signal(beat_layout(p))
        self.out_valid = Signal()
