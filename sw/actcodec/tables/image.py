"""Table images: what the table stream ports of encoder and decoder are fed with, word by word.

An image is a list of *sections*. A section is one header word (memory number in bits 0…7, first entry in
bits 8…31, number of entries in bits 32…63) and then its entries, each in ⌈entry bits / word_bits⌉ words, least
significant word first. Entries lie in the memories in the order in which the schedule uses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.params import CodecParams
from actcodec.tables.model import SiteTable
from actcodec.tables.program import (
    Step,
    code_steps,
    decoder_steps,
    encoder_end,
    encoder_steps,
    padding_operations,
)
from actcodec.tables.records import PAD_WORD_BITS, Record, decoder_records, encoder_records

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


def _add_steps(fill: _Filler, steps: Sequence[Step], end: int, per_step: Sequence[dict[str, list[int]]]) -> None:
    for number, (step, values) in enumerate(zip(steps, per_step, strict=True)):
        fill.add(
            "step",
            first=step.first,
            last=step.last,
            fresh=step.fresh,
            position_end=int(number == len(steps) - 1),
            closes=int(number == end),
            **values,
        )
        for operation in step.matrix:
            fill.add("coefficient", matrix=[int(v) for v in operation.ravel()])


def _plane_values(fill: _Filler, site: SiteTable, number: int, steps: Sequence[Step]) -> dict[str, int]:
    bits, words = padding_operations(site, site.planes[number])
    if words >= 1 << PAD_WORD_BITS:
        raise ActcodecError(
            f"site {site.info.name}", f"align_bits = {site.info.align_bits} needs {words} padding words a row"
        )
    return {
        "first_step": fill.next_entry("step", len(steps)),
        "first_coefficient": fill.next_entry("coefficient", sum(step.operations for step in steps)),
        "pad_bits": bits,
        "pad_words": words,
    }


def _walk_values(fill: _Filler, site: SiteTable) -> dict[str, int]:
    first = fill.next_entry("plane", len(site.planes))
    return {
        "first_plane": first,
        "last_plane": first + len(site.planes) - 1,
        "last_x": site.info.width - 1,
        "last_y": site.info.height - 1,
    }


def _fill_encoder(fill: _Filler, site: SiteTable) -> None:
    rows, arrays = site.params.rows, site.arrays
    fill.add("site", **_walk_values(fill, site))
    # x enters unsigned: Σ P·(x − zero) + bias = Σ P·x + (bias − zero·ΣP), exact modulo 2^acc_bits.
    bias = arrays.bias.astype(np.int64) - site.info.zero * arrays.P.astype(np.int64).sum(axis=1)
    end = encoder_end(site)
    for number, plane in enumerate(site.planes):
        steps = encoder_steps(site, plane)
        ends_here = end is not None and number == end.plane
        padded = end is not None and end.padded
        fill.add(
            "plane",
            **_plane_values(fill, site, number, steps),
            closes_step=int(ends_here and not padded),
            closes_pad=int(ends_here and padded),
        )
        values = [
            {
                "bias": _pad([_wrap(int(bias[k]), site.params.acc_bits) for k in step.members], rows),
                "shift": _pad([int(arrays.shift[k]) for k in step.members], rows),
                "width": _pad([int(arrays.width[k]) for k in step.members], rows),
            }
            for step in steps
        ]
        _add_steps(fill, steps, -1 if end is None or not ends_here else end.step, values)


def _fill_decoder(fill: _Filler, site: SiteTable) -> None:
    rows, lanes, info, arrays = site.params.rows, site.params.lanes, site.info, site.arrays
    fill.add(
        "site",
        **_walk_values(fill, site),
        zero=info.zero,
        low=info.low,
        high=info.high,
        shift=info.output_shift,
    )
    for number, plane in enumerate(site.planes):
        steps, codes = decoder_steps(site, plane), code_steps(site, plane)
        values = _plane_values(fill, site, number, steps)
        fill.add(
            "plane",
            **values,
            closes_step=int(number == len(site.planes) - 1),
            closes_pad=0,
            first_code=fill.next_entry("code", len(codes)),
        )
        biases = [{"bias": _pad([int(arrays.bias_out[c]) for c in s.members], lanes)} for s in steps]
        _add_steps(fill, steps, len(steps) - 1, biases)
        for place, members in enumerate(codes):
            fill.add(
                "code",
                position_end=int(place == len(codes) - 1),
                width=_pad([int(arrays.width[k]) for k in members], rows),
                left_shift=_pad([int(arrays.left_shift[k]) for k in members], rows),
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


def to_hex(image: NDArray[np.uint8]) -> str:
    """The image as text for Verilog's $readmemh: one word a line, most significant digit first."""
    return "".join(word[::-1].tobytes().hex() + "\n" for word in image)
