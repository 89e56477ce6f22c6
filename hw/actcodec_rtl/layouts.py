"""Amaranth layouts of the table records and of what travels on the streams inside the codec."""

from __future__ import annotations

from amaranth.hdl import ShapeLike, signed, unsigned
from amaranth.lib import data

from actcodec.params import ACTIVATION_BITS, CODE_VALUE_BITS, MAX_WIDTH, SHIFT_BITS, WIDTH_BITS, CodecParams
from actcodec.tables.records import Record, bits_for


def record_layout(record: Record) -> data.StructLayout:
    """The record as a struct, field for field; a field with a count, be it 1, becomes an array."""
    members: dict[str, ShapeLike] = {}
    for field in record.fields:
        shape = signed(field.bits) if field.signed else unsigned(field.bits)
        members[field.name] = shape if field.count is None else data.ArrayLayout(shape, field.count)
    return data.StructLayout(members)


def beat_layout(params: CodecParams) -> data.StructLayout:
    """Activations of one beat: ``lanes`` bytes, first channel least significant, and the end of the frame."""
    return data.StructLayout({"data": data.ArrayLayout(unsigned(ACTIVATION_BITS), params.lanes), "last": 1})


def word_layout(params: CodecParams) -> data.StructLayout:
    """A bus word of the compressed stream, first bit least significant, and the end of the frame."""
    return data.StructLayout({"data": params.word_bits, "last": 1})


def chunk_layout(params: CodecParams) -> data.StructLayout:
    """What the packer appends: the lowest ``count`` bits of ``bits``, those above being 0, or what ``align`` takes."""
    return data.StructLayout(
        {"bits": params.codes_per_cycle * MAX_WIDTH, "count": bits_for(params.word_bits), "align": 1, "last": 1}
    )


def sums_layout(params: CodecParams) -> data.ArrayLayout:
    """What the encoder's array has computed: a sum a slot."""
    return data.ArrayLayout(signed(params.acc_bits), params.slots)


def values_layout(params: CodecParams) -> data.ArrayLayout:
    """What the decoder's array multiplies: code << e, a slot each."""
    return data.ArrayLayout(unsigned(CODE_VALUE_BITS), params.slots)


def accumulators_layout(params: CodecParams) -> data.StructLayout:
    """A record's accumulators, complete, with shifts and widths; or padding: ``align``, or a ``whole`` word."""
    codes = params.codes_per_cycle
    return data.StructLayout(
        {
            "acc": data.ArrayLayout(signed(params.acc_bits), codes),
            "shift": data.ArrayLayout(SHIFT_BITS, codes),
            "width": data.ArrayLayout(WIDTH_BITS, codes),
            "align": 1,
            "whole": 1,
            "last": 1,
        }
    )


def channels_layout(params: CodecParams) -> data.StructLayout:
    """What the decoder's array has computed: a sum a lane, and the end of the frame."""
    return data.StructLayout({"acc": data.ArrayLayout(signed(params.acc_bits), params.lanes), "last": 1})


def restored_layout(params: CodecParams) -> data.StructLayout:
    """A beat's accumulators, complete, with the site's shift, zero point and range, and the end of the frame."""
    return data.StructLayout(
        {
            "acc": data.ArrayLayout(signed(params.acc_bits), params.lanes),
            "shift": SHIFT_BITS,
            "zero": ACTIVATION_BITS,
            "low": ACTIVATION_BITS,
            "high": ACTIVATION_BITS,
            "last": 1,
        }
    )
