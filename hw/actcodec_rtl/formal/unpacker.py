"""The unpacker against a count of bits."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value

from actcodec.params import CodecParams
from actcodec_rtl.formal.bench import Bench, bit_of
from actcodec_rtl.formal.claims import Claims
from actcodec_rtl.formal.opened import Inside, Mutant
from actcodec_rtl.unpacker import Unpacker


class Request:
    """What was asked for and is not taken yet, where ``asked``: ``size`` bits, or with ``aligns`` a begun word's rest.

    The rules of asking and taking: one request at a time, of at most a word, taken where it is there. Who aligns always
    asks for something that is there, and may say where the next word is ``begun``: bits of that one are asked for then.
    """

    def __init__(self, m: Module, claims: Claims, unpacker: Unpacker, word: int) -> None:
        self._unpacker, self._word = unpacker, word
        self.asked, self.aligns, self.size = Signal(name="asked"), Signal(name="aligns_now"), Signal(range(word + 1))
        self.begun = Signal(range(word), name="begun_now")
        with m.If(unpacker.ask):
            m.d.sync += [self.asked.eq(1), self.aligns.eq(unpacker.align), self.size.eq(unpacker.count)]
            m.d.sync += self.begun.eq(Mux(unpacker.align, unpacker.begin_at, 0))
        with m.Elif(unpacker.take):
            m.d.sync += self.asked.eq(0)
        claims.rule("one_request_at_a_time", ~unpacker.ask | ~self.asked | unpacker.take)
        claims.rule("no_more_than_a_word_is_asked_for", ~unpacker.ask | unpacker.align | (unpacker.count <= word))
        claims.rule("what_is_not_there_is_not_taken", ~unpacker.take | (self.asked & unpacker.there))
        claims.rule("what_is_begun_is_asked_for", ~(unpacker.ask & unpacker.align) | (self.begun == 0))

    def wanted(self, begun: Value) -> Value:
        """Bits of the request; ``begun`` are left of a begun word."""
        return Mux(self.aligns, begun, self.size)

    def place(self, inside: Inside) -> Value:
        """Place in the held word of the next bit that is not taken."""
        return Mux(self.asked, inside["place"], inside["behind"])

    def is_kept(self, inside: Inside) -> Value:
        """The invariant that ties the unpacker's registers to the request."""
        reach = inside["reach"]
        reaches = (reach == inside["place"] + self.size) & (inside["fits"] == (reach <= self._word))
        kept = (inside["aligns"] == self.aligns) & Mux(self.aligns, inside["next_begin"] == self.begun, reaches)
        return (~self.asked | kept) & (self.aligns | (self.begun == 0))


class UnpackerBench(Bench):
    """One bit of a word that enters is marked, whichever the solver likes, and followed until it is taken.

    ``ahead`` counts the bits in front of it, ``stored`` all bits inside, ``passed_over`` those in front of the place at
    which a word that has not come yet is begun. What is inside where a frame ends is gone. A bit that is not further
    away from the request's beginning than the window reaches must be seen at ``ahead`` in it; the same for a word that
    is still offered.
    """

    def __init__(self, params: CodecParams, mutant: Mutant | None = None) -> None:
        super().__init__(mutant)
        self._word = params.word_bits
        self.unpacker = Unpacker(params)
        self.mark = Signal()
        self.index = Signal(range(self._word))
        self.free = {
            "offered": self.unpacker.i.valid,
            "word": self.unpacker.i.payload,
            "ask": self.unpacker.ask,
            "align": self.unpacker.align,
            "count": self.unpacker.count,
            "take": self.unpacker.take,
            "begin_at": self.unpacker.begin_at,
            "ends": self.unpacker.ends,
            "mark": self.mark,
            "index": self.index,
        }

    def describe(self, m: Module, claims: Claims) -> None:
        inside = self.put(m, "unpacker", self.unpacker)
        unpacker, i, word = self.unpacker, self.unpacker.i, self._word
        request = Request(m, claims, unpacker, word)
        stored = Signal(range(2 * word + 1))
        passed_over = Signal(range(word))
        wanted, dropped = Signal(range(word + 1)), Signal(range(2 * word))
        have, left, place = Signal(range(4 * word)), Signal(range(4 * word)), Signal(range(4 * word))
        pending, ahead, value = Signal(), Signal(range(2 * word)), Signal()
        # The marked bit's word was begun further on.
        further = Signal()
        enter, begins, marks = Signal(), Signal(), Signal()
        m.d.comb += [
            enter.eq(i.valid & i.ready),
            wanted.eq(request.wanted(Mux(stored < word, stored, 0))),
            have.eq(stored + Mux(enter, word - passed_over, 0)),
            left.eq(have - Mux(unpacker.take, wanted, 0)),
            # A word that is begun further on is there, or comes later.
            begins.eq(unpacker.take & (request.begun != 0)),
            dropped.eq(have - left + Mux(begins & (left != 0), request.begun, 0)),
            place.eq(stored + self.index - passed_over),
            marks.eq(self.mark & (self.index >= passed_over)),
        ]
        claims.rule("a_frame_ends_with_a_word", ~unpacker.ends | unpacker.take & ~begins & ((left % word) == 0))
        m.d.sync += stored.eq(Mux(unpacker.ends, 0, have - dropped))
        with m.If(begins & (left == 0)):
            m.d.sync += passed_over.eq(request.begun)
        with m.Elif(enter):
            m.d.sync += passed_over.eq(0)
        with m.If(unpacker.ends):
            m.d.sync += pending.eq(0)
        with m.Elif(pending):
            m.d.sync += [pending.eq(ahead >= dropped), ahead.eq(ahead - dropped)]
        with m.Elif(marks & enter & (place >= dropped)):
            m.d.sync += [pending.eq(1), ahead.eq(place - dropped), further.eq(passed_over != 0)]
            m.d.sync += [value.eq(bit_of(i.payload.data, self.index))]

        asked, there, window = request.asked, unpacker.there, unpacker.window
        reach = len(window)
        offered = asked & i.valid & (stored != 0) & (place < reach)
        visible = stored + Mux(i.valid, word - passed_over, 0)
        claims.promise("what_is_taken_was_there", dropped <= have)
        claims.promise("a_surplus_word_is_told", ~unpacker.ends | (unpacker.surplus == (left != 0)))
        claims.promise("at_most_a_word_is_inside", have - dropped <= word)
        claims.promise("what_is_said_to_be_there_is", ~(asked & there) | (wanted <= visible))
        claims.promise(
            "what_is_inside_can_be_taken", ~asked | there | (stored == 0) & ~request.aligns | (wanted > stored)
        )
        claims.promise("a_word_enters_where_there_is_none", (stored != 0) | i.ready)
        claims.promise(
            "the_marked_bit_is_seen_in_its_place",
            ~(pending & asked) | (ahead >= reach) | (bit_of(window, ahead) == value),
        )
        claims.promise(
            "an_offered_bit_is_seen_in_its_place",
            ~offered | (bit_of(window, place) == bit_of(i.payload.data, self.index)),
        )

        fed, waits, before = Signal(), Signal(), Signal.like(Value.cast(i.payload))
        m.d.sync += [fed.eq(i.valid & ~unpacker.ends), waits.eq(asked & there & ~unpacker.take), before.eq(i.payload)]
        steady = ~fed | (i.valid & (Value.cast(i.payload) == before))
        claims.promise("any_request_can_be_taken_while_words_come", ~(fed & i.valid & asked) | there)
        claims.promise("what_is_there_stays_until_it_is_taken", ~(waits & steady) | there)

        held, full, at = inside["held"], inside["full"], request.place(inside)
        claims.invariant("full_where_bits_are_stored", full == (stored != 0))
        claims.invariant("place_counts_what_is_taken", Mux(full, stored + at == word, at == passed_over))
        claims.invariant("what_is_passed_over_has_not_come", ~full | (passed_over == 0))
        claims.invariant(
            "what_is_passed_over_is_asked_for",
            (passed_over == 0) | Mux(asked, ~request.aligns, request.begun == passed_over),
        )
        claims.invariant("the_request_is_kept", request.is_kept(inside))
        claims.invariant("no_gap", ~fed | full)
        claims.invariant("what_waits_is_there", ~waits | (asked & (wanted <= stored + Mux(fed, word, 0))))
        claims.invariant("marked_bit_is_held", ~pending | ((ahead < stored) & (bit_of(held, at + ahead) == value)))

        claims.sight("the_marked_bit_is_taken", pending & (ahead < dropped) & (ahead != 0) & value)
        claims.sight("a_take_reaches_into_the_next_word", (dropped > stored) & (stored != 0))
        claims.sight("a_begun_word_is_dropped", unpacker.take & request.aligns & (dropped != 0) & i.valid)
        claims.sight("the_marked_bit_is_taken_from_a_word_begun_further_on", further & pending & (ahead < dropped))
        claims.sight("a_surplus_word_is_dropped", unpacker.ends & unpacker.surplus)
