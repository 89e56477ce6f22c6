"""Zero runs, with the other values between them (the zero run length coder) or marks in their place (EBPC).

    non-zero value     1, then its ``literal_bits`` bits: 1…8, or 0 where another stream holds the values
    n zeros, 1…16      0, then n − 1 in 4 bits

A longer run is several such symbols, all but the last of 16.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from actcodec.baselines.bits import MALFORMED, PADDING_BYTES, Array, finish, peek, put
from actcodec.baselines.coded import BitStream, Values

LONGEST = 16
"""Zeros of the longest run that one symbol stands for."""
RUN_BITS = 4
"""Bits of a run's length."""


def encode_literals(x: Values, literal_bits: int, name: str) -> BitStream:
    """The stream ``name`` of the values x (n,), each non-zero one in ``literal_bits`` bits behind its mark."""
    out = np.empty(x.size * 9 // 8 + PADDING_BYTES, dtype=np.uint8)
    return BitStream.taken_from(name, out, _encode_literals(x, literal_bits, out))


def encode_marks(nonzero: NDArray[np.bool_], name: str) -> BitStream:
    """The stream ``name`` that tells which values (n,) are not zero."""
    # Ones behind the last value end its run; they are not written.
    behind = 8 - nonzero.size % 8
    marks = np.packbits(np.concatenate((nonzero, np.ones(behind, dtype=np.bool_))))
    out = np.empty(nonzero.size * (1 + RUN_BITS) // 8 + PADDING_BYTES, dtype=np.uint8)
    return BitStream.taken_from(name, out, _encode_marks(marks, behind, out))


def decode_runs(stream: BitStream, values: int, literal_bits: int) -> Values:
    """The ``values`` values of a stream; a non-zero one is 1 where ``literal_bits`` is 0.

    Raises ActcodecError where the stream does not hold exactly so many, or marks a zero as none.
    """
    x = np.empty(values, dtype=np.uint8)
    stream.check_end(_decode(stream.padded(), stream.bits, x, literal_bits))
    return x


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _encode_literals(x: Array, literal_bits: int, out: Array) -> int:
    cursor, pending, filled, run = 0, 0, 0, 0
    mark, bits = 1 << literal_bits, 1 + literal_bits
    for value in x:
        run += 1 if value == 0 else 0
        if run == LONGEST or (run > 0 and value != 0):
            cursor, pending, filled = put(out, cursor, pending, filled, run - 1, 1 + RUN_BITS)
            run = 0
        if value != 0:
            cursor, pending, filled = put(out, cursor, pending, filled, mark | value, bits)
    if run > 0:
        cursor, pending, filled = put(out, cursor, pending, filled, run - 1, 1 + RUN_BITS)
    return finish(out, cursor, pending, filled)


def _eight_at_a_time() -> NDArray[np.int32]:
    """Code, bits and zeros not yet told, [zeros not yet told before, 8 marks with the first on top]."""
    run, marks = np.indices((LONGEST, 256))
    code, bits = np.zeros_like(run), np.zeros_like(run)
    for i in range(8):
        mark = marks >> (7 - i) & 1
        run = run + 1 - mark
        ends = (run == LONGEST) | (mark == 1) & (run > 0)
        code, bits = np.where(ends, code << 1 + RUN_BITS | run - 1, code), bits + (1 + RUN_BITS) * ends
        code, bits = np.where(mark == 1, code << 1 | 1, code), bits + mark
        run = np.where(ends, 0, run)
    return np.stack((code, bits, run), axis=-1).astype(np.int32)


_EIGHT = _eight_at_a_time()


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _encode_marks(marks: Array, behind: int, out: Array) -> int:
    # Zeros come and go at random: a branch for each value would be mispredicted.
    cursor, pending, filled, run = 0, 0, 0, 0
    for eight in marks[:-1]:
        cursor, pending, filled = put(out, cursor, pending, filled, _EIGHT[run, eight, 0], _EIGHT[run, eight, 1])
        run = _EIGHT[run, eight, 2]
    code, bits = _EIGHT[run, marks[-1], 0], _EIGHT[run, marks[-1], 1]
    cursor, pending, filled = put(out, cursor, pending, filled, code >> behind, bits - behind)
    return finish(out, cursor, pending, filled)


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _decode(stream: Array, bits: int, x: Array, literal_bits: int) -> int:
    position = done = 0
    while done < x.shape[0]:
        if position >= bits:
            return MALFORMED
        if peek(stream, position, 1) == 1:
            value = peek(stream, position + 1, literal_bits) if literal_bits > 0 else 1
            if value == 0:
                return MALFORMED
            x[done] = value
            done += 1
            position += 1 + literal_bits
            continue
        run = peek(stream, position + 1, RUN_BITS) + 1
        if done + run > x.shape[0]:
            return MALFORMED
        x[done : done + run] = 0
        done += run
        position += 1 + RUN_BITS
    return position
