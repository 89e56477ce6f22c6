"""The encoder: activations in, words of the compressed stream out."""

from __future__ import annotations

from amaranth.hdl import Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from actcodec.params import MAX_WIDTH, CodecParams
from actcodec.tables.records import bits_for, encoder_records
from actcodec_rtl.component import Block
from actcodec_rtl.counters import Counters, counters_layout
from actcodec_rtl.dispatcher import Dispatcher
from actcodec_rtl.encoder_array import EncoderArray
from actcodec_rtl.encoder_bias import EncoderBias
from actcodec_rtl.layouts import beat_layout, word_layout
from actcodec_rtl.multipliers import Multipliers, shared_members
from actcodec_rtl.packer import Packer
from actcodec_rtl.quantizer import Quantizer
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.store import TableStore
from actcodec_rtl.walker import Walker


class Encoder(Block):
    """Encodes one frame of a site for every start command.

        acc_k = Σ_c P[k,c]·x_c        code_k = clamp(round_shift(acc_k + bias_k, s_k), 0, 2^b_k − 1)

    by the operations and records of `actcodec.tables.program`; the zero point is in the bias. Codes leave in table
    order, least significant bit first, rows of the image padded to the pitch.

    Ports (all streams are valid/ready, payload stable while valid is not answered)
    -----
    load
        Table stream, bus words (`actcodec.tables.image`), always ready.
    start
        Number of the site to encode one frame of. Its tables must be loaded. The next one is taken while a frame runs.
    i
        Activations (`beat_layout`): block by block, ``lanes`` a beat, a block's last beat filled up with anything.
        Position-major sites: all blocks of a position, then the next; block-major sites: block 0 of all
        positions first. ``last`` is not looked at: the site's geometry tells the end.
    o
        Words of the stream (`word_layout`), ``last`` on the frame's last one.
    counters
        `counters_layout`.
    multipliers, busy
        Of a build with a shared array only: `shared_members`.

    Cycles: `actcodec.tables.cycles.encode_cycles`; all outputs come from registers.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                **shared_members(params, "encoder"),
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
        records = encoder_records(p)
        m.submodules.store = store = TableStore(p, records)
        m.submodules.dispatcher = dispatcher = Dispatcher(p, records["site"])
        m.submodules.walker = walker = Walker(p, records["plane"], records["operation"])
        m.submodules.code_walker = code_walker = Walker(p, records["code_plane"], records["code"])
        m.submodules.skid_in = skid_in = SkidBuffer(self.i.payload.data.shape())
        m.submodules.array = array = EncoderArray(p)
        m.submodules.bias = bias = EncoderBias(p)
        m.submodules.quantizer = quantizer = Quantizer(p)
        m.submodules.packer = packer = Packer(p)
        m.submodules.skid_out = skid_out = SkidBuffer(word_layout(p))
        m.submodules.event_counters = count = Counters(p.codes_per_cycle * MAX_WIDTH)
        connect(m, wiring.flipped(self.load), store.load)
        connect(m, wiring.flipped(self.start), dispatcher.start)
        connect(m, dispatcher.work, walker.command)
        connect(m, dispatcher.codes, code_walker.command)
        store.connect_reads(
            m,
            site=(dispatcher.site_en, dispatcher.site_addr, dispatcher.site_data),
            plane=(walker.plane_en, walker.plane_addr, walker.plane_data),
            operation=(walker.entry_en, walker.entry_addr, array.operation.payload),
            code_plane=(code_walker.plane_en, code_walker.plane_addr, code_walker.plane_data),
            code=(code_walker.entry_en, code_walker.entry_addr, bias.record),
        )
        m.d.comb += [
            skid_in.i.valid.eq(self.i.valid),
            skid_in.i.payload.eq(self.i.payload.data),
            self.i.ready.eq(skid_in.i.ready),
            array.operation.valid.eq(walker.o.valid),
            walker.o.ready.eq(array.operation.ready),
        ]
        connect(m, skid_in.o, array.i)
        connect(m, array.o, bias.i)
        connect(m, code_walker.o, bias.step)
        connect(m, bias.o, quantizer.i)
        connect(m, quantizer.o, packer.i)
        connect(m, packer.o, skid_out.i)
        connect(m, skid_out.o, wiring.flipped(self.o))

        if p.shared_array:
            connect(m, array.multipliers, wiring.flipped(self.multipliers))
            m.d.comb += self.busy.eq(dispatcher.work.valid | walker.busy | array.busy)
        else:
            m.submodules.multipliers = multipliers = Multipliers(p, "encoder")
            connect(m, array.multipliers, multipliers.array)

        m.d.comb += [
            count.beats.eq(self.i.valid & self.i.ready),
            count.words.eq(self.o.valid & self.o.ready),
            count.payload_bits.eq(quantizer.bits),
            count.input_stalls.eq(array.i.ready & ~array.i.valid),
            count.output_stalls.eq(self.o.valid & ~self.o.ready),
            self.counters.eq(count.values),
        ]
        return m
