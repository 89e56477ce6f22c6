"""A site whose symbols are stored as one static Huffman code, learned from calibration images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.baselines.huffman import HuffmanTable
from actcodec.learn.batches import input_batches
from actcodec.networks import Network, SitedNetwork
from actcodec.rivals.measure import ImageStreams, StreamCounter

_BATCH = 100

Symbols = NDArray[np.int64]


class Quantizer(Protocol):
    """A site's quantizer: activations N×C×H×W to symbols 0…``levels`` − 1 (N, values) and back."""

    levels: int

    def symbols(self, activation: Tensor) -> Symbols:
        """Return the symbols of every image."""

    def restore(self, symbols: Symbols, like: Tensor) -> Tensor:
        """Return what readers get, in the shape of ``like``."""


class HuffmanSite(StreamCounter):
    """``quantizer`` with a Huffman code for ``counts`` of its symbols. The table's bits are ``table_bits``."""

    def __init__(self, quantizer: Quantizer, counts: NDArray[np.int64]) -> None:
        super().__init__()
        self._quantizer, self._table = quantizer, HuffmanTable.from_counts(counts)
        self.table_bits = self._table.table_bits

    def __call__(self, activation: Tensor) -> Tensor:
        """Write every image's stream, read it back, restore."""
        symbols = self._quantizer.symbols(activation)
        read = np.empty_like(symbols)
        for number, image in enumerate(symbols):
            coded = self._table.encode(image)
            self.images.append(ImageStreams((coded.bits,)))
            read[number] = self._table.decode(coded)
        return self._quantizer.restore(read, activation)


@torch.no_grad()
def count_symbols(
    network: Network,
    sited: SitedNetwork,
    quantizers: Sequence[Quantizer],
    images: NDArray[np.uint8],
    progress: bool = True,
) -> list[NDArray[np.int64]]:
    """Return how often every symbol occurs at every site for ``images``, all sites quantized."""
    counts = [np.zeros(q.levels, np.int64) for q in quantizers]

    def look(site: int, tensor: Tensor) -> Tensor:
        symbols = quantizers[site].symbols(tensor)
        counts[site] += np.bincount(symbols.ravel(), minlength=quantizers[site].levels)
        return quantizers[site].restore(symbols, tensor)

    for x in input_batches(network, images, _BATCH, "symbols", progress):
        sited(x, look)
    return counts


def entropy_bits(counts: NDArray[np.int64]) -> float:
    """Return Σ −n·log₂(n/N), a bound used to set a rate, never reported as a size."""
    total = counts.sum()
    some = counts[counts > 0]
    return float(-(some * np.log2(some / total)).sum())
