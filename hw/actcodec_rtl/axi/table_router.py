"""The table stream of both directions: takes images apart and hands their words to the tables that they are for."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.image import (
    IMAGE_BANK_BITS,
    IMAGE_COUNT_BITS,
    IMAGE_DIRECTION_BITS,
    IMAGE_DIRECTIONS,
    IMAGE_MAGIC,
    IMAGE_MAGIC_BITS,
)
from actcodec_rtl.axi.signatures import axi_stream
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import load_layout


def table_events_layout() -> data.StructLayout:
    """Of a direction: a word was taken; an image was loaded completely (strobes); one is being loaded, and its bank
    (levels); an image was malformed; a word of it had bytes that are not kept (strobes).
    """
    return data.StructLayout({"word": 1, "loaded": 1, "loading": 1, "bank": 1, "bad": 1, "keep": 1})


class TableRouter(Block):
    """Reads the framed images (`actcodec.tables.image.framed_image`) of a packet, one after another.

    Ports: ``axis``, AXI4-Stream of bus words; for every direction ``NAME_load``, stream of table words, and
    ``NAME_events`` (`table_events_layout`), from registers. Tables are always ready for a word.

    A packet may hold several images and ends, by TLAST, with the last word of one. What goes wrong:

    * a header that is none, of a direction or bank that is not there, or of no words: *bad* in every direction, and
      the packet is dropped up to its end;
    * TLAST inside an image: *bad*; it is the image's last word for the tables as well, so that they begin anew with the
      next packet;
    * a word with bytes that are not kept: *keep* and *bad*; it is loaded as it is.

    An image of which any of this is true is never *loaded*. One word a cycle; ready comes from registers.
    """

    def __init__(self, params: CodecParams, directions: Sequence[str]) -> None:
        self._directions, self._banks = tuple(directions), params.banks
        super().__init__(
            {"axis": In(axi_stream(params.word_bytes))}
            | {f"{name}_load": Out(stream.Signature(load_layout(params))) for name in directions}
            | {f"{name}_events": Out(table_events_layout()) for name in directions}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axis = self.axis
        header = data.View(
            data.StructLayout(
                {
                    "magic": IMAGE_MAGIC_BITS,
                    "direction": IMAGE_DIRECTION_BITS,
                    "bank": IMAGE_BANK_BITS,
                    "count": IMAGE_COUNT_BITS,
                }
            ),
            axis.tdata[: IMAGE_MAGIC_BITS + IMAGE_DIRECTION_BITS + IMAGE_BANK_BITS + IMAGE_COUNT_BITS],
        )
        numbers = {name: IMAGE_DIRECTIONS.index(name) for name in self._directions}
        direction, bank = register(IMAGE_DIRECTION_BITS, "direction"), register(IMAGE_BANK_BITS, "bank")
        remaining = register(IMAGE_COUNT_BITS, "remaining")
        sound = register(1, "sound")
        kept, known, takes, ends = Signal(), Signal(), Signal(), Signal()
        loading, loaded, bad, keep, unknown = Signal(), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            kept.eq(axis.tkeep.all()),
            known.eq(
                (header.magic == IMAGE_MAGIC)
                & Cat(header.direction == number for number in numbers.values()).any()
                & (header.bank < self._banks)
                & (header.count != 0)
            ),
            takes.eq(axis.tvalid & axis.tready),
            ends.eq(remaining == 1),
        ]
        with m.FSM(name="place"):
            with m.State("HEADER"):
                m.d.comb += axis.tready.eq(1)
                m.d.sync += [
                    direction.eq(header.direction),
                    bank.eq(header.bank),
                    remaining.eq(header.count),
                    sound.eq(1),
                ]
                with m.If(takes):
                    with m.If(known & kept & ~axis.tlast):
                        m.next = "BODY"
                    with m.Else():
                        m.d.comb += unknown.eq(1)
                        with m.If(~axis.tlast):
                            m.next = "DROP"
            with m.State("BODY"):
                m.d.comb += [
                    axis.tready.eq(1),
                    loading.eq(1),
                    keep.eq(takes & ~kept),
                    bad.eq(takes & (~kept | (axis.tlast & ~ends))),
                    loaded.eq(takes & ends & sound & kept),
                ]
                with m.If(takes):
                    m.d.sync += [remaining.eq(remaining - 1), sound.eq(sound & kept)]
                    with m.If(ends | axis.tlast):
                        m.next = "HEADER"
            with m.State("DROP"):
                m.d.comb += axis.tready.eq(1)
                with m.If(axis.tvalid & axis.tlast):
                    m.next = "HEADER"
        for name, number in numbers.items():
            mine, words, events = (
                Signal(name=f"of_{name}"),
                getattr(self, f"{name}_load"),
                getattr(self, f"{name}_events"),
            )
            m.d.comb += [
                mine.eq(direction == number),
                words.valid.eq(axis.tvalid & loading & mine),
                words.payload.data.eq(axis.tdata),
                words.payload.bank.eq(bank),
                words.payload.last.eq(axis.tlast | ends),
            ]
            m.d.sync += [
                events.word.eq(takes & loading & mine),
                events.loaded.eq(loaded & mine),
                events.loading.eq(loading & mine),
                events.bad.eq((bad & mine) | unknown),
                events.keep.eq(keep & mine),
            ]
            with m.If(loading & mine):
                m.d.sync += events.bank.eq(bank)
        return m
