"""Packer, skid buffer and unpacker behind each other: what is unpacked is what was packed."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import connect

from actcodec.params import CodecParams
from actcodec_rtl.formal.bench import Bench, bit_of
from actcodec_rtl.formal.claims import Claims
from actcodec_rtl.formal.opened import Mutant
from actcodec_rtl.formal.packer import Appended
from actcodec_rtl.formal.unpacker import Request
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
            "ask": self.unpacker.ask,
            "align": self.unpacker.align,
            "count": self.unpacker.count,
            "take": self.unpacker.take,
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
        request = Request(m, claims, unpacker, word)

        flight, have = Signal(range(8 * word)), Signal(range(8 * word))
        wanted, dropped = Signal(range(word + 1)), Signal(range(word + 1))
        start = Signal(range(word))
        pending, ahead, value = Signal(), Signal(range(8 * word)), Signal()
        enter = Signal()
        m.d.comb += [
            enter.eq(i.valid & i.ready),
            # ``start`` is the place in its word of the next bit that is taken.
            wanted.eq(request.wanted(Mux(start == 0, 0, word - start))),
            dropped.eq(Mux(unpacker.take, wanted, 0)),
            have.eq(flight + Mux(enter, appended.size, 0)),
        ]
        m.d.sync += [flight.eq(have - dropped), start.eq(start + dropped)]
        with m.If(pending):
            m.d.sync += [pending.eq(ahead >= dropped), ahead.eq(ahead - dropped)]
        with m.Elif(self.mark & enter & appended.has_bit):
            m.d.sync += [pending.eq(1), ahead.eq(flight + self.index - dropped), value.eq(appended.bit)]

        asked, there, reach = request.asked, unpacker.there, len(unpacker.window)
        whole, least, waits = Signal(range(8 * word)), Signal(range(word + 1)), Signal()
        late, later = Signal(), Signal()
        m.d.comb += [
            whole.eq(flight - appended.filled),
            # Nothing at all needs a word to begin in, too.
            least.eq(Mux(request.size == 0, 1, request.size)),
            waits.eq(asked & ~there & (least <= whole)),
        ]
        m.d.sync += [late.eq(waits), later.eq(waits & late)]
        seen = pending & asked & there & (ahead < wanted) & (ahead < reach)
        claims.promise("what_is_taken_is_in_flight", ~(asked & there) | (wanted <= whole))
        claims.promise("the_marked_bit_is_seen_in_its_place", ~seen | (bit_of(unpacker.window, ahead) == value))
        claims.promise("the_marked_bit_is_in_flight", ~pending | (ahead < flight))
        claims.promise("words_can_be_taken_two_cycles_later", ~(waits & later))
        claims.promise("chunks_enter_unless_two_words_wait", i.ready | (whole >= 2 * word))

        front, back = (self._layout(between[name]).data for name in ("front", "back"))
        back_full = between["back_full"]
        front_full = self.skid.o.valid
        held, full, place = unpacking["held"], unpacking["full"], request.place(unpacking)
        fill, entered, complete, begin = (packing[name] for name in ("fill", "entered", "complete", "place"))
        due = self.packer.o.valid
        claims.invariant("fill_counts_the_bits", fill == appended.filled)
        claims.invariant("a_place_is_that_of_what_comes_next", entered | (begin == fill) | (fill == 0))
        claims.invariant("a_chunk_that_completes_nothing_only_adds", ~entered | complete | (begin <= fill))
        claims.invariant("the_request_is_kept", request.is_kept(unpacking))
        claims.invariant("words_are_begun_at_their_beginning", request.begun == 0)
        claims.invariant("start_is_the_place", place == start)
        claims.invariant("nothing_is_begun_where_nothing_is_held", full | (place == 0))
        claims.invariant("a_full_back_has_a_front", ~back_full | front_full)
        words = full + front_full + back_full
        claims.invariant("flight_counts_the_bits", flight == ((words + due) * word) - place + fill)
        claims.invariant("late_words_have_left_the_packer", ~late | ~asked | (least + place <= words * word))
        claims.invariant("later_ones_are_held", ~later | full)
        # The words in the order in which they are taken; the last ones are in the packer.
        at = place + ahead
        number, inside = Signal(range(8)), Signal(range(4))
        m.d.comb += [number.eq((at // word) + ~full), inside.eq(1 + front_full + back_full)]
        queue = Mux(
            number == 0,
            held,
            Mux(
                (number == 1) & front_full,
                front,
                Mux(
                    (number == 2) & back_full,
                    back,
                    Mux(number == inside, self.packer.o.payload.data, packing["turned"]),
                ),
            ),
        )
        claims.invariant("the_marked_bit_is_in_its_word", ~pending | (bit_of(queue, (at % word)) == value))

        taken = pending & (ahead < dropped) & seen & value
        claims.sight("the_marked_bit_is_taken", taken)
        claims.sight("the_marked_bit_is_taken_behind_others", taken & (ahead != 0) & (start != 0))
        claims.sight("what_filled_up_is_taken_by_filling_up", unpacker.take & request.aligns & (dropped != 0))
        claims.sight("the_path_is_full", i.valid & ~i.ready)
