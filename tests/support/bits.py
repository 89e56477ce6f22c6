"""Chunks of bits and the words that they make, on plain integers: the model of packer and unpacker."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from actcodec.params import CodecParams
from actcodec_rtl.layouts import chunk_layout
from support.streams import pack_fields

Chunk = tuple[int, int]
"""(bits, count)"""


def random_chunks(rng: random.Random, params: CodecParams, count: int) -> list[Chunk]:
    """Chunks of 0…word_bits bits of which at most the lowest codes · 8 are set; the ends of the range are common."""
    word, most = params.word_bits, 8 * params.codes_per_cycle
    sizes = [rng.choice([0, 1, most, word, rng.randint(0, most), rng.randint(0, word)]) for _ in range(count)]
    return [(rng.getrandbits(min(size, most)) if size else 0, size) for size in sizes]


def completed(chunks: Sequence[Chunk], word: int) -> list[Chunk]:
    """A frame of these chunks: the last one completes a word, or there is not a single bit."""
    missing = -sum(count for _, count in chunks) % word
    frame = [*chunks, (0, missing)]
    while len(frame) > 1 and frame[-1][1] == 0:
        frame.pop()
    return frame


def joined(chunks: Sequence[Chunk]) -> tuple[int, int]:
    """(bits, count) of all chunks, first one least significant."""
    bits = position = 0
    for value, count in chunks:
        bits |= value << position
        position += count
    return bits, position


def words_of(chunks: Sequence[Chunk], word: int) -> list[int]:
    """Payloads of the words of a frame: data, and ``last`` above it on the final one."""
    bits, count = joined(chunks)
    assert count % word == 0
    total = count // word
    return [bits >> n * word & ((1 << word) - 1) | (n == total - 1) << word for n in range(total)]


def chunk_payloads(chunks: Sequence[Chunk], params: CodecParams) -> list[int]:
    """Payloads of a frame's chunks, the final one marked ``last``."""
    layout: Any = chunk_layout(params)
    return [
        pack_fields(layout, bits=bits, count=count, last=int(n == len(chunks) - 1))
        for n, (bits, count) in enumerate(chunks)
    ]
