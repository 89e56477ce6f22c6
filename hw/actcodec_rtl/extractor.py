"""The decoder's front: words of the stream in, the codes of a record out."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from actcodec.params import MAX_WIDTH, CodecParams
from actcodec.tables.records import decoder_records
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import cut_layout, record_layout, word_layout
from actcodec_rtl.placing import begins, split
from actcodec_rtl.steps import take_step
from actcodec_rtl.unpacker import Unpacker
from actcodec_rtl.walker import step_layout


class Extractor(Block):
    """Cuts the codes of a record out of the stream.

    Ports: ``i``, stream of words; ``step``, stream of `walker.step_layout` with ``record``, the code record on the
    memory's output; ``o``, stream of `cut_layout`; ``bits``, payload bits taken in this cycle; ``starved``, 1 where
    words are waited for; ``ends``, strobe: the frame needs no more words, and ``surplus``: it has been given one too
    many, which is dropped.

    One record or padding a cycle in three stages: record, request, window. A stage that is empty is moved up to.
    Padding, and records that are dropped, end with their request. All stages wait within a cycle for ``o`` to be ready,
    which should come from a register.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(params))),
                "step": In(stream.Signature(step_layout(params))),
                "record": In(record_layout(decoder_records(params)["code"])),
                "o": Out(stream.Signature(cut_layout(params))),
                "bits": Out(range(params.codes_per_cycle * MAX_WIDTH + 1)),
                "starved": Out(1),
                "ends": Out(1),
                "surplus": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, codes = self._params, self._params.codes_per_cycle
        m.submodules.unpacker = unpacker = Unpacker(p)
        connect(m, wiring.flipped(self.i), unpacker.i)
        to_window = Signal()

        # Request: the record's bits are asked for as it enters.
        taken = take_step(m, self.step, self.record)
        step, record = register(self.step.payload.shape(), "step"), register(self.record.shape(), "code_record")
        step_valid = Signal()
        fire, passes = Signal(), Signal()
        m.d.comb += [
            taken.ready.eq(~step_valid | fire),
            unpacker.ask.eq(taken.valid & taken.ready),
            unpacker.align.eq(taken.step.pad & ~taken.step.whole),
            unpacker.count.eq(Mux(taken.step.pad, p.word_bits, taken.record.count)),
            unpacker.begin_at.eq(taken.step.place),
            passes.eq(~step.pad & ~step.drop),
            fire.eq(step_valid & unpacker.there & (~passes | to_window)),
            unpacker.take.eq(fire),
            unpacker.ends.eq(self.ends),
            self.bits.eq(Mux(fire & passes, record.count, 0)),
            self.starved.eq(step_valid & ~unpacker.there),
            self.ends.eq(fire & step.last),
            self.surplus.eq(unpacker.surplus),
        ]
        with m.If(taken.ready):
            m.d.sync += [step_valid.eq(taken.valid), step.eq(taken.step), record.eq(taken.record)]

        # Window: the bits of the codes, and where each code lies among them.
        rest = data.StructLayout({"left_shift": record.left_shift.shape(), "ends": 1})
        window, window_valid = register(codes * MAX_WIDTH, "window"), Signal()
        width, window_rest = register(record.width.shape(), "width"), register(rest, "window_rest")
        places = begins(m, [record.width[slot] for slot in range(codes)])
        begin = [places[0], *(register(len(place), f"place_{n}") for n, place in enumerate(places[1:], 1))]
        with m.If(to_window):
            m.d.sync += [
                window_valid.eq(fire & passes),
                window.eq(unpacker.window),
                width.eq(record.width),
                *(getattr(window_rest, name).eq(getattr(record, name)) for name, _ in rest),
                *(place.eq(now) for place, now in zip(begin[1:], places[1:], strict=True)),
            ]

        # Codes: cut out of the window on the way out.
        m.d.comb += [
            self.o.valid.eq(window_valid),
            self.o.payload.left_shift.eq(window_rest.left_shift),
            self.o.payload.ends.eq(window_rest.ends),
            to_window.eq(~window_valid | self.o.ready),
        ]
        pieces = split(m, window, begin, [width[slot] for slot in range(codes)])
        m.d.comb += [self.o.payload.code[slot].eq(piece) for slot, piece in enumerate(pieces)]
        return m
