"""The encoder: activations in, words of the compressed stream out."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from actcodec.params import ACTIVATION_BITS, COEFFICIENT_BITS, MAX_WIDTH, CodecParams
from actcodec.tables.records import bits_for, encoder_records
from actcodec_rtl.component import Block
from actcodec_rtl.counters import Counters, counters_layout
from actcodec_rtl.layouts import beat_layout, chunk_layout, operation_layout, record_layout, word_layout
from actcodec_rtl.packer import Packer
from actcodec_rtl.prefix import offsets
from actcodec_rtl.requantize import CodeRequantizer
from actcodec_rtl.sequencer import Sequencer
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.store import TableStore


class Encoder(Block):
    """Encodes one frame of a site for every start command.

    For every step of `actcodec.tables.program.encoder_steps`, ``rows`` coefficients in parallel:

        acc_k = bias_k + Σ_c P[k,c]·x_c        code_k = clamp(round_shift(acc_k, s_k), 0, 2^b_k − 1)

    with lanes × rows multipliers; the zero point is in the bias. Codes leave in table order, least significant
    bit first, rows of the image padded to the pitch.

    Ports (all streams are valid/ready, payload stable while valid is not answered)
    -----
    load
        Table stream, bus words (`actcodec.tables.image`), always ready.
    start
        Number of the site to encode one frame of. Its tables must be loaded.
    i
        Activations (`beat_layout`): block by block, ``lanes`` a beat, a block's last beat filled up with anything.
        Position-major sites: all blocks of a position, then the next; block-major sites: block 0 of all
        positions first. ``last`` is not looked at: the site's geometry tells the end.
    o
        Words of the stream (`word_layout`), ``last`` on the frame's last one.
    counters
        `counters_layout`.

    Cycles: `actcodec.tables.cycles.encode_cycles`; all outputs come from registers but ``i.ready``.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "load": In(stream.Signature(unsigned(params.word_bits))),
                "start": In(stream.Signature(unsigned(bits_for(params.max_sites - 1)))),
                "i": In(stream.Signature(beat_layout(params))),
                "o": Out(stream.Signature(word_layout(params))),
                "counters": Out(counters_layout()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        lanes, rows = p.lanes, p.rows
        records = encoder_records(p)
        m.submodules.store = store = TableStore(p, records)
        m.submodules.sequencer = sequencer = Sequencer(p, records, p.beats_per_block)
        m.submodules.packer = packer = Packer(p)
        m.submodules.skid = skid = SkidBuffer(word_layout(p))
        m.submodules.event_counters = count = Counters(rows * MAX_WIDTH)
        connect(m, wiring.flipped(self.load), store.load)
        connect(m, wiring.flipped(self.start), sequencer.start)
        connect(m, packer.o, skid.i)
        connect(m, skid.o, wiring.flipped(self.o))
        sequencer.read_tables(m, store)

        # One enable moves the whole pipeline: it stands still only while the packer cannot take the last stage.
        advance = Signal()
        stages = _Stages(p)

        # Stage 0, fetch: an operation leaves the sequencer together with the beat that it works on.
        operation = sequencer.operation
        needs_beat = Signal()
        fire = Signal()
        kept = Array(
            Signal(data.ArrayLayout(unsigned(ACTIVATION_BITS), lanes), name=f"beat_{n}")
            for n in range(p.beats_per_block)
        )
        m.d.comb += [
            needs_beat.eq(operation.payload.fresh & ~operation.payload.pad),
            operation.ready.eq(advance & (~needs_beat | self.i.valid)),
            fire.eq(operation.valid & operation.ready),
            self.i.ready.eq(operation.valid & advance & needs_beat),
        ]
        with m.If(fire & needs_beat):
            m.d.sync += kept[operation.payload.index].eq(self.i.payload.data)
        with m.If(advance):
            m.d.sync += [
                stages.fetch.eq(operation.payload),
                stages.fetch_valid.eq(fire),
                stages.fetch_step.eq(sequencer.step_data),
                stages.beat.eq(Mux(needs_beat, self.i.payload.data, kept[operation.payload.index])),
            ]

        # Stage 1, multiply: the matrix entry read in stage 0 is there now.
        matrix = store.coefficient_data.matrix
        with m.If(advance):
            for r in range(rows):
                for lane in range(lanes):
                    m.d.sync += stages.product[r][lane].eq(matrix[r * lanes + lane] * stages.beat[lane])
            m.d.sync += [
                stages.multiply.eq(stages.fetch),
                stages.multiply_valid.eq(stages.fetch_valid),
                stages.multiply_step.eq(stages.fetch_step),
            ]

        # Stage 2, sum over the lanes.
        with m.If(advance):
            for r in range(rows):
                m.d.sync += stages.sum[r].eq(sum(stages.product[r][1:], stages.product[r][0]))
            m.d.sync += [
                stages.add.eq(stages.multiply),
                stages.add_valid.eq(stages.multiply_valid),
                stages.add_step.eq(stages.multiply_step),
            ]

        # Stage 3, accumulate over the operations of a step.
        with m.If(advance):
            with m.If(stages.add_valid & ~stages.add.pad):
                for r in range(rows):
                    base = Mux(stages.add.first, stages.add_step.bias[r], stages.acc[r])
                    m.d.sync += stages.acc[r].eq(base + stages.sum[r])
            m.d.sync += [
                stages.done.eq(stages.add),
                stages.done_valid.eq(stages.add_valid & (stages.add.pad | stages.add.last)),
                stages.done_step.eq(stages.add_step),
            ]

        # Stage 4, requantize.
        for r in range(rows):
            requantizer = CodeRequantizer(p.acc_bits)
            m.submodules[f"requantize_{r}"] = requantizer
            m.d.comb += [
                requantizer.acc.eq(stages.acc[r]),
                requantizer.shift.eq(stages.done_step.shift[r]),
                requantizer.width.eq(stages.done_step.width[r]),
            ]
            with m.If(advance):
                m.d.sync += [
                    stages.code[r].eq(requantizer.code),
                    stages.width[r].eq(Mux(stages.done.pad, 0, stages.done_step.width[r])),
                ]
        with m.If(advance):
            m.d.sync += [
                stages.code_valid.eq(stages.done_valid),
                stages.code_pad_bits.eq(Mux(stages.done.pad, stages.done.pad_bits, 0)),
                stages.code_last.eq(stages.done.closes),
            ]

        # Stage 5, concatenate the codes of the step, each shifted by the widths before it.
        place = offsets(m, stages.width, "place")
        gated = [Mux(stages.width[r] == 0, 0, stages.code[r]) << place[r] for r in range(rows)]
        with m.If(advance):
            m.d.sync += [
                stages.chunk.bits.eq(reduce(or_, gated)),
                stages.chunk.count.eq(place[rows] + stages.code_pad_bits),
                stages.chunk.payload.eq(stages.code_pad_bits == 0),
                stages.chunk.last.eq(stages.code_last),
                stages.chunk_valid.eq(stages.code_valid),
            ]

        # Stage 6, append to the stream.
        m.d.comb += [
            packer.i.valid.eq(stages.chunk_valid),
            packer.i.payload.eq(stages.chunk),
            advance.eq(~stages.chunk_valid | packer.i.ready),
        ]

        m.d.comb += [
            count.beats.eq(self.i.valid & self.i.ready),
            count.words.eq(self.o.valid & self.o.ready),
            count.payload_bits.eq(
                Mux(packer.i.valid & packer.i.ready & packer.i.payload.payload, packer.i.payload.count, 0)
            ),
            count.input_stalls.eq(self.i.ready & ~self.i.valid),
            count.output_stalls.eq(self.o.valid & ~self.o.ready),
            self.counters.eq(count.values),
        ]
        return m


class _Stages:
    """Pipeline registers of the encoder; those typed Any are structs, which Signal returns as views."""

    fetch: Any
    fetch_step: Any
    beat: Any
    multiply: Any
    multiply_step: Any
    add: Any
    add_step: Any
    done: Any
    done_step: Any
    chunk: Any

    def __init__(self, p: CodecParams) -> None:
        operation = operation_layout(p, p.beats_per_block)
        step = record_layout(encoder_records(p)["step"])
        product_bits = ACTIVATION_BITS + COEFFICIENT_BITS
        self.fetch = Signal(operation)
        self.fetch_valid = Signal()
        self.fetch_step = Signal(step)
        self.beat = Signal(data.ArrayLayout(unsigned(ACTIVATION_BITS), p.lanes))
        self.multiply = Signal(operation)
        self.multiply_valid = Signal()
        self.multiply_step = Signal(step)
        self.product = [
            [Signal(signed(product_bits), name=f"product_{r}_{lane}") for lane in range(p.lanes)] for r in range(p.rows)
        ]
        self.add = Signal(operation)
        self.add_valid = Signal()
        self.add_step = Signal(step)
        self.sum = [Signal(signed(product_bits + bits_for(p.lanes)), name=f"sum_{r}") for r in range(p.rows)]
        self.done = Signal(operation)
        self.done_valid = Signal()
        self.done_step = Signal(step)
        self.acc = [Signal(signed(p.acc_bits), name=f"acc_{r}") for r in range(p.rows)]
        self.code = [Signal(MAX_WIDTH, name=f"code_{r}") for r in range(p.rows)]
        self.width = [Signal(range(MAX_WIDTH + 1), name=f"width_{r}") for r in range(p.rows)]
        self.code_valid = Signal()
        self.code_pad_bits = Signal(bits_for(p.word_bits))
        self.code_last = Signal()
        self.chunk = Signal(chunk_layout(p))
        self.chunk_valid = Signal()
