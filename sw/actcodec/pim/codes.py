"""Codes of weights and inputs as bits: ranges, slices, and the words of the macro's ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.pim.params import SEGMENT, WIDTHS, PimMode, PimParams, Width

Codes = NDArray[np.int64]
Bits = NDArray[np.uint8]


def code_range(bits: int, signed: bool) -> tuple[int, int]:
    """Lowest and highest code of ``bits`` bits."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def checked(name: str, codes: NDArray[Any], bits: int, signed: bool) -> Codes:
    """The codes as int64; ActcodecError where they are no integers or one is out of range."""
    if codes.dtype.kind not in "iu":
        raise ActcodecError(name, f"holds {codes.dtype} and not integers")
    low, high = code_range(bits, signed)
    if codes.size and (int(codes.min()) < low or int(codes.max()) > high):
        raise ActcodecError(name, f"{int(codes.min())}…{int(codes.max())} is outside of {low}…{high}, {bits} bits")
    return codes.astype(np.int64)


def slices(codes: Codes, bits: int) -> Bits:
    """The bits of codes (…) as (…, bits), least significant first; of a negative one in two's complement."""
    return (codes[..., None] >> np.arange(bits) & 1).astype(np.uint8)


def weight_rows(params: PimParams, mode: PimMode, weights: NDArray[Any]) -> Bits:
    """What the cells hold: weights (inputs, outputs) as (rows, columns) bits, rows and outputs that are left over 0.

    Raises ActcodecError where there are more of either than the array has, or a code is out of range.
    """
    codes = checked("weights", weights, mode.weight_bits, mode.weight_signed)
    inputs, outputs = codes.shape
    if inputs > params.rows or outputs > params.outputs(mode.weight_bits):
        room = f"{params.rows} × {params.outputs(mode.weight_bits)}"
        raise ActcodecError("weights", f"{inputs} × {outputs} do not fit the array's {room} of {mode.weight_bits} bits")
    cells = np.zeros((params.rows, params.columns), np.uint8)
    cells[:inputs, : outputs * mode.weight_bits] = slices(codes, mode.weight_bits).reshape(inputs, -1)
    return cells


def input_words(params: PimParams, mode: PimMode, vectors: NDArray[Any]) -> Bits:
    """Input vectors (N, inputs) as words (N, input_bits, word_bits) of bits, inputs that are left over 0.

    A word holds word_bits / input_bits codes, the input of the lowest row least significant.
    Raises ActcodecError where a vector is longer than the array has rows, or a code is out of range.
    """
    codes = checked("inputs", vectors, mode.input_bits, mode.input_signed)
    number, inputs = codes.shape
    if inputs > params.rows:
        raise ActcodecError("inputs", f"{inputs} do not fit the array's {params.rows} rows")
    whole = np.zeros((number, params.rows), np.int64)
    whole[:, :inputs] = codes
    return slices(whole, mode.input_bits).reshape(number, mode.input_bits, params.word_bits)


def as_integers(words: Bits) -> list[int]:
    """Words (N, bits) as integers, bit 0 least significant."""
    return [int.from_bytes(row.tobytes(), "little") for row in np.packbits(words, axis=-1, bitorder="little")]


def result_beats(params: PimParams, weight_bits: Width, outputs: Codes) -> list[int]:
    """Outputs (N, columns / weight_bits) as the payloads of the result stream, without ``last``.

    A beat holds ``trees`` segments of `segment_bits`; of each the outputs side by side, the first least significant.
    """
    lane, lanes = params.result_bits(weight_bits), outputs_per_segment(weight_bits)
    payloads = []
    for vector in outputs.reshape(len(outputs) * params.beats, params.trees, lanes):
        payload = 0
        for number, segment in enumerate(vector):
            for place, value in enumerate(segment):
                payload |= (int(value) & ((1 << lane) - 1)) << (number * segment_bits(params) + place * lane)
        payloads.append(payload)
    return payloads


def outputs_of(params: PimParams, weight_bits: Width, beats: Sequence[int]) -> Codes:
    """The outputs (N, columns / weight_bits) of the payloads of a result stream (`result_beats`)."""
    lane, lanes = params.result_bits(weight_bits), outputs_per_segment(weight_bits)
    sign = 1 << (lane - 1)
    places = [number * segment_bits(params) + n * lane for number in range(params.trees) for n in range(lanes)]
    values = [((beat >> place & ((1 << lane) - 1)) ^ sign) - sign for beat in beats for place in places]
    return np.array(values, np.int64).reshape(-1, params.outputs(weight_bits))


def outputs_per_segment(weight_bits: int) -> int:
    """Outputs that the columns of one segment compute."""
    return SEGMENT // weight_bits


def segment_bits(params: PimParams) -> int:
    """Bits of a segment's results in a beat: those of the width that takes the most."""
    return max(outputs_per_segment(bits) * params.result_bits(bits) for bits in WIDTHS)
