"""Bit layouts of the table memories, derived from the codec's parameters.

The images that export writes and the Amaranth memories are both built from these records, so no second place
knows a field's width or position. Fields are packed least significant first, in the order given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from actcodec.params import (
    ACTIVATION_BITS,
    COEFFICIENT_BITS,
    LEFT_SHIFT_BITS,
    SHIFT_BITS,
    WIDTH_BITS,
    CodecParams,
)

PAD_WORD_BITS = 8
"""Bits of the count of whole padding words at the end of a row."""


@dataclass(frozen=True)
class Field:
    """An integer of ``bits`` bits, or an array of ``count`` of them, the first one least significant."""

    name: str
    bits: int
    signed: bool = False
    count: int | None = None
    """None: a single integer. An array of one is still an array."""

    @property
    def total_bits(self) -> int:
        """Bits of the whole field."""
        return self.bits * (1 if self.count is None else self.count)


@dataclass(frozen=True)
class Record:
    """One entry of a table memory."""

    name: str
    depth: int
    fields: tuple[Field, ...]

    @property
    def bits(self) -> int:
        """Bits of an entry."""
        return sum(field.total_bits for field in self.fields)

    def words(self, word_bits: int) -> int:
        """Bus words that carry one entry."""
        return -(-self.bits // word_bits)

    def pack(self, values: Mapping[str, int | Sequence[int]]) -> int:
        """The entry as one unsigned integer. Raises ValueError for a missing field or a value out of range."""
        if set(values) != {field.name for field in self.fields}:
            raise ValueError(f"record {self.name}: got fields {sorted(values)}")
        packed, position = 0, 0
        for field in self.fields:
            value = values[field.name]
            numbers = [value] if isinstance(value, int) else list(value)
            wanted = 1 if field.count is None else field.count
            if len(numbers) != wanted:
                raise ValueError(f"record {self.name}.{field.name}: {len(numbers)} of {wanted} values")
            low, high = (
                (-(1 << (field.bits - 1)), (1 << (field.bits - 1)) - 1)
                if field.signed
                else (
                    0,
                    (1 << field.bits) - 1,
                )
            )
            for number in numbers:
                if not low <= number <= high:
                    raise ValueError(f"record {self.name}.{field.name}: {number} is outside {low}…{high}")
                packed |= (int(number) & ((1 << field.bits) - 1)) << position
                position += field.bits
        return packed


def bits_for(largest: int) -> int:
    """Bits of an unsigned number up to ``largest``; at least 1, so that no port is empty."""
    return max(1, largest.bit_length())


def _walk_fields(p: CodecParams) -> tuple[Field, ...]:
    """What the sequencer needs of a site, in encoder and decoder alike."""
    return (
        Field("first_plane", bits_for(p.plane_depth - 1)),
        Field("last_plane", bits_for(p.plane_depth - 1)),
        Field("last_x", bits_for(p.max_side - 1)),
        Field("last_y", bits_for(p.max_side - 1)),
    )


def _plane_fields(p: CodecParams) -> tuple[Field, ...]:
    """Where a plane's entries begin, how its rows are padded, and whether the frame's output ends in it.

    ``closes_step``: with the step marked ``closes`` of its last position; ``closes_pad``: with its last padding.
    """
    return (
        Field("first_step", bits_for(p.step_depth - 1)),
        Field("first_coefficient", bits_for(p.coefficient_depth - 1)),
        Field("pad_bits", bits_for(p.word_bits)),
        Field("pad_words", PAD_WORD_BITS),
        Field("closes_step", 1),
        Field("closes_pad", 1),
    )


def _range_fields(largest: int) -> tuple[Field, ...]:
    """Inner range of a step: indices first…last, of which those from ``fresh`` on are taken from the stream.

    ``position_end``: the last step of a position; ``closes``: the last one that gives the output anything.
    """
    return (
        Field("first", bits_for(largest - 1)),
        Field("last", bits_for(largest - 1)),
        Field("fresh", bits_for(largest)),
        Field("position_end", 1),
        Field("closes", 1),
    )


@lru_cache(maxsize=32)
def encoder_records(p: CodecParams) -> dict[str, Record]:
    """Memories of the encoder by name; a memory's number on the table stream is its place in this dict."""
    records = (
        Record("site", p.max_sites, _walk_fields(p)),
        Record("plane", p.plane_depth, _plane_fields(p)),
        Record(
            "step",
            p.step_depth,
            (
                *_range_fields(p.beats_per_block),
                Field("bias", p.acc_bits, signed=True, count=p.rows),
                Field("shift", SHIFT_BITS, count=p.rows),
                Field("width", WIDTH_BITS, count=p.rows),
            ),
        ),
        Record(
            "coefficient",
            p.coefficient_depth,
            (Field("matrix", COEFFICIENT_BITS, signed=True, count=p.rows * p.lanes),),
        ),
    )
    return {record.name: record for record in records}


@lru_cache(maxsize=32)
def decoder_records(p: CodecParams) -> dict[str, Record]:
    """Memories of the decoder by name; a memory's number on the table stream is its place in this dict."""
    records = (
        Record(
            "site",
            p.max_sites,
            (
                *_walk_fields(p),
                Field("zero", ACTIVATION_BITS),
                Field("low", ACTIVATION_BITS),
                Field("high", ACTIVATION_BITS),
                Field("shift", SHIFT_BITS),
            ),
        ),
        Record("plane", p.plane_depth, (*_plane_fields(p), Field("first_code", bits_for(p.step_depth - 1)))),
        Record(
            "step",
            p.step_depth,
            (*_range_fields(p.steps_per_block), Field("bias", p.acc_bits, signed=True, count=p.lanes)),
        ),
        Record(
            "code",
            p.step_depth,
            (
                Field("position_end", 1),
                Field("width", WIDTH_BITS, count=p.rows),
                Field("left_shift", LEFT_SHIFT_BITS, count=p.rows),
            ),
        ),
        Record(
            "coefficient",
            p.coefficient_depth,
            (Field("matrix", COEFFICIENT_BITS, signed=True, count=p.rows * p.lanes),),
        ),
    )
    return {record.name: record for record in records}
