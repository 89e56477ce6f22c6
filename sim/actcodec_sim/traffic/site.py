"""What the traffic model knows of a site: geometry, readers and the sizes of what is stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from actcodec.codecs import IDLE, Activity
from actcodec.errors import ActcodecError


@dataclass(frozen=True)
class SiteTraffic:
    """One stored activation tensor of a frame, raw and coded.

    ``payload_bits``   bits of the codes, without any padding
    ``stream_bytes``   bytes of the coded stream, row padding included
    ``table_bytes``    bytes of the site's tables, moved where they are not resident
    ``raw_bytes``      bytes of the tensor as 8-bit values, packed
    ``encode_cycles``  codec cycles to encode the tensor, ``decode_cycles`` to decode it once; 0 where not known

    Raises ActcodecError naming the site and the field where a figure is impossible.
    """

    name: str
    channels: int
    height: int
    width: int
    readers: int
    payload_bits: int
    stream_bytes: int
    table_bytes: int
    raw_bytes: int
    encode_cycles: int = 0
    decode_cycles: int = 0

    def __post_init__(self) -> None:
        for field in ("channels", "height", "width", "readers"):
            if getattr(self, field) < 1:
                raise ActcodecError(f"site {self.name}", f"{field}: {getattr(self, field)} is below 1")
        for field in ("payload_bits", "table_bytes", "encode_cycles", "decode_cycles"):
            if getattr(self, field) < 0:
                raise ActcodecError(f"site {self.name}", f"{field}: {getattr(self, field)} is negative")
        if 8 * self.stream_bytes < self.payload_bits:
            raise ActcodecError(
                f"site {self.name}",
                f"stream_bytes: {self.stream_bytes} cannot hold the {self.payload_bits} payload bits",
            )
        if self.raw_bytes < self.values:
            raise ActcodecError(
                f"site {self.name}", f"raw_bytes: {self.raw_bytes} cannot hold {self.values} 8-bit values"
            )

    @property
    def values(self) -> int:
        """Activations of the tensor: C·H·W."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class StoredSite:
    """A site as one codec stores it: the input of the traffic model, which knows nothing else of the codec."""

    name: str
    shape: tuple[int, int, int]
    """Channels, height, width."""
    readers: int
    payload_bits: int
    stream_bytes: int
    table_bytes: int
    encode_cycles: int
    decode_cycles: int
    header_bytes: int = 0
    """Of ``stream_bytes``, those that say how long the stream is."""
    encode: Activity = IDLE
    """Work to encode the tensor, and to decode it once."""
    decode: Activity = IDLE

    @property
    def values(self) -> int:
        """Activations of the tensor: C·H·W."""
        return math.prod(self.shape)


def stored_raw8(sites: Sequence[SiteTraffic]) -> tuple[StoredSite, ...]:
    """Every site as 8-bit values: position by position, all channels of a position together, no padding."""
    return tuple(
        StoredSite(
            name=site.name,
            shape=(site.channels, site.height, site.width),
            readers=site.readers,
            payload_bits=8 * site.values,
            stream_bytes=site.raw_bytes,
            table_bytes=0,
            encode_cycles=0,
            decode_cycles=0,
        )
        for site in sites
    )


def stored_actcodec(sites: Sequence[SiteTraffic]) -> tuple[StoredSite, ...]:
    """Every site as this project's coded stream, with its tables and the codec's cycles."""
    return tuple(
        StoredSite(
            name=site.name,
            shape=(site.channels, site.height, site.width),
            readers=site.readers,
            payload_bits=site.payload_bits,
            stream_bytes=site.stream_bytes,
            table_bytes=site.table_bytes,
            encode_cycles=site.encode_cycles,
            decode_cycles=site.decode_cycles,
        )
        for site in sites
    )
