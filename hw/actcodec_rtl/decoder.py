"""The decoder: words of the compressed stream in, activations out."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from actcodec.params import MAX_WIDTH, CodecParams
from actcodec.tables.records import decoder_records
from actcodec_rtl.component import Block
from actcodec_rtl.counters import Counters
from actcodec_rtl.decoder_array import DecoderArray
from actcodec_rtl.decoder_bias import DecoderBias
from actcodec_rtl.dispatcher import Dispatcher
from actcodec_rtl.extractor import Extractor
from actcodec_rtl.frame_guard import FrameGuard
from actcodec_rtl.gatherer import Gatherer
from actcodec_rtl.interface import direction_ports
from actcodec_rtl.layouts import beat_layout, word_layout
from actcodec_rtl.multipliers import Multipliers, shared_members
from actcodec_rtl.restorer import Restorer
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.store import TableStore
from actcodec_rtl.walker import Walker


class Decoder(Block):
    """Decodes one frame of a site, or a window of it, for every job.

        acc_c = Σ_k R[c,k]·(code_k << e_k)        x̂_c = clamp(round_shift(acc_c + bias'_c, t) + zero, lo, hi)

    by the operations and records of `actcodec.tables.program`.

    Ports: `direction_ports`. ``i``: words of the stream (`word_layout`), of a frame row padding included, of a window
    those that its rows need (`actcodec.tables.geometry.Window`); none where nothing is stored. Words of the next frame
    may follow at once: up to three are taken ahead. ``o``: activations (`beat_layout`) in the order in which the
    encoder takes them; lanes beyond a block's last channel hold a value without meaning.
    Of a build with a shared array also `shared_members`.

    Cycles: `actcodec.tables.cycles.decode_cycles`; all outputs come from registers.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            direction_ports(params, word_layout(params), beat_layout(params)) | shared_members(params, "decoder")
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self._params
        records = decoder_records(p)
        m.submodules.store = store = TableStore(p, records)
        m.submodules.dispatcher = dispatcher = Dispatcher(p, records["site"], records["window"])
        m.submodules.walker = walker = Walker(p, records["plane"], records["operation"])
        m.submodules.code_walker = code_walker = Walker(p, records["code_plane"], records["code"], seeks=True)
        m.submodules.skid_in = skid_in = SkidBuffer(word_layout(p))
        m.submodules.guard = guard = FrameGuard(word_layout(p))
        m.submodules.extractor = extractor = Extractor(p)
        m.submodules.gatherer = gatherer = Gatherer(p)
        m.submodules.array = array = DecoderArray(p)
        m.submodules.bias = bias = DecoderBias(p)
        m.submodules.restorer = restorer = Restorer(p)
        m.submodules.skid_out = skid_out = SkidBuffer(beat_layout(p))
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
            code=(code_walker.entry_en, code_walker.entry_addr, extractor.record),
            beat=(array.beat_en, array.beat_addr, bias.record),
            window=(dispatcher.window_en, dispatcher.window_addr, dispatcher.window_data),
        )
        m.d.comb += [
            array.operation.valid.eq(walker.o.valid),
            array.closes.eq(walker.o.payload.last),
            array.bank.eq(walker.o_bank),
            walker.o.ready.eq(array.operation.ready),
            guard.wants.eq(extractor.starved),
            guard.ends.eq(extractor.ends),
            guard.surplus.eq(extractor.surplus),
        ]
        connect(m, wiring.flipped(self.i), skid_in.i)
        connect(m, skid_in.o, guard.i)
        connect(m, guard.o, extractor.i)
        connect(m, code_walker.o, extractor.step)
        connect(m, extractor.o, gatherer.i)
        connect(m, gatherer.o, array.i)
        connect(m, array.o, bias.i)
        connect(m, bias.o, restorer.i)
        connect(m, restorer.o, skid_out.i)
        connect(m, skid_out.o, wiring.flipped(self.o))

        if p.shared_array:
            connect(m, array.multipliers, wiring.flipped(self.multipliers))
        else:
            m.submodules.multipliers = multipliers = Multipliers(p, "decoder")
            connect(m, array.multipliers, multipliers.array)

        ended = Signal()
        m.d.comb += [
            ended.eq(self.o.valid & self.o.ready & self.o.payload.last),
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
        ]
        m.d.comb += [
            count.beats.eq(self.o.valid & self.o.ready),
            count.words.eq(self.i.valid & self.i.ready),
            count.payload_bits.eq(extractor.bits),
            count.input_stalls.eq(extractor.starved),
            count.output_stalls.eq(self.o.valid & ~self.o.ready),
            count.clear.eq(self.clear),
            self.counters.eq(count.values),
        ]
        return m
