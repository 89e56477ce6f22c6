"""Writing and reading bits inside compiled loops, most significant bit first.

A writer is three integers that stay in registers: ``cursor`` (next byte of ``out``), ``pending`` (bits not yet
written) and ``filled`` (how many, below 32 between calls).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PADDING_BYTES = 48
"""Zero bytes that a reader needs behind a stream, and a writer behind the longest one: one block of any coder."""
MALFORMED = -1
"""What a decoding kernel returns instead of a position where a stream is none of its encoder's."""


@numba.njit(cache=True, nogil=True, boundscheck=False)
def put(out: Array, cursor: int, pending: int, filled: int, value: int, count: int) -> tuple[int, int, int]:
    """Append the ``count`` bits of ``value``, 0…32; ``value`` has no bit above them. Returns the writer."""
    pending = (pending << count) | value
    filled += count
    if filled >= 32:
        filled -= 32
        word = pending >> filled
        out[cursor] = np.uint8(word >> 24)
        out[cursor + 1] = np.uint8((word >> 16) & 255)
        out[cursor + 2] = np.uint8((word >> 8) & 255)
        out[cursor + 3] = np.uint8(word & 255)
        cursor += 4
        pending &= (1 << filled) - 1
    return cursor, pending, filled


@numba.njit(cache=True, nogil=True, boundscheck=False)
def finish(out: Array, cursor: int, pending: int, filled: int) -> int:
    """Write what is pending, the last byte filled with zeros; bits of the whole stream."""
    bits = 8 * cursor + filled
    while filled > 0:
        shift = filled - 8
        byte = pending >> shift if shift >= 0 else pending << -shift
        out[cursor] = np.uint8(byte & 255)
        cursor += 1
        filled -= 8
    return bits


@numba.njit(cache=True, nogil=True, boundscheck=False)
def peek(stream: Array, position: int, count: int) -> int:
    """The ``count`` bits, 0…16, from bit ``position`` of ``stream`` on; two more bytes have to lie behind them."""
    byte = position >> 3
    window = 0
    for offset in range(3):
        window = (window << 8) | stream[byte + offset]
    return (window >> (24 - (position & 7) - count)) & ((1 << count) - 1)
