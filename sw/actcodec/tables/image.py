"""Table images: what the table stream ports of encoder and decoder are fed with, word by word.

An image is a list of *sections*. A section is one header word (memory number in bits 0…7, first entry in
bits 8…31, number of entries in bits 32…63) and then its entries, each in ⌈entry bits / word_bits⌉ words, least
significant word first. Entries lie in the memories in the order in which the schedule uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.params import CodecParams, Direction
from actcodec.tables.model import SiteTable
from actcodec.tables.program import (
    CodeRecord,
    Operation,
    code_planes,
    code_records,
    decoder_beats,
    decoder_operations,
    encoder_operations,
    padding,
)
from actcodec.tables.records import PAD_WORD_BITS, Record, decoder_records, encoder_records

LAYOUT = 2
"""Version of the memories' layout; counts up whenever the same tables give another image."""

HEADER_MEMORY_BITS = 8
HEADER_FIRST_BITS = 24
HEADER_COUNT_BITS = 32


@dataclass
class _Filler:
    """Entries of every memory of one direction, appended site by site."""

    records: dict[str, Record]
    entries: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.entries = {name: [] for name in self.records}

    def next_entry(self, memory: str, count: int = 1) -> int:
        """Place of the next entry of a memory, after checking that ``count`` more fit.

        A pointer to no entries at all (``count`` = 0) stays inside the memory, so that it fits its field.
        """
        used, depth = len(self.entries[memory]), self.records[memory].depth
        if used + count > depth:
            raise ActcodecError(
                "tables", f"{used + count} entries of memory {memory!r} exceed the codec's depth {depth}"
            )
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
    return {
        "plane": fill.next_entry("plane", len(site.planes)),
        "code_plane": fill.next_entry("code_plane", coded),
        "coded": int(coded > 0),
        "last_x": site.info.width - 1,
        "last_y": site.info.height - 1,
    }


def _add_operations(fill: _Filler, operations: Sequence[Operation], final: bool, **bases: int) -> None:
    """A plane of the MAC array; ``bases`` are added to fields of its operations."""
    first = fill.next_entry("operation", len(operations))
    fill.add("plane", first=first, last=first + len(operations) - 1, final=int(final))
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


def _add_code_planes(fill: _Filler, site: SiteTable, values: Callable[[CodeRecord], dict[str, Any]]) -> None:
    planes = code_planes(site)
    for number, plane in enumerate(planes):
        records = code_records(site, plane)
        partial, words = padding(site, plane)
        if words >= 1 << PAD_WORD_BITS:
            raise ActcodecError(
                f"site {site.info.name}", f"align_bits = {site.info.align_bits} needs {words} padding words a row"
            )
        first = fill.next_entry("code", len(records))
        fill.add(
            "code_plane",
            first=first,
            last=first + len(records) - 1,
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
    for number, plane in enumerate(site.planes):
        _add_operations(fill, encoder_operations(site, plane), number == len(site.planes) - 1)
    _add_code_planes(
        fill,
        site,
        lambda record: {
            "bias": _of(record, bias),
            "shift": _of(record, arrays.shift),
            "width": _of(record, arrays.width),
        },
    )


def _fill_decoder(fill: _Filler, site: SiteTable) -> None:
    lanes, info, arrays = site.params.lanes, site.info, site.arrays
    fill.add("site", **_site_values(fill, site))
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
            )
    _add_code_planes(
        fill,
        site,
        lambda record: {
            "count": sum(_of(record, arrays.width)),
            "width": _of(record, arrays.width),
            "left_shift": _of(record, arrays.left_shift),
        },
    )


def _words(fill: _Filler, params: CodecParams) -> NDArray[np.uint8]:
    """Sections of all memories that have entries, as (words, word_bytes)."""
    content: list[bytes] = []
    for number, (name, record) in enumerate(fill.records.items()):
        entries = fill.entries[name]
        if not entries:
            continue
        header = number | len(entries) << (HEADER_MEMORY_BITS + HEADER_FIRST_BITS)
        content.append(header.to_bytes(params.word_bytes, "little"))
        size = record.words(params.word_bits) * params.word_bytes
        content += [entry.to_bytes(size, "little") for entry in entries]
    return np.frombuffer(b"".join(content), dtype=np.uint8).reshape(-1, params.word_bytes)


def encoder_image(params: CodecParams, sites: Sequence[SiteTable]) -> NDArray[np.uint8]:
    """Words (N, word_bytes), little endian, that load the encoder with these sites, numbered as given.

    Raises ActcodecError where they do not fit the codec's memories.
    """
    fill = _Filler(encoder_records(params))
    for site in sites:
        _fill_encoder(fill, site)
    return _words(fill, params)


def decoder_image(params: CodecParams, sites: Sequence[SiteTable]) -> NDArray[np.uint8]:
    """Words (N, word_bytes), little endian, that load the decoder with these sites, numbered as given.

    Raises ActcodecError where they do not fit the codec's memories.
    """
    fill = _Filler(decoder_records(params))
    for site in sites:
        _fill_decoder(fill, site)
    return _words(fill, params)


def image_of(direction: Direction, params: CodecParams, sites: Sequence[SiteTable]) -> NDArray[np.uint8]:
    """The image of a direction; as `encoder_image` and `decoder_image`."""
    return (encoder_image if direction == "encoder" else decoder_image)(params, sites)


def to_hex(image: NDArray[np.uint8]) -> str:
    """The image as text for Verilog's $readmemh: one word a line, most significant digit first."""
    return "".join(word[::-1].tobytes().hex() + "\n" for word in image)
