"""The golden model of the macro: bit slice by bit slice, column by column, and equal to integer multiplication."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.pim.codes import Bits, Codes, input_words, weight_rows
from actcodec.pim.params import PimMode, PimParams


def multiply(params: PimParams, mode: PimMode, weights: NDArray[Any], vectors: NDArray[Any]) -> Codes:
    """The macro's outputs (N, columns / weight_bits) for ``vectors`` (N, inputs) and ``weights`` (inputs, outputs).

    Output o of vector n is Σ_i vectors[n, i] · weights[i, o], computed as the macro does (`multiply_cells`).
    Raises ActcodecError where weights or inputs do not fit the array or a code is out of range.
    """
    return multiply_cells(params, mode, weight_rows(params, mode, weights), input_words(params, mode, vectors))


def multiply_cells(params: PimParams, mode: PimMode, cells: Bits, words: Bits) -> Codes:
    """The outputs of cells (rows, columns) for the words (N, input_bits, word_bits) of input vectors:

    count_c(t) = Σ_r cell[r, c] AND input bit t of row r           bits of the inputs, one after another
    column_c   = Σ_t ±2^t · count_c(t)                             −, for the top bit of signed inputs
    output_o   = Σ_s ±2^s · column_(o·w + s)                       −, for the top slice of signed weights

    """
    bits = words.reshape(len(words), params.rows, mode.input_bits)
    # Counts of up to 1024 rows are exact in float32, for which NumPy has BLAS.
    counts = np.einsum("nrt,rc->tnc", bits.astype(np.float32), cells.astype(np.float32), optimize=True)
    columns = np.zeros((len(words), params.columns), np.int64)
    for place in reversed(range(mode.input_bits)):
        count = counts[place].astype(np.int64)
        is_negative = mode.input_signed and place == mode.input_bits - 1
        columns = 2 * columns + (-count if is_negative else count)
    return shift_add(mode, columns)


def shift_add(mode: PimMode, columns: Codes) -> Codes:
    """The shift-add tree: sums (N, columns) of the columns as outputs (N, columns / weight_bits)."""
    top = np.arange(columns.shape[1]) % mode.weight_bits == mode.weight_bits - 1
    level = np.where(top & mode.weight_signed, -columns, columns)
    shift = 1
    while shift < mode.weight_bits:
        level = level[:, ::2] + (level[:, 1::2] << shift)
        shift *= 2
    return level
