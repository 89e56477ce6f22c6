"""The walker: goes through the entries of a frame, position by position, and reads each from its memory."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import PAD_WORD_BITS, Record, bits_for
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import record_layout


def command_layout(params: CodecParams) -> data.StructLayout:
    """One frame: its first plane, and the last column and row of its positions."""
    side = bits_for(params.max_side - 1)
    return data.StructLayout({"plane": bits_for(params.plane_depth - 1), "last_x": side, "last_y": side})


def step_layout() -> data.StructLayout:
    """What a walker says of an entry: ``pad`` instead of an entry, ``whole`` word of padding, ``last`` of the frame."""
    return data.StructLayout({"pad": 1, "whole": 1, "last": 1})


class Walker(Block):
    """Offers, for every plane, row and position of a frame, the entries ``first … last`` of an entry memory.

    After every row of a plane with padding (fields ``partial`` and ``words`` of its record) come steps marked ``pad``:
    one that fills up a word, and ``words`` of a ``whole`` word each.

    Ports: ``command``, stream of `command_layout`, held until the frame's first step is read; a read port each of the
    memory of planes (``plane_en``, ``plane_addr``, ``plane_data``) and of entries (``entry_en``, ``entry_addr``);
    ``o``, stream of `step_layout`, valid together with the entry on its memory's output, which stays there until the
    step is taken; ``busy``, steps of a frame that was commanded are to come.

    Timing: one step a cycle, without a gap between positions, rows and planes; nor between frames whose command is
    there three steps before the end of the frame before. The first step is offered ``START_LATENCY`` cycles after a
    command to an idle walker.
    """

    START_LATENCY = 3

    def __init__(self, params: CodecParams, plane: Record, entry: Record) -> None:
        self._params, self._pads = params, any(field.name == "words" for field in plane.fields)
        super().__init__(
            {
                "command": In(stream.Signature(command_layout(params))),
                "plane_en": Out(1),
                "plane_addr": Out(unsigned(bits_for(plane.depth - 1))),
                "plane_data": In(record_layout(plane)),
                "entry_en": Out(1),
                "entry_addr": Out(unsigned(bits_for(entry.depth - 1))),
                "o": Out(stream.Signature(step_layout())),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command = self.command.payload
        # The plane that is walked over.
        running = Signal()
        entry, side = len(self.entry_addr), bits_for(self._params.max_side - 1)
        first, last, final = register(entry, "first"), register(entry, "last"), register(1, "final_plane")
        last_x, last_y = register(side, "last_x"), register(side, "last_y")
        # The plane after it waits on the memory's output.
        waiting = Signal()
        waiting_is_command = Signal()
        plane_number = register(len(self.plane_addr), "plane_number")

        begins = Signal()
        plane_ends = Signal()
        free = Signal()
        step_last = Signal()
        position_end = Signal()
        row_end = Signal()
        more_planes = Signal()
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            begins.eq(waiting & (~running | plane_ends)),
            self.command.ready.eq(begins & waiting_is_command),
            more_planes.eq(begins & ~self.plane_data.final),
            # A plane is read as soon as the output is free for it.
            self.plane_en.eq(more_planes | (~waiting & self.command.valid)),
            self.plane_addr.eq(Mux(waiting, plane_number + 1, command.plane)),
        ]
        with m.If(self.plane_en):
            m.d.sync += [waiting.eq(1), waiting_is_command.eq(~waiting), plane_number.eq(self.plane_addr)]
        with m.Elif(begins):
            m.d.sync += waiting.eq(0)

        address, x, y = register(entry, "address"), register(side, "x"), register(side, "y")
        with m.If(begins):
            m.d.sync += [
                running.eq(1),
                first.eq(self.plane_data.first),
                last.eq(self.plane_data.last),
                final.eq(self.plane_data.final),
                address.eq(self.plane_data.first),
                x.eq(0),
                y.eq(0),
            ]
            with m.If(waiting_is_command):
                m.d.sync += [last_x.eq(command.last_x), last_y.eq(command.last_y)]
        with m.Elif(plane_ends):
            m.d.sync += running.eq(0)

        fire = Signal()
        pad, whole = Signal(), Signal()
        last_of_row = Signal()
        m.d.comb += [
            fire.eq(running & free),
            position_end.eq(~pad & (address == last)),
            row_end.eq(position_end & (x == last_x)),
            plane_ends.eq(fire & last_of_row & (y == last_y)),
            step_last.eq(last_of_row & (y == last_y) & final),
            self.entry_en.eq(fire & ~pad),
            self.entry_addr.eq(address),
            self.busy.eq(running | waiting | self.o.valid),
        ]
        with m.If(fire & ~pad & ~begins):
            m.d.sync += address.eq(Mux(position_end, first, address + 1))
        with m.If(fire & position_end & ~begins):
            m.d.sync += x.eq(Mux(x == last_x, 0, x + 1))
        with m.If(fire & last_of_row & ~begins):
            m.d.sync += y.eq(y + 1)
        if self._pads:
            self._pad(m, begins, fire, row_end, pad, whole, last_of_row)
        else:
            m.d.comb += last_of_row.eq(row_end)

        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(fire),
                self.o.payload.pad.eq(pad),
                self.o.payload.whole.eq(whole),
                self.o.payload.last.eq(step_last),
            ]
        return m

    def _pad(
        self, m: Module, begins: Signal, fire: Signal, row_end: Signal, pad: Signal, whole: Signal, last_of_row: Signal
    ) -> None:
        """Steps of padding after a row: first what fills up a word, then whole words."""
        partial, words = register(1, "partial"), register(PAD_WORD_BITS, "words")
        number = Signal(PAD_WORD_BITS)
        in_partial, in_words = Signal(), Signal()
        m.d.comb += [
            pad.eq(in_partial | in_words),
            whole.eq(in_words),
            last_of_row.eq(
                (row_end & ~partial & (words == 0)) | (in_partial & (words == 0)) | (in_words & (number + 1 == words))
            ),
        ]
        with m.If(begins):
            m.d.sync += [partial.eq(self.plane_data.partial), words.eq(self.plane_data.words)]
        with m.If(fire):
            m.d.sync += [
                in_partial.eq(row_end & partial),
                in_words.eq(
                    (row_end & ~partial & (words != 0))
                    | (in_partial & (words != 0))
                    | (in_words & (number + 1 != words))
                ),
                number.eq(Mux(in_words, number + 1, 0)),
            ]
