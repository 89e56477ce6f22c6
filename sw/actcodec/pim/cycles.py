"""Exact cycles of the macro, nobody stalling: words come as they are taken, results are taken as they come."""

from __future__ import annotations

from collections.abc import Sequence

from actcodec.pim.params import PimMode, PimParams

ARRAY_LATENCY = 2
"""From reading a bit slice to adding its counts up: driver and counters."""
RESULT_LATENCY = 2
"""From a segment's leaving the result buffer to its outputs: the two stages of the shift-add tree."""


def vector_cycles(params: PimParams, mode: PimMode, vectors: int) -> int:
    """Cycles from the first word of ``vectors`` vectors of one mode to their last result, both included:

    2·b + beats + 4 + (vectors − 1) · max(b, beats)          b: bits of the inputs
    """
    bits, beats = mode.input_bits, params.beats
    return 2 * bits + beats + 4 + (vectors - 1) * max(bits, beats) if vectors else 0


def completion_cycles(params: PimParams, modes: Sequence[PimMode]) -> list[int]:
    """For vectors of these modes one after another: the cycle of each one's last result, the first word's being 0.

    Of vector v: f its last word, s its first bit slice read, r its last one, c its sums' taking by the result buffer.
    """
    done: list[int] = []
    word = slices = -1
    sums = waits = -1
    released: list[int] = []
    for number, mode in enumerate(modes):
        bits = mode.input_bits
        # Two banks: that of the vector before the one before has to be read.
        begin = max(word + 1, released[number - 2] + 1 if number > 1 else 0)
        word = begin + bits - 1
        start = max(word, slices) + 1
        # Nothing is read while the sums of the vector before wait for the result buffer, from `waits` to `sums` − 1.
        before = min(bits, max(0, waits - start))
        slices = start + bits - 1 if before == bits or start >= sums else max(start, sums) + bits - before - 1
        released.append(slices)
        waits = slices + ARRAY_LATENCY
        sums = max(waits, sums + params.beats) if number else waits
        done.append(sums + params.beats + RESULT_LATENCY)
    return done
