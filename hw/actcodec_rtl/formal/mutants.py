"""Broken variants of the blocks: each a mistake that is easy to make, and that the claims must find."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Mux

from actcodec_rtl.formal.opened import Inside, Mutant
from actcodec_rtl.formal.placing import Joiner, Splitter
from actcodec_rtl.packer import Packer
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.unpacker import Unpacker


def _held_is_not_cleared(packer: Packer, inside: Inside) -> dict[str, Any]:
    return {"comb": inside["begun"].eq(inside["held"])}


def _what_wraps_is_lost(packer: Packer, inside: Inside) -> dict[str, Any]:
    held = inside["held"]
    return {"sync": held.eq(Mux(inside["entered"] & packer.o.ready, packer.o.payload.data, held))}


def _appends_while_the_output_waits(packer: Packer, inside: Inside) -> dict[str, Any]:
    held, kept = inside["held"], Mux(inside["complete"], inside["turned"], packer.o.payload.data)
    return {"sync": held.eq(Mux(inside["entered"], kept, held))}


def _filling_up_leaves_the_fill(packer: Packer, inside: Inside) -> dict[str, Any]:
    fill, enter = inside["fill"], packer.i.valid & packer.o.ready
    return {"sync": fill.eq(Mux(enter, (fill + packer.i.payload.count)[: len(fill)], fill))}


def _one_place_too_few(packer: Packer, inside: Inside) -> dict[str, Any]:
    above = inside["above"]
    return {"comb": above.eq(Cat(inside["place"] < place for place in range(len(above))))}


PACKER = (
    Mutant("held_is_not_cleared", "packer", "what is held above the place is looked at", _held_is_not_cleared),
    Mutant("what_wraps_is_lost", "packer", "the bits above a completed word are dropped", _what_wraps_is_lost),
    Mutant(
        "appends_while_the_output_waits",
        "packer",
        "a chunk is appended in every cycle that it waits",
        _appends_while_the_output_waits,
    ),
    Mutant("filling_up_leaves_the_fill", "packer", "`align` does not reset `fill`", _filling_up_leaves_the_fill),
    Mutant("one_place_too_few", "packer", "the place at `fill` counts as held", _one_place_too_few),
)


def _ready_a_cycle_early(unpacker: Unpacker, inside: Inside) -> dict[str, Any]:
    return {"comb": unpacker.i.ready.eq(~inside["full"] | unpacker.take)}


def _window_ends_with_the_word(unpacker: Unpacker, inside: Inside) -> dict[str, Any]:
    return {"comb": unpacker.window.eq(inside["held"] >> inside["place"])}


def _aligning_leaves_the_place(unpacker: Unpacker, inside: Inside) -> dict[str, Any]:
    return {"comb": inside["behind"].eq(inside["reach"][: len(inside["behind"])])}


def _promises_the_word_behind(unpacker: Unpacker, inside: Inside) -> dict[str, Any]:
    return {"comb": unpacker.there.eq(inside["aligns"] | inside["full"])}


def _is_full_without_a_word(unpacker: Unpacker, inside: Inside) -> dict[str, Any]:
    return {"sync": inside["full"].eq(1)}


def _begins_at_the_word(unpacker: Unpacker, inside: Inside) -> dict[str, Any]:
    behind = inside["behind"]
    return {"comb": behind.eq(Mux(inside["aligns"], 0, inside["reach"][: len(behind)]))}


def _keeps_the_surplus(unpacker: Unpacker, inside: Inside) -> dict[str, Any]:
    full = inside["full"]
    return {"sync": full.eq(Mux(unpacker.i.ready, unpacker.i.valid, full))}


def _waits_for_a_word_too_many(unpacker: Unpacker, inside: Inside) -> dict[str, Any]:
    fits, word = inside["fits"], len(inside["held"])
    return {"sync": fits.eq(Mux(unpacker.ask, inside["behind"] + unpacker.count < word, fits))}


UNPACKER = (
    Mutant("ready_a_cycle_early", "unpacker", "any take lets the next word in", _ready_a_cycle_early),
    Mutant("window_ends_with_the_word", "unpacker", "the window shows the held word only", _window_ends_with_the_word),
    Mutant(
        "aligning_leaves_the_place",
        "unpacker",
        "what follows a word's rest begins where the rest does",
        _aligning_leaves_the_place,
    ),
    Mutant(
        "promises_the_word_behind", "unpacker", "`there` counts a word that is not there", _promises_the_word_behind
    ),
    Mutant("is_full_without_a_word", "unpacker", "`full` is set though no word was offered", _is_full_without_a_word),
    Mutant("begins_at_the_word", "unpacker", "after a word's rest `begin_at` is not looked at", _begins_at_the_word),
    Mutant("keeps_the_surplus", "unpacker", "a word behind the frame stays", _keeps_the_surplus),
    Mutant(
        "waits_for_a_word_too_many",
        "unpacker",
        "what ends with the word waits for the next one",
        _waits_for_a_word_too_many,
    ),
)


def _back_is_dropped(skid: SkidBuffer, inside: Inside) -> dict[str, Any]:
    front = inside["front"]
    return {"sync": front.eq(Mux(inside["leave"], skid.i.payload, front))}


def _back_is_overwritten(skid: SkidBuffer, inside: Inside) -> dict[str, Any]:
    return {"comb": inside["enter"].eq(skid.i.valid)}


def _front_is_repeated(skid: SkidBuffer, inside: Inside) -> dict[str, Any]:
    front_full = inside["front_full"]
    return {"sync": front_full.eq(front_full | inside["enter"])}


def _always_ready(skid: SkidBuffer, inside: Inside) -> dict[str, Any]:
    return {"comb": skid.i.ready.eq(1)}


SKID = (
    Mutant("back_is_dropped", "skid", "the front is filled from the input though the back is full", _back_is_dropped),
    Mutant("back_is_overwritten", "skid", "a payload is stored in the back while it is full", _back_is_overwritten),
    Mutant("front_is_repeated", "skid", "the front stays full when its payload has left", _front_is_repeated),
    Mutant("always_ready", "skid", "a payload is taken though both registers are full", _always_ready),
)


def _amount_without_its_highest_bit(joiner: Joiner, inside: Inside) -> dict[str, Any]:
    if len(joiner.codes) == 2:
        (low, high), amount = joiner.codes, joiner.widths[0]
    else:
        low, high, amount = inside["join_low_bits"], inside["join_high_bits"], inside["join_low_count"]
    return {"comb": inside["join_bits"].eq(low | (high << amount[:-1]))}


def _one_bit_too_far(splitter: Splitter, inside: Inside) -> dict[str, Any]:
    last = len(splitter.codes) - 1
    return {"comb": inside[f"split_{last}_cut_0"].eq(inside[f"split_{last}_cut_1"][1:])}


def _what_follows_is_not_cut(splitter: Splitter, inside: Inside) -> dict[str, Any]:
    return {"comb": splitter.codes[0].eq(splitter.bits[: len(splitter.codes[0])])}


PLACING = (
    Mutant(
        "amount_without_its_highest_bit",
        "joiner",
        "full widths before a code do not move it",
        _amount_without_its_highest_bit,
    ),
    Mutant(
        "one_bit_too_far",
        "splitter",
        "the last code is read one bit too far up where its place is even",
        _one_bit_too_far,
    ),
    Mutant("what_follows_is_not_cut", "splitter", "the first code keeps what follows it", _what_follows_is_not_cut),
)
