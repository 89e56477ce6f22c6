"""A static canonical Huffman coder of integer symbols 0…n − 1, n up to 4096.

    length_s = argmin Σ_s max(count_s, 1)·length_s     with Σ_s 2^−length_s = 1, length_s ≤ max_length
    bits     = Σ_symbols length_s                      the table's own 5·n bits are apart: ``HuffmanTable.table_bits``

A count of 0 is taken as 1: every symbol has a code, so a table of one data set codes any other and no escape is needed.
Codes are canonical: in the order of their lengths, equal lengths in the order of the symbols, each is the one before it
plus 1, with zeros appended where the length grows. The lengths are the whole table. A symbol that is alone, n = 1, has
0 bits.

Huffman, "A Method for the Construction of Minimum-Redundancy Codes", Proc. IRE 1952; lengths by package-merge, Larmore,
Hirschberg, "A Fast Algorithm for Optimal Length-Limited Huffman Codes", JACM 1990, which are optimal under the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from actcodec.baselines.bits import MALFORMED, PADDING_BYTES, Array, finish, peek, put
from actcodec.baselines.coded import BitStream, Coded
from actcodec.errors import ActcodecError

CODES, LENGTHS = "codes", "lengths"
WHERE = "huffman"
MOST_SYMBOLS = 4096
LONGEST = 16
"""Bits of the longest code: what one `peek` reads."""
LENGTH_BITS = 5
"""Bits of a length, 0…16, in the serialised table."""
LARGEST_COUNT = 1 << 46
"""Package-merge adds up to 16 times all of 4096 counts: below 2^63."""


@dataclass(frozen=True, eq=False)
class HuffmanTable:
    """A canonical prefix code, told by the length of every symbol's code: uint8 (n,), bits.

    Raises ActcodecError where the lengths are not those of a complete code: Σ_s 2^−length_s = 1, lengths 0…16.
    """

    lengths: NDArray[np.uint8]

    def __post_init__(self) -> None:
        lengths = self.lengths
        if lengths.dtype != np.uint8 or lengths.ndim != 1 or not 1 <= lengths.size <= MOST_SYMBOLS:
            raise ActcodecError(
                WHERE,
                f"lengths are {lengths.dtype} of shape {lengths.shape}, expected uint8 (n,), n = 1…{MOST_SYMBOLS}",
            )
        if lengths.max() > LONGEST:
            symbol = int(lengths.argmax())
            raise ActcodecError(WHERE, f"length {symbol} = {lengths[symbol]}, expected 0…{LONGEST}")
        kraft = int((1 << (LONGEST - lengths.astype(np.int64))).sum())
        if kraft != 1 << LONGEST:
            raise ActcodecError(WHERE, f"lengths: Σ 2^−length = {kraft / (1 << LONGEST):g}, expected 1")
        lengths = lengths.copy()
        lengths.setflags(write=False)
        object.__setattr__(self, "lengths", lengths)

    @classmethod
    def from_counts(cls, counts: NDArray[np.int64], max_length: int = LONGEST) -> HuffmanTable:
        """The optimal table of ``counts`` (n,) with codes of at most ``max_length`` bits; a count of 0 is taken as 1.

        Raises ActcodecError where counts are no integers (n,), n = 1…4096, one is beyond 0…2^46, or n codes of
        ``max_length`` bits, at most 16, do not exist.
        """
        if not np.issubdtype(counts.dtype, np.integer) or counts.ndim != 1 or not 1 <= counts.size <= MOST_SYMBOLS:
            raise ActcodecError(
                WHERE, f"counts are {counts.dtype} of shape {counts.shape}, expected int64 (n,), n = 1…{MOST_SYMBOLS}"
            )
        for extreme in (int(counts.argmin()), int(counts.argmax())):
            if not 0 <= counts[extreme] <= LARGEST_COUNT:
                raise ActcodecError(WHERE, f"count {extreme} = {counts[extreme]}, expected 0…2^46")
        least = max(1, (counts.size - 1).bit_length())
        if not least <= max_length <= LONGEST:
            raise ActcodecError(
                WHERE, f"max_length = {max_length}, expected {least}…{LONGEST} for {counts.size} symbols"
            )
        return cls(_optimal_lengths(np.maximum(counts.astype(np.int64), 1), max_length))

    @classmethod
    def from_serialised(cls, stream: BitStream) -> HuffmanTable:
        """The table that `serialised` wrote. Raises ActcodecError where the stream holds none."""
        count, rest = divmod(stream.bits, LENGTH_BITS)
        if rest or not 1 <= count <= MOST_SYMBOLS:
            raise ActcodecError(
                f"stream {stream.name}",
                f"has {stream.bits} bits, expected {LENGTH_BITS} for each of 1…{MOST_SYMBOLS} lengths",
            )
        bits = np.unpackbits(np.frombuffer(stream.content, dtype=np.uint8), count=stream.bits)
        lengths = np.packbits(bits.reshape(count, LENGTH_BITS), axis=1)[:, 0] >> (8 - LENGTH_BITS)
        return cls(lengths.astype(np.uint8))

    @property
    def serialised(self) -> BitStream:
        """The stream ``lengths``: every symbol's length in 5 bits, symbol 0 first; n follows from its size."""
        bits = np.unpackbits(self.lengths[:, None], axis=1)[:, 8 - LENGTH_BITS :]
        return BitStream.taken_from(LENGTHS, np.packbits(bits), bits.size)

    @property
    def table_bits(self) -> int:
        """Exact size of `serialised`, in bits: 5·n."""
        return LENGTH_BITS * self.lengths.size

    @cached_property
    def codes(self) -> NDArray[np.uint16]:
        """Every symbol's code (n,), in its lowest ``length`` bits."""
        order = np.argsort(self.lengths, kind="stable")
        lengths = self.lengths[order].astype(np.int64)
        # As a fraction of 1 a canonical code is the sum of 2^−length over all codes before it.
        spans = 1 << (LONGEST - lengths)
        codes = np.empty(order.size, dtype=np.uint16)
        codes[order] = (np.cumsum(spans) - spans) >> (LONGEST - lengths)
        return codes

    @cached_property
    def _windows(self) -> NDArray[np.int32]:
        """Symbol · 32 + length of the code that the next ``lengths.max()`` bits begin with."""
        order = np.argsort(self.lengths, kind="stable")
        lengths = self.lengths[order].astype(np.int32)
        return np.repeat(order.astype(np.int32) << 5 | lengths, 1 << (lengths[-1] - lengths))

    def encode(self, symbols: NDArray[Any]) -> Coded:
        """One stream, ``codes``, of the integer symbols in C order.

        Raises ActcodecError where symbols are no integers, there are none, or one is beyond 0…n − 1.
        """
        flat = self._flat(symbols)
        out = np.empty(flat.size * int(self.lengths.max()) // 8 + PADDING_BYTES, dtype=np.uint8)
        bits = _encode(flat, self.codes.astype(np.int32) << 5 | self.lengths, out)
        return Coded(flat.size, (BitStream.taken_from(CODES, out, bits),))

    def decode(self, coded: Coded) -> NDArray[np.int64]:
        """The symbols (n,). Raises ActcodecError where the stream does not hold exactly ``coded.values``."""
        stream = coded.stream(CODES)
        symbols = np.empty(coded.values, dtype=np.int64)
        stream.check_end(_decode(stream.padded(), stream.bits, self._windows, int(self.lengths.max()), symbols))
        return symbols

    def bits(self, symbols: NDArray[Any]) -> int:
        """``encode(symbols).bits``, from the symbols' histogram alone: Σ_s count_s · length_s. Raises as `encode`."""
        histogram = np.bincount(self._flat(symbols), minlength=self.lengths.size)
        return int(histogram @ self.lengths.astype(np.int64))

    def _flat(self, symbols: NDArray[Any]) -> NDArray[np.uint16]:
        if not np.issubdtype(symbols.dtype, np.integer):
            raise ActcodecError(WHERE, f"symbols are {symbols.dtype}, expected integers")
        if symbols.size == 0:
            raise ActcodecError(WHERE, f"has shape {symbols.shape}: no symbols")
        for extreme in (symbols.min(), symbols.max()):
            if not 0 <= extreme < self.lengths.size:
                raise ActcodecError(WHERE, f"symbol {extreme}, expected 0…{self.lengths.size - 1}")
        return symbols.astype(np.uint16).reshape(-1)


def _optimal_lengths(weights: NDArray[np.int64], max_length: int) -> NDArray[np.uint8]:
    """Code lengths (n,) of least Σ weight · length with none above ``max_length``: package-merge."""
    order = np.argsort(weights, kind="stable")
    leaves, packages = weights[order], weights[:0]
    # Level after level: the weights, and the pairs of the level before, by weight. Where they tie a weight goes first.
    is_leaf = []
    for _ in range(max_length):
        items = np.concatenate((leaves, packages))
        rank = np.argsort(items, kind="stable")
        is_leaf.append(rank < leaves.size)
        pairs = items[rank][: items.size // 2 * 2].reshape(-1, 2)
        packages = pairs.sum(axis=1)
    # The 2n − 2 lightest items of the last level; a weight in them costs its symbol a bit, a pair opens two items of
    # the level before. The weights taken of a level are always its lightest.
    sorted_lengths = np.zeros(leaves.size, dtype=np.uint8)
    taken = 2 * leaves.size - 2
    for level in reversed(is_leaf):
        taken_leaves = int(np.count_nonzero(level[:taken]))
        sorted_lengths[:taken_leaves] += 1
        taken = 2 * (taken - taken_leaves)
    lengths = np.empty_like(sorted_lengths)
    lengths[order] = sorted_lengths
    return lengths


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _encode(symbols: Array, codes: Array, out: Array) -> int:
    cursor, pending, filled = 0, 0, 0
    for symbol in symbols:
        entry = codes[symbol]
        cursor, pending, filled = put(out, cursor, pending, filled, entry >> 5, entry & 31)
    return finish(out, cursor, pending, filled)


@numba.njit(cache=True, nogil=True, boundscheck=False)
def _decode(stream: Array, bits: int, windows: Array, longest: int, symbols: Array) -> int:
    position = 0
    for i in range(symbols.shape[0]):
        # Behind the end lie zeros, enough for one code; a symbol of 0 bits reads none.
        if position > bits:
            return MALFORMED
        entry = windows[peek(stream, position, longest)]
        symbols[i] = entry >> 5
        position += entry & 31
    return position
