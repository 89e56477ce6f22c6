"""The encoder: activations in, words of the compressed stream out."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from actcodec.params import MAX_WIDTH, CodecParams
from actcodec.tables.records import encoder_records
from actcodec_rtl.component import Block
from actcodec_rtl.counters import Counters
from actcodec_rtl.dispatcher import Dispatcher
from actcodec_rtl.encoder_array import EncoderArray
from actcodec_rtl.encoder_bias import EncoderBias
from actcodec_rtl.frame_guard import FrameGuard
from actcodec_rtl.interface import direction_ports
from actcodec_rtl.layouts import beat_layout, sums_layout, word_layout
from actcodec_rtl.multipliers import Multipliers, shared_members
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

    Cycles: `actcodec.tables.cycles.encode_cycles`; all outputs come from registers.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            direction_ports(params, beat_layout(params), word_layout(params)) | shared_members(params, "encoder")
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        records = encoder_records(p)
        m.submodules.store = store = TableStore(p, records)
        m.submodules.dispatcher = dispatcher = Dispatcher(p, records["site"])
        m.submodules.walker = walker = Walker(p, records["plane"], records["operation"])
        m.submodules.code_walker = code_walker = Walker(p, records["code_plane"], records["code"])
        m.submodules.skid_in = skid_in = SkidBuffer(beat_layout(p))
        m.submodules.guard = guard = FrameGuard(beat_layout(p))
        m.submodules.array = array = EncoderArray(p)
        # Results wait for what the output says: the array, and the walker behind it, are told of that by a register.
        m.submodules.sums = sums = SkidBuffer(sums_layout(p))
        m.submodules.bias = bias = EncoderBias(p)
        m.submodules.quantizer = quantizer = Quantizer(p)
        m.submodules.packer = packer = Packer(p)
        m.submodules.skid_out = skid_out = SkidBuffer(word_layout(p))
        m.submodules.event_counters = count = Counters(p.codes_per_cycle * MAX_WIDTH)
        connect(m, wiring.flipped(self.load), store.load)
        connect(m, wiring.flipped(self.start), dispatcher.start)
        connect(m, dispatcher.work, walker.command)
        connect(m, dispatcher.codes, code_walker.command)
        m.d.comb += [
            store.asked_site.eq(dispatcher.site),
            store.asked_bank.eq(dispatcher.site_bank),
            dispatcher.known.eq(store.known),
        ]
        store.connect_reads(
            m,
            site=(dispatcher.site_en, dispatcher.site_addr, dispatcher.site_data),
            plane=(walker.plane_en, walker.plane_addr, walker.plane_data),
            operation=(walker.entry_en, walker.entry_addr, array.operation.payload),
            code_plane=(code_walker.plane_en, code_walker.plane_addr, code_walker.plane_data),
            code=(code_walker.entry_en, code_walker.entry_addr, bias.record),
        )
        m.d.comb += [
            array.operation.valid.eq(walker.o.valid),
            array.closes.eq(walker.o.payload.last),
            walker.o.ready.eq(array.operation.ready),
            array.i.valid.eq(guard.o.valid),
            array.i.payload.eq(guard.o.payload.data),
            guard.o.ready.eq(array.i.ready),
            guard.wants.eq(array.i.ready),
            guard.ends.eq(array.ends),
        ]
        connect(m, wiring.flipped(self.i), skid_in.i)
        connect(m, skid_in.o, guard.i)
        connect(m, array.o, sums.i)
        connect(m, sums.o, bias.i)
        connect(m, code_walker.o, bias.step)
        connect(m, bias.o, quantizer.i)
        connect(m, quantizer.o, packer.i)
        connect(m, packer.o, skid_out.i)
        connect(m, skid_out.o, wiring.flipped(self.o))

        if p.shared_array:
            connect(m, array.multipliers, wiring.flipped(self.multipliers))
        else:
            m.submodules.multipliers = multipliers = Multipliers(p, "encoder")
            connect(m, array.multipliers, multipliers.array)

        # The array says late in a cycle that it takes a frame's last input.
        ended, silent_ended = Signal(), Signal()
        m.d.sync += silent_ended.eq(dispatcher.silent & array.ends)
        m.d.comb += [
            ended.eq((self.o.valid & self.o.ready & self.o.payload.last) | silent_ended),
            dispatcher.done.eq(ended),
            self.busy.eq(dispatcher.busy),
        ]
        m.d.sync += [
            self.done.eq(ended),
            self.errors.early_last.eq(guard.early),
            self.errors.late_last.eq(guard.late),
            self.errors.bad_site.eq(dispatcher.bad_site),
            self.errors.bad_window.eq(dispatcher.bad_window),
            self.errors.bad_table.eq(store.bad),
            # A beat that is really taken, and not one that the guard makes up or drops.
            self.errors.keep.eq(
                skid_in.o.valid
                & skid_in.o.ready
                & guard.o.valid
                & guard.o.ready
                & (skid_in.o.payload.last_lane != array.last_lane)
            ),
        ]
        m.d.comb += [
            count.beats.eq(self.i.valid & self.i.ready),
            count.words.eq(self.o.valid & self.o.ready),
            count.payload_bits.eq(quantizer.bits),
            count.input_stalls.eq(array.i.ready & ~array.i.valid),
            count.output_stalls.eq(self.o.valid & ~self.o.ready),
            count.clear.eq(self.clear),
            self.counters.eq(count.values),
        ]
        return m
