"""The walker: goes through the entries of a frame, position by position, and reads each from its memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec.tables.records import PAD_WORD_BITS, Record, bits_for
from actcodec_rtl.banks import in_bank
from actcodec_rtl.component import Block, register
from actcodec_rtl.layouts import record_layout
from actcodec_rtl.skid import SkidBuffer


def command_layout(params: CodecParams, *, seeks: bool = False) -> data.StructLayout:
    """One frame: its first plane, the last column and row of its positions, the bank that its pointers count from.

    With ``single`` it is of that plane only. What ``seeks`` finds the bits of a single plane's rows: each begins
    ``offset`` bits behind the beginning of a word, and ``skip`` positions lie between two that are wanted.
    """
    side = bits_for(params.max_side - 1)
    more = {"skip": side, "offset": bits_for(params.word_bits - 1)} if seeks else {}
    return data.StructLayout(
        {"plane": bits_for(params.plane_depth - 1), "last_x": side, "last_y": side, "bank": 1, "single": 1, **more}
    )


def step_layout(seeks: CodecParams | None = None) -> data.StructLayout:
    """What a walker says of an entry: ``pad`` instead of an entry, ``whole`` word of padding, ``last`` of the frame.

    Of a walker that seeks also: ``drop`` an entry of a position that is not wanted; ``place`` in the next word from
    which to go on after a ``pad`` that fills a word up.
    """
    more = {} if seeks is None else {"drop": 1, "place": bits_for(seeks.word_bits - 1)}
    return data.StructLayout({"pad": 1, "whole": 1, "last": 1, **more})


class Walker(Block):
    """Offers, for every plane, row and position of a frame, the entries ``first … last`` of an entry memory.

    After every row of a plane with padding (fields ``partial`` and ``words`` of its record) come steps marked ``pad``:
    one that fills up a word, and ``words`` of a ``whole`` word each. With ``seeks``, frames of a ``single`` plane have
    one step of ``pad`` instead before the first row and after each, with the place at which the next row begins (0
    after the last), and ``skip`` positions marked ``drop`` between those that are wanted.

    Ports: ``command``, stream of `command_layout`, held until the frame's first step is read; a read port each of the
    memory of planes (``plane_en``, ``plane_addr``, ``plane_data``) and of entries (``entry_en``, ``entry_addr``);
    ``o``, stream of `step_layout`, valid together with the entry on its memory's output, which stays there until the
    step is taken; ``o_bank``, the bank that pointers in the entry count from.

    Addresses wait in a buffer before they are read: what comes of a step may be slow to take it, and only the read
    waits for that within a cycle, not the walk. An entry is read where ``o`` is ready, which must not wait for its
    valid.

    Timing: one step a cycle, without a gap between positions, rows and planes; nor between frames whose command is
    there three steps before the end of the frame before. The first step is offered ``START_LATENCY`` cycles after a
    command to an idle walker.
    """

    START_LATENCY = 4

    def __init__(self, params: CodecParams, plane: Record, entry: Record, *, seeks: bool = False) -> None:
        self._params, self._pads = params, any(field.name == "words" for field in plane.fields)
        self._seeks = seeks
        super().__init__(
            {
                "command": In(stream.Signature(command_layout(params, seeks=seeks))),
                "plane_en": Out(1),
                "plane_addr": Out(unsigned(bits_for(plane.depth - 1))),
                "plane_data": In(record_layout(plane)),
                "entry_en": Out(1),
                "entry_addr": Out(unsigned(bits_for(entry.depth - 1))),
                "o": Out(stream.Signature(step_layout(params if seeks else None))),
                "o_bank": Out(1),
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
        frame_bank = register(1, "frame_bank")
        # The plane after it waits on the memory's output.
        waiting = Signal()
        waiting_is_command = Signal()
        plane_number = register(len(self.plane_addr), "plane_number")

        ahead_layout = data.StructLayout({"step": self.o.payload.shape(), "entry": entry, "bank": 1})
        m.submodules.ahead = ahead = SkidBuffer(ahead_layout)
        free = Signal()
        moves = Signal()
        turns = Signal()
        loads = Signal()
        begins = Signal()
        position_end = Signal()
        row_end = Signal()
        last_of_row = Signal()
        plane_end = Signal()
        bank, single, is_final = Signal(), Signal(), Signal()
        m.d.comb += [
            bank.eq(Mux(waiting_is_command, command.bank, frame_bank)),
            single.eq(waiting_is_command & command.single),
            is_final.eq(self.plane_data.final | single),
            free.eq(ahead.i.ready),
            moves.eq(~running | free),
            turns.eq(~running | plane_end),
            loads.eq(moves & turns),
            begins.eq(waiting & loads),
            self.command.ready.eq(begins & waiting_is_command),
            # A plane is read as soon as the output is free for it, and one behind the final plane for nothing.
            self.plane_en.eq(begins | (~waiting & self.command.valid)),
            self.plane_addr.eq(Mux(waiting, plane_number + 1, command.plane)),
        ]
        with m.If(self.plane_en):
            m.d.sync += [waiting_is_command.eq(~waiting), plane_number.eq(self.plane_addr)]
        with m.If(begins):
            m.d.sync += waiting.eq(~is_final)
        with m.Elif(self.command.valid):
            m.d.sync += waiting.eq(1)

        address, x, y = register(entry, "address"), register(side, "x"), register(side, "y")
        # Each is compared with the last one as it is written: where a plane ends decides a read in the same cycle.
        # Whether the first entry is the last one too the record of the plane says, which comes late in a cycle.
        one_entry, at_first, at_end = register(1, "one_entry"), register(1, "at_first"), register(1, "at_end")
        at_last_x, at_last_y = register(1, "at_last_x"), register(1, "at_last_y")
        at_last = Signal()
        m.d.comb += at_last.eq(Mux(at_first, one_entry, at_end))
        # What is loaded without a plane that waits means nothing.
        with m.If(loads):
            m.d.sync += [
                running.eq(waiting),
                first.eq(in_bank(self._params, self.plane_data.first, bank)),
                last.eq(in_bank(self._params, self.plane_data.last, bank)),
                one_entry.eq(self.plane_data.single),
                final.eq(is_final),
            ]
            with m.If(waiting_is_command):
                m.d.sync += [last_x.eq(command.last_x), last_y.eq(command.last_y), frame_bank.eq(command.bank)]

        fire = Signal()
        pad, whole = Signal(), Signal()
        # A position that is not wanted lies between two that are.
        drop = Signal()
        m.d.comb += [
            fire.eq(running & free),
            position_end.eq(~pad & at_last),
            row_end.eq(position_end & at_last_x & ~drop),
            plane_end.eq(last_of_row & at_last_y),
        ]
        with m.If(moves & (turns | ~pad)):
            begin = in_bank(self._params, self.plane_data.first, bank)
            m.d.sync += [
                address.eq(Mux(turns, begin, Mux(position_end, first, address + 1))),
                at_first.eq(turns | position_end),
                at_end.eq(address + 1 == last),
            ]
        single_column, single_row = (
            Mux(turns & waiting_is_command, now == 0, kept == 0)
            for now, kept in ((command.last_x, last_x), (command.last_y, last_y))
        )
        with m.If(moves & (turns | (position_end & ~drop))):
            m.d.sync += [
                x.eq(Mux(turns | at_last_x, 0, x + 1)),
                at_last_x.eq(Mux(turns | at_last_x, single_column, x + 1 == last_x)),
            ]
        with m.If(moves & (turns | last_of_row)):
            m.d.sync += [
                y.eq(Mux(turns, 0, y + 1)),
                at_last_y.eq(Mux(turns, single_row, y + 1 == last_y)),
            ]
        if self._pads:
            self._pad(m, loads, single & self._seeks, fire, row_end, pad, whole, last_of_row)
        else:
            m.d.comb += last_of_row.eq(row_end)

        walked, there = ahead.i.payload, ahead.o.payload
        m.d.comb += [
            ahead.i.valid.eq(running),
            walked.step.pad.eq(pad),
            walked.step.whole.eq(whole),
            walked.step.last.eq(plane_end & final),
            walked.entry.eq(address),
            walked.bank.eq(frame_bank),
            # Whatever is offered: who takes steps is slow to say so, and the memories are far.
            ahead.o.ready.eq(self.o.ready),
            self.entry_en.eq(self.o.ready & ahead.o.valid & ~there.step.pad),
            self.entry_addr.eq(there.entry),
        ]
        if self._seeks:
            self._seek(m, walked.step, fire, position_end & ~row_end, drop)
        with m.If(self.o.ready):
            m.d.sync += [self.o.valid.eq(ahead.o.valid), self.o.payload.eq(there.step), self.o_bank.eq(there.bank)]
        return m

    def _pad(
        self,
        m: Module,
        loads: Signal,
        sought: Value,
        fire: Signal,
        row_end: Signal,
        pad: Signal,
        whole: Signal,
        last_of_row: Signal,
    ) -> None:
        """Steps of padding after a row: first what fills up a word, then whole words; and before what is sought."""
        partial, words = register(1, "partial"), register(PAD_WORD_BITS, "words")
        # Whole words behind the present one: counted down, as the end of a row is needed early in a cycle.
        left = Signal(PAD_WORD_BITS)
        in_partial, in_words, in_search = Signal(), Signal(), Signal()
        m.d.comb += [
            pad.eq(in_partial | in_words | in_search),
            whole.eq(in_words),
            last_of_row.eq(
                (row_end & ~partial & (words == 0)) | (in_partial & (words == 0)) | (in_words & (left == 0))
            ),
        ]
        with m.If(fire):
            m.d.sync += [
                in_partial.eq(row_end & partial),
                in_words.eq(
                    (row_end & ~partial & (words != 0)) | (in_partial & (words != 0)) | (in_words & (left != 0))
                ),
                left.eq(Mux(in_words, left, words) - 1),
                in_search.eq(0),
            ]
        with m.If(loads):
            m.d.sync += [
                partial.eq(self.plane_data.partial | sought),
                words.eq(Mux(sought, 0, self.plane_data.words)),
                in_search.eq(sought),
            ]

    def _seek(self, m: Module, step: Any, fire: Signal, passes: Value, drop: Signal) -> None:
        """Go to the position after one that ``passes``, which is wanted or not, and say where rows begin."""
        command = self.command.payload
        skip, offset = register(len(command.skip), "skip"), register(len(command.offset), "offset")
        left = register(len(command.skip), "left")
        with m.If(self.command.ready):
            m.d.sync += [skip.eq(command.skip), offset.eq(command.offset), drop.eq(0)]
        with m.Elif(fire & passes):
            m.d.sync += [drop.eq(Mux(drop, left != 0, skip != 0)), left.eq(Mux(drop, left, skip) - 1)]
        m.d.comb += [step.drop.eq(drop), step.place.eq(Mux(step.last, 0, offset))]
