"""Compiled inner loops of the golden model: exact integers, one row of positions after the other.

Fused so that a value is read once and its bits are written once; no intermediate tensor. The tests compare
them with the plain formulas of `actcodec.fixedpoint`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@numba.njit(cache=True, nogil=True, boundscheck=False)
def encode_plane(
    x: Array,
    out: Array,
    row_bytes: Array,
    blocks: Array,
    matrix: Array,
    bias: Array,
    half: Array,
    shift: Array,
    width: Array,
    zero: int,
    diagonal: bool,
) -> int:
    """Encode the rows of x (rows, W, C) into ``out`` (bytes) at offsets ``row_bytes``; bits of codes written.

    x is uint8, or int32: accumulators, with a matrix that is one.
    ``blocks`` (blocks, 4): first and last channel, first and last coefficient. ``matrix`` (blocks, b, b) int32:
    P transposed, [channel, coefficient]. ``bias``, ``half``, ``shift``, ``width`` (K,) int32.
    ``diagonal``: coefficient i of a block is computed from its channel i alone.
    """
    acc = np.zeros(matrix.shape[2], dtype=np.int32)
    written = 0
    for y in range(x.shape[0]):
        cursor = row_bytes[y]
        pending = np.uint64(0)
        filled = 0
        for column in range(x.shape[1]):
            for j in range(blocks.shape[0]):
                c0, c1, k0, k1 = blocks[j, 0], blocks[j, 1], blocks[j, 2], blocks[j, 3]
                count = k1 - k0
                for i in range(count):
                    acc[i] = bias[k0 + i]
                if diagonal:
                    for i in range(count):
                        acc[i] += matrix[j, i, i] * (np.int32(x[y, column, c0 + i]) - np.int32(zero))
                else:
                    for c in range(c0, c1):
                        value = np.int32(x[y, column, c]) - np.int32(zero)
                        for i in range(count):
                            acc[i] += matrix[j, c - c0, i] * value
                for i in range(count):
                    bits = width[k0 + i]
                    if bits == 0:
                        continue
                    # 64 bits: with acc_bits = 32 the rounding constant may carry out of 32.
                    code = (np.int64(acc[i]) + half[k0 + i]) >> shift[k0 + i]
                    code = min(max(code, np.int64(0)), (np.int64(1) << bits) - 1)
                    pending |= np.uint64(code) << np.uint64(filled)
                    filled += bits
                    written += bits
                    if filled >= 32:
                        out[cursor] = np.uint8(pending & np.uint64(255))
                        out[cursor + 1] = np.uint8((pending >> np.uint64(8)) & np.uint64(255))
                        out[cursor + 2] = np.uint8((pending >> np.uint64(16)) & np.uint64(255))
                        out[cursor + 3] = np.uint8((pending >> np.uint64(24)) & np.uint64(255))
                        cursor += 4
                        pending >>= np.uint64(32)
                        filled -= 32
        while filled > 0:
            out[cursor] = np.uint8(pending & np.uint64(255))
            cursor += 1
            pending >>= np.uint64(8)
            filled -= 8
    return written


@numba.njit(cache=True, nogil=True, boundscheck=False)
def decode_plane(
    stream: Array,
    x: Array,
    row_bits: Array,
    skip_bits: int,
    blocks: Array,
    matrix: Array,
    bias: Array,
    left_shift: Array,
    width: Array,
    shift: int,
    zero: int,
    low: int,
    high: int,
    diagonal: bool,
) -> None:
    """Decode into x (rows, W, C) uint8 from ``stream`` (bytes), row y starting at bit ``row_bits[y]``.

    After each position ``skip_bits`` bits are left out (strided readers). ``matrix`` (blocks, b, b) int32: R
    transposed, [coefficient, channel]. ``bias`` (C,) int32; ``left_shift``, ``width`` (K,) int32.
    """
    acc = np.zeros(matrix.shape[2], dtype=np.int32)
    half = np.int64(1) << (shift - 1) if shift > 0 else np.int64(0)
    size = stream.shape[0]
    for y in range(x.shape[0]):
        position = row_bits[y]
        for column in range(x.shape[1]):
            for j in range(blocks.shape[0]):
                c0, c1, k0, k1 = blocks[j, 0], blocks[j, 1], blocks[j, 2], blocks[j, 3]
                count = c1 - c0
                for i in range(count):
                    acc[i] = bias[c0 + i]
                for k in range(k0, k1):
                    bits = width[k]
                    if bits == 0:
                        continue
                    byte = position >> 3
                    pair = np.int32(stream[byte])
                    if byte + 1 < size:
                        pair |= np.int32(stream[byte + 1]) << 8
                    code = (pair >> (position & 7)) & ((1 << bits) - 1)
                    position += bits
                    value = np.int32(code << left_shift[k])
                    if diagonal:
                        acc[k - k0] += matrix[j, k - k0, k - k0] * value
                    else:
                        for i in range(count):
                            acc[i] += matrix[j, k - k0, i] * value
                for i in range(count):
                    value64 = ((np.int64(acc[i]) + half) >> shift) + zero
                    x[y, column, c0 + i] = np.uint8(min(max(value64, np.int64(low)), np.int64(high)))
            position += skip_bits
