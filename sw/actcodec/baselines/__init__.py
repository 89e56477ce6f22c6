"""Lossless coders of 8-bit activations that results are compared with: real bit streams, with decoders; no torch.

``CODERS`` holds them by name; formats, sources and measured sizes: docs/baselines.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from actcodec.baselines import ebpc, rle, zvc
from actcodec.baselines.coded import BitStream, Coded, Values, flat_values

__all__ = ["CODERS", "BitStream", "Coded", "Coder", "flat_values"]


class Coder(NamedTuple):
    """The two functions of a lossless coder: decode(encode(x)) equals x.ravel() for every uint8 x."""

    encode: Callable[[Values], Coded]
    decode: Callable[[Coded], Values]


CODERS = {
    "zvc": Coder(zvc.encode, zvc.decode),
    "rle": Coder(rle.encode, rle.decode),
    "ebpc": Coder(ebpc.encode, ebpc.decode),
}
