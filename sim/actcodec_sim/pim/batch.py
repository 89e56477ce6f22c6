"""What the macro is run on: input vectors on one matrix of weights, and the tiles of a layer as such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.pim.codes import Codes, as_integers, input_words, outputs_of, result_beats, weight_rows
from actcodec.pim.layer import tiles
from actcodec.pim.model import multiply
from actcodec.pim.params import WIDTHS, PimMode, PimParams


@dataclass(frozen=True)
class Batch:
    """Vectors (N, inputs) of one mode on one matrix of weights (inputs, outputs)."""

    mode: PimMode
    weights: NDArray[Any]
    vectors: NDArray[Any]

    def rows(self, params: PimParams) -> list[int]:
        """Cells of every row, row 0 first."""
        return as_integers(weight_rows(params, self.mode, self.weights))

    def words(self, params: PimParams) -> list[list[int]]:
        """Words of every vector."""
        return [as_integers(vector) for vector in input_words(params, self.mode, self.vectors)]

    def beats(self, params: PimParams) -> list[int]:
        """Payloads of the results by the golden model, ``beats`` a vector, without ``last``."""
        outputs = multiply(params, self.mode, self.weights, self.vectors)
        return result_beats(params, self.mode.weight_bits, outputs)


def mode_fields(mode: PimMode) -> dict[str, int]:
    """The mode as the fields of a port (`actcodec_rtl.pim.layouts.mode_layout`)."""
    return {
        "weight_bits": WIDTHS.index(mode.weight_bits),
        "input_bits": WIDTHS.index(mode.input_bits),
        "weight_signed": int(mode.weight_signed),
        "input_signed": int(mode.input_signed),
    }


def layer_batches(params: PimParams, mode: PimMode, vectors: NDArray[Any], weights: NDArray[Any]) -> list[Batch]:
    """The tiles of ``vectors`` (N, inputs) times ``weights`` (inputs, outputs), in the order of `tiles`."""
    return [
        Batch(mode, weights[tile.inputs, tile.outputs], vectors[:, tile.inputs])
        for tile in tiles(params, mode, *weights.shape)
    ]


def layer_outputs(params: PimParams, mode: PimMode, shape: tuple[int, int], taken: Sequence[Sequence[int]]) -> Codes:
    """The outputs (N, outputs) of a layer of weights of ``shape`` (inputs, outputs), partial sums added up.

    ``taken`` are the payloads that came out of the macro for each of its `layer_batches`.
    """
    found = list(zip(tiles(params, mode, *shape), taken, strict=True))
    sums = np.zeros((len(found[0][1]) // params.beats, shape[1]), np.int64)
    for tile, beats in found:
        width = tile.outputs.stop - tile.outputs.start
        sums[:, tile.outputs] += outputs_of(params, mode.weight_bits, beats)[:, :width]
    return sums
