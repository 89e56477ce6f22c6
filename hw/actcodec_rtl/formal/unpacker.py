"""The unpacker against a count of bits."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value

from actcodec.params import CodecParams
from actcodec_rtl.formal.bench import Bench, bit_of
from actcodec_rtl.formal.claims import Claims
from actcodec_rtl.formal.opened import Mutant
from actcodec_rtl.unpacker import Unpacker


def taking_rule(claims: Claims, unpacker: Unpacker, word: int) -> None:
    """Nobody takes more than there is, or more than a word; what ``align`` takes needs no rule."""
    fits = (unpacker.count <= unpacker.level) & (unpacker.count <= word)
    claims.rule("no_more_is_taken_than_there_is", ~unpacker.take | unpacker.align | fits)


class UnpackerBench(Bench):
    """One bit of a word that enters is marked, whichever the solver likes, and followed until it is taken.

    ``ahead`` counts the bits in front of it, ``stored`` all bits inside. A bit that can be taken and is not further
    away than the window reaches must be seen at ``ahead`` in it; the same for a word that is still offered.
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
            "take": self.unpacker.take,
            "align": self.unpacker.align,
            "count": self.unpacker.count,
            "mark": self.mark,
            "index": self.index,
        }

    def describe(self, m: Module, claims: Claims) -> None:
        inside = self.put(m, "unpacker", self.unpacker)
        unpacker, i, word = self.unpacker, self.unpacker.i, self._word
        taking_rule(claims, unpacker, word)
        stored = Signal(range(2 * word + 1))
        dropped, have, place = Signal(range(word + 1)), Signal(range(4 * word)), Signal(range(4 * word))
        pending, ahead, value = Signal(), Signal(range(2 * word)), Signal()
        enter = Signal()
        begun = Mux(stored < word, stored, 0)
        m.d.comb += [
            enter.eq(i.valid & i.ready),
            dropped.eq(Mux(unpacker.take, Mux(unpacker.align, begun, unpacker.count), 0)),
            have.eq(stored + Mux(enter, word, 0)),
            place.eq(stored + self.index),
        ]
        m.d.sync += stored.eq(have - dropped)
        with m.If(pending):
            m.d.sync += [pending.eq(ahead >= dropped), ahead.eq(ahead - dropped)]
        with m.Elif(self.mark & enter & (place >= dropped)):
            m.d.sync += [pending.eq(1), ahead.eq(place - dropped), value.eq(bit_of(i.payload.data, self.index))]

        level, window = unpacker.level, unpacker.window
        reach = len(window)
        offered = i.valid & (place < level) & (place < reach)
        claims.promise("what_is_taken_was_there", dropped <= have)
        claims.promise("at_most_a_word_is_inside", have - dropped <= word)
        claims.promise("level_bits_are_there", level <= stored + Mux(i.valid, word, 0))
        claims.promise("what_is_inside_can_be_taken", level >= stored)
        claims.promise("a_word_enters_where_there_is_none", (stored != 0) | i.ready)
        claims.promise(
            "the_marked_bit_is_seen_in_its_place", ~pending | (ahead >= reach) | (bit_of(window, ahead) == value)
        )
        claims.promise(
            "an_offered_bit_is_seen_in_its_place",
            ~offered | (bit_of(window, place) == bit_of(i.payload.data, self.index)),
        )

        fed, idle, before, reached = Signal(), Signal(), Signal.like(Value.cast(i.payload)), Signal.like(level)
        m.d.sync += [fed.eq(i.valid), idle.eq(~unpacker.take), before.eq(i.payload), reached.eq(level)]
        steady = idle & (~fed | (i.valid & (Value.cast(i.payload) == before)))
        claims.promise("more_than_a_word_can_be_taken_while_words_come", ~(fed & i.valid) | (level > word))
        claims.promise("level_falls_by_taking_only", ~steady | (level >= reached))

        held, full, at = (inside[name] for name in ("held", "full", "place"))
        claims.invariant("full_where_bits_are_stored", full == (stored != 0))
        claims.invariant("place_counts_what_is_taken", Mux(full, stored + at == word, at == 0))
        claims.invariant("no_gap", ~fed | full)
        claims.invariant("reached_is_there", ~idle | (reached <= stored + Mux(fed, word, 0)))
        claims.invariant("marked_bit_is_held", ~pending | ((ahead < stored) & (bit_of(held, at + ahead) == value)))

        claims.sight("the_marked_bit_is_taken", pending & (ahead < dropped) & (ahead != 0) & value)
        claims.sight("a_take_reaches_into_the_next_word", (dropped > stored) & (stored != 0))
        claims.sight("a_begun_word_is_dropped", unpacker.take & unpacker.align & (dropped != 0) & i.valid)
