"""Table images: what the table stream ports of encoder and decoder are fed with, word by word.

An image is a list of *sections*. A section is one header word (memory number in bits 0…7, first entry in
bits 8…31, number of entries in bits 32…63) and then its entries, each in ⌈entry bits / word_bits⌉ words, least
significant word first. Entries lie in the memories in the order in which the schedule uses them. Addresses and
pointers count from the beginning of a bank, so that an image runs from the bank that it is loaded to, and it is all
that the bank holds: the sites of the image loaded before it are no longer known. One section holds all its sites.

The AXI shell takes the images of both directions through one port: *framed*, one header word before the image
(the letters ACT in bits 0…23, direction in bits 24…27, bank in bits 28…31, number of words that follow in
bits 32…63).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.params import CodecParams, Direction
from actcodec.tables.geometry import Plane
from actcodec.tables.model import SiteTable, Tables
from actcodec.tables.program import (
    CodeRecord,
    Operation,
    code_planes,
    code_records,
    decoder_beats,
    decoder_operations,
    encoder_code_records,
    encoder_operations,
    padding,
)
from actcodec.tables.records import PAD_WORD_BITS, Record, decoder_records, encoder_records

LAYOUT = 5
"""Version of the memories' layout; counts up whenever the same tables give another image."""

IMAGE_DIRECTIONS: tuple[Direction, ...] = ("encoder", "decoder")
"""Directions by their number in the header of a framed image."""
IMAGE_MAGIC = int.from_bytes(b"ACT", "little")
IMAGE_MAGIC_BITS = 24
IMAGE_DIRECTION_BITS = 4
IMAGE_BANK_BITS = 4
IMAGE_COUNT_BITS = 32

HEADER_MEMORY_BITS = 8
HEADER_FIRST_BITS = 24
HEADER_COUNT_BITS = 32

Image = NDArray[np.uint8]
"""Words of a table stream, (N, word_bytes), little endian."""


@dataclass(frozen=True)
class SiteImages:
    """The images of one site for both directions."""

    encoder: Image
    decoder: Image


@dataclass
class _Filler:
    """Entries of every memory of one direction, appended site by site."""

    records: dict[str, Record]
    first_site: int = 0
    share: int = 1
    """Only the first 1/share of every memory is filled."""
    entries: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.entries = {name: [] for name in self.records}

    def first_entry(self, memory: str) -> int:
        """Place of the first entry of a memory."""
        return self.first_site if memory == "site" else 0

    def next_entry(self, memory: str, count: int = 1) -> int:
        """Place of the next entry of a memory, after checking that ``count`` more fit.

        A pointer to no entries at all (``count`` = 0) stays inside the memory, so that it fits its field.
        """
        used, depth = self.first_entry(memory) + len(self.entries[memory]), self.records[memory].depth // self.share
        if used + count > depth:
            limit = f"the codec's depth {depth}" if self.share == 1 else f"a bank's {depth}"
            raise ActcodecError("tables", f"{used + count} entries of memory {memory!r} exceed {limit}")
        return min(used, depth - 1)

    def add(self, memory: str, **values: int | Sequence[int]) -> None:
        """Append an entry; ActcodecError where the memory is full."""
        self.next_entry(memory)
        self.entries[memory].append(self.records[memory].pack(values))


def _wrap(value: int, bits: int) -> int:
    """``value`` modulo 2^bits, as a signed number: the accumulator's own arithmetic."""
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half


def _pad(values: Sequence[int], count: int) -> list[int]:
    return [int(v) for v in values] + [0] * (count - len(values))


def _site_values(fill: _Filler, site: SiteTable) -> dict[str, int]:
    coded = len(code_planes(site))
    values = {
        "code_plane": fill.next_entry("code_plane", coded),
        "last_x": site.info.width - 1,
        "last_y": site.info.height - 1,
    }
    if "plane" in fill.records:
        values |= {"plane": fill.next_entry("plane", len(site.planes)), "coded": int(coded > 0)}
    return values


def _entries(first: int, count: int) -> dict[str, int]:
    return {"first": first, "last": first + count - 1, "single": int(count == 1)}


def _add_operations(fill: _Filler, operations: Sequence[Operation], final: bool, **bases: int) -> None:
    """A plane of the MAC array; ``bases`` are added to fields of its operations."""
    first = fill.next_entry("operation", len(operations))
    fill.add("plane", **_entries(first, len(operations)), final=int(final))
    for operation in operations:
        fill.add(
            "operation",
            index=operation.index,
            fresh=int(operation.fresh),
            first=int(operation.first),
            last=int(operation.last),
            diagonal=int(operation.diagonal),
            part=operation.part,
            matrix=[int(v) for v in operation.matrix.ravel()],
            **{name: base + int(getattr(operation, name)) for name, base in bases.items()},
        )


def _add_code_planes(
    fill: _Filler,
    site: SiteTable,
    records_of: Callable[[SiteTable, Plane], list[CodeRecord]],
    values: Callable[[CodeRecord], dict[str, Any]],
) -> None:
    planes = code_planes(site)
    for number, plane in enumerate(planes):
        records = records_of(site, plane)
        partial, words = padding(site, plane)
        if words >= 1 << PAD_WORD_BITS:
            raise ActcodecError(
                f"site {site.info.name}", f"align_bits = {site.info.align_bits} needs {words} padding words a row"
            )
        first = fill.next_entry("code", len(records))
        fill.add(
            "code_plane",
            **_entries(first, len(records)),
            final=int(number == len(planes) - 1),
            partial=int(partial),
            words=words,
        )
        for record in records:
            fill.add("code", ends=int(record.ends), **values(record))


def _of(record: CodeRecord, array: NDArray[Any]) -> list[int]:
    """The record's entries of an array (K,), 0 where nothing is stored."""
    return [0 if k is None else int(array[k]) for k in record.slots]


def _fill_encoder(fill: _Filler, site: SiteTable) -> None:
    arrays = site.arrays
    fill.add("site", **_site_values(fill, site))
    # x enters unsigned: Σ P·(x − zero) + bias = Σ P·x + (bias − zero·ΣP), exact modulo 2^acc_bits.
    exact = arrays.bias.astype(np.int64) - site.info.zero * arrays.P.astype(np.int64).sum(axis=1)
    bias = np.array([_wrap(int(b), site.params.acc_bits) for b in exact])
    folded = site.info.transform == "folded"
    if not folded:
        for number, plane in enumerate(site.planes):
            _add_operations(fill, encoder_operations(site, plane), number == len(site.planes) - 1, last_lane=0)
    _add_code_planes(
        fill,
        site,
        encoder_code_records,
        lambda record: {
            "bias": _of(record, bias),
            "shift": _of(record, arrays.shift),
            "width": _of(record, arrays.width),
            **({"last_lane": len(record.stored) - 1} if folded else {}),
        },
    )


def _fill_decoder(fill: _Filler, site: SiteTable) -> None:
    lanes, info, arrays = site.params.lanes, site.info, site.arrays
    fill.add("site", **_site_values(fill, site), last_plane=len(site.planes) - 1)
    code_plane = fill.next_entry("code_plane", len(code_planes(site)))
    for plane in site.planes:
        coded = plane.position_bits > 0
        fill.add("window", code_plane=code_plane if coded else 0, coded=int(coded))
        code_plane += coded
    for number, plane in enumerate(site.planes):
        beats = decoder_beats(site, plane)
        first_beat = fill.next_entry("beat", len(beats))
        _add_operations(fill, decoder_operations(site, plane), number == len(site.planes) - 1, step=first_beat)
        for channels in beats:
            fill.add(
                "beat",
                bias=_pad([int(arrays.bias_out[c]) for c in channels], lanes),
                shift=info.output_shift,
                zero=info.zero,
                low=info.low,
                high=info.high,
                last_lane=len(channels) - 1,
            )
    _add_code_planes(
        fill,
        site,
        code_records,
        lambda record: {
            "count": sum(_of(record, arrays.width)),
            "width": _of(record, arrays.width),
            "left_shift": _of(record, arrays.left_shift),
        },
    )


def _words(fill: _Filler, params: CodecParams) -> Image:
    """Sections of all memories that have entries, as (words, word_bytes)."""
    content: list[bytes] = []
    for number, (name, record) in enumerate(fill.records.items()):
        entries = fill.entries[name]
        if not entries:
            continue
        header = number | fill.first_entry(name) << HEADER_MEMORY_BITS
        header |= len(entries) << (HEADER_MEMORY_BITS + HEADER_FIRST_BITS)
        content.append(header.to_bytes(params.word_bytes, "little"))
        size = record.words(params.word_bits) * params.word_bytes
        content += [entry.to_bytes(size, "little") for entry in entries]
    return np.frombuffer(b"".join(content), dtype=np.uint8).reshape(-1, params.word_bytes)


def encoder_image(params: CodecParams, sites: Sequence[SiteTable]) -> Image:
    """Words that load the encoder with these sites, numbered as given.

    Raises ActcodecError where they do not fit the codec's memories.
    """
    return _image(_Filler(encoder_records(params)), _fill_encoder, params, sites)


def decoder_image(params: CodecParams, sites: Sequence[SiteTable]) -> Image:
    """Words that load the decoder with these sites, numbered as given.

    Raises ActcodecError where they do not fit the codec's memories.
    """
    return _image(_Filler(decoder_records(params)), _fill_decoder, params, sites)


def site_image(tables: Tables, site: str, number: int | None = None) -> SiteImages:
    """Images of the site of that name alone, which fit any bank and can be loaded while tables in the other are used.

    ``number`` is the one that jobs call it by; None: its place in the tables. Raises ActcodecError for a name that is
    not there and where the site or its number does not fit a bank.
    """
    table, params = tables.site(site), tables.params
    if number is None:
        number = tables.sites.index(table)
    images = []
    for records, fill in ((encoder_records(params), _fill_encoder), (decoder_records(params), _fill_decoder)):
        images.append(_image(_Filler(records, number, params.banks), fill, params, [table]))
    return SiteImages(*images)


def _image(
    filler: _Filler, fill: Callable[[_Filler, SiteTable], None], params: CodecParams, sites: Sequence[SiteTable]
) -> Image:
    for site in sites:
        fill(filler, site)
    return _words(filler, params)


def image_of(direction: Direction, params: CodecParams, sites: Sequence[SiteTable]) -> Image:
    """The image of a direction; as `encoder_image` and `decoder_image`."""
    return (encoder_image if direction == "encoder" else decoder_image)(params, sites)


def framed_image(direction: Direction, image: Image, bank: int = 0) -> Image:
    """The words (N, word_bytes) of a direction's image behind the header that the AXI shell wants before it."""
    header = (
        IMAGE_MAGIC
        | IMAGE_DIRECTIONS.index(direction) << IMAGE_MAGIC_BITS
        | bank << (IMAGE_MAGIC_BITS + IMAGE_DIRECTION_BITS)
        | len(image) << (IMAGE_MAGIC_BITS + IMAGE_DIRECTION_BITS + IMAGE_BANK_BITS)
    )
    first = np.frombuffer(header.to_bytes(image.shape[1], "little"), dtype=np.uint8)
    return np.concatenate([first[None], image])


def to_hex(image: Image) -> str:
    """The image as text for Verilog's $readmemh: one word a line, most significant digit first."""
    return "".join(word[::-1].tobytes().hex() + "\n" for word in image)
