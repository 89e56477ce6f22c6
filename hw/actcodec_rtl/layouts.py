"""Amaranth layouts of the table records and of what travels on the streams inside the codec."""

from __future__ import annotations

from amaranth.hdl import ShapeLike, signed, unsigned
from amaranth.lib import data

from actcodec.params import ACTIVATION_BITS, CodecParams
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
    """What the packer appends: the lowest ``count`` bits of ``bits`` (those above are 0), or ``count`` zeros."""
    return data.StructLayout(
        {"bits": params.rows * ACTIVATION_BITS, "count": bits_for(params.word_bits), "payload": 1, "last": 1}
    )


def operation_layout(params: CodecParams, largest_index: int) -> data.StructLayout:
    """One cycle's work, as the sequencer hands it to a pipeline.

    ``pad``: append or skip ``pad_bits`` bits, no arithmetic. Otherwise a MAC operation on index ``index`` of its
    step (taken from the stream if ``fresh``), the ``first`` or ``last`` of the step. ``closes``: the frame's
    last output comes of this operation.
    """
    return data.StructLayout(
        {
            "pad": 1,
            "pad_bits": bits_for(params.word_bits),
            "index": bits_for(largest_index),
            "fresh": 1,
            "first": 1,
            "last": 1,
            "closes": 1,
        }
    )
