"""Where the bits of a site lie: planes, row pitch and the three sizes. Used by every stage that counts bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from actcodec.tables.model import SiteInfo


@dataclass(frozen=True)
class Plane:
    """A region of the stream in which every position has the same blocks.

    Row y starts at bit ``base_bits + y · pitch_bits``; position x of it at x · ``position_bits``.
    """

    first_block: int
    last_block: int
    """One past the last block."""
    position_bits: int
    """B: bits of a position."""
    base_bits: int
    pitch_bits: int

    def padding_bits(self, width: int) -> int:
        """Bits between the last code of a row and the start of the next: pitch − W·B."""
        return self.pitch_bits - width * self.position_bits

    def position_bit(self, y: int, x: int) -> int:
        """Bit of the stream at which position (y, x) begins."""
        return self.base_bits + y * self.pitch_bits + x * self.position_bits


@dataclass(frozen=True)
class Window:
    """Some positions of some rows of a plane, as the decoder is asked for them.

    ``rows`` rows of ``count`` positions each, every ``stride``-th of the stream. Of every row the decoder gets the
    words from the one that holds the first bit wanted to the one that holds the last, and no others: the first bit
    lies ``offset`` bits behind the beginning of its word. The words of a row begin a word, whichever rows they are.
    """

    plane: int
    offset: int
    count: int
    stride: int = 1
    rows: int = 1

    @staticmethod
    def at(
        planes: Sequence[Plane], plane: int, x: int, count: int, *, word_bits: int, stride: int = 1, rows: int = 1
    ) -> Window:
        """The window of a site's plane that begins in column x; its offset is the same in every row."""
        return Window(plane, planes[plane].position_bit(0, x) % word_bits, count, stride, rows)

    @property
    def span(self) -> int:
        """Positions of the stream from the first one wanted to the last, both included."""
        return (self.count - 1) * self.stride + 1

    def row_words(self, position_bits: int, word_bits: int) -> int:
        """Words of each row, for positions of ``position_bits`` bits; none where nothing is stored."""
        return -(-(self.offset + self.span * position_bits) // word_bits) if position_bits else 0


@dataclass(frozen=True)
class SiteSizes:
    """The three sizes of one image's stream of a site, kept apart everywhere."""

    payload_bits: int
    stream_bytes: int
    transaction_bytes: int

    def __add__(self, other: SiteSizes) -> SiteSizes:
        return SiteSizes(
            self.payload_bits + other.payload_bits,
            self.stream_bytes + other.stream_bytes,
            self.transaction_bytes + other.transaction_bytes,
        )


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple of ``multiple`` that is not below ``value``."""
    return -(-value // multiple) * multiple


def planes_of(info: SiteInfo, widths: NDArray[Any]) -> tuple[Plane, ...]:
    """Planes of a site whose coefficients have the given widths (K,)."""
    ranges = (
        [(0, len(info.blocks))] if info.order == "position-major" else [(j, j + 1) for j in range(len(info.blocks))]
    )
    planes, base = [], 0
    for first, last in ranges:
        start, stop = info.blocks[first].coefficients[0], info.blocks[last - 1].coefficients[1]
        bits = int(widths[start:stop].sum())
        pitch = round_up(info.width * bits, info.align_bits)
        planes.append(Plane(first, last, bits, base, pitch))
        base += pitch * info.height
    return tuple(planes)


def transaction_bytes_of(stream_bytes: int, transaction: int) -> int:
    """Bytes the DRAM moves to write ``stream_bytes`` from an aligned base.

    Whole transactions are written; a partial one at the end is read, modified and written:
    ceil(S/T)·T, plus T where T does not divide S.
    """
    partial = stream_bytes % transaction != 0
    return round_up(stream_bytes, transaction) + (transaction if partial else 0)


def sizes_of(planes: Sequence[Plane], height: int, width: int, transaction: int) -> SiteSizes:
    """The three sizes of a site with these planes."""
    payload = sum(plane.position_bits for plane in planes) * height * width
    stream = sum(plane.pitch_bits for plane in planes) * height // 8
    return SiteSizes(payload, stream, transaction_bytes_of(stream, transaction))
