"""A lossless coder on top of what a site stores: 8-bit activations, or the codes of an identity transform."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.baselines import CODERS
from actcodec.errors import ActcodecError
from actcodec.fixedpoint import requantize_code
from actcodec.golden import SiteCodec
from actcodec.learn.quantize8 import ActivationRange
from actcodec.rivals.measure import ImageStreams, StreamCounter
from actcodec.tables import SiteTable


class LosslessOnCodes(StreamCounter):
    """``coder`` (zvc, rle, ebpc) on the codes of ``table``, an image C×H×W at a time, all of one width.

    Raises ActcodecError for a table that projects or mixes widths.
    """

    def __init__(self, table: SiteTable, coder: str) -> None:
        widths = {int(width) for width in table.arrays.width}
        if table.info.transform == "project" or len(widths) > 1:
            raise ActcodecError(f"site {table.info.name}", f"{coder} needs an unprojected site of one width")
        info = table.info
        super().__init__()
        self._table, self._coder, self._width = table, CODERS[coder], widths.pop()
        self._range = ActivationRange(info.scale, info.zero, info.low, info.high)
        self._codec = SiteCodec(table)

    def __call__(self, activation: Tensor) -> Tensor:
        """Return what the golden codec gives back; count the coder's streams."""
        x = self._range.quantize(activation)
        stored = np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy().astype(np.uint8))
        for image in self._codes(stored):
            coded = self._coder.encode(image, width=self._width)
            self.images.append(ImageStreams(tuple(stream.bits for stream in coded.streams), coded.uncounted_bits))
        decoded = torch.from_numpy(self._codec.decode(self._codec.encode(stored)))
        return self._range.dequantize(decoded.permute(0, 3, 1, 2).to(torch.float32))

    def _codes(self, x: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the codes (N, C, H, W) that the golden encoder stores for x (N, H, W, C)."""
        table = self._table
        arrays, channels = table.arrays, np.arange(table.info.channels)
        gain = arrays.P[channels, channels - table.block_start[:, 0]].astype(np.int64)
        acc = (x.astype(np.int64) - table.info.zero) * gain + arrays.bias
        codes = requantize_code(acc, arrays.shift, arrays.width).astype(np.uint8)
        return np.ascontiguousarray(codes.transpose(0, 3, 1, 2))
