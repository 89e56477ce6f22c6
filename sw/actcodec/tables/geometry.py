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
