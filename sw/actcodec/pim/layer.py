"""Layers of a network on the array: tiles of rows and columns, partial sums added up outside of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.pim.codes import Codes, checked
from actcodec.pim.model import multiply
from actcodec.pim.params import PimMode, PimParams


@dataclass(frozen=True)
class Tile:
    """A part of a weight matrix that the array holds at once: a range of inputs and one of outputs."""

    inputs: slice
    outputs: slice


def tiles(params: PimParams, mode: PimMode, inputs: int, outputs: int) -> Iterator[Tile]:
    """The tiles of a matrix (inputs, outputs), all inputs of a range of outputs first."""
    step = params.outputs(mode.weight_bits)
    for column in range(0, outputs, step):
        for row in range(0, inputs, params.rows):
            yield Tile(slice(row, min(row + params.rows, inputs)), slice(column, min(column + step, outputs)))


def linear(params: PimParams, mode: PimMode, vectors: NDArray[Any], weights: NDArray[Any]) -> Codes:
    """``vectors`` (N, inputs) times ``weights`` (inputs, outputs), tile by tile: (N, outputs) integers.

    Raises ActcodecError where the shapes do not go together or a code is out of range.
    """
    if vectors.ndim != 2 or weights.ndim != 2 or vectors.shape[1] != weights.shape[0]:
        raise ActcodecError("PIM layer", f"inputs {vectors.shape} and weights {weights.shape} do not go together")
    sums = np.zeros((len(vectors), weights.shape[1]), np.int64)
    for tile in tiles(params, mode, *weights.shape):
        part = weights[tile.inputs, tile.outputs]
        sums[:, tile.outputs] += multiply(params, mode, part, vectors[:, tile.inputs])[:, : part.shape[1]]
    return sums


def patches(x: NDArray[Any], kernel: tuple[int, int], stride: int, padding: int, pad_code: int = 0) -> NDArray[Any]:
    """im2col of ``x`` (N, C, H, W): (N, positions, C·kh·kw), inputs in the order of a weight (O, C, kh, kw)."""
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(x, border, constant_values=pad_code)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, ::stride, ::stride]
    number, channels, height, width = windows.shape[:4]
    columns = windows.transpose(0, 2, 3, 1, 4, 5)
    return columns.reshape(number, height * width, channels * kernel[0] * kernel[1])


def convolution(
    params: PimParams,
    mode: PimMode,
    x: NDArray[Any],
    weights: NDArray[Any],
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    pad_code: int = 0,
) -> Codes:
    """Integer convolution of codes ``x`` (N, C, H, W) by ``weights`` (O, C / groups, kh, kw): (N, O, H', W').

    ``pad_code`` is the code of what lies beyond the border. Biases, zero points and scales are what follows, outside
    of the array. Raises ActcodecError where shapes do not go together or a code is out of range.
    """
    if x.ndim != 4 or weights.ndim != 4 or x.shape[1] != weights.shape[1] * groups or weights.shape[0] % groups:
        raise ActcodecError("PIM layer", f"inputs {x.shape}, weights {weights.shape} and {groups} groups do not fit")
    checked("inputs", np.array([pad_code]), mode.input_bits, mode.input_signed)
    kernel = (weights.shape[2], weights.shape[3])
    number, outputs = len(x), len(weights) // groups
    height, width = ((side + 2 * padding - size) // stride + 1 for side, size in zip(x.shape[2:], kernel, strict=True))
    parts = []
    for group, part in enumerate(np.split(x, groups, axis=1)):
        columns = patches(part, kernel, stride, padding, pad_code)
        matrix = weights[group * outputs : (group + 1) * outputs].reshape(outputs, -1).T
        parts.append(linear(params, mode, columns.reshape(-1, columns.shape[-1]), matrix))
    sums = np.concatenate(parts, axis=1).reshape(number, height, width, groups * outputs)
    return np.ascontiguousarray(sums.transpose(0, 3, 1, 2))
