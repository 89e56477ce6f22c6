"""Packer, skid buffer and unpacker behind each other: what is unpacked is what was packed."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import connect

from actcodec.params import CodecParams
from actcodec_rtl.formal.bench import Bench, bit_of
from actcodec_rtl.formal.claims import Claims
from actcodec_rtl.formal.opened import Mutant
from actcodec_rtl.formal.packer import Appended
from actcodec_rtl.formal.unpacker import taking_rule
from actcodec_rtl.layouts import word_layout
from actcodec_rtl.packer import Packer
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.unpacker import Unpacker


class RoundTripBench(Bench):
    """One bit of those that are packed is marked and followed until it is taken from the unpacker.

    ``ahead`` counts the bits in front of it, ``flight`` all bits between the two ends. Whoever takes the sizes that
    were put in therefore sees the chunks that were put in; nothing here asks that the sizes be the same.
    """

    def __init__(self, params: CodecParams, mutant: Mutant | None = None) -> None:
        super().__init__(mutant)
        self._word, self._layout = params.word_bits, word_layout(params)
        self.packer, self.skid, self.unpacker = Packer(params), SkidBuffer(self._layout), Unpacker(params)
        self.mark = Signal()
        self.index = Signal(range(self._word))
        self.free = {
            "offered": self.packer.i.valid,
            "chunk": self.packer.i.payload,
            "take": self.unpacker.take,
            "align": self.unpacker.align,
            "count": self.unpacker.count,
            "mark": self.mark,
            "index": self.index,
        }

    def describe(self, m: Module, claims: Claims) -> None:
        packing = self.put(m, "packer", self.packer)
        between = self.put(m, "skid", self.skid)
        unpacking = self.put(m, "unpacker", self.unpacker)
        connect(m, self.packer.o, self.skid.i)
        connect(m, self.skid.o, self.unpacker.i)
        unpacker, i, word = self.unpacker, self.packer.i, self._word
        appended = Appended(m, claims, word, i, self.index)
        taking_rule(claims, unpacker, word)

        flight, have, dropped = Signal(range(8 * word)), Signal(range(8 * word)), Signal(range(word + 1))
        start = Signal(range(word))
        pending, ahead, value = Signal(), Signal(range(8 * word)), Signal()
        enter = Signal()
        m.d.comb += [
            enter.eq(i.valid & i.ready),
            # ``start`` is the place in its word of the next bit that is taken.
            dropped.eq(Mux(unpacker.take, Mux(unpacker.align, Mux(start == 0, 0, word - start), unpacker.count), 0)),
            have.eq(flight + Mux(enter, appended.size, 0)),
        ]
        m.d.sync += [flight.eq(have - dropped), start.eq(start + dropped)]
        with m.If(pending):
            m.d.sync += [pending.eq(ahead >= dropped), ahead.eq(ahead - dropped)]
        with m.Elif(self.mark & enter & appended.has_bit):
            m.d.sync += [pending.eq(1), ahead.eq(flight + self.index - dropped), value.eq(appended.bit)]

        level, reach = unpacker.level, len(unpacker.window)
        whole, late = Signal(range(8 * word)), Signal()
        m.d.comb += whole.eq(flight - appended.filled)
        m.d.sync += late.eq((whole != 0) & (level == 0))
        seen = pending & (ahead < level) & (ahead < reach)
        claims.promise("what_is_taken_is_in_flight", level <= whole)
        claims.promise("the_marked_bit_is_seen_in_its_place", ~seen | (bit_of(unpacker.window, ahead) == value))
        claims.promise("the_marked_bit_is_in_flight", ~pending | (ahead < flight))
        claims.promise("a_whole_word_can_be_taken_a_cycle_later", ~(late & (whole != 0)) | (level != 0))
        claims.promise("chunks_enter_unless_two_words_wait", i.ready | (whole > 2 * word))

        front, back = (self._layout(between[name]).data for name in ("front", "back"))
        back_full = between["back_full"]
        front_full = self.skid.o.valid
        held, full, place = (unpacking[name] for name in ("held", "full", "place"))
        rest, fill = packing["held"], packing["fill"]
        claims.invariant("fill_counts_the_bits", fill == appended.filled)
        claims.invariant("nothing_is_held_above_them", ~Cat(bit & (fill <= n) for n, bit in enumerate(rest)).any())
        claims.invariant("start_is_the_place", place == start)
        claims.invariant("nothing_is_begun_where_nothing_is_held", full | (place == 0))
        claims.invariant("a_full_back_has_a_front", ~back_full | front_full)
        words = full + front_full + back_full
        claims.invariant("flight_counts_the_bits", flight == (words * word) - place + fill)
        claims.invariant("late_words_are_held", ~late | full | (whole == 0))
        # The words in the order in which they are taken; the begun one in the packer is the last.
        at = place + ahead
        number = Signal(range(8))
        m.d.comb += number.eq((at // word) + ~full)
        queue = Mux(
            number == 0,
            held,
            Mux((number == 1) & front_full, front, Mux((number == 2) & back_full, back, rest)),
        )
        claims.invariant("the_marked_bit_is_in_its_word", ~pending | (bit_of(queue, (at % word)) == value))

        taken = pending & (ahead < dropped) & seen & value
        claims.sight("the_marked_bit_is_taken", taken)
        claims.sight("the_marked_bit_is_taken_behind_others", taken & (ahead != 0) & (start != 0))
        claims.sight("what_filled_up_is_taken_by_filling_up", unpacker.take & unpacker.align & (dropped != 0))
        claims.sight("the_path_is_full", i.valid & ~i.ready)
