"""Lossless coders of activations that results are compared with: real bit streams, with decoders; no torch.

``CODERS`` holds those of values of 8 bits or fewer by name; `HuffmanTable` codes integers by a table of its own.
Formats, sources and measured sizes: docs/baselines.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from actcodec.baselines import ebpc, rle, zvc
from actcodec.baselines.coded import BitStream, Coded, Values, flat_values
from actcodec.baselines.huffman import HuffmanTable

__all__ = ["CODERS", "BitStream", "Coded", "Coder", "HuffmanTable", "flat_values"]


class Encode(Protocol):
    """Codes uint8 values 0…2^width − 1 of any shape; ActcodecError where one does not fit."""

    def __call__(self, x: Values, *, width: int = 8) -> Coded: ...


class Decode(Protocol):
    """The values (n,) of what `Encode` made with the same width; ActcodecError where the streams do not fit it."""

    def __call__(self, coded: Coded, *, width: int = 8) -> Values: ...


@dataclass(frozen=True)
class Coder:
    """The two functions of a lossless coder: decode(encode(x)) equals x.ravel() for every uint8 x that fits."""

    encode: Encode
    decode: Decode


CODERS = {
    "zvc": Coder(zvc.encode, zvc.decode),
    "rle": Coder(rle.encode, rle.decode),
    "ebpc": Coder(ebpc.encode, ebpc.decode),
}
