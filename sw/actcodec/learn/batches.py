"""Images as normalised network inputs, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from actcodec.learn.progress import track
from actcodec.networks import Network

_MOST_POSITIONS = 1 << 18
"""Positions of the images of a batch together: what the largest activations take in memory follows from it."""


def input_batches(network: Network, images: NDArray[np.uint8], batch: int, title: str, show: bool) -> Iterator[Tensor]:
    """Yield ``network.inputs`` of ``batch`` images at a time (the last may be smaller), behind a progress bar.

    Large images come in smaller batches: five of 224×224.
    """
    batch = max(1, min(batch, _MOST_POSITIONS // (images.shape[1] * images.shape[2])))
    starts = range(0, len(images), batch)
    for start in track(starts, title, len(starts), show):
        yield network.inputs(images[start : start + batch])
