"""Amaranth layouts of the table records and of what travels on the streams inside the codec."""

from __future__ import annotations

from amaranth.hdl import ShapeLike, signed, unsigned
from amaranth.lib import data

from actcodec.params import (
    ACTIVATION_BITS,
    CODE_VALUE_BITS,
    LEFT_SHIFT_BITS,
    MAX_WIDTH,
    SHIFT_BITS,
    WIDTH_BITS,
    CodecParams,
)
from actcodec.tables.records import Record, bits_for

ERRORS = ("early_last", "late_last", "bad_site", "bad_window", "bad_table", "keep")


def record_layout(record: Record) -> data.StructLayout:
    """The record as a struct, field for field; a field with a count, be it 1, becomes an array."""
    members: dict[str, ShapeLike] = {}
    for field in record.fields:
        shape = signed(field.bits) if field.signed else unsigned(field.bits)
        members[field.name] = shape if field.count is None else data.ArrayLayout(shape, field.count)
    return data.StructLayout(members)


def load_layout(params: CodecParams) -> data.StructLayout:
    """A word of the table stream, the bank that its image goes to (looked at in headers), and the end of the image."""
    return data.StructLayout({"data": params.word_bits, "bank": 1, "last": 1})


def job_layout(params: CodecParams) -> data.StructLayout:
    """One frame, or a window of one, to be encoded or decoded.

    ``site`` and ``bank`` say which tables are used. With ``window`` = 0 the rest is not looked at: the whole frame.
    With ``window`` = 1 the encoder encodes ``rows`` full rows and ignores the rest. The decoder decodes ``rows`` rows
    of ``count`` positions, every ``stride``-th of the stream, the first one ``offset`` bits behind the beginning of its
    word (`actcodec.tables.geometry.Window`); ``plane`` is the block of a block-major site, 0 of a position-major one.
    """
    side = bits_for(params.max_side)
    return data.StructLayout(
        {
            "site": bits_for(params.max_sites - 1),
            "bank": 1,
            "window": 1,
            "plane": bits_for(params.plane_depth - 1),
            "offset": bits_for(params.word_bits - 1),
            "count": side,
            "stride": side,
            "rows": side,
        }
    )


def errors_layout() -> data.StructLayout:
    """What went wrong, each a strobe of one cycle.

    ``early_last`` and ``late_last``: ``last`` of the input came before, or not with, the last one of a frame.
    ``bad_site`` and ``bad_window``: a job was refused. ``bad_table``: an image was, the rest of it is dropped.
    ``keep``: the last lane of a beat was not that of the site's channels (coefficients, where the encoder takes
    accumulators); the beat was taken as it is (encoder only).
    """
    return data.StructLayout({name: 1 for name in ERRORS})


def beat_layout(params: CodecParams) -> data.StructLayout:
    """Activations of one beat: ``lanes`` bytes, first channel least significant, and the end of the frame.

    ``last_lane`` is the number of the last lane that holds a channel: lanes − 1 but for the last beat of a block.
    """
    return data.StructLayout(
        {
            "data": data.ArrayLayout(unsigned(ACTIVATION_BITS), params.lanes),
            "last": 1,
            "last_lane": bits_for(params.lanes - 1),
        }
    )


def encoder_beat_layout(params: CodecParams) -> data.StructLayout:
    """A beat of the encoder's input: activations as in `beat_layout`, or accumulators.

    Accumulators are ``codes`` signed integers of ``acc_bits``, first coefficient least significant; ``last_lane`` is
    then the number of the last one, codes − 1 but for the last beat of a position.
    """
    if not params.takes_accumulators:
        return beat_layout(params)
    return data.StructLayout(
        {
            "data": data.ArrayLayout(signed(params.encoder_lane_bits), params.encoder_lanes),
            "last": 1,
            "last_lane": bits_for(params.encoder_lanes - 1),
        }
    )


def word_layout(params: CodecParams) -> data.StructLayout:
    """A bus word of the compressed stream, first bit least significant, and the end of the frame."""
    return data.StructLayout({"data": params.word_bits, "last": 1})


def chunk_layout(params: CodecParams) -> data.StructLayout:
    """What the packer appends: the lowest ``count`` bits of ``bits``, those above being 0, or what ``align`` takes."""
    return data.StructLayout(
        {"bits": params.codes_per_cycle * MAX_WIDTH, "count": bits_for(params.word_bits), "align": 1, "last": 1}
    )


def sums_layout(params: CodecParams) -> data.ArrayLayout:
    """What the encoder's array, or the convolution before it, has computed: a sum a slot."""
    return data.ArrayLayout(signed(params.acc_bits), params.encoder_slots)


def cut_layout(params: CodecParams) -> data.StructLayout:
    """A record's codes, cut out of the stream, their left shifts e, and whether the record ``ends`` its group."""
    codes = params.codes_per_cycle
    return data.StructLayout(
        {
            "code": data.ArrayLayout(MAX_WIDTH, codes),
            "left_shift": data.ArrayLayout(LEFT_SHIFT_BITS, codes),
            "ends": 1,
        }
    )


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
    """A beat's accumulators, complete, the site's shift, zero point and range, the last lane, the end of the frame."""
    return data.StructLayout(
        {
            "acc": data.ArrayLayout(signed(params.acc_bits), params.lanes),
            "shift": SHIFT_BITS,
            "zero": ACTIVATION_BITS,
            "low": ACTIVATION_BITS,
            "high": ACTIVATION_BITS,
            "last_lane": bits_for(params.lanes - 1),
            "last": 1,
        }
    )
