"""Amaranth layouts of what travels on the macro's streams and between its blocks."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data

from actcodec.pim.codes import outputs_per_segment
from actcodec.pim.params import SEGMENT, WIDTHS, PimParams
from actcodec.tables.records import bits_for


def mode_layout() -> data.StructLayout:
    """`PimMode`: of weights and of inputs the place of their bits in `WIDTHS` (0: 2 bits … 3: 16), and the sign."""
    place = bits_for(len(WIDTHS) - 1)
    return data.StructLayout({"weight_bits": place, "input_bits": place, "weight_signed": 1, "input_signed": 1})


def weights_layout(params: PimParams) -> data.StructLayout:
    """The cells of one row, column 0 least significant, and the number of the row."""
    return data.StructLayout({"data": params.columns, "row": bits_for(params.rows - 1)})


def word_layout(params: PimParams) -> data.StructLayout:
    """A word of an input vector, codes side by side, the lowest row's least significant, and the vector's mode.

    The mode is taken with the first word of a vector and not looked at with the others.
    """
    return data.StructLayout({"data": params.word_bits, "mode": mode_layout()})


def slice_control_layout() -> data.StructLayout:
    """What goes with a bit slice: ``first`` and ``last`` of its vector, ``subtract``: it weighs negative; the mode."""
    return data.StructLayout({"first": 1, "last": 1, "subtract": 1, "mode": mode_layout()})


def counts_layout(params: PimParams) -> data.ArrayLayout:
    """Counts of all columns as planes: of bit k of the counts a vector with a bit a column."""
    return data.ArrayLayout(params.columns, params.count_bits)


def columns_layout(params: PimParams, columns: int) -> data.ArrayLayout:
    """Sums of some columns over all bit slices of a vector."""
    return data.ArrayLayout(signed(params.column_bits), columns)


def segments_layout(params: PimParams) -> data.StructLayout:
    """The columns of ``trees`` segments, the vector's mode, and whether they are its ``last`` ones."""
    return data.StructLayout(
        {"columns": columns_layout(params, params.trees * SEGMENT), "mode": mode_layout(), "last": 1}
    )


def outputs_layout(params: PimParams) -> data.UnionLayout:
    """The outputs of a segment: ``by2``, ``by4``, ``by8`` or ``by16``, as the bits of the weights say.

    Bits above the outputs are 0.
    """
    return data.UnionLayout(
        {f"by{bits}": data.ArrayLayout(signed(params.result_bits(bits)), outputs_per_segment(bits)) for bits in WIDTHS}
    )


def results_layout(params: PimParams) -> data.StructLayout:
    """The outputs of ``trees`` segments, lowest columns first, and whether they are the ``last`` ones of a vector."""
    return data.StructLayout({"segments": data.ArrayLayout(outputs_layout(params), params.trees), "last": 1})
