"""The walker: goes through the entries of a frame, position by position, and reads each from its memory."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import PAD_WORD_BITS, Record, bits_for
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import record_layout
from actcodec_rtl.skid import SkidBuffer


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
    step is taken.

    Addresses wait in a buffer before they are read: what comes of a step may be slow to take it, and only the read
    waits for that within a cycle, not the walk.

    Timing: one step a cycle, without a gap between positions, rows and planes; nor between frames whose command is
    there three steps before the end of the frame before. The first step is offered ``START_LATENCY`` cycles after a
    command to an idle walker.
    """

    START_LATENCY = 4

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

        ahead_layout = data.StructLayout({"step": step_layout(), "entry": entry})
        m.submodules.ahead = ahead = SkidBuffer(ahead_layout)
        free = Signal()
        moves = Signal()
        turns = Signal()
        begins = Signal()
        position_end = Signal()
        row_end = Signal()
        last_of_row = Signal()
        plane_end = Signal()
        m.d.comb += [
            free.eq(ahead.i.ready),
            moves.eq(~running | free),
            turns.eq(~running | plane_end),
            begins.eq(waiting & turns & moves),
            self.command.ready.eq(begins & waiting_is_command),
            # A plane is read as soon as the output is free for it, and one behind the final plane for nothing.
            self.plane_en.eq(begins | (~waiting & self.command.valid)),
            self.plane_addr.eq(Mux(waiting, plane_number + 1, command.plane)),
        ]
        with m.If(self.plane_en):
            m.d.sync += [waiting_is_command.eq(~waiting), plane_number.eq(self.plane_addr)]
        with m.If(begins):
            m.d.sync += waiting.eq(~self.plane_data.final)
        with m.Elif(self.command.valid):
            m.d.sync += waiting.eq(1)

        address, x, y = register(entry, "address"), register(side, "x"), register(side, "y")
        # What is loaded without a plane that waits means nothing.
        with m.If(moves & turns):
            m.d.sync += [
                running.eq(waiting),
                first.eq(self.plane_data.first),
                last.eq(self.plane_data.last),
                final.eq(self.plane_data.final),
            ]
            with m.If(waiting_is_command):
                m.d.sync += [last_x.eq(command.last_x), last_y.eq(command.last_y)]

        fire = Signal()
        pad, whole = Signal(), Signal()
        m.d.comb += [
            fire.eq(running & free),
            position_end.eq(~pad & (address == last)),
            row_end.eq(position_end & (x == last_x)),
            plane_end.eq(last_of_row & (y == last_y)),
        ]
        with m.If(moves & (turns | ~pad)):
            m.d.sync += address.eq(Mux(turns, self.plane_data.first, Mux(position_end, first, address + 1)))
        with m.If(moves & (turns | position_end)):
            m.d.sync += x.eq(Mux(turns | (x == last_x), 0, x + 1))
        with m.If(moves & (turns | last_of_row)):
            m.d.sync += y.eq(Mux(turns, 0, y + 1))
        if self._pads:
            self._pad(m, moves & turns, fire, row_end, pad, whole, last_of_row)
        else:
            m.d.comb += last_of_row.eq(row_end)

        there, reads = ahead.o.payload, Signal()
        m.d.comb += [
            ahead.i.valid.eq(running),
            ahead.i.payload.step.pad.eq(pad),
            ahead.i.payload.step.whole.eq(whole),
            ahead.i.payload.step.last.eq(plane_end & final),
            ahead.i.payload.entry.eq(address),
            reads.eq(~self.o.valid | self.o.ready),
            ahead.o.ready.eq(reads),
            self.entry_en.eq(reads & ahead.o.valid & ~there.step.pad),
            self.entry_addr.eq(there.entry),
        ]
        with m.If(reads):
            m.d.sync += [self.o.valid.eq(ahead.o.valid), self.o.payload.eq(there.step)]
        return m

    def _pad(
        self, m: Module, loads: Value, fire: Signal, row_end: Signal, pad: Signal, whole: Signal, last_of_row: Signal
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
        with m.If(loads):
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
