"""The .acf file: one image's stream of one site, with a header that says what it is.

Little endian: magic ``ACF1`` · version u16 · header bytes u16 · plan hash (32 bytes, the tables' digest) ·
site number u32 · channels, height, width u32 · order u8 (0 position-major, 1 block-major) · 3 zero bytes ·
align_bits u32 · payload bits u64 · stream bytes u64 · CRC-32 of the header before it and of the stream, u32.
The stream follows; nothing follows the stream.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.files import read_bytes, write_bytes
from actcodec.tables.io import digest_of
from actcodec.tables.model import Tables

MAGIC = b"ACF1"
VERSION = 1
ORDERS = ("position-major", "block-major")
_FIELDS = struct.Struct("<4sHH32s4IB3sI2Q")
_RESERVED = bytes(3)
_CRC = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CRC.size


@dataclass(frozen=True)
class Container:
    """Content of an .acf file that has been checked against its tables."""

    site: int
    stream: NDArray[np.uint8]


def pack_container(tables: Tables, site_name: str, stream: NDArray[np.uint8]) -> bytes:
    """Header and stream of one site as the bytes of an .acf file."""
    site = tables.site(site_name)
    info, sizes = site.info, site.sizes(tables.transaction_bytes)
    content = stream.tobytes()
    if len(content) != sizes.stream_bytes:
        raise ActcodecError(f"site {info.name}", f"stream has {len(content)} bytes, expected {sizes.stream_bytes}")
    head = _FIELDS.pack(
        MAGIC,
        VERSION,
        HEADER_BYTES,
        bytes.fromhex(digest_of(tables)),
        tables.sites.index(site),
        info.channels,
        info.height,
        info.width,
        ORDERS.index(info.order),
        _RESERVED,
        info.align_bits,
        sizes.payload_bits,
        sizes.stream_bytes,
    )
    return head + _CRC.pack(zlib.crc32(content, zlib.crc32(head))) + content


def unpack_container(tables: Tables, content: bytes, where: object) -> Container:
    """Check the bytes of an .acf file against the tables and take the stream out.

    Raises ActcodecError naming ``where``, the field and the value that is wrong.
    """
    if len(content) < HEADER_BYTES:
        raise ActcodecError(where, f"has {len(content)} bytes, less than the header's {HEADER_BYTES}: truncated")
    head = content[: _FIELDS.size]
    (
        magic,
        version,
        header_bytes,
        plan,
        number,
        channels,
        height,
        width,
        order,
        reserved,
        align,
        payload,
        stream_bytes,
    ) = _FIELDS.unpack(head)
    if magic != MAGIC:
        raise ActcodecError(where, f"magic = {magic!r} is not {MAGIC!r}: not an .acf file")
    if version != VERSION or header_bytes != HEADER_BYTES:
        raise ActcodecError(where, f"version = {version} with a {header_bytes}-byte header is not supported")
    body = content[HEADER_BYTES:]
    if len(body) != stream_bytes:
        state = "truncated" if len(body) < stream_bytes else "too long"
        raise ActcodecError(where, f"stream bytes = {stream_bytes} but {len(body)} follow the header: {state}")
    (crc,) = _CRC.unpack(content[_FIELDS.size : HEADER_BYTES])
    found = zlib.crc32(body, zlib.crc32(head))
    if crc != found:
        raise ActcodecError(where, f"CRC-32 = {crc:08x} but the content has {found:08x}: corrupt")
    if reserved != _RESERVED:
        raise ActcodecError(where, f"reserved bytes = {reserved.hex()} are not zero")
    digest = digest_of(tables)
    if plan.hex() != digest:
        raise ActcodecError(where, f"plan hash = {plan.hex()[:16]}… is not that of the tables, {digest[:16]}…")
    if number >= len(tables.sites):
        raise ActcodecError(where, f"site number = {number} but the tables have {len(tables.sites)} sites")
    site = tables.sites[number]
    info, sizes = site.info, site.sizes(tables.transaction_bytes)
    expected = (info.channels, info.height, info.width, ORDERS.index(info.order), info.align_bits)
    if (channels, height, width, order, align) != expected:
        raise ActcodecError(where, f"geometry = {(channels, height, width, order, align)}, the tables say {expected}")
    if (payload, stream_bytes) != (sizes.payload_bits, sizes.stream_bytes):
        raise ActcodecError(
            where,
            f"sizes = {(payload, stream_bytes)}, the tables say {(sizes.payload_bits, sizes.stream_bytes)}",
        )
    return Container(number, np.frombuffer(body, dtype=np.uint8))


def write_container(path: Path, tables: Tables, site_name: str, stream: NDArray[np.uint8]) -> int:
    """Write an .acf file, all or nothing; returns its bytes."""
    content = pack_container(tables, site_name, stream)
    write_bytes(path, content)
    return len(content)


def read_container(path: Path, tables: Tables) -> Container:
    """Read and check an .acf file. Raises ActcodecError naming the file, the field and the value."""
    return unpack_container(tables, read_bytes(path), path)
