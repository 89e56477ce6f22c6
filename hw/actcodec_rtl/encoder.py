"""The encoder: activations, or accumulators, in, words of the compressed stream out."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from actcodec.params import MAX_WIDTH, CodecParams
from actcodec.tables.records import encoder_records
from actcodec_rtl.component import Block
from actcodec_rtl.counters import Counters
from actcodec_rtl.dispatcher import Dispatcher
from actcodec_rtl.encoder_bias import EncoderBias
from actcodec_rtl.encoder_front import accumulator_front, array_front
from actcodec_rtl.interface import direction_ports
from actcodec_rtl.layouts import encoder_beat_layout, word_layout
from actcodec_rtl.multipliers import shared_members
from actcodec_rtl.packer import Packer
from actcodec_rtl.quantizer import Quantizer
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.store import TableStore
from actcodec_rtl.walker import Walker


class Encoder(Block):
    """Encodes one frame of a site, or a stripe of some rows, for every job.

        acc_k = Σ_c P[k,c]·x_c        code_k = clamp(round_shift(acc_k + bias_k, s_k), 0, 2^b_k − 1)

    by the operations and records of `actcodec.tables.program`; the zero point is in the bias. Codes leave in table
    order, least significant bit first, rows of the image padded to the pitch.

    Ports: `direction_ports`. ``i``: activations (`beat_layout`), block by block, ``lanes`` a beat, a block's last beat
    filled up with anything. Position-major sites: all blocks of a position, then the next; block-major sites: block 0
    of all positions first. ``o``: words of the stream (`word_layout`). A site that stores nothing takes its frame and
    gives no word.
    Of a build with a shared array also `shared_members`.

    Of a build that takes accumulators (``transforms`` = folded) ``i`` brings acc_k itself (`encoder_beat_layout`),
    ``codes`` a beat: all coefficients of a position in table order, the position's last beat filled up with anything;
    of block-major sites block by block for all positions. Every record takes a beat, and there is no array.

    Cycles: `actcodec.tables.cycles.encode_cycles`; all outputs come from registers.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            direction_ports(params, encoder_beat_layout(params), word_layout(params))
            | shared_members(params, "encoder")
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        records = encoder_records(p)
        m.submodules.store = store = TableStore(p, records)
        m.submodules.dispatcher = dispatcher = Dispatcher(p, records["site"])
        m.submodules.code_walker = code_walker = Walker(p, records["code_plane"], records["code"])
        m.submodules.bias = bias = EncoderBias(p)
        m.submodules.quantizer = quantizer = Quantizer(p)
        m.submodules.packer = packer = Packer(p)
        m.submodules.skid_out = skid_out = SkidBuffer(word_layout(p))
        m.submodules.event_counters = count = Counters(p.codes_per_cycle * MAX_WIDTH)
        connect(m, wiring.flipped(self.load), store.load)
        connect(m, wiring.flipped(self.start), dispatcher.start)
        connect(m, dispatcher.codes, code_walker.command)
        m.d.comb += [
            store.asked_site.eq(dispatcher.site),
            store.asked_bank.eq(dispatcher.site_bank),
            dispatcher.known.eq(store.known),
        ]
        store.connect_reads(
            m,
            site=(dispatcher.site_en, dispatcher.site_addr, dispatcher.site_data),
            code_plane=(code_walker.plane_en, code_walker.plane_addr, code_walker.plane_data),
            code=(code_walker.entry_en, code_walker.entry_addr, bias.record),
        )
        if p.takes_accumulators:
            front = accumulator_front(m, p, self.i, bias)
        else:
            shared = self.multipliers if p.shared_array else None
            front = array_front(m, p, self.i, store, dispatcher, bias, shared)
        connect(m, code_walker.o, bias.step)
        connect(m, bias.o, quantizer.i)
        connect(m, quantizer.o, packer.i)
        connect(m, packer.o, skid_out.i)
        connect(m, skid_out.o, wiring.flipped(self.o))

        ended = Signal()
        last_taken = self.o.valid & self.o.ready & self.o.payload.last
        m.d.comb += [
            ended.eq(last_taken if front.silent_ends is None else last_taken | front.silent_ends),
            dispatcher.done.eq(ended),
            self.busy.eq(dispatcher.busy),
        ]
        m.d.sync += [
            self.done.eq(ended),
            self.errors.early_last.eq(front.early),
            self.errors.late_last.eq(front.late),
            self.errors.bad_site.eq(dispatcher.bad_site),
            self.errors.bad_window.eq(dispatcher.bad_window),
            self.errors.bad_table.eq(store.bad),
            self.errors.keep.eq(front.wrong_lanes),
        ]
        m.d.comb += [
            count.beats.eq(self.i.valid & self.i.ready),
            count.words.eq(self.o.valid & self.o.ready),
            count.payload_bits.eq(quantizer.bits),
            count.input_stalls.eq(front.waits),
            count.output_stalls.eq(self.o.valid & ~self.o.ready),
            count.clear.eq(self.clear),
            self.counters.eq(count.values),
        ]
        return m
