"""The bit-plane stream of EBPC: non-zero values of 8 bits, or of ``width``, in blocks of 8.

A block of n values is the first in width bits, then its n − 1 deltas d (width + 1 bits, two's complement) as width + 1
bit planes of n − 1 bits, first delta first. Plane 0, the least significant, comes first as it is; of plane k > 0 comes
DBX_k = plane_k XOR plane_{k−1}. With d as an integer, bit k of ``d ^ (d << 1)`` is that delta's bit of DBX_k, and of
plane 0 for k = 0. The first of these that fits is a DBX's symbol:

    m ≥ 2 DBX in a row all zero   001 + (m − 2) in 3 bits        one DBX all zero            01
    all ones                      00000                          DBX ≠ 0, the plane all 0    00001
    two ones, adjacent            00010 + position of the first in ⌈log₂ n⌉ bits
    a single one                  00011 + its position           anything else               1 + the DBX

Kim, Sullivan, Choukse, Erez, "Bit-Plane Compression", ISCA 2016, as changed by arXiv 1908.11645.
"""

from __future__ import annotations

import numba
import numpy as np

from actcodec.baselines.bits import MALFORMED, PADDING_BYTES, Array, finish, peek, put
from actcodec.baselines.coded import BitStream, Values

BLOCK = 8
"""Values of a block."""
PLANES = 9
"""Bits of a delta of the widest values."""
WIDTH = BLOCK - 1
"""Bits of a whole block's plane: as many deltas."""

# All planes of a block lie side by side in one integer, plane k from bit 7·k on; all its deltas in another,
# delta i (from the last) from bit 9·i on. Both have 63 bits.
_SPREAD = np.array([sum((delta >> k & 1) << WIDTH * k for k in range(PLANES)) for delta in range(1 << PLANES)])
"""Planes [delta]: bit k of a delta as the lowest bit of plane k."""
_GATHER = np.array([sum((plane >> i & 1) << PLANES * i for i in range(WIDTH)) for plane in range(1 << WIDTH)])
"""Deltas [plane]: bit i of a plane as the lowest bit of delta i."""


def _symbol(n: int, dbx: int, plane_is_zero: bool) -> tuple[int, int]:
    """(code, bits) of a DBX ≠ 0 of a block of n values."""
    width, ones = n - 1, dbx.bit_count()
    first = width - dbx.bit_length()
    if ones == width:
        return 0b00000, 5
    if plane_is_zero:
        return 0b00001, 5
    if ones == 2 and dbx & dbx >> 1:
        return 0b00010 << width.bit_length() | first, 5 + width.bit_length()
    if ones == 1:
        return 0b00011 << width.bit_length() | first, 5 + width.bit_length()
    return 1 << width | dbx, n


_SYMBOLS = np.zeros((BLOCK + 1, 2, 1 << WIDTH, 2), dtype=np.int64)
"""Code and bits [n, plane is not zero, DBX]; none for DBX = 0, which the next symbol or the block's end tells."""
for _n in range(2, BLOCK + 1):
    for _dbx in range(1, 1 << (_n - 1)):
        _SYMBOLS[_n, :, _dbx] = _symbol(_n, _dbx, True), _symbol(_n, _dbx, False)
_RUNS = np.array([(0, 0), (0b01, 2), *((0b001_000 | m - 2, 6) for m in range(2, PLANES + 1))])
"""Code and bits [DBX in a row that are all zero]."""


def encode_planes(x: Values, width: int, name: str) -> BitStream:
    """The stream ``name`` of the non-zero values x (n,), ``width`` bits each; a last block of one adds nothing."""
    # No symbol has more than 8 bits: a block, whole or not, takes at most 8 + 9·8.
    out = np.empty(-(-x.size // BLOCK) * (1 + PLANES) + PADDING_BYTES, dtype=np.uint8)
    return BitStream.taken_from(name, out, _encode(x.astype(np.int16), width, out))


def decode_planes(stream: BitStream, width: int, x: Values) -> None:
    """Fill x (n,) from a stream of values of ``width`` bits; a last block of one value is left as it is.

    Raises ActcodecError where the stream does not hold exactly these blocks, or a value that is zero or too wide.
    """
    stream.check_end(_decode(stream.padded(), stream.bits, width, x))


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _encode(x: Array, width: int, out: Array) -> int:
    cursor, pending, filled = 0, 0, 0
    planes = width + 1
    delta_mask = (1 << planes) - 1
    for first in range(0, x.shape[0] - 1, BLOCK):
        n = min(BLOCK, x.shape[0] - first)
        nonzero_planes = dbx_planes = 0
        for i in range(first + 1, first + n):
            delta = x[i] - x[i - 1]
            nonzero_planes |= delta
            dbx_planes = (dbx_planes << 1) | _SPREAD[(delta ^ (delta << 1)) & delta_mask]
        symbols, count, run = x[first], width, 0
        for k in range(planes):
            dbx = dbx_planes & 127
            code, bits = _SYMBOLS[n, nonzero_planes & 1, dbx]
            # Without a branch, which would be mispredicted: a run goes out with the DBX that ends it.
            ends = int(dbx != 0)
            symbols = (symbols << _RUNS[run * ends, 1]) | _RUNS[run * ends, 0]
            symbols = (symbols << bits) | code
            count += _RUNS[run * ends, 1] + bits
            run = (run + 1) * (1 - ends)
            dbx_planes >>= WIDTH
            nonzero_planes >>= 1
            if k % 3 == 2:
                cursor, pending, filled = put(out, cursor, pending, filled, symbols, count)
                symbols = count = 0
        symbols = (symbols << _RUNS[run, 1]) | _RUNS[run, 0]
        cursor, pending, filled = put(out, cursor, pending, filled, symbols, count + _RUNS[run, 1])
    return finish(out, cursor, pending, filled)


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _next_planes(stream: Array, position: int, n: int, plane: int) -> tuple[int, int, int]:
    """Read one symbol after ``plane``: (bits of the symbol, planes it stands for, these planes, all alike)."""
    width, all_ones = n - 1, (1 << (n - 1)) - 1
    window = peek(stream, position, 16)
    if window >> 15:
        return n, 1, plane ^ ((window >> (16 - n)) & all_ones)
    if window >> 14:
        return 2, 1, plane
    if window >> 13:
        return 6, ((window >> 10) & 7) + 2, plane
    kind = window >> 11
    if kind == 0b00:
        return 5, 1, plane ^ all_ones
    if kind == 0b01:
        return 5, 1 if plane != 0 else MALFORMED, 0
    place_bits = 3 if n > 4 else 2 if n > 2 else 1
    ones = 2 if kind == 0b10 else 1
    shift = width - ones - ((window >> (11 - place_bits)) & ((1 << place_bits) - 1))
    if shift < 0:
        return 5, MALFORMED, 0
    return 5 + place_bits, 1, plane ^ (((1 << ones) - 1) << shift)


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _decode(stream: Array, bits: int, width: int, x: Array) -> int:
    position = 0
    planes, half, largest = width + 1, 1 << width, (1 << width) - 1
    for first in range(0, x.shape[0] - 1, BLOCK):
        if position >= bits:
            return MALFORMED
        n = min(BLOCK, x.shape[0] - first)
        value = peek(stream, position, width)
        position += width
        plane = deltas = k = 0
        while k < planes:
            length, count, plane = _next_planes(stream, position, n, plane)
            if count < 1 or k + count > planes:
                return MALFORMED
            position += length
            for _ in range(count):
                deltas |= _GATHER[plane] << k
                k += 1
        for i in range(n):
            if i > 0:
                delta = (deltas >> (PLANES * (n - 1 - i))) & (2 * half - 1)
                value += (delta ^ half) - half
            if value < 1 or value > largest:
                return MALFORMED
            x[first + i] = np.uint8(value)
    return position
