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
    MAX_WIDTH,
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


def _plane_record(p: CodecParams, depth: int, *padding: Field) -> tuple[Field, ...]:
    """First and last entry of a position, whether they are the same, and whether the frame ends with this plane."""
    entry = bits_for(depth - 1)
    return (Field("first", entry), Field("last", entry), Field("single", 1), Field("final", 1), *padding)


def _site_record(p: CodecParams, *more: Field) -> Record:
    """Where a site's planes begin, on the side of the MAC array and on that of the codes, and its extent.

    ``coded`` is 0 where the site stores nothing and has no plane on the codes' side. Pointers, here and in the other
    records, count from the beginning of the bank.
    """
    plane = Field("plane", bits_for(p.plane_depth - 1))
    return Record("site", p.max_sites, (plane, _code_plane_field(p), Field("coded", 1), *_extent_fields(p), *more))


def _code_plane_field(p: CodecParams) -> Field:
    return Field("code_plane", bits_for(p.plane_depth - 1))


def _extent_fields(p: CodecParams) -> tuple[Field, ...]:
    """Last column and row of a site's positions."""
    side = bits_for(p.max_side - 1)
    return Field("last_x", side), Field("last_y", side)


def _operation_fields(p: CodecParams, largest_index: int) -> tuple[Field, ...]:
    """`actcodec.tables.program.Operation`, the matrix row by row."""
    return (
        Field("index", bits_for(largest_index)),
        Field("fresh", 1),
        Field("first", 1),
        Field("last", 1),
        Field("diagonal", 1),
        Field("part", bits_for(p.parts_per_beat - 1)),
        Field("matrix", COEFFICIENT_BITS, signed=True, count=p.rows * p.lanes),
    )


def _code_plane_record(p: CodecParams) -> Record:
    """``partial``: the last word of a row is filled up; ``words``: whole words of padding after it."""
    padding = (Field("partial", 1), Field("words", PAD_WORD_BITS))
    return Record("code_plane", p.plane_depth, _plane_record(p, p.step_depth, *padding))


def _encoder_code_record(p: CodecParams, *more: Field) -> Record:
    """`actcodec.tables.program.CodeRecord`: what the encoder does with ``codes`` accumulators."""
    codes = p.codes_per_cycle
    fields = (
        Field("ends", 1),
        Field("bias", p.acc_bits, signed=True, count=codes),
        Field("shift", SHIFT_BITS, count=codes),
        Field("width", WIDTH_BITS, count=codes),
    )
    return Record("code", p.step_depth, (*fields, *more))


def _accumulator_records(p: CodecParams) -> tuple[Record, ...]:
    """Memories of an encoder without a MAC array: a site has planes of codes only, and a record is a beat.

    ``last_lane``: number of the last accumulator that a beat holds.
    """
    return (
        Record("site", p.max_sites, (_code_plane_field(p), *_extent_fields(p))),
        _code_plane_record(p),
        _encoder_code_record(p, Field("last_lane", bits_for(p.encoder_lanes - 1))),
    )


@lru_cache(maxsize=32)
def encoder_records(p: CodecParams) -> dict[str, Record]:
    """Memories of the encoder by name; a memory's number on the table stream is its place in this dict."""
    if p.takes_accumulators:
        return {record.name: record for record in _accumulator_records(p)}
    records = (
        _site_record(p),
        Record("plane", p.plane_depth, _plane_record(p, p.coefficient_depth)),
        Record(
            "operation",
            p.coefficient_depth,
            (*_operation_fields(p, p.beats_per_block - 1), Field("last_lane", bits_for(p.lanes - 1))),
        ),
        _code_plane_record(p),
        _encoder_code_record(p),
    )
    return {record.name: record for record in records}


@lru_cache(maxsize=32)
def decoder_records(p: CodecParams) -> dict[str, Record]:
    """Memories of the decoder by name; a memory's number on the table stream is its place in this dict."""
    codes, plane = p.codes_per_cycle, bits_for(p.plane_depth - 1)
    records = (
        _site_record(p, Field("last_plane", plane)),
        Record("plane", p.plane_depth, _plane_record(p, p.coefficient_depth)),
        Record(
            "operation",
            p.coefficient_depth,
            (*_operation_fields(p, p.groups_per_block - 1), Field("step", bits_for(p.step_depth - 1))),
        ),
        _code_plane_record(p),
        Record(
            "code",
            p.step_depth,
            (
                Field("ends", 1),
                Field("count", bits_for(codes * MAX_WIDTH)),
                Field("width", WIDTH_BITS, count=codes),
                Field("left_shift", LEFT_SHIFT_BITS, count=codes),
            ),
        ),
        Record(
            "beat",
            p.step_depth,
            (
                Field("bias", p.acc_bits, signed=True, count=p.lanes),
                Field("shift", SHIFT_BITS),
                Field("zero", ACTIVATION_BITS),
                Field("low", ACTIVATION_BITS),
                Field("high", ACTIVATION_BITS),
                Field("last_lane", bits_for(p.lanes - 1)),
            ),
        ),
        # Where the codes of a plane lie, for windows: planes that store nothing have none.
        Record("window", p.plane_depth, (Field("code_plane", plane), Field("coded", 1))),
    )
    return {record.name: record for record in records}
