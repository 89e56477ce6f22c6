"""Zero-value compression: a bitmap of the non-zero values, then those values.

    group of 32 values     32 bits, first value first, 1 where it is not zero; then the non-zero values, width bits each
    last, shorter group    as many bits as it has values, then its non-zero values

    bits = values + width·(non-zero values)

Rhu, O'Connor, Chatterjee, Pool, Kwon, Keckler, "Compressing DMA Engine: Leveraging Activation Sparsity for Training
Deep Neural Networks", HPCA 2018, arXiv 1705.01626, which uses 32-bit values; here they have 8, or ``width``.
"""

from __future__ import annotations

import numba
import numpy as np

from actcodec.baselines.bits import MALFORMED, PADDING_BYTES, Array, finish, peek, put
from actcodec.baselines.coded import BitStream, Coded, Values, check_width, flat_values

STREAM = "groups"
GROUP = 32
"""Values of one bitmap."""


def encode(x: Values, *, width: int = 8) -> Coded:
    """One stream, ``groups``, of x in C order, values of ``width`` bits.

    Raises ActcodecError where x is not uint8, is empty or holds a value above 2^width − 1, or for a width beyond 1…8.
    """
    flat = flat_values(x, "zvc", width)
    out = np.empty(flat.size * 9 // 8 + PADDING_BYTES, dtype=np.uint8)
    return Coded(flat.size, (BitStream.taken_from(STREAM, out, _encode(flat, width, out)),))


def decode(coded: Coded, *, width: int = 8) -> Values:
    """The values (n,). Raises ActcodecError where the stream does not hold exactly ``coded.values`` of that width."""
    check_width(width, "zvc")
    stream = coded.stream(STREAM)
    x = np.empty(coded.values, dtype=np.uint8)
    stream.check_end(_decode(stream.padded(), stream.bits, width, x))
    return x


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _encode(x: Array, width: int, out: Array) -> int:
    cursor, pending, filled = 0, 0, 0
    for first in range(0, x.shape[0], GROUP):
        count = min(GROUP, x.shape[0] - first)
        bitmap = 0
        for i in range(count):
            bitmap = (bitmap << 1) | int(x[first + i] != 0)
        cursor, pending, filled = put(out, cursor, pending, filled, bitmap, count)
        for i in range(count):
            if x[first + i] != 0:
                cursor, pending, filled = put(out, cursor, pending, filled, x[first + i], width)
    return finish(out, cursor, pending, filled)


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _decode(stream: Array, bits: int, width: int, x: Array) -> int:
    position = 0
    for first in range(0, x.shape[0], GROUP):
        count = min(GROUP, x.shape[0] - first)
        if position + count > bits:
            return MALFORMED
        bitmap = position
        position += count
        for i in range(count):
            value = 0
            if peek(stream, bitmap + i, 1) == 1:
                value = peek(stream, position, width)
                position += width
                if value == 0:
                    return MALFORMED
            x[first + i] = np.uint8(value)
    return position
