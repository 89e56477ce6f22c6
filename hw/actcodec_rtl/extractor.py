"""The decoder's front: words of the stream in, groups of codes for the MAC array out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from actcodec.params import CODE_VALUE_BITS, MAX_WIDTH, CodecParams
from actcodec.tables.records import bits_for, decoder_records
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import record_layout, values_layout, word_layout
from actcodec_rtl.placing import split
from actcodec_rtl.unpacker import Unpacker
from actcodec_rtl.walker import step_layout


class Extractor(Block):
    """Cuts the codes of a record out of the stream, shifts them left by e_k and gathers the records of a group.

    Ports: ``i``, stream of words; ``step``, stream of `walker.step_layout` with ``record``, the code record on the
    memory's output; ``o``, stream of `values_layout`, a group of codes; slots without a code hold anything;
    ``bits``, payload bits taken in this cycle; ``starved``, 1 where words are waited for; ``ends``, strobe: the frame
    needs no more words, and ``surplus``: it has been given one too many, which is dropped.

    One record or padding a cycle in three stages, record, window and group; a record waits in the window while the
    group before it is not taken. Padding, and records that are dropped, do not pass through window and group.
    """

    def __init__(self, params: CodecParams) -> None:
        self._params = params
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(params))),
                "step": In(stream.Signature(step_layout(params))),
                "record": In(record_layout(decoder_records(params)["code"])),
                "o": Out(stream.Signature(values_layout(params))),
                "bits": Out(range(params.codes_per_cycle * MAX_WIDTH + 1)),
                "starved": Out(1),
                "ends": Out(1),
                "surplus": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p, codes = self._params, self._params.codes_per_cycle
        step, record, step_valid, step_ready = self._registered(m)
        m.submodules.unpacker = unpacker = Unpacker(p)
        connect(m, wiring.flipped(self.i), unpacker.i)

        count = Signal(bits_for(p.word_bits))
        fire, enough, moves, passes = Signal(), Signal(), Signal(), Signal()
        window, window_valid, window_first = register(codes * MAX_WIDTH, "window"), Signal(), Signal(init=1)
        window_record = register(record.shape(), "window_record")
        m.d.comb += [
            # What is left of a begun word is there.
            count.eq(Mux(step.pad, Mux(step.whole, p.word_bits, 0), record.count)),
            enough.eq(unpacker.level >= count),
            passes.eq(~step.pad & ~step.drop),
            step_ready.eq(enough & (~passes | ~window_valid | moves)),
            fire.eq(step_valid & step_ready),
            unpacker.take.eq(fire),
            unpacker.align.eq(step.pad & ~step.whole),
            unpacker.count.eq(count),
            unpacker.begin_at.eq(step.place),
            unpacker.ends.eq(self.ends),
            self.bits.eq(Mux(fire & passes, record.count, 0)),
            self.starved.eq(step_valid & ~enough),
            self.ends.eq(fire & step.last),
            self.surplus.eq(unpacker.surplus),
        ]
        with m.If(fire & passes):
            m.d.sync += [window_valid.eq(1), window.eq(unpacker.window), window_record.eq(record)]
        with m.Elif(moves):
            m.d.sync += window_valid.eq(0)

        slots = [register(CODE_VALUE_BITS, f"value_{slot}") for slot in range(p.slots)]
        full = Signal()
        code = split(m, window, [window_record.width[slot] for slot in range(codes)])
        parts = -(-p.slots // codes)
        part = Signal(range(max(2, parts)))
        m.d.comb += [
            moves.eq(window_valid & ~(window_first & full & ~self.o.ready)),
            self.o.valid.eq(full),
            *(self.o.payload[slot].eq(value) for slot, value in enumerate(slots)),
        ]
        with m.If(moves):
            m.d.sync += [full.eq(window_record.ends), window_first.eq(window_record.ends)]
            if parts > 1:
                m.d.sync += part.eq(Mux(window_record.ends, 0, part + 1))
            for slot, value in enumerate(slots):
                here = part == slot // codes if parts > 1 else Const(1, 1)
                with m.If(here):
                    m.d.sync += value.eq(code[slot % codes] << window_record.left_shift[slot % codes])
        with m.Elif(self.o.ready):
            m.d.sync += full.eq(0)
        return m

    def _registered(self, m: Module) -> tuple[Any, Any, Signal, Signal]:
        """Step and record taken off the memory's output, which comes late in a cycle; their valid and ready."""
        step, record = register(self.step.payload.shape(), "step"), register(self.record.shape(), "code_record")
        valid, ready = Signal(name="step_valid"), Signal(name="step_ready")
        m.d.comb += self.step.ready.eq(~valid | ready)
        with m.If(self.step.ready):
            m.d.sync += [valid.eq(self.step.valid), step.eq(self.step.payload), record.eq(self.record)]
        return step, record, valid, ready
