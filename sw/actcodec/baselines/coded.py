"""What a lossless coder makes: named bit streams, and their exact size in bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.baselines.bits import PADDING_BYTES
from actcodec.errors import ActcodecError

Values = NDArray[np.uint8]


@dataclass(frozen=True)
class BitStream:
    """``bits`` bits, the first one the most significant of ``content[0]``; the last byte is filled with zeros."""

    name: str
    content: bytes
    bits: int

    def __post_init__(self) -> None:
        if len(self.content) != -(-self.bits // 8):
            raise ActcodecError(f"stream {self.name}", f"has {len(self.content)} bytes for {self.bits} bits")

    @classmethod
    def taken_from(cls, name: str, buffer: Values, bits: int) -> BitStream:
        """The first ``bits`` bits of a kernel's output."""
        return cls(name, buffer[: -(-bits // 8)].tobytes(), bits)

    @property
    def text(self) -> str:
        """The bits as '0' and '1', first bit first."""
        bits = np.unpackbits(np.frombuffer(self.content, dtype=np.uint8), count=self.bits)
        return (bits + ord("0")).tobytes().decode()

    def padded(self) -> Values:
        """The bytes with the zeros behind them that a decoding kernel may read."""
        return np.frombuffer(self.content + bytes(PADDING_BYTES), dtype=np.uint8)

    def check_end(self, position: int) -> None:
        """Raise ActcodecError unless a decoder that returned ``position`` used every bit and none beyond."""
        where = f"stream {self.name}"
        if position < 0:
            raise ActcodecError(where, f"of {self.bits} bits holds a symbol that no encoder writes, or ends early")
        if position != self.bits:
            raise ActcodecError(where, f"has {self.bits} bits, its values take {position}")


@dataclass(frozen=True)
class Coded:
    """``values`` coded values as bit streams.

        bits = Σ_streams bits          the padding of a stream's last byte is not counted

    ``leftover`` is a value, of ``leftover_bits`` bits, that the coder's published form leaves out of its streams (EBPC
    only, see `actcodec.baselines.ebpc`): kept here so that decoding is exact, not counted in ``bits``.
    """

    values: int
    streams: tuple[BitStream, ...]
    leftover: int | None = None
    leftover_bits: int = 8

    def __post_init__(self) -> None:
        if self.values < 1:
            raise ActcodecError("coded values", f"values = {self.values}, expected at least 1")

    @property
    def bits(self) -> int:
        """Exact size of all streams, in bits."""
        return sum(stream.bits for stream in self.streams)

    @property
    def bits_per_value(self) -> float:
        """``bits`` over ``values``."""
        return self.bits / self.values

    @property
    def uncounted_bits(self) -> int:
        """Bits beyond ``bits`` that a stand-alone stream would need: a value's width where one is left over, else 0."""
        return 0 if self.leftover is None else self.leftover_bits

    def stream(self, name: str) -> BitStream:
        """The stream ``name``; ActcodecError where there is none."""
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise ActcodecError(f"stream {name}", f"is absent; there are: {', '.join(s.name for s in self.streams)}")


def check_width(width: int, where: object) -> None:
    """Raise ActcodecError naming ``where`` unless ``width``, the bits of a value, is 1…8."""
    if not 1 <= width <= 8:
        raise ActcodecError(where, f"width = {width}, expected 1…8")


def flat_values(x: NDArray[Any], where: object, width: int = 8) -> Values:
    """The values of x, 0…2^width − 1, in C order (C×H×W: channel after channel), flat.

    Raises ActcodecError naming ``where`` if x is not uint8, holds no value or one that does not fit, or for a width
    beyond 1…8.
    """
    check_width(width, where)
    if x.dtype != np.uint8:
        raise ActcodecError(where, f"values are {x.dtype}, expected uint8")
    if x.size == 0:
        raise ActcodecError(where, f"has shape {x.shape}: no values")
    flat = np.ascontiguousarray(x).reshape(-1)
    largest = (1 << width) - 1
    if largest < 255 and flat.max() > largest:
        at = int(np.argmax(flat > largest))
        raise ActcodecError(where, f"value {at} = {flat[at]}, expected 0…{largest} at a width of {width} bits")
    return flat
