"""Sizes of a codec's streams, made by hand."""

from __future__ import annotations

from actcodec.codecs import IDLE, Activity, StoredSize


def fixed_size(
    bits: int, table_bytes: int = 0, header: int = 0, *, encode: Activity = IDLE, decode: Activity = IDLE
) -> StoredSize:
    """A site whose stream has the same bits in every image, filled up to bytes, and a header in front."""
    stream = -(-bits // 8) + header
    return StoredSize(
        payload_bits=bits,
        payload_bits_range=(bits, bits),
        stream_bytes=stream,
        stream_bytes_range=(stream, stream),
        header_bytes=header,
        table_bytes=table_bytes,
        encode=encode,
        decode=decode,
    )
