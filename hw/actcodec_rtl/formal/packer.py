"""The packer against a count of bits."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from actcodec.params import CodecParams
from actcodec_rtl.formal.bench import Bench, bit_of
from actcodec_rtl.formal.claims import Claims
from actcodec_rtl.formal.opened import Mutant
from actcodec_rtl.packer import Packer


class Appended:
    """A chunk as the reference sees it: how many bits it appends to a stream, and which.

    ``size`` is the count, or for a chunk that fills up what a begun word lacks; ``filled`` counts the bits of the
    word that is begun.
    """

    def __init__(self, m: Module, claims: Claims, word: int, i: Any, index: Signal) -> None:
        chunk = i.payload
        self.filled = Signal(range(word))
        self.size = Signal(range(word + 1))
        self.total = Signal(range(2 * word))
        self.bit = Signal()
        """Bit ``index`` of the chunk."""
        self.has_bit = Signal()
        missing = Mux(self.filled == 0, 0, word - self.filled)
        m.d.comb += [
            self.size.eq(Mux(chunk.align, missing, chunk.count)),
            self.total.eq(self.filled + self.size),
            self.bit.eq(~chunk.align & bit_of(chunk.bits, index)),
            self.has_bit.eq(index < self.size),
        ]
        with m.If(i.valid & i.ready):
            m.d.sync += self.filled.eq(self.total % word)
        beyond = Cat(bit & (chunk.align | (chunk.count <= n)) for n, bit in enumerate(chunk.bits))
        claims.rule("a_chunk_has_no_bits_beyond_its_count", ~i.valid | ~beyond.any())
        claims.rule("a_chunk_is_no_longer_than_a_word", ~i.valid | chunk.align | (chunk.count <= word))


class PackerBench(Bench):
    """One bit of those that enter is marked, whichever the solver likes, and followed to its place in a word.

    The reference knows a bit's number in the stream: place ``filled + index``, modulo the word's length. A bit leaves
    with the word that its chunk completes, or else with the next one (``behind``).
    """

    def __init__(self, params: CodecParams, mutant: Mutant | None = None) -> None:
        super().__init__(mutant)
        self._word = params.word_bits
        self.packer = Packer(params)
        self.mark = Signal()
        self.index = Signal(range(self._word))
        self.free = {
            "offered": self.packer.i.valid,
            "chunk": self.packer.i.payload,
            "taken": self.packer.o.ready,
            "mark": self.mark,
            "index": self.index,
        }

    def describe(self, m: Module, claims: Claims) -> None:
        inside = self.put(m, "packer", self.packer)
        i, o, word = self.packer.i, self.packer.o, self._word
        appended = Appended(m, claims, word, i, self.index)
        enter, leave = Signal(), Signal()
        target = Signal(range(2 * word))
        due, due_last = Signal(), Signal()
        pending, behind, place, value = Signal(), Signal(), Signal(range(word)), Signal()
        m.d.comb += [
            enter.eq(i.valid & i.ready),
            leave.eq(o.valid & o.ready),
            target.eq(appended.filled + self.index),
        ]
        with m.If(i.ready):
            m.d.sync += [due.eq(i.valid & (appended.total >= word)), due_last.eq(i.payload.last)]
        with m.If(leave):
            m.d.sync += [pending.eq(pending & behind), behind.eq(0)]
        with m.If((~pending | (leave & ~behind)) & self.mark & enter & appended.has_bit):
            m.d.sync += [pending.eq(1), behind.eq(target >= word), place.eq(target % word), value.eq(appended.bit)]

        claims.promise("a_word_is_offered_in_the_cycle_after_the_chunk_that_completes_it", o.valid == due)
        claims.promise("a_chunk_enters_where_the_output_is_ready", i.ready == o.ready)
        seen = pending & ~behind & o.valid
        claims.promise("the_marked_bit_is_in_its_place", ~seen | (bit_of(o.payload.data, place) == value))
        claims.promise("last_goes_with_the_word", ~o.valid | (o.payload.last == due_last))

        waited, shown = Signal(), Signal.like(Value.cast(o.payload))
        m.d.sync += [waited.eq(o.valid & ~o.ready), shown.eq(o.payload)]
        claims.promise("an_offer_stays_until_it_is_taken", ~waited | (o.valid & (Value.cast(o.payload) == shown)))

        entered, complete, turned, begin, held = (
            inside[name] for name in ("entered", "complete", "turned", "place", "held")
        )
        claims.invariant("fill_counts_the_bits", inside["fill"] == appended.filled)
        next_place = (begin == appended.filled) | (appended.filled == 0)
        claims.invariant("a_place_is_that_of_what_comes_next", entered | next_place)
        claims.invariant("a_chunk_that_completes_nothing_only_adds", ~entered | complete | (begin <= appended.filled))
        claims.invariant("what_is_behind_waits_for_a_word", ~(pending & behind) | due)
        where = Mux(behind, turned, Mux(entered & (place >= begin), turned, held))
        claims.invariant("the_marked_bit_is_there", ~pending | (bit_of(where, place) == value))
        claims.invariant("it_belongs_to_the_begun_word", ~pending | (due & ~behind) | (place < appended.filled))

        claims.sight("a_chunk_reaches_into_the_next_word", enter & appended.has_bit & (target >= word))
        claims.sight("the_marked_bit_leaves", seen & leave & value)
        claims.sight("a_begun_word_is_filled_up", enter & i.payload.align & pending & (appended.filled != 0))
        claims.sight("a_word_waits", waited)
        if len(i.payload.bits) == word:
            claims.sight(
                "a_chunk_fills_a_word_that_is_begun", enter & (i.payload.count == word) & (appended.filled != 0)
            )
